//! Insertion and evasion as Ptacek and Newsham have it, and the strategies of `SymTCP`: segments that the inspector
//! believes and the host does not, or the other way round.

use super::rows::{Row, send};
use super::segment::{Segment, Step, TICK, Text, Wire};
use super::streams::cut;
use portcullis_wire::decoded::TcpFlags;
use std::time::Duration;

const ACK: u8 = TcpFlags::ACK;
const FIN: u8 = TcpFlags::FIN;
const RST: u8 = TcpFlags::RST;
const SYN: u8 = TcpFlags::SYN;

/// Lives long enough for the inspector and not for a host that is some hops behind it.
const SHORT: u8 = 3;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(insertions());
    rows.extend(ends());
    rows.extend(beginnings());
    rows.extend(openings());
    rows.extend(urgent());
    rows.extend(others());
    rows
}

pub(super) fn place(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(0)
}

/// The begin, what `make` gives, and the text from the keyword's middle on.
pub(super) fn between(name: &str, make: impl Fn(&Text, i64) -> Vec<Segment> + 'static) -> Row {
    Row::new(name, move |wire, text| {
        let [start, half, rest] = cut(text);
        let mut all = vec![Segment::part(&text.bytes, start)];
        all.extend(make(text, place(half.start)));
        all.extend([Segment::part(&text.bytes, half), Segment::part(&text.bytes, rest)]);
        send(wire, &all)
    })
}

/// Chaff in the place of the keyword's second half, in ways that hosts may not take.
fn insertions() -> Vec<Row> {
    type Way = fn(Segment) -> Segment;
    let ways: [(&str, Way); 14] = [
        ("that dies on the way", |chaff| chaff.ttl(SHORT)),
        ("without ACK", |chaff| chaff.flags(TcpFlags::PSH)),
        ("without any flag", |chaff| chaff.flags(0)),
        ("that acknowledges what was not sent", |chaff| chaff.acks(5000)),
        ("that acknowledges a little too much", |chaff| chaff.acks(1)),
        ("that acknowledges what is long gone", |chaff| chaff.acks(-200_000)),
        ("with a signature", |chaff| chaff.options(&[&[19, 18][..], &[7; 16], &[1, 1]].concat())),
        ("with an old timestamp", |chaff| chaff.stamp(TICK - 90_000)),
        ("with a timestamp half a circle away", |chaff| chaff.stamp(TICK.wrapping_add(1 << 31))),
        ("with a timestamp of zero", |chaff| chaff.stamp(0)),
        ("with a timestamp of the future", |chaff| chaff.stamp(TICK + 1_000_000).ttl(SHORT)),
        ("without the timestamp", |chaff| chaff.options(&[])),
        ("with SYN", |chaff| chaff.flags(SYN)),
        ("with SYN and ACK", |chaff| chaff.flags(SYN | ACK)),
    ];
    let mut rows = Vec::new();
    for (name, way) in ways {
        rows.push(between(&format!("insertion: chaff {name}"), move |text, _| {
            let [_, half, _] = cut(text);
            vec![way(Segment::part(&text.chaff(), half))]
        }));
        rows.push(Row::new(format!("insertion: waiting chaff {name}"), move |wire, text| {
            let [start, half, rest] = cut(text);
            let chaff = way(Segment::part(&text.chaff(), half.clone()));
            let real = Segment::part(&text.bytes, half);
            let [start, rest] = [start, rest].map(|range| Segment::part(&text.bytes, range));
            send(wire, &[chaff, real, rest, start])
        }));
        rows.push(Row::new(format!("evasion: the half {name}"), move |wire, text| {
            let [start, half, rest] = cut(text);
            let real = way(Segment::part(&text.bytes, half));
            let [start, rest] = [start, rest].map(|range| Segment::part(&text.bytes, range));
            send(wire, &[start, real, rest])
        }));
        rows.push(Row::new(format!("evasion: all of it {name}"), move |wire, text| {
            send(wire, &[way(Segment::part(&text.bytes, 0..text.bytes.len()))])
        }));
    }
    rows
}

