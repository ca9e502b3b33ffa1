//! Times in which packets passed unjudged, and starts: connections that were there go on, marked as
//! uninspected; for a while, and up to a number.

use crate::rig::{Rig, ethernet, handshake, inline, tcp, udp};
use portcullis_capture::{DropReason, Verdict};
use portcullis_engine::{EngineSettings, ExceptionPolicies, ExceptionPolicy, MidstreamGrace};
use portcullis_event::Record;
use portcullis_flow::Blind;
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::TcpFlags;
use std::time::Duration;

const ACK: u8 = TcpFlags::ACK;
const RULES: &str = r#"drop tcp any any -> any 80 (content:"attack"; sid:1;)"#;

/// Nobody judged in the last ten seconds.
fn blind(rig: &mut Rig) {
    let since = rig.now();
    rig.pass(10);
    rig.worker.blind(Blind { since, until: rig.now() });
}

/// Ends all flows: which of them were uninspected, by the client's port.
fn uninspected(rig: &mut Rig) -> Vec<(u16, bool)> {
    rig.finish();
    let mut shown = rig.records(|record| match record {
        Record::Flow(flow) => Some((flow.common.source_port, flow.uninspected)),
        _ => None,
    });
    shown.sort_unstable();
    shown
}

fn strict(flows: u32) -> EngineSettings {
    let grace = MidstreamGrace { time: Duration::from_secs(60), flows };
    let policies = ExceptionPolicies::all(ExceptionPolicy::DropFlow);
    EngineSettings { policies, midstream_grace: grace, ..inline() }
}

/// A segment in the middle of a connection from this port.
fn stray(port: u16) -> Vec<u8> {
    ethernet()
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
        .tcp(port, 80)
        .flags(ACK)
        .seq(7)
        .ack(9)
        .payload(b"x")
        .to_vec()
}

#[test]
fn a_session_that_moved_on_unseen_is_neither_dropped_nor_unwatched() {
    let mut rig = Rig::new(&strict(0), RULES);
    rig.send(&handshake());
    rig.send(&[udp(([10, 0, 0, 1], 5), ([10, 0, 0, 2], 53), b"before")]);
    blind(&mut rig);
    rig.send(&[udp(([10, 0, 0, 1], 6), ([10, 0, 0, 2], 53), b"after")]);
    let verdicts = rig.send(&[
        tcp(true, ACK, 900_000, 70_501, b"go on"),
        tcp(false, ACK, 70_501, 900_005, b"so do I"),
        tcp(true, ACK, 900_005, 70_508, b" att"),
        tcp(true, ACK, 900_009, 70_508, b"ack"),
    ]);
    let accept = Verdict::Accept;
    assert_eq!(verdicts, [accept, accept, accept, Verdict::Drop(DropReason::Rules)]);
    assert_eq!(rig.counters().flow_uninspected, 1, "the other one is not known of yet");
    assert_eq!(uninspected(&mut rig), [(5, true), (6, false), (40_000, true)]);
    assert_eq!(rig.counters().flow_uninspected, 2);
}

#[test]
fn without_a_blind_time_a_jump_is_out_of_the_window() {
    let mut rig = Rig::new(&strict(0), RULES);
    rig.send(&handshake());
    let verdicts = rig.send(&[tcp(true, ACK, 900_000, 70_501, b"go on")]);
    assert_eq!(verdicts, [Verdict::Drop(DropReason::StreamError)]);
    assert_eq!(uninspected(&mut rig), [(40_000, false)]);
}

#[test]
fn what_was_over_before_is_not_uninspected_and_nothing_is_told_twice() {
    let mut rig = Rig::new(&strict(0), "");
    rig.send(&[udp(([10, 0, 0, 1], 5), ([10, 0, 0, 2], 53), b"x")]);
    let since = Timestamp::from_nanos(rig.now().as_nanos() + 40_000_000_000);
    let until = Timestamp::from_nanos(since.as_nanos() + 1_000_000_000);
    rig.pass(60);
    rig.worker.blind(Blind { since, until });
    rig.send(&[udp(([10, 0, 0, 1], 6), ([10, 0, 0, 2], 53), b"x")]);
    // Told late and once more: what came after it was seen.
    rig.worker.blind(Blind { since, until });
    rig.send(&[udp(([10, 0, 0, 1], 6), ([10, 0, 0, 2], 53), b"x")]);
    assert_eq!(uninspected(&mut rig), [(5, false), (6, false)]);
}

#[test]
fn a_new_connection_that_began_unseen_between_the_same_ports_takes_its_place() {
    let mut rig = Rig::new(&strict(0), "");
    rig.send(&handshake());
    blind(&mut rig);
    let verdicts = rig.send(&[
        tcp(true, TcpFlags::SYN, 77_000, 0, b""),
        tcp(false, TcpFlags::SYN | ACK, 5_000_000, 77_001, b""),
        tcp(true, ACK, 77_001, 5_000_001, b"hello"),
    ]);
    assert_eq!(verdicts, [Verdict::Accept; 3]);
    assert_eq!(uninspected(&mut rig), [(40_000, false), (40_000, true)]);
}

#[test]
fn the_grace_is_bounded_by_number_and_time_and_comes_again_after_a_blind_time() {
    let mut rig = Rig::new(&strict(2), RULES);
    let dropped = Verdict::Drop(DropReason::StreamMidstream);
    let accept = Verdict::Accept;
    assert_eq!(rig.send(&[stray(1), stray(1), stray(2), stray(3)]), [accept, accept, accept, dropped]);
    blind(&mut rig);
    assert_eq!(rig.send(&[stray(4)]), [accept]);
    rig.pass(61);
    assert_eq!(rig.send(&[stray(5)]), [dropped], "time is up");
    // One that was picked up is watched like any other.
    let attack = ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(4, 80).flags(ACK).seq(8).ack(9);
    assert_eq!(rig.send(&[attack.payload(b"attack").to_vec()]), [Verdict::Drop(DropReason::Rules)]);
    let counters = rig.counters();
    assert_eq!((counters.tcp_midstream_grace, counters.tcp_midstream_pickups), (3, 3));
    let shown = uninspected(&mut rig);
    // The first ones were there in the blind time, too.
    assert_eq!(shown, [(1, true), (2, true), (3, true), (4, true), (5, false)]);
}

#[test]
fn without_a_grace_the_policy_decides_at_once() {
    let mut rig = Rig::new(&strict(0), "");
    assert_eq!(rig.send(&[stray(1)]), [Verdict::Drop(DropReason::StreamMidstream)]);
    assert_eq!(rig.counters().tcp_midstream_grace, 0);
}
