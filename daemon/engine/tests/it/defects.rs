//! Nine things that Suricata's flow engine gets wrong (read in its source, or seen by running it), each
//! tried here in a way that its behaviour would fail.

use crate::rig::{CLIENT, Rig, SERVER, handshake, inline, tcp, udp};
use portcullis_capture::{CaptureStats, DropReason, Packet, Verdict, WorkerId};
use portcullis_engine::{DropRecords, EngineSettings, FlowWorker, RecordSettings, WorkerParts, publish};
use portcullis_event::{Counters, Record, RingMode, ring};
use portcullis_flow::table::BLOCK;
use portcullis_flow::{
    EndReason, Flow, FlowCallbacks, FlowMatch, FlowSelector, FlowSettings, Registry, RemovalHook,
    WorkerContext,
};
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use portcullis_wire::{Decoded, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What callbacks saw, counted by themselves.
#[derive(Default)]
struct Tally {
    init: AtomicU64,
    removed: AtomicU64,
    finished: Mutex<BTreeMap<&'static str, u64>>,
}

struct Watch(Arc<Tally>, portcullis_flow::HookId);

impl FlowCallbacks for Watch {
    fn init(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, _: &Packet<'_>, _: &Decoded) {
        self.0.init.fetch_add(1, Ordering::Relaxed);
        flow.register_removal_hook(self.1);
    }

    fn finish(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>) {
        let reason = flow.end().map_or("none", EndReason::name);
        *self.0.finished.lock().unwrap().entry(reason).or_default() += 1;
    }
}

fn watched(settings: &EngineSettings) -> (Rig, Arc<Tally>) {
    let (tally, mut registry) = (Arc::new(Tally::default()), Registry::default());
    let shared = Arc::clone(&tally);
    let removal = move |_| {
        let shared = Arc::clone(&shared);
        Box::new(move |_: &mut WorkerContext, _: &mut Flow<'_>| {
            shared.removed.fetch_add(1, Ordering::Relaxed);
        }) as Box<dyn RemovalHook>
    };
    let id = registry.removal_hook("removed", Box::new(removal)).unwrap();
    let shared = Arc::clone(&tally);
    registry.register("watch", Box::new(move |_| Box::new(Watch(Arc::clone(&shared), id)))).unwrap();
    (Rig::with(settings, "", &registry, WorkerId(0), 1), tally)
}

fn small() -> EngineSettings {
    let flow = FlowSettings { memcap: 40_000, prealloc: 16, ..FlowSettings::default() };
    EngineSettings { flow, ..inline() }
}

fn balanced(counters: &Counters) {
    let ended = counters.flow_end_state_new
        + counters.flow_end_state_established
        + counters.flow_end_state_closed
        + counters.flow_end_state_local_bypassed
        + counters.flow_end_state_capture_bypassed;
    assert_eq!(counters.flow_total, counters.flow_active + ended);
    assert_eq!(counters.flow_callbacks_finish, ended);
}

/// Traffic in which flows end in every way there is.
fn every_way(rig: &mut Rig) {
    let reset = tcp(false, TcpFlags::RST | TcpFlags::ACK, 501, 101, b"");
    for round in 0..40u16 {
        let frames: Vec<_> =
            (0..50).map(|n| udp((CLIENT, 1000 + round * 50 + n), (SERVER, 7), b"")).collect();
        let _ = rig.send(&frames);
        let _ = rig.send(&handshake());
        let _ = rig.send(&[reset.clone(), tcp(true, TcpFlags::SYN, 7000 + u32::from(round), 0, b"")]);
        if round == 20 {
            let ports = Some(1000 + 20 * 50..=1000 + 21 * 50);
            rig.worker.end_flows(FlowSelector {
                flows: FlowMatch { ports, ..FlowMatch::default() },
                ..FlowSelector::default()
            });
        }
        rig.pass(2);
        rig.worker.idle(rig.now(), &CaptureStats::default());
        balanced(&rig.counters());
    }
}

