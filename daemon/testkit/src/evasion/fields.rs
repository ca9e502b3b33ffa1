//! Header fields, one after the other, as a normaliser would look at them: what a host drops for one may not be
//! what the inspector takes for the stream, and what it takes may not go by uninspected.

use super::frame::{IP, Repair, is_v6, tcp};
use super::rows::{Row, send};
use super::segment::Segment;
use super::streams::cut;
use portcullis_wire::decoded::TcpFlags;
use std::rc::Rc;

/// A way to change a segment.
struct Twist {
    name: String,
    /// Do all hosts take it as if nothing was?
    legal: bool,
    unstamped: bool,
    version: Option<u8>,
    apply: Rc<dyn Fn(Segment) -> Segment>,
}

pub(super) fn rows() -> Vec<Row> {
    let mut twists = ethernet();
    twists.extend(ipv4());
    twists.extend(ipv4_options());
    twists.extend(ipv6());
    twists.extend(transport());
    twists.extend(flags());
    twists.extend(tcp_options());
    twists.iter().flat_map(uses).collect()
}

/// What is done with a twist.
fn uses(twist: &Twist) -> Vec<Row> {
    // The first two rows are never legal: their data differs.
    let named = |what: &str| format!("{}: {what}", twist.name);
    let apply = || Rc::clone(&twist.apply);
    let mut rows = Vec::new();
    let twisted = apply();
    rows.push(Row::new(named("chaff first"), move |wire, text| {
        let [start, half, rest] = cut(text);
        let chaff = twisted(Segment::part(&text.chaff(), half.clone()));
        let [start, half, rest] = [start, half, rest].map(|range| Segment::part(&text.bytes, range));
        send(wire, &[start, chaff, half, rest])
    }));
    let twisted = apply();
    rows.push(Row::new(named("waiting chaff"), move |wire, text| {
        let [start, half, rest] = cut(text);
        let chaff = twisted(Segment::part(&text.chaff(), half.clone()));
        let [start, half, rest] = [start, half, rest].map(|range| Segment::part(&text.bytes, range));
        send(wire, &[chaff, half, rest, start])
    }));
    let twisted = apply();
    rows.push(Row::new(named("half of it"), move |wire, text| {
        let [start, half, rest] = cut(text).map(|range| Segment::part(&text.bytes, range));
        send(wire, &[start, twisted(half), rest])
    }));
    let twisted = apply();
    rows.push(Row::new(named("all of it"), move |wire, text| {
        send(wire, &[twisted(Segment::part(&text.bytes, 0..text.bytes.len()))])
    }));
    let twisted = apply();
    rows.push(Row::new(named("all pieces of it"), move |wire, text| {
        let pieces = cut(text).map(|range| twisted(Segment::part(&text.bytes, range)));
        send(wire, &pieces)
    }));
    let suited = |(place, row): (usize, Row)| {
        let row = if twist.legal && place >= 2 { row.legal() } else { row };
        let row = if twist.unstamped { row.unstamped() } else { row };
        match twist.version {
            Some(version) => row.only(version),
            None => row,
        }
    };
    rows.into_iter().enumerate().map(suited).collect()
}

fn twist(name: &str, apply: impl Fn(Segment) -> Segment + 'static) -> Twist {
    Twist { name: name.to_owned(), legal: false, unstamped: false, version: None, apply: Rc::new(apply) }
}

impl Twist {
    fn legal(self) -> Self {
        Self { legal: true, ..self }
    }

    fn only(self, version: u8) -> Self {
        Self { version: Some(version), ..self }
    }
}

/// Changes the bytes of the frame.
fn change(name: &str, repair: Repair, change: impl Fn(&mut Vec<u8>) + Clone + 'static) -> Twist {
    twist(name, move |segment| segment.change(repair, change.clone()))
}

/// Writes these bytes at this place of the IP header.
fn ip(name: &str, at: usize, bytes: &'static [u8]) -> Twist {
    change(&format!("IP {name}"), Repair::Ip, move |frame| {
        frame[IP + at..IP + at + bytes.len()].copy_from_slice(bytes);
    })
}

