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
    let seen = Arc::new(Seen::default());
    let mut registry = Registry::default();
    let shared = Arc::clone(&seen);
    let factory = move |_| Box::new(Counting(Arc::clone(&shared))) as Box<dyn FlowCallbacks>;
    registry.register("counting", Box::new(factory)).unwrap();
    registry.freeze();
    (Rig::with(settings, "", &registry, WorkerId(0), 1), seen)
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