#[test]
fn defect_1_finish_runs_for_every_flow_that_init_ran_for() {
    let (mut rig, tally) = watched(&small());
    every_way(&mut rig);
    let counters = rig.finish();
    let finished = tally.finished.lock().unwrap().clone();
    let init = tally.init.load(Ordering::Relaxed);
    assert_eq!(finished.values().sum::<u64>(), init);
    assert_eq!((tally.removed.load(Ordering::Relaxed), counters.flow_total), (init, init));
    for reason in ["tcp_reuse", "forced", "timeout", "shutdown"] {
        assert!(finished.contains_key(reason), "{reason} was not tried: {finished:?}");
    }
    assert!(counters.flow_wrk_flows_injected > 0 && counters.flow_get_used > 0);
}

#[test]
fn defect_2_gauges_are_right_with_forced_reuse() {
    let mut rig = Rig::new(&small(), "");
    // Looks after every step that the counters balance.
    every_way(&mut rig);
    assert!(rig.counters().flow_get_used > 100, "{}", rig.counters().flow_get_used);
    let counters = rig.finish();
    balanced(&counters);
    assert_eq!((counters.flow_active, counters.flow_end_tcp_state_none), (0, 0));
}

#[test]
fn defect_3_what_is_evicted_by_force_is_finished_like_all_others() {
    let (mut rig, tally) = watched(&small());
    every_way(&mut rig);
    let counters = rig.finish();
    let forced = rig.records(|record| match record {
        Record::Flow(flow) if flow.reason == EndReason::Forced => Some(()),
        _ => None,
    });
    let ended_by_force = counters.flow_get_used + counters.flow_wrk_flows_injected;
    assert_eq!(forced.len() as u64, ended_by_force, "each has its record");
    assert_eq!(tally.finished.lock().unwrap().get("forced"), Some(&ended_by_force));
}

#[test]
fn defect_4_a_burst_of_new_flows_takes_whole_blocks() {
    let mut rig = Rig::new(&inline(), "");
    for client in 0..10u8 {
        let frames: Vec<_> =
            (0..10_000).map(|port| udp(([10, 0, 1, client], port), (SERVER, 7), b"")).collect();
        assert!(rig.send(&frames).iter().all(|verdict| *verdict == Verdict::Accept));
    }
    let counters = rig.counters();
    assert_eq!((counters.flow_active, counters.flow_memcap), (100_000, 0));
    assert_eq!((counters.flow_wrk_spare_sync_empty, counters.flow_wrk_spare_sync_incomplete), (0, 0));
    assert_eq!(counters.flow_wrk_spare_sync_avg, 128, "each refill is a whole block");
    let blocks = (100_000 - 10_000 + u64::from(BLOCK)).div_ceil(u64::from(BLOCK));
    assert!(counters.flow_wrk_spare_sync <= blocks, "{} refills", counters.flow_wrk_spare_sync);
}

#[test]
fn defect_5_emergency_mode_ends_as_soon_as_there_is_room() {
    let mut rig = Rig::new(&small(), "");
    let flood: Vec<_> = (0..2_000).map(|port| udp((CLIENT, port), (SERVER, 7), b"")).collect();
    let _ = rig.send(&flood);
    let counters = rig.counters();
    assert_eq!((counters.flow_emerg_mode_entered, counters.flow_emerg_mode_over), (1, 0));
    rig.pass(10);
    for _ in 0..10 {
        rig.worker.idle(rig.now(), &CaptureStats::default());
    }
    let counters = rig.counters();
    assert_eq!((counters.flow_emerg_mode_over, counters.flow_active), (1, 0), "emergency-new is 10 seconds");
}

/// Suricata says that in emergency mode only a SYN makes a TCP flow, but without `stream.midstream`, where
/// nothing else is of use, it lets every packet make one.
#[test]
fn defect_5_in_emergency_mode_only_a_syn_makes_a_tcp_flow() {
    let mut rig = Rig::new(&small(), "");
    let packet = |port, flags| {
        let tcp = PacketBuilder::ethernet([2; 6], [4; 6]).ipv4(CLIENT, SERVER).tcp(port, 80);
        [tcp.flags(flags).seq(5).ack(7).to_vec()]
    };
    let _ = rig.send(&packet(1, TcpFlags::ACK));
    assert_eq!(rig.counters().flow_tcp, 1, "not yet in emergency");
    let flood: Vec<_> = (0..2_000).map(|port| udp((CLIENT, port), (SERVER, 7), b"")).collect();
    let _ = rig.send(&flood);
    rig.pass(2);
    // Makes room for some more.
    let _ = rig.send(&[udp((CLIENT, 5_000), (SERVER, 7), b"")]);
    let before = rig.counters();
    let verdicts = rig.send(&packet(2, TcpFlags::ACK));
    let counters = rig.counters();
    assert_eq!((counters.flow_emerg_mode_entered, counters.flow_emerg_mode_over), (1, 0));
    assert_eq!((counters.flow_tcp, counters.flow_emerg_untracked), (1, before.flow_emerg_untracked + 1));
    assert_eq!(verdicts, [Verdict::Accept], "without a flow no reason to drop it");
    let _ = rig.send(&packet(3, TcpFlags::SYN));
    assert_eq!(rig.counters().flow_tcp, 2);
}

