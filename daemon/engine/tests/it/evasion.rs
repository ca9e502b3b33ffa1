//! The evasion matrix on the engine: whatever the attacker does, no host behind it reads the keyword, and what is
//! legal and harmless gets to the host as it was sent. Judged by what the host reads, never by an alert.

use crate::rig::{Rig, inline};
use portcullis_capture::PortId;
use portcullis_engine::{EngineSettings, ExceptionPolicies, ExceptionPolicy};
use portcullis_stream::{Urgent, UrgentPolicy};
use portcullis_testkit::evasion::{Host, Manner, Overlap, Row, Step, Text, Wire, rows};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const RULE: &str = r#"drop tcp any any -> any any (content:"forbidden"; sid:1;)"#;

/// As a gate has them that drops what it cannot make sense of: what `auto` means there.
fn settings(urgent: UrgentPolicy) -> EngineSettings {
    let mut settings = inline();
    settings.policies = ExceptionPolicies {
        flow_memcap: ExceptionPolicy::DropPacket,
        defrag_memcap: ExceptionPolicy::DropPacket,
        ..ExceptionPolicies::all(ExceptionPolicy::DropFlow)
    };
    settings.decoder.validate_checksums = true;
    settings.stream.reassembly.urgent = Urgent { policy: urgent, limit_policy: UrgentPolicy::Drop };
    // Many are made; nothing of it is a limit here.
    settings.flow.memcap = 2 << 20;
    settings.flow.prealloc = 16;
    settings.stream.memcap = 1 << 20;
    settings.stream.prealloc_sessions = 16;
    settings.stream.reassembly.memcap = 4 << 20;
    settings.stream.reassembly.segment_prealloc = 16;
    settings.defrag.memcap = 4 << 20;
    settings
}

/// Makes a session by its number, version of IP, and whether it has timestamps.
type Make = fn(u16, u8, bool) -> Wire;

/// A session of a client of its own.
fn wire(number: u16, version: u8, timestamps: bool) -> Wire {
    let [high, low] = number.to_be_bytes();
    let address = |client: [u8; 3]| match version {
        4 => IpAddr::V4(Ipv4Addr::new(10, client[0], client[1], client[2])),
        _ => IpAddr::V6(Ipv6Addr::from(
            [[0x20; 8], [0, 0, 0, 0, 0, client[0], client[1], client[2]]]
                .concat()
                .first_chunk::<16>()
                .copied()
                .unwrap(),
        )),
    };
    // One of the streams goes over the end of the numbers, in the keyword.
    let isn = if timestamps { 1000 } else { u32::MAX - 11 };
    Wire {
        attacker: ([2, 0, 0, 0, 0, 1], address([1, high, low]), 40_000),
        host: ([2, 0, 0, 0, 0, 2], address([2, 0, 1]), 80),
        isn,
        host_isn: 0x1234_5678,
        timestamps,
        serves: false,
    }
}

/// The same where the attacker is the server.
fn served(number: u16, version: u8, timestamps: bool) -> Wire {
    let wire = wire(number, version, timestamps);
    let (attacker, host) = ((wire.attacker.0, wire.attacker.1, 80), (wire.host.0, wire.host.1, 40_000));
    Wire { attacker, host, serves: true, ..wire }
}

/// What happened to a session.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    /// What the attacker sent and what of it arrived at the host.
    frames: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    host_streams: Vec<Vec<u8>>,
    keyword: bool,
}

/// Runs a row against a host, past the engine or through it.
fn run(row: &Row, wire: &Wire, text: &Text, manner: &Manner, mut gate: Option<&mut Rig>) -> Told {
    let mut host = Host::new(wire, manner);
    let mut now = Duration::ZERO;
    let mut steps = Vec::new();
    if let (Some(syn), Some(gate)) = (host.connect(), &mut gate) {
        gate.forward(PortId(1), syn);
    }
    if wire.serves {
        steps.push(Step::Send(wire.welcome()));
    } else if !row.opens {
        steps.extend(wire.handshake().map(Step::Send));
    }
    steps.extend(row.steps(wire, text));
    let mut frames = Vec::new();
    for step in steps {
        let frame = match step {
            Step::Send(frame) => frame,
            Step::Wait(time) => {
                now += time;
                if let Some(gate) = &mut gate {
                    gate.pass(time.as_secs());
                }
                continue;
            }
        };
        let arrived = match &mut gate {
            Some(gate) => gate.forward(PortId(0), frame.clone()),
            None => Some(frame.clone()),
        };
        frames.push((frame, arrived.clone()));
        let answers = arrived.map(|frame| host.receive(&frame, now)).unwrap_or_default();
        for answer in answers {
            if let Some(gate) = &mut gate {
                gate.forward(PortId(1), answer);
            }
        }
    }
    let host_streams = host.streams().map(<[u8]>::to_vec).collect();
    Told { frames, host_streams, keyword: host.has_read(Text::KEYWORD) }
}

