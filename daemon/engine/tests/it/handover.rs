//! Flows that go on in another process, with another number of workers: as if nothing had been.

use crate::rig::{CLIENT, Rig, SERVER, handshake, inline, tcp, udp};
use portcullis_capture::{CaptureStats, DropReason, Verdict};
use portcullis_engine::handover::{self, Cursor, Router};
use portcullis_engine::offload::{self, Answered, Offer, OffloadRequest};
use portcullis_engine::{EngineSettings, RecordSettings};
use portcullis_event::Record;
use portcullis_flow::{FlowSelector, FlowSettings};
use portcullis_wire::decoded::TcpFlags;
use proptest::prelude::*;

const ACK: u8 = TcpFlags::ACK;

/// Everything that a pass gives away.
fn export(rig: &mut Rig, mut cursor: Cursor, limit: usize) -> Vec<Vec<u8>> {
    let mut slices = Vec::new();
    loop {
        let mut slice = Vec::new();
        let more = rig.worker.export(&mut cursor, &mut slice, limit, rig.now());
        if !slice.is_empty() {
            slices.push(slice);
        }
        if !more {
            return slices;
        }
    }
}

fn import(rig: &mut Rig, settings: &EngineSettings, slices: &[Vec<u8>]) -> handover::Imported {
    let router = Router::new(settings, 1);
    let mut all = handover::Imported::default();
    for slice in slices {
        let mut routed = handover::slices(1);
        assert_eq!(router.route(slice, &mut routed), Ok(0));
        let imported = rig.worker.import(&routed[0], rig.now()).unwrap();
        all.taken += imported.taken;
        all.renewed += imported.renewed;
        all.forgotten += imported.forgotten;
        all.refused += imported.refused;
    }
    all
}

#[test]
fn a_keyword_split_over_the_hand_over_is_found_and_the_flow_is_one() {
    let rules = r#"drop tcp any any -> any 80 (content:"attack"; sid:1;)"#;
    let settings = inline();
    let (mut old, mut new) = (Rig::new(&settings, rules), Rig::new(&settings, rules));
    old.send(&handshake());
    old.send(&[tcp(true, ACK, 101, 501, b"xx att")]);
    let slices = export(&mut old, Cursor::leaving(), 1 << 16);
    let left = old.finish();
    assert_eq!((left.flow_total, left.flow_handed_over, left.flow_active), (1, 1, 0));
    assert_eq!((left.flow_callbacks_finish, left.log_flow_pushed, left.tcp_active_sessions), (1, 0, 0));
    let imported = import(&mut new, &settings, &slices);
    assert_eq!((imported.taken, imported.refused), (1, 0));
    new.send(&[tcp(true, ACK, 107, 501, b"ack")]);
    let ended = new.finish();
    assert_eq!((ended.flow_total, ended.flow_taken_over, ended.flow_callbacks_init), (0, 1, 1));
    assert_eq!((ended.detect_alert, ended.ips_blocked), (1, 1));
    let shown = new.records(|record| match record {
        Record::Flow(flow) => Some(flow.counts.pkts_toserver),
        _ => None,
    });
    assert_eq!(shown, [4]);
}

#[test]
fn what_was_answered_elsewhere_and_who_condemned_a_flow_go_along() {
    let settings = EngineSettings { offload: true, ..inline() };
    let drop = "drop ip any any -> 10.0.0.2 any (sid:7;)";
    let query = || udp((CLIENT, 4000), (SERVER, 53), b"query");
    for (rules, verdict) in [(drop, Verdict::Drop(DropReason::FlowDrop)), ("", Verdict::Accept)] {
        let (mut old, mut new) = (Rig::new(&settings, drop), Rig::new(&settings, rules));
        let (link, mut desk) = offload::channel();
        old.worker.offload_to(link);
        old.send(&[query(), query()]);
        let Some(OffloadRequest::Put(Offer { flow, key, direction, .. })) = desk.request() else {
            panic!("nothing was put forward")
        };
        assert!(desk.tell(Answered { flow, key, direction, packets: 5, bytes: 300 }));
        old.send(&[]);
        old.worker.idle(old.now(), &CaptureStats::default());
        let slices = export(&mut old, Cursor::leaving(), 1 << 16);
        assert_eq!((import(&mut new, &settings, &slices).taken, old.finish().flow_bypassed_closed), (1, 0));
        assert!(matches!(desk.request(), Some(OffloadRequest::Withdraw(id)) if id == flow));
        assert_eq!(new.send(&[query()]), [verdict], "with rules {rules:?}");
        new.finish();
        let shown = new.records(|record| match record {
            Record::Flow(flow) => Some((flow.counts.pkts_toserver, flow.bypassed.unwrap().bytes_toserver)),
            _ => None,
        });
        assert_eq!(shown, [(8, 300)]);
    }
}