/// Resets and FINs that the host may not believe, and then the rest.
fn ends() -> Vec<Row> {
    type Way = fn(&Text, i64) -> Vec<Segment>;
    let ways: [(&str, Way); 25] = [
        ("RST that dies on the way", |_, at| vec![Segment::new(at, b"").flags(RST).ttl(SHORT)]),
        ("RST and ACK that dies on the way", |_, at| vec![Segment::new(at, b"").flags(RST | ACK).ttl(SHORT)]),
        ("RST one too far", |_, at| vec![Segment::new(at + 1, b"").flags(RST)]),
        ("RST one too near", |_, at| vec![Segment::new(at - 1, b"").flags(RST)]),
        ("RST in the window", |_, at| vec![Segment::new(at + 1000, b"").flags(RST)]),
        ("RST at the window's end", |_, at| vec![Segment::new(at + 65_534, b"").flags(RST)]),
        ("RST out of the window", |_, at| vec![Segment::new(at + 70_000, b"").flags(RST)]),
        ("RST that acknowledges too much", |_, at| vec![Segment::new(at, b"").flags(RST | ACK).acks(5000)]),
        ("RST with data", |_, at| vec![Segment::new(at, b"bye").flags(RST)]),
        ("RST with a signature", |_, at| {
            let signature = [&[19, 18][..], &[7; 16], &[1, 1]].concat();
            vec![Segment::new(at, b"").flags(RST).options(&signature)]
        }),
        ("RST with an old timestamp", |_, at| {
            vec![Segment::new(at, b"").flags(RST | ACK).stamp(TICK - 90_000)]
        }),
        ("RST partly in the window", |_, at| vec![Segment::new(at - 3, b"stale data").flags(RST)]),
        ("RST and SYN", |_, at| vec![Segment::new(at, b"").flags(RST | SYN)]),
        ("RST, FIN, SYN and ACK", |_, at| vec![Segment::new(at, b"").flags(RST | FIN | SYN | ACK)]),
        ("FIN that dies on the way", |_, at| vec![Segment::new(at, b"").flags(FIN | ACK).ttl(SHORT)]),
        ("FIN with chaff that dies on the way", |text, _| {
            let [_, half, _] = cut(text);
            vec![Segment::part(&text.chaff(), half).flags(FIN | ACK).ttl(SHORT)]
        }),
        ("FIN without ACK", |_, at| vec![Segment::new(at, b"").flags(FIN)]),
        ("FIN ahead", |_, at| vec![Segment::new(at + 500, b"").flags(FIN | ACK)]),
        ("FIN far ahead", |_, at| vec![Segment::new(at + 70_000, b"").flags(FIN | ACK)]),
        ("FIN before what was sent", |_, at| vec![Segment::new(at - 2, b"").flags(FIN | ACK)]),
        ("FIN that acknowledges too much", |_, at| vec![Segment::new(at, b"").flags(FIN | ACK).acks(5000)]),
        ("FIN with a signature", |_, at| {
            let signature = [&[19, 18][..], &[7; 16], &[1, 1]].concat();
            vec![Segment::new(at, b"").flags(FIN | ACK).options(&signature)]
        }),
        ("FIN with an old timestamp", |_, at| {
            vec![Segment::new(at, b"").flags(FIN | ACK).stamp(TICK - 90_000)]
        }),
        ("FIN and SYN", |_, at| vec![Segment::new(at, b"").flags(FIN | SYN)]),
        ("both ends, dying on the way", |_, at| {
            let both = [FIN | ACK, RST];
            both.map(|flags| Segment::new(at, b"").flags(flags).ttl(SHORT)).to_vec()
        }),
    ];
    let mut rows: Vec<_> =
        ways.into_iter().map(|(name, way)| between(&format!("end: {name}"), way)).collect();
    for (name, reset) in [("FIN", FIN | ACK), ("RST", RST)] {
        rows.push(Row::new(format!("end: {name} that dies, and long silence"), move |wire, text| {
            let [start, half, rest] = cut(text);
            let end = Segment::new(place(half.start), b"").flags(reset).ttl(SHORT);
            let mut steps = send(wire, &[Segment::part(&text.bytes, start), end]);
            steps.push(Step::Wait(Duration::from_secs(130)));
            steps.extend(send(wire, &[Segment::part(&text.bytes, half), Segment::part(&text.bytes, rest)]));
            steps
        }));
    }
    rows
}