fn ethernet() -> Vec<Twist> {
    let tag = |id: u8| {
        move |frame: &mut Vec<u8>| {
            frame.splice(12..12, [0x81, 0x00, 0x00, id]);
        }
    };
    vec![
        change("Ethernet: another destination", Repair::Nothing, |frame| frame[5] ^= 1),
        change("Ethernet: a priority tag", Repair::Nothing, tag(0)).legal(),
        change("Ethernet: a tag", Repair::Nothing, tag(5)),
        change("Ethernet: bytes behind the packet", Repair::Nothing, |frame| frame.extend([b'T'; 30]))
            .legal(),
        change("Ethernet: a frame that is cut", Repair::Nothing, |frame| {
            frame.truncate(frame.len().saturating_sub(2));
        }),
        change("Ethernet: the type of IPv6 on IPv4", Repair::Nothing, |frame| {
            let other = if is_v6(frame) { [8, 0] } else { [0x86, 0xdd] };
            frame[12..14].copy_from_slice(&other);
        }),
    ]
}

fn ipv4() -> Vec<Twist> {
    let length = |by: i32| {
        change(&format!("IP length: {by} more"), Repair::Ip, move |frame| {
            let stated = i32::from(u16::from_be_bytes([frame[IP + 2], frame[IP + 3]])) + by;
            frame[IP + 2..IP + 4].copy_from_slice(&u16::try_from(stated).unwrap_or(0).to_be_bytes());
        })
    };
    let twists = vec![
        ip("version: 5", 0, &[0x55]),
        ip("version: 6", 0, &[0x65]),
        ip("header length: 16", 0, &[0x44]),
        ip("header length: 0", 0, &[0x40]),
        ip("header length: 60", 0, &[0x4f]),
        ip("header length: 24, of which 4 are TCP's", 0, &[0x46]),
        ip("type of service: all", 1, &[0xff]).legal(),
        length(1),
        length(100),
        length(-1),
        length(-3),
        ip("length: 0", 2, &[0, 0]),
        ip("length: 20", 2, &[0, 20]),
        ip("length: 40", 2, &[0, 40]),
        ip("identification: 0", 4, &[0, 0]).legal(),
        ip("identification: all ones", 4, &[0xff, 0xff]).legal(),
        ip("flags: reserved", 6, &[0x80, 0]).legal(),
        ip("flags: DF", 6, &[0x40, 0]).legal(),
        ip("flags: DF and reserved", 6, &[0xc0, 0]).legal(),
        ip("flags: MF", 6, &[0x20, 0]),
        ip("flags: DF and MF", 6, &[0x60, 0]),
        ip("offset: 8", 6, &[0, 1]),
        ip("offset: 8, DF", 6, &[0x40, 1]),
        ip("offset: the last", 6, &[0x1f, 0xff]),
        ip("offset: the last, MF", 6, &[0x3f, 0xff]),
        ip("time to live: 0", 8, &[0]),
        ip("time to live: 1", 8, &[1]),
        ip("time to live: 255", 8, &[255]).legal(),
        ip("protocol: 0", 9, &[0]),
        ip("protocol: UDP", 9, &[17]),
        ip("protocol: 253", 9, &[253]),
        change("IP checksum: wrong", Repair::Nothing, |frame| frame[IP + 10] ^= 0x40),
        change("IP checksum: zero", Repair::Nothing, |frame| frame[IP + 10..IP + 12].fill(0)),
        change("IP checksum: wrong in a fragment", Repair::Nothing, |frame| frame[IP + 6] = 0x20),
        ip("source: loopback", 12, &[127, 0, 0, 1]),
        ip("source: broadcast", 12, &[255; 4]),
        ip("source: a group", 12, &[224, 0, 0, 1]),
        change("IP source: the destination", Repair::Ip, |frame| {
            frame.copy_within(IP + 16..IP + 20, IP + 12)
        }),
        ip("destination: loopback", 16, &[127, 0, 0, 1]),
        ip("destination: broadcast", 16, &[255; 4]),
        ip("destination: a group", 16, &[224, 0, 0, 1]),
    ];
    twists.into_iter().map(|twist| twist.only(4)).collect()
}