#[test]
fn what_ends_or_changes_after_it_was_copied_is_told_again() {
    let settings = inline();
    let (mut old, mut new) = (Rig::new(&settings, ""), Rig::new(&settings, ""));
    let query = |port, text: &[u8]| udp((CLIENT, port), (SERVER, 53), text);
    old.send(&handshake());
    old.send(&[query(1, b"x"), query(2, b"x")]);
    let copies = export(&mut old, Cursor::copying(), 100);
    assert!(copies.len() > 1 && old.counters().flow_handed_over == 0, "nothing has left");
    assert_eq!(import(&mut new, &settings, &copies).taken, 3);
    // One ends and another begins between the same ports, one is new, one goes on, and one does not.
    let between = |port| Some([(client(), port), (server(), 53)]);
    old.worker.end_flows(FlowSelector { between: between(1), ..FlowSelector::default() });
    old.send(&[]);
    old.worker.idle(old.now(), &CaptureStats::default());
    old.send(&[query(1, b"y"), query(1, b"y"), query(3, b"z"), tcp(true, ACK, 101, 501, b"GET")]);
    let imported = import(&mut new, &settings, &export(&mut old, Cursor::leaving(), 1 << 16));
    let expected = handover::Imported { taken: 2, renewed: 1, forgotten: 1, refused: 0 };
    assert_eq!(imported, expected);
    let (left, ended) = (old.finish(), new.finish());
    assert_eq!((left.flow_total, left.flow_handed_over, left.log_flow_pushed), (5, 4, 1));
    assert_eq!((ended.flow_taken_over, ended.flow_handed_over, ended.log_flow_pushed), (5, 1, 4));
    assert_eq!((ended.flow_callbacks_init, ended.flow_callbacks_finish), (5, 5));
    let mut shown = new.records(|record| match record {
        Record::Flow(flow) => Some((flow.common.source_port, flow.counts.pkts_toserver)),
        _ => None,
    });
    shown.sort_unstable();
    assert_eq!(shown, [(1, 2), (2, 1), (3, 1), (40_000, 3)]);
}

#[test]
fn a_flow_that_has_begun_here_already_is_refused_and_counted() {
    let settings = inline();
    let (mut old, mut new) = (Rig::new(&settings, ""), Rig::new(&settings, ""));
    old.send(&[udp((CLIENT, 1), (SERVER, 53), b"x")]);
    // Two processes have no ids in common.
    new.send(&[udp((CLIENT, 9), (SERVER, 53), b"x"), udp((CLIENT, 1), (SERVER, 53), b"x")]);
    let imported = import(&mut new, &settings, &export(&mut old, Cursor::leaving(), 1 << 16));
    assert_eq!((imported.taken, imported.refused), (0, 1));
    let ended = new.finish();
    assert_eq!((ended.flow_take_over_refused, ended.flow_total, ended.log_flow_pushed), (1, 2, 2));
}

#[test]
fn what_there_is_no_memory_for_is_refused_and_nothing_leaks() {
    let settings = inline();
    let mut old = Rig::new(&settings, "");
    let many: Vec<_> = (0..400).map(|port| udp((CLIENT, port), (SERVER, 53), b"x")).collect();
    old.send(&many);
    old.send(&handshake());
    let slices = export(&mut old, Cursor::leaving(), 1 << 16);
    let flow = FlowSettings { memcap: 60_000, prealloc: 20, ..FlowSettings::default() };
    let mut new = Rig::new(&EngineSettings { flow, ..inline() }, "");
    let imported = import(&mut new, &settings, &slices);
    assert!(imported.refused > 0 && imported.taken > 50 && imported.taken + imported.refused == 401);
    let ended = new.finish();
    assert_eq!(ended.flow_taken_over, imported.taken);
    assert_eq!((ended.flow_active, ended.tcp_active_sessions, ended.tcp_reassembly_memuse), (0, 0, 0));
}

/// Slices with a bit of all that there can be in them.
fn samples() -> Vec<u8> {
    let records = RecordSettings { ethernet: true, exception_policy: true, ..RecordSettings::default() };
    let settings = EngineSettings { records, ..inline() };
    let rules = r#"alert tcp any any -> any 80 (content:"GET"; flowbits:set,a; sid:1;)"#;
    let mut old = Rig::new(&settings, rules);
    old.send(&handshake());
    old.send(&[tcp(true, ACK, 101, 501, b"GET /"), tcp(true, ACK, 120, 501, b"later")]);
    old.send(&[udp((CLIENT, 1), (SERVER, 53), b"x")]);
    let slices = export(&mut old, Cursor::leaving(), 1 << 20);
    slices.concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever was done to the bytes: nothing panics, and what was taken ends like any other.
    #[test]
    fn damaged_slices_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = samples();
        let clean = changes.is_empty() && cut.is_none() && tail.is_empty();
        for (place, value) in changes {
            // The header is tried elsewhere.
            let at = 22 + place.index(bytes.len() - 22);
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(22 + cut.index(bytes.len() - 22));
        }
        bytes.extend_from_slice(&tail);
        let mut new = Rig::new(&inline(), "");
        let mut routed = handover::slices(3);
        let _ = Router::new(&inline(), 3).route(&bytes, &mut routed).unwrap();
        let imported = new.worker.import(&bytes, new.now()).unwrap();
        prop_assert!(!clean || (imported.taken, imported.refused) == (2, 0));
        new.send(&[tcp(true, ACK, 106, 501, b"more"), tcp(false, ACK, 501, 125, b"answer")]);
        let ended = new.finish();
        prop_assert_eq!(ended.flow_active, 0);
        prop_assert_eq!(ended.flow_callbacks_finish, ended.flow_total + ended.flow_taken_over);
        prop_assert_eq!((ended.tcp_active_sessions, ended.tcp_reassembly_memuse), (0, 0));
    }
}

fn client() -> [u8; 16] {
    std::net::Ipv4Addr::from(CLIENT).to_ipv6_mapped().octets()
}

fn server() -> [u8; 16] {
    std::net::Ipv4Addr::from(SERVER).to_ipv6_mapped().octets()
}