/// SYNs within a session.
fn beginnings() -> Vec<Row> {
    const OTHER: u32 = 0x3000_0000;
    let syn = |ttl: u8| Segment::new(-1, b"").flags(SYN).acks(0).stamp(TICK + 1).ttl(ttl);
    let mut rows = Vec::new();
    for seconds in [0, 61, 130] {
        for (name, before) in [("", None), ("RST, then ", Some(RST)), ("FIN, then ", Some(FIN | ACK))] {
            let name = format!("begin: {name}a new SYN, both dying on the way, after {seconds} s");
            rows.push(Row::new(name, move |wire, text| {
                let [start, half, rest] = cut(text);
                let mut steps = send(wire, &[Segment::part(&text.bytes, start)]);
                let before = before.map(|flags| Segment::new(place(half.start), b"").flags(flags).ttl(SHORT));
                steps.extend(send(wire, before.as_slice()));
                steps.push(Step::Wait(Duration::from_secs(seconds)));
                let other = Wire { isn: wire.isn.wrapping_add(OTHER), ..*wire };
                steps.extend(send(&other, &[syn(SHORT)]));
                steps.extend(send(
                    wire,
                    &[Segment::part(&text.bytes, half), Segment::part(&text.bytes, rest)],
                ));
                steps
            }));
        }
    }
    rows.push(between("begin: a SYN in the window", |_, at| {
        vec![Segment::new(at + 100, b"").flags(SYN).acks(0)]
    }));
    rows.push(between("begin: the same SYN again", move |_, _| vec![syn(64)]));
    rows.push(Row::new("begin: a session that is reset, and one that is not", move |wire, text| {
        let [start, half, _] = cut(text);
        let reset = Segment::new(place(half.start), b"").flags(RST);
        let mut steps = send(wire, &[Segment::part(&text.bytes, start), reset]);
        let other = Wire { isn: wire.isn.wrapping_add(OTHER), ..*wire };
        let ack = Segment::new(0, b"").flags(ACK);
        steps.extend(send(&other, &[syn(64), ack, Segment::part(&text.bytes, 0..text.bytes.len())]));
        steps
    }));
    rows
}

