//! Frames for the tests, and short ways to say what is expected of events.

use portcullis_flow::tracker::{
    EndReason, FiveTuple, FiveTupleKey, FlowEvent, FlowEvents, FlowTracker, PacketView, TrackerConfig,
};
use portcullis_wire::{PacketBuilder, Timestamp};

/// Host and port; hosts are in 10.0.0.0/24.
pub(crate) type End = (u8, u16);
pub(crate) type Event = FlowEvent<FiveTupleKey>;
pub(crate) type Tracker = FlowTracker<FiveTuple>;

pub(crate) const CLIENT: End = (1, 40_000);
pub(crate) const SERVER: End = (2, 80);

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// Seconds on the tests' clock.
pub(crate) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

pub(crate) fn between<'a>(source: u8, destination: u8) -> PacketBuilder<'a> {
    PacketBuilder::ethernet([2, 0, 0, 0, 0, source], [2, 0, 0, 0, 0, destination])
        .ipv4([10, 0, 0, source], [10, 0, 0, destination])
}

pub(crate) fn udp(source: End, destination: End, payload: &[u8]) -> Vec<u8> {
    between(source.0, destination.0).udp(source.1, destination.1).payload(payload).to_vec()
}

pub(crate) fn tcp<'a>(source: End, destination: End, flags: u8, seq: u32, ack: u32) -> PacketBuilder<'a> {
    between(source.0, destination.0).tcp(source.1, destination.1).flags(flags).seq(seq).ack(ack)
}

pub(crate) fn tracker() -> Tracker {
    Tracker::new(FiveTuple::bidirectional()).expect("memory")
}

pub(crate) fn small(max_flows: usize) -> Tracker {
    let mut config = TrackerConfig::default();
    config.max_flows = max_flows;
    Tracker::with_config(FiveTuple::bidirectional(), config).expect("good settings")
}

/// A frame tracked at a second.
pub(crate) fn track(tracker: &mut Tracker, frame: &[u8], secs: u64) -> FlowEvents<FiveTupleKey> {
    tracker.track(PacketView::new(frame, at(secs)))
}

/// The events' names in order, ends with their reasons.
pub(crate) fn names<K, S>(events: &[FlowEvent<K, S>]) -> Vec<String> {
    let name = |event: &FlowEvent<K, S>| match event {
        FlowEvent::Started { .. } => "started".into(),
        FlowEvent::Established { .. } => "established".into(),
        FlowEvent::StateChange { from, to, .. } => format!("{from:?}-{to:?}"),
        FlowEvent::Packet { .. } => "packet".into(),
        FlowEvent::Ended { reason: EndReason::IdleTimeout, .. } => "idle".into(),
        FlowEvent::Ended { reason, .. } => format!("{reason:?}").to_lowercase(),
    };
    events.iter().map(name).collect()
}

/// Created flows are live, ended or forgotten.
#[track_caller]
pub(crate) fn check_sums(tracker: &Tracker) {
    let stats = tracker.stats();
    let gone = stats.flows_ended + stats.flows_forgotten;
    assert_eq!(stats.flows_created, tracker.flow_count() as u64 + gone, "{stats:?}");
    assert_eq!(tracker.flows().count(), tracker.flow_count());
}
