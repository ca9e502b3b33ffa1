//! Flows that go on in another process, with another number of workers: as if nothing had been.

use crate::rig::{CLIENT, Rig, SERVER, handshake, inline, tcp, udp};
use portcullis_capture::{CaptureStats, DropReason, Verdict};
use portcullis_engine::EngineSettings;
use portcullis_engine::handover::{self, Cursor, Router};
use portcullis_engine::offload::{self, Answered, Offer, OffloadRequest};
use portcullis_event::Record;
use portcullis_wire::decoded::TcpFlags;

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