/// Rows that make their own handshake.
fn openings() -> Vec<Row> {
    let fast_open: &[u8] = &[34, 10, 1, 2, 3, 4, 5, 6, 7, 8];
    let ack = || Segment::new(0, b"").flags(ACK).stamp(TICK);
    let mut rows = Vec::new();
    for (name, options) in [("", None), (" and fast open", Some(fast_open))] {
        let syn = move |data: &[u8]| {
            let syn = Segment::new(-1, data).flags(SYN).acks(0).stamp(TICK);
            match options {
                Some(options) => syn.options(options),
                None => syn,
            }
        };
        rows.push(Row::new(format!("opening: a SYN with data{name}"), move |wire, text| {
            let [start, half, rest] = cut(text);
            let [half, rest] = [half, rest].map(|range| Segment::part(&text.bytes, range));
            send(wire, &[syn(&text.bytes[start]), ack(), half, rest])
        }));
        rows.push(Row::new(format!("opening: a SYN with data that comes again{name}"), move |wire, text| {
            let [start, half, rest] = cut(text);
            let again = Segment::part(&text.bytes, start.clone());
            let [half, rest] = [half, rest].map(|range| Segment::part(&text.bytes, range));
            send(wire, &[syn(&text.bytes[start]), ack(), again, half, rest])
        }));
        rows.push(Row::new(format!("opening: a SYN with chaff{name}"), move |wire, text| {
            let all = Segment::part(&text.bytes, 0..text.bytes.len());
            send(wire, &[syn(&text.chaff()), ack(), all])
        }));
        rows.push(Row::new(format!("opening: a SYN with all of it{name}"), move |wire, text| {
            send(wire, &[syn(&text.bytes), ack()])
        }));
    }
    let syn = || Segment::new(-1, b"").flags(SYN).acks(0).stamp(TICK);
    let all = |text: &Text| Segment::part(&text.bytes, 0..text.bytes.len());
    for first in [true, false] {
        let name =
            format!("opening: another SYN that dies on the way, {}", if first { "first" } else { "second" });
        rows.push(Row::new(name, move |wire, text| {
            let other = Wire { isn: wire.isn.wrapping_add(77_777), ..*wire };
            let chaff = send(&other, &[syn().ttl(SHORT)]);
            let real = send(wire, &[syn()]);
            let syns = if first { [chaff, real] } else { [real, chaff] };
            syns.into_iter().flatten().chain(send(wire, &[ack(), all(text)])).collect()
        }));
    }
    rows.push(Row::new("opening: many SYNs that die on the way", move |wire, text| {
        let others = (1..30).map(|number| Wire { isn: wire.isn.wrapping_add(number * 1000), ..*wire });
        let mut steps: Vec<_> = others.flat_map(|other| send(&other, &[syn().ttl(SHORT)])).collect();
        steps.extend(send(wire, &[syn(), ack(), all(text)]));
        steps
    }));
    rows.push(Row::new("opening: SYN and FIN", move |wire, text| {
        send(wire, &[syn().flags(SYN | FIN), ack(), all(text)])
    }));
    rows.push(Row::new("opening: SYN with every other flag", move |wire, text| {
        send(wire, &[syn().flags(SYN | TcpFlags::PSH | TcpFlags::URG), ack(), all(text)])
    }));
    rows.push(Row::new("opening: a RST that dies before the handshake is done", move |wire, text| {
        send(wire, &[syn(), Segment::new(0, b"").flags(RST).ttl(SHORT), ack(), all(text)])
    }));
    rows.push(
        Row::new("opening: data in place of the last acknowledgement", move |wire, text| {
            send(wire, &[syn(), all(text)])
        })
        .legal(),
    );
    rows.push(Row::new("opening: a wrong acknowledgement first", move |wire, text| {
        send(wire, &[syn(), ack().acks(4000), ack(), all(text)])
    }));
    rows.into_iter().map(Row::opens).collect()
}

