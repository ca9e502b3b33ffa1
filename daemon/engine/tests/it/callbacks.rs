//! Lifecycle callbacks, run by the engine.

use crate::rig::{CLIENT, Rig, SERVER, inline, udp};
use portcullis_capture::{DropReason, Verdict, WorkerId};
use portcullis_engine::EngineSettings;
use portcullis_flow::{Flow, FlowCallbacks, PacketAccess, Registry, WorkerContext};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
struct Seen {
    init: AtomicU64,
    update: AtomicU64,
    finish: AtomicU64,
    packets_at_finish: AtomicU64,
}

struct Counting(Arc<Seen>);

impl FlowCallbacks for Counting {
    fn init(
        &mut self,
        _: &mut WorkerContext,
        _: &mut Flow<'_>,
        _: &portcullis_capture::Packet<'_>,
        _: &portcullis_wire::Decoded,
    ) {
        self.0.init.fetch_add(1, Ordering::Relaxed);
    }

    fn update(&mut self, _: &mut WorkerContext, _: &mut Flow<'_>, packet: &mut PacketAccess<'_, '_>) {
        self.0.update.fetch_add(1, Ordering::Relaxed);
        let payload = packet.decoded().payload;
        if payload.of(packet.bytes()) == b"drop me" {
            packet.drop_packet();
        }
        assert_ne!(payload.of(packet.bytes()), b"panic", "a packet of the test");
    }

    fn finish(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>) {
        self.0.finish.fetch_add(1, Ordering::Relaxed);
        let packets = flow.counts(portcullis_flow::Direction::ToServer).packets;
        self.0.packets_at_finish.fetch_add(packets, Ordering::Relaxed);
    }
}

fn rig(settings: &EngineSettings) -> (Rig, Arc<Seen>) {
    rig_with(settings, "")
}

fn rig_with(settings: &EngineSettings, rules: &str) -> (Rig, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let mut registry = Registry::default();
    let shared = Arc::clone(&seen);
    let factory = move |_| Box::new(Counting(Arc::clone(&shared))) as Box<dyn FlowCallbacks>;
    registry.register("counting", Box::new(factory)).unwrap();
    registry.freeze();
    (Rig::with(settings, rules, &registry, WorkerId(0), 1), seen)
}

#[test]
fn each_flow_is_initialised_and_finished_once_and_each_packet_updates() {
    let (mut rig, seen) = rig(&inline());
    let frames: Vec<_> = (0..300).map(|n| udp((CLIENT, n % 100), (SERVER, 7), b"")).collect();
    let _ = rig.send(&frames);
    let counters = rig.finish();
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((load(&seen.init), load(&seen.update), load(&seen.finish)), (100, 300, 100));
    assert_eq!(load(&seen.packets_at_finish), 300, "finish sees the whole flow");
    assert_eq!((counters.flow_callbacks_init, counters.flow_callbacks_finish), (100, 100));
}

#[test]
fn an_update_callback_can_drop_inline_and_only_inline() {
    let frames = [udp((CLIENT, 1), (SERVER, 7), b"drop me"), udp((CLIENT, 1), (SERVER, 7), b"fine")];
    let (mut inline_rig, _) = rig(&inline());
    assert_eq!(inline_rig.send(&frames), [Verdict::Drop(DropReason::Callback), Verdict::Accept]);
    let (mut passive, _) = rig(&EngineSettings::default());
    assert_eq!(passive.send(&frames), [Verdict::Accept; 2]);
}

#[test]
fn a_panicking_callback_is_counted_and_disabled_and_the_traffic_goes_on() {
    let (mut rig, seen) = rig(&inline());
    let frames = [udp((CLIENT, 1), (SERVER, 7), b"panic"), udp((CLIENT, 2), (SERVER, 7), b"fine")];
    assert_eq!(rig.send(&frames), [Verdict::Accept; 2]);
    let counters = rig.finish();
    assert_eq!(counters.worker_callback_panics, 1);
    assert_eq!(seen.finish.load(Ordering::Relaxed), 0);
    assert_eq!(counters.flow_callbacks_finish, 2);
}

