//! Rows that published lists have and the other families do not: ends and beginnings that no host believes, chaff
//! between all pieces, and links that large packets do not get through.

use super::frame::{IP, Repair, is_v6, tcp};
use super::rows::{Row, send};
use super::segment::{Segment, TICK, Text};
use super::strategies::{between, place};
use super::streams::{cut, pieces};
use portcullis_wire::decoded::TcpFlags;

const ACK: u8 = TcpFlags::ACK;
const FIN: u8 = TcpFlags::FIN;
const RST: u8 = TcpFlags::RST;
const SYN: u8 = TcpFlags::SYN;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = ends();
    rows.extend(interleaved());
    rows.extend(beginnings());
    rows.push(between("large: chaff that is too large for the rest of its way", |text, _| {
        let [_, half, _] = cut(text);
        let long = [&text.chaff()[half.clone()], &[b'z'; 1300]].concat();
        let chaff = Segment::new(place(half.start), &long).change(Repair::Ip, |frame| {
            if !is_v6(frame) {
                frame[IP + 6] = 0x40;
            }
        });
        vec![chaff]
    }));
    rows
}

/// Resets and FINs that are damaged.
fn ends() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, flags) in [("RST", RST), ("RST and ACK", RST | ACK), ("FIN", FIN | ACK)] {
        rows.push(between(&format!("end: {name} with a wrong checksum"), move |_, at| {
            let end = Segment::new(at, b"").flags(flags);
            vec![end.change(Repair::Nothing, |frame| {
                let at = tcp(frame) + 16;
                frame[at] ^= 0x5a;
            })]
        }));
        for words in [0, 4, 15] {
            rows.push(between(&format!("end: {name} with a data offset of {words}"), move |_, at| {
                let end = Segment::new(at, b"").flags(flags);
                vec![end.change(Repair::All, move |frame| {
                    let at = tcp(frame) + 12;
                    frame[at] = words << 4;
                })]
            }));
        }
    }
    rows
}

/// Something before each piece.
fn interleaved() -> Vec<Row> {
    type Way = fn(&Text, usize) -> Segment;
    let ways: [(&str, Way); 4] = [
        ("SYNs", |_, at| Segment::new(place(at), b"X").flags(SYN)),
        ("chaff far ahead", |_, at| Segment::new(place(at) + (1 << 30), b"X")),
        ("chaff far behind", |_, at| Segment::new(place(at) - (1 << 30), b"X")),
        ("chaff over the place behind", |text, at| {
            let end = (at + 3).min(text.bytes.len());
            Segment::part(&text.chaff(), (at + 1).min(end)..end)
        }),
    ];
    let mut rows = Vec::new();
    for (name, way) in ways {
        for size in [1, 2, 3] {
            rows.push(Row::new(format!("interleaved: {name}, pieces of {size}"), move |wire, text| {
                let starts = (0..text.bytes.len()).step_by(size);
                let pairs = starts.zip(pieces(&text.bytes, size));
                let all: Vec<_> = pairs.flat_map(|(at, piece)| [way(text, at), piece]).collect();
                send(wire, &all)
            }));
        }
    }
    rows
}

/// Data where there is no session yet.
fn beginnings() -> Vec<Row> {
    let syn = || Segment::new(-1, b"").flags(SYN).acks(0).stamp(TICK);
    let ack = || Segment::new(0, b"").flags(ACK).stamp(TICK);
    let all = |bytes: &[u8]| Segment::part(bytes, 0..bytes.len());
    let rows = vec![
        Row::new("opening: no handshake", move |wire, text| send(wire, &[all(&text.bytes)])),
        Row::new("opening: data, and then the handshake", move |wire, text| {
            send(wire, &[all(&text.bytes), syn(), ack(), all(&text.bytes)])
        }),
        Row::new("opening: chaff, and then the handshake", move |wire, text| {
            send(wire, &[all(&text.chaff()), syn(), ack(), all(&text.bytes)])
        }),
        Row::new("opening: chaff before the last acknowledgement", move |wire, text| {
            let chaff = all(&text.chaff()).acks(4000);
            send(wire, &[syn(), chaff, ack(), all(&text.bytes)])
        }),
    ];
    rows.into_iter().map(Row::opens).collect()
}