fn ipv4_options() -> Vec<Twist> {
    let with = |name: &str, options: &'static [u8]| {
        let twist = change(&format!("IP options: {name}"), Repair::Ip, move |frame| {
            frame.splice(IP + 20..IP + 20, options.iter().copied());
            frame[IP] += u8::try_from(options.len() / 4).unwrap_or(0);
            let length = u16::from_be_bytes([frame[IP + 2], frame[IP + 3]]);
            let length = length + u16::try_from(options.len()).unwrap_or(0);
            frame[IP + 2..IP + 4].copy_from_slice(&length.to_be_bytes());
        });
        twist.only(4)
    };
    vec![
        with("no operation", &[1, 1, 1, 1]).legal(),
        with("end", &[0, 0, 0, 0]).legal(),
        with("end, then rubbish", &[0, 7, 99, 1]).legal(),
        with("record route", &[7, 7, 4, 0, 0, 0, 0, 0]).legal(),
        with("timestamp", &[68, 8, 5, 0, 0, 0, 0, 0]).legal(),
        with("router alert", &[148, 4, 0, 0]).legal(),
        with("stream", &[136, 4, 0, 1]).legal(),
        with("unknown", &[222, 4, 1, 2]).legal(),
        with("loose source route", &[131, 7, 4, 10, 0, 0, 9, 0]),
        with("strict source route", &[137, 7, 4, 10, 0, 0, 9, 0]),
        with("strict source route at its end", &[137, 7, 8, 10, 0, 0, 9, 0]),
        with("length 0", &[7, 0, 1, 1]),
        with("length 1", &[7, 1, 1, 1]),
        with("longer than the header", &[7, 40, 4, 0]),
        with("cut", &[1, 1, 1, 7]),
        with("many", &[1; 40]).legal(),
    ]
}

fn ipv6() -> Vec<Twist> {
    let length = |by: i32| {
        change(&format!("IPv6 length: {by} more"), Repair::Nothing, move |frame| {
            let stated = i32::from(u16::from_be_bytes([frame[IP + 4], frame[IP + 5]])) + by;
            frame[IP + 4..IP + 6].copy_from_slice(&u16::try_from(stated).unwrap_or(0).to_be_bytes());
        })
    };
    let field = |name: &str, at: usize, bytes: &'static [u8]| {
        change(&format!("IPv6 {name}"), Repair::Nothing, move |frame| {
            frame[IP + at..IP + at + bytes.len()].copy_from_slice(bytes);
        })
    };
    // Headers between IPv6 and TCP: the first's number, and their bytes, with TCP's as the last next one.
    let header = |name: &str, first: u8, bytes: &'static [u8]| {
        change(&format!("IPv6 headers: {name}"), Repair::Nothing, move |frame| {
            frame.splice(IP + 40..IP + 40, bytes.iter().copied());
            frame[IP + 6] = first;
            let length = u16::from_be_bytes([frame[IP + 4], frame[IP + 5]]);
            let length = length + u16::try_from(bytes.len()).unwrap_or(0);
            frame[IP + 4..IP + 6].copy_from_slice(&length.to_be_bytes());
        })
    };
    let twists = vec![
        field("version: 4", 0, &[0x40]),
        field("traffic class and label: all", 0, &[0x6f, 0xff, 0xff, 0xff]).legal(),
        length(1),
        length(100),
        length(-1),
        length(-3),
        field("length: 0", 4, &[0, 0]),
        field("next header: none", 6, &[59]),
        field("next header: UDP", 6, &[17]),
        field("next header: 253", 6, &[253]),
        field("hop limit: 0", 7, &[0]),
        field("hop limit: 1", 7, &[1]),
        field("source: a group", 8, &[0xff, 2]),
        change("IPv6 source: the destination", Repair::Nothing, |frame| {
            frame.copy_within(IP + 24..IP + 40, IP + 8)
        }),
        field("destination: a group", 24, &[0xff, 2]),
        header("hop by hop", 0, &[6, 0, 1, 4, 0, 0, 0, 0]).legal(),
        header("destination options", 60, &[6, 0, 1, 4, 0, 0, 0, 0]).legal(),
        header("destination options twice", 60, &[60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0]).legal(),
        header("hop by hop in second place", 60, &[0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0]),
        header("hop by hop twice", 0, &[0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0]),
        header("route at its end", 43, &[6, 0, 0, 0, 0, 0, 0, 0]),
        header(
            "route that goes on",
            43,
            &[6, 2, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2],
        ),
        header("an atomic fragment", 44, &[6, 0, 0, 0, 1, 2, 3, 4]).legal(),
        header("an atomic fragment with reserved bits", 44, &[6, 0xff, 0, 6, 1, 2, 3, 5]).legal(),
        header("a fragment that more follow", 44, &[6, 0, 0, 1, 1, 2, 3, 6]),
        header("a second fragment", 44, &[6, 0, 0, 8, 1, 2, 3, 7]),
        header("a header that is longer than the packet", 60, &[6, 200, 1, 4, 0, 0, 0, 0]),
        header("nothing follows", 60, &[59, 0, 1, 4, 0, 0, 0, 0]),
    ];
    twists.into_iter().map(|twist| twist.only(6)).collect()
}