fn manners(urgent_inline: bool) -> Vec<Manner> {
    let mut manners = Vec::new();
    for overlap in Overlap::ALL {
        for (far, strict) in [(false, false), (false, true), (true, false), (true, true)] {
            let syn_data = far == (overlap == Overlap::First || overlap == Overlap::Bsd);
            manners.push(Manner { overlap, far, strict, urgent_inline, syn_data });
        }
    }
    manners
}

/// How often a row could have succeeded.
#[derive(Default)]
struct Tally {
    runs: usize,
    potent: usize,
    failures: Vec<String>,
}

/// Tries a row on every manner of host, with the keyword and without.
fn check(row: &Row, session: (Make, u8, bool), urgent: (UrgentPolicy, bool), tally: &mut Tally) {
    let (wire, version, timestamps) = session;
    let mut gate = Rig::new(&settings(urgent.0), RULE);
    let mut fail = |what: &str, manner: &Manner, told: &Told| {
        let frames: Vec<_> = told.frames.iter().map(|(_, arrived)| arrived.is_some()).collect();
        let stamps = if timestamps { ", timestamps" } else { "" };
        let name = &row.name;
        tally.failures.push(format!("{name} (IPv{version}{stamps}): {what}, {manner:?}: {frames:?}"));
    };
    let (forbidden, harmless) = (Text::request(true), Text::request(false));
    for (number, manner) in (0..).zip(manners(urgent.1)) {
        let attack = wire(number * 2, version, timestamps);
        // Whoever opens the session itself is a client.
        if !row.suits(&attack) || attack.serves && row.opens {
            return;
        }
        tally.runs += 1;
        if run(row, &attack, &forbidden, &manner, None).keyword {
            tally.potent += 1;
        }
        let told = run(row, &attack, &forbidden, &manner, Some(&mut gate));
        if told.keyword {
            fail("the host read it", &manner, &told);
        }
        let twin = wire(number * 2 + 1, version, timestamps);
        if row.is_legal(&twin) {
            let past = run(row, &twin, &harmless, &manner, None);
            let through = run(row, &twin, &harmless, &manner, Some(&mut gate));
            if past.host_streams != [harmless.bytes.clone()] && !manner.far {
                fail("a legal row that the host does not take", &manner, &past);
            }
            if past != through {
                fail("its twin did not pass as it was", &manner, &through);
            }
        }
    }
}

/// Tries every row that is wanted, over both versions of IP, with timestamps and without.
fn check_all(wire: Make, urgent: (UrgentPolicy, bool), wanted: impl Fn(&Row) -> bool) {
    let mut tally = Tally::default();
    for row in rows().iter().filter(|row| wanted(row)) {
        for version in [4, 6] {
            for timestamps in [false, true] {
                check(row, (wire, version, timestamps), urgent, &mut tally);
            }
        }
    }
    assert!(tally.failures.is_empty(), "{} of {}: {:#?}", tally.failures.len(), tally.runs, tally.failures);
    // What nobody falls for proves nothing.
    assert!(tally.potent > tally.runs / 3, "only {} of {} can succeed", tally.potent, tally.runs);
}

#[test]
fn no_host_reads_the_keyword() {
    check_all(wire, (UrgentPolicy::OutOfBand, false), |_| true);
}

#[test]
fn nor_does_one_that_connects_to_the_attacker() {
    check_all(served, (UrgentPolicy::OutOfBand, false), |_| true);
}

#[test]
fn nor_does_one_that_reads_urgent_data_in_its_stream() {
    let urgent = |row: &Row| row.name.starts_with("urgent");
    check_all(wire, (UrgentPolicy::Inline, true), urgent);
    check_all(served, (UrgentPolicy::Inline, true), urgent);
}

#[test]
fn where_hosts_differ_about_urgent_data_it_can_be_dropped() {
    let urgent = |row: &Row| row.name.starts_with("urgent: a byte of") || row.name.ends_with("apart");
    for urgent_inline in [false, true] {
        let mut tally = Tally::default();
        for row in rows().iter().filter(|row| urgent(row)) {
            check(row, (wire, 4, false), (UrgentPolicy::Drop, urgent_inline), &mut tally);
        }
        assert!(tally.runs > 0 && tally.failures.is_empty(), "{:#?}", tally.failures);
    }
}