/// Registers a hook that marks the flow on every flow made while the rules of a version are in use.
struct Mark(portcullis_flow::HookId, u32);

impl FlowCallbacks for Mark {
    fn update(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, _: &mut PacketAccess<'_, '_>) {
        if flow.rules_version() == Some(self.1) {
            flow.register_removal_hook(self.0);
        }
    }

    fn finish(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>) {
        assert!(flow.removal_hooks().count() <= 1 && flow.rules_version().is_none());
        assert!(flow.set_action(portcullis_flow::FlowAction::Pass), "too late for the record");
    }
}

#[test]
fn removal_hooks_come_before_the_record_and_finish_after_it() {
    let mut registry = Registry::default();
    let mark = |_| {
        Box::new(|_: &mut WorkerContext, flow: &mut Flow<'_>| flow.set_alerted())
            as Box<dyn portcullis_flow::RemovalHook>
    };
    let id = registry.removal_hook("mark", Box::new(mark)).unwrap();
    registry.register("register", Box::new(move |_| Box::new(Mark(id, 1)))).unwrap();
    assert!(registry.names().eq(["register", "mark"]));
    let mut rig = Rig::with(&inline(), "", &registry, WorkerId(0), 1);
    let _ = rig.send(&[udp((CLIENT, 1), (SERVER, 7), b"")]);
    rig.worker.swap_rules(Arc::default());
    let _ = rig.send(&[udp((CLIENT, 1), (SERVER, 7), b""), udp((CLIENT, 2), (SERVER, 7), b"")]);
    rig.finish();
    let mut seen = rig.records(|record| match record {
        portcullis_event::Record::Flow(flow) => Some((flow.common.source_port, flow.alerted, flow.action)),
        _ => None,
    });
    seen.sort_unstable_by_key(|(port, ..)| *port);
    assert_eq!(seen, [(1, false, None), (2, true, None)], "marked: the flow made after the reload");
    // Two flows begun, three packets, two flows ended; one removal.
    assert_eq!(rig.hook_calls(), [2 + 3 + 2, 1]);
}

#[test]
fn a_flow_with_a_timeout_of_its_own_ends_when_that_is_over() {
    let dns = portcullis_flow::FlowMatch { ports: Some(53..=53), ..Default::default() };
    let short = portcullis_flow::TimeoutOverride { flows: dns, new: Some(5), ..Default::default() };
    let mut rig = Rig::new(&EngineSettings { timeout_overrides: vec![short], ..inline() }, "");
    let start = rig.now();
    let _ = rig.send(&[udp((CLIENT, 1), (SERVER, 53), b""), udp((CLIENT, 1), (SERVER, 7), b"")]);
    rig.pass(100);
    rig.finish();
    let mut ends = rig.records(|record| match record {
        portcullis_event::Record::Flow(flow) => Some(flow.common.timestamp.since(start).as_secs()),
        _ => None,
    });
    ends.sort_unstable();
    assert_eq!(ends, [5, 30]);
}

#[test]
fn packets_of_a_bypassed_flow_update_and_may_be_dropped_by_a_callback() {
    let rule = r#"pass udp any any -> any any (content:"trusted"; bypass; sid:1;)"#;
    let (mut rig, seen) = rig_with(&inline(), rule);
    let payloads: [&[u8]; 3] = [b"trusted", b"more", b"drop me"];
    let frames = payloads.map(|payload| udp((CLIENT, 1), (SERVER, 7), payload));
    let dropped = Verdict::Drop(DropReason::Callback);
    assert_eq!(rig.send(&frames), [Verdict::Accept, Verdict::Accept, dropped]);
    assert_eq!(seen.update.load(Ordering::Relaxed), 3);
    assert_eq!(rig.counters().flow_bypassed_local_pkts, 1);
}