fn transport() -> Vec<Twist> {
    let field = |name: &str, at: usize, bytes: &'static [u8]| {
        change(&format!("TCP {name}"), Repair::All, move |frame| {
            let at = tcp(frame) + at;
            frame[at..at + bytes.len()].copy_from_slice(bytes);
        })
    };
    let offset = |words: u8| {
        change(&format!("TCP data offset: {words}"), Repair::All, move |frame| {
            let at = tcp(frame) + 12;
            frame[at] = words << 4 | frame[at] & 0x0f;
        })
    };
    let reserved = |bits: u8| {
        let twist = change(&format!("TCP reserved bits: {bits}"), Repair::All, move |frame| {
            let at = tcp(frame) + 12;
            frame[at] |= bits;
        });
        twist.legal()
    };
    let sum = |name: &str, change_sum: fn(&mut [u8])| {
        change(&format!("TCP checksum: {name}"), Repair::Nothing, move |frame| {
            let at = tcp(frame) + 16;
            change_sum(&mut frame[at..at + 2]);
        })
    };
    vec![
        twist("TCP acknowledgement: 2 GiB ahead", |segment| segment.acks((1 << 31) - 5)),
        twist("TCP acknowledgement: 40,000 behind", |segment| segment.acks(-40_000)),
        field("acknowledgement: 0", 8, &[0; 4]),
        offset(0),
        offset(4),
        offset(6),
        offset(15),
        reserved(1),
        reserved(2),
        reserved(4),
        reserved(8),
        reserved(15),
        twist("TCP window: 0", |segment| segment.window(0)).legal(),
        twist("TCP window: 1", |segment| segment.window(1)).legal(),
        sum("wrong", |sum| sum[1] ^= 1),
        sum("zero", |sum| sum.fill(0)),
        sum("all ones", |sum| sum.fill(0xff)),
        sum("swapped", |sum| sum.reverse()),
        field("urgent pointer: without the flag", 18, &[0, 3]).legal(),
    ]
}

/// Every combination of the six oldest flags, and the two of congestion.
fn flags() -> Vec<Twist> {
    let one = |flags: u8| {
        let made = twist(&format!("TCP flags: {flags:#04x}"), move |segment| segment.flags(flags));
        let strange = TcpFlags::SYN | TcpFlags::RST | TcpFlags::FIN | TcpFlags::URG;
        if flags & (strange | TcpFlags::ACK) == TcpFlags::ACK { made.legal() } else { made }
    };
    (0..64).chain([0x50, 0x90, 0xd0, 0xff]).map(one).collect()
}

fn tcp_options() -> Vec<Twist> {
    let with = |name: &str, options: &'static [u8]| {
        // In place of the timestamps that a session may have.
        let twist = twist(&format!("TCP options: {name}"), move |segment| segment.options(options));
        Twist { unstamped: true, ..twist }
    };
    vec![
        with("no operation", &[1; 4]).legal(),
        with("end", &[0; 4]).legal(),
        with("end, then rubbish", &[0, 3, 99, 1]).legal(),
        with("segment size", &[2, 4, 0, 1]).legal(),
        with("window scale", &[3, 3, 14, 1]).legal(),
        with("selective acknowledgement permitted", &[4, 2, 1, 1]).legal(),
        with("selective acknowledgement", &[5, 10, 0, 0, 0, 1, 0, 0, 9, 9, 1, 1]).legal(),
        with("echo", &[6, 6, 1, 2, 3, 4, 1, 1]).legal(),
        with("connection count of T/TCP", &[11, 6, 0, 0, 0, 1, 1, 1]).legal(),
        with("new connection count of T/TCP", &[12, 6, 0, 0, 0, 1, 1, 1]).legal(),
        with("another checksum", &[14, 3, 1, 1]).legal(),
        with("fast open", &[34, 2, 1, 1]).legal(),
        with("multipath", &[30, 4, 0, 0]).legal(),
        with("unknown", &[253, 4, 1, 2]).legal(),
        with("timestamp", &[8, 10, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]).legal(),
        with("old timestamp", &[8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1]).legal(),
        with("signature", &[19, 18, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        with("authentication", &[29, 16, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        with("length 0", &[253, 0, 1, 1]).legal(),
        with("length 1", &[253, 1, 1, 1]).legal(),
        with("longer than the header", &[253, 40, 1, 1]).legal(),
        with("a timestamp that is cut", &[8, 10, 0, 1]).legal(),
        with("segment size of a wrong length", &[2, 3, 1, 1]).legal(),
        with("window scale twice", &[3, 3, 1, 3, 3, 9, 1, 1]).legal(),
    ]
}
