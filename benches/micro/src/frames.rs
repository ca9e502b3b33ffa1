//! Frames to measure with.

use portcullis_capture::PortId;
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use std::time::Duration;

/// A frame as the memory modules take it.
pub type Frame = (Timestamp, PortId, Vec<u8>);

/// `flows` 64-byte UDP frames (without frame check sequence), each of a flow of its own, in an
/// order without a pattern. All are within one second.
#[must_use]
pub fn udp(flows: u32) -> Vec<Frame> {
    (0..flows).map(|place| (stamp(place), PortId(0), udp_frame(scatter(place, flows)))).collect()
}

fn udp_frame(flow: u32) -> Vec<u8> {
    let [_, b, c, d] = flow.to_be_bytes();
    let [high, low] = [flow >> 16, flow & 0xffff].map(|half| u16::try_from(half & 0x3fff).unwrap_or(0));
    PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, b, c, d], [198, 18, 0, 1])
        .udp(1024 + high, 1024 + low)
        .payload(&[0; 18])
        .to_vec()
}

fn stamp(place: u32) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_000_000_000 + u64::from(place) * 50)
}

/// A permutation of `0..flows`: multiplication by a number without a common factor.
fn scatter(place: u32, flows: u32) -> u32 {
    const PRIME: u64 = 2_654_435_761;
    u32::try_from(u64::from(place) * PRIME % u64::from(flows)).unwrap_or(0)
}

/// TCP connections of so many clients with a server, three segments each to open them; and segments of the open ones.
#[derive(Clone, Debug)]
pub struct Connections {
    /// SYN, SYN/ACK and ACK of each.
    pub handshakes: Vec<Frame>,
    /// An acknowledgement of each, to the server and back: they say the same however often they are sent.
    pub acknowledgements: Vec<Frame>,
}

/// `flows` connections, in an order without a pattern.
#[must_use]
pub fn connections(flows: u32) -> Connections {
    let end = |flow, to_server, flags| Segment { flow, to_server, flags, seq: 1, ack: 1, payload: &[] };
    let mut handshakes = Vec::new();
    let mut acknowledgements = Vec::new();
    for place in 0..flows {
        let flow = scatter(place, flows);
        let syn = Segment { seq: 0, ack: 0, ..end(flow, true, TcpFlags::SYN) };
        let syn_ack = Segment { seq: 0, ..end(flow, false, TcpFlags::SYN | TcpFlags::ACK) };
        handshakes.extend([syn, syn_ack, end(flow, true, TcpFlags::ACK)].map(|part| part.frame(place)));
        let both = [true, false].map(|to_server| end(flow, to_server, TcpFlags::ACK).frame(place));
        acknowledgements.extend(both);
    }
    Connections { handshakes, acknowledgements }
}

/// Whole connections: opened, `rounds` times a segment of `payload` each way, closed. One packet of each in turn. The
/// last acknowledgements come so late that everything is over: lent again, all of them begin anew.
#[must_use]
pub fn conversations(flows: u32, rounds: u32, payload: &[u8]) -> Vec<Frame> {
    let length = u32::try_from(payload.len()).unwrap_or(0);
    let mut frames = Vec::new();
    let mut add = |to_server, flags, seq, ack, payload| {
        for flow in 0..flows {
            let place = u32::try_from(frames.len()).unwrap_or(0);
            frames.push(Segment { flow, to_server, flags, seq, ack, payload }.frame(place));
        }
    };
    let (ack, data) = (TcpFlags::ACK, TcpFlags::ACK | TcpFlags::PSH);
    add(true, TcpFlags::SYN, 0, 0, &[][..]);
    add(false, TcpFlags::SYN | ack, 0, 1, &[]);
    add(true, ack, 1, 1, &[]);
    for round in 0..rounds {
        let sent = 1 + round * length;
        add(true, data, sent, sent, payload);
        add(false, data, sent, sent + length, payload);
    }
    let sent = 1 + rounds * length;
    add(true, TcpFlags::FIN | ack, sent, sent, &[]);
    add(false, TcpFlags::FIN | ack, sent, sent + 1, &[]);
    add(true, ack, sent + 1, sent + 1, &[]);
    let last = frames.len().saturating_sub(flows as usize);
    for (stamp, ..) in frames.iter_mut().skip(last) {
        *stamp = stamp.after(Duration::from_secs(1000));
    }
    frames
}

/// A segment of one of the connections, both ends of which count from 0.
#[derive(Clone, Copy)]
struct Segment<'p> {
    flow: u32,
    to_server: bool,
    flags: u8,
    seq: u32,
    ack: u32,
    payload: &'p [u8],
}

impl Segment<'_> {
    fn frame(&self, place: u32) -> Frame {
        let [_, b, c, d] = self.flow.to_be_bytes();
        let (client, server) = (([10, b, c, d], 40_000), ([198, 18, 0, 1], 80));
        let (source, destination) = if self.to_server { (client, server) } else { (server, client) };
        // Timestamps as nearly all have them: both clocks stand still.
        let options: &[u8] = if self.flags & TcpFlags::SYN == 0 {
            &[1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 7]
        } else {
            &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 7, 1, 3, 3, 7]
        };
        let frame = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4(source.0, destination.0)
            .tcp(source.1, destination.1)
            .flags(self.flags)
            .seq(self.seq)
            .ack(self.ack)
            .tcp_options(options)
            .payload(self.payload)
            .to_vec();
        (stamp(place), PortId(0), frame)
    }
}