/// Urgent data: a byte that some hosts leave out of the stream.
fn urgent() -> Vec<Row> {
    let mut rows = Vec::new();
    for by in 0..4_usize {
        rows.push(Row::new(format!("urgent: a byte too many, {by} into the keyword"), move |wire, text| {
            let at = text.keyword.start + 1 + by;
            let mut bytes = text.bytes.clone();
            bytes.insert(at, b'X');
            let pointer = u16::try_from(at + 1).unwrap_or(0);
            send(wire, &[Segment::part(&bytes, 0..bytes.len()).urgent(pointer)])
        }));
        rows.push(Row::new(format!("urgent: a byte of the keyword, {by} into it"), move |wire, text| {
            let at = text.keyword.start + by;
            let pointer = u16::try_from(at + 1).unwrap_or(0);
            send(wire, &[Segment::part(&text.bytes, 0..text.bytes.len()).urgent(pointer)])
        }));
        rows.push(Row::new(
            format!("urgent: told ahead, a byte too many, {by} into the keyword"),
            move |wire, text| {
                let at = text.keyword.start + 1 + by;
                let mut bytes = text.bytes.clone();
                bytes.insert(at, b'X');
                let pointer = u16::try_from(at - 1).unwrap_or(0);
                send(
                    wire,
                    &[
                        Segment::part(&bytes, 0..2),
                        Segment::part(&bytes, 2..4).urgent(pointer),
                        Segment::part(&bytes, 4..bytes.len()),
                    ],
                )
            },
        ));
    }
    rows.push(Row::new("urgent: every byte of the keyword apart", |wire, text| {
        let mut bytes = text.bytes[..text.keyword.start].to_vec();
        let mut all = vec![Segment::part(&bytes, 0..bytes.len())];
        for byte in &text.bytes[text.keyword.clone()] {
            all.push(Segment::new(place(bytes.len()), &[*byte, b'X']).urgent(2));
            bytes.extend([*byte, b'X']);
        }
        all.push(Segment::new(place(bytes.len()), &text.bytes[text.keyword.end..]));
        send(wire, &all)
    }));
    for by in 0..4_usize {
        rows.push(Row::new(
            format!("urgent: a pointer of zero, a byte too many, {by} into the keyword"),
            move |wire, text| {
                let at = text.keyword.start + 1 + by;
                let mut bytes = text.bytes.clone();
                bytes.insert(at, b'X');
                send(wire, &[Segment::part(&bytes, 0..at), Segment::part(&bytes, at..bytes.len()).urgent(0)])
            },
        ));
        rows.push(Row::new(
            format!("urgent: a pointer of zero, {by} into the keyword"),
            move |wire, text| {
                let at = text.keyword.start + 1 + by;
                send(
                    wire,
                    &[
                        Segment::part(&text.bytes, 0..at),
                        Segment::part(&text.bytes, at..text.bytes.len()).urgent(0),
                    ],
                )
            },
        ));
    }
    rows.push(Row::new("urgent: a pointer of zero", |wire, text| {
        send(wire, &[Segment::part(&text.bytes, 0..text.bytes.len()).urgent(0)])
    }));
    rows.push(Row::new("urgent: a pointer beyond all", |wire, text| {
        send(wire, &[Segment::part(&text.bytes, 0..text.bytes.len()).urgent(60_000)])
    }));
    rows
}

fn others() -> Vec<Row> {
    let mut rows = Vec::new();
    for seconds in [30, 120, 700, 4000, 90_000] {
        rows.push(Row::new(format!("silence: {seconds} s within the keyword"), move |wire, text| {
            let [start, half, rest] = cut(text);
            let mut steps = send(wire, &[Segment::part(&text.bytes, start)]);
            steps.push(Step::Wait(Duration::from_secs(seconds)));
            steps.extend(send(wire, &[Segment::part(&text.bytes, half), Segment::part(&text.bytes, rest)]));
            steps
        }));
    }
    for at in [-1_i64, -5, -64, -2000] {
        rows.push(Row::new(format!("sequence: {} bytes before the first", -at), move |wire, text| {
            let junk = vec![b'z'; usize::try_from(-at).unwrap_or(0)];
            let [start, half, rest] = cut(text);
            let first = Segment::new(at, &[&junk, &text.bytes[start]].concat());
            send(wire, &[first, Segment::part(&text.bytes, half), Segment::part(&text.bytes, rest)])
        }));
    }
    for ahead in [65_535_i64, 70_000, 1 << 20, 1 << 30, (1 << 31) + 7] {
        rows.push(between(&format!("sequence: chaff {ahead} ahead"), move |_, at| {
            vec![Segment::new(at + ahead, b"XXXXXXXXXXXXXXXX")]
        }));
    }
    rows.push(between("sequence: chaff over the window's end", |_, at| {
        vec![Segment::new(at + 65_530, &[b'X'; 40])]
    }));
    for (kind, code) in [(3, 1), (3, 3), (4, 0), (5, 0), (11, 0), (12, 0)] {
        rows.push(
            Row::new(format!("ICMP: type {kind}, code {code}, about the session"), move |wire, text| {
                let [start, half, rest] = cut(text);
                let start = Segment::part(&text.bytes, start).frame(wire);
                let about = wire.by_attacker().icmp_error(kind, code, &start[super::frame::IP..]).to_vec();
                let mut steps = vec![Step::Send(start), Step::Send(about)];
                steps.extend(send(
                    wire,
                    &[Segment::part(&text.bytes, half), Segment::part(&text.bytes, rest)],
                ));
                steps
            })
            .legal(),
        );
    }
    rows
}