#[test]
fn defect_6_ttls_belong_to_their_direction_whoever_is_seen_first() {
    let flow = FlowSettings { midstream: true, ..FlowSettings::default() };
    let records = RecordSettings { netflow: true, ..RecordSettings::default() };
    let mut rig = Rig::new(&EngineSettings { flow, records, ..inline() }, "");
    let frame = |to_server: bool, flags, ttl| {
        let ethernet = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let builder = if to_server {
            ethernet.ipv4(CLIENT, SERVER).tcp(40_000, 80).seq(101).ack(501)
        } else {
            ethernet.ipv4(SERVER, CLIENT).tcp(80, 40_000).seq(501).ack(101)
        };
        builder.flags(flags).ttl(ttl).to_vec()
    };
    let ack = TcpFlags::ACK;
    let _ = rig.send(&[
        frame(false, TcpFlags::SYN | ack, 50),
        frame(true, ack, 60),
        frame(false, ack, 40),
        frame(true, ack, 63),
    ]);
    rig.finish();
    let ttls = rig.records(|record| match record {
        Record::Netflow(flow) => Some((flow.common.source_port, flow.ttl.min, flow.ttl.max)),
        _ => None,
    });
    assert_eq!(ttls, [(40_000, 60, 63), (80, 40, 50)]);
}

#[test]
fn defect_7_no_worker_is_no_engine() {
    let (reporter, _records) = ring::rings(1 << 16, 1 << 16, RingMode::Live);
    let parts = WorkerParts {
        id: WorkerId(0),
        workers: 0,
        rules: Arc::default(),
        callbacks: Registry::default().instantiate(WorkerId(0)),
        reporter,
        publisher: publish::channel().0,
        start: Timestamp::ZERO,
    };
    let error = FlowWorker::new(&inline(), parts).expect_err("it would judge nothing");
    assert_eq!(error.to_string(), "worker 0 of 0");
}

#[test]
fn defect_8_ids_repeat_neither_after_65536_seconds_nor_with_the_same_hash() {
    let mut rig = Rig::new(&inline(), "");
    for _ in 0..5 {
        let _ = rig.send(&[udp((CLIENT, 1), (SERVER, 7), b"")]);
        rig.pass(65_536);
    }
    rig.finish();
    let mut ids = rig.records(|record| match record {
        Record::Flow(flow) => flow.common.flow_id,
        _ => None,
    });
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    assert!(ids.iter().all(|id| (1..1 << 53).contains(id)));
}

#[test]
fn defect_9_drops_do_not_wait_for_their_records() {
    let records = RecordSettings { drop: DropRecords::All, ..RecordSettings::default() };
    let settings = EngineSettings { records, ..inline() };
    let rules = r#"drop udp any any -> any any (msg:"none of these"; sid:1;)"#;
    let mut rig = Rig::new(&settings, rules);
    let frames: Vec<_> = (0..10_000).map(|port| udp((CLIENT, port), (SERVER, 7), b"")).collect();
    // Nobody reads the records, and there is not room for all.
    let verdicts = rig.send(&frames);
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Drop(DropReason::Rules))));
    let counters = rig.counters();
    assert!(counters.log_evidence_refused > 0, "the ring was large enough for all");
    assert_eq!(
        counters.log_evidence_pushed + counters.log_evidence_refused,
        2 * 10_000,
        "an alert and a drop each"
    );
    assert_eq!(counters.ips_blocked, 10_000);
}
