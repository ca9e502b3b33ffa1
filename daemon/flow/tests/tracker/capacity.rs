//! A full tracker, and one whose size changes while it runs.

use crate::packets::{CLIENT, Event, SERVER, check_sums, names, small, track, tracker, udp};
use portcullis_flow::tracker::{
    EndReason, Extracted, FiveTuple, FlowEvent, FlowTracker, Orientation, PacketView, TrackerConfig,
    TrackerError, from_fn,
};
use portcullis_wire::Timestamp;
use std::hash::{Hash, Hasher};

fn ports(events: &[Event]) -> Vec<u16> {
    events.iter().map(|event| event.key().a().port()).collect()
}

#[test]
fn the_longest_unseen_makes_room() {
    let mut tracker = small(2);
    for (secs, port) in [1, 2, 1].into_iter().enumerate() {
        track(&mut tracker, &udp((1, port), SERVER, b""), secs as u64);
    }
    let events = track(&mut tracker, &udp((1, 3), SERVER, b""), 3);
    assert_eq!(names(&events), ["evicted", "started", "packet"]);
    assert_eq!((ports(&events[..1]), tracker.flow_count()), (vec![2], 2));
    assert_eq!((tracker.stats().flows_evicted, tracker.stats().flows_ended), (1, 1));
    check_sums(&tracker);
}

#[test]
fn what_makes_room_and_was_over_ended_by_that() {
    let mut tracker = small(1);
    track(&mut tracker, &udp((1, 1), SERVER, b""), 0);
    let events = track(&mut tracker, &udp((1, 2), SERVER, b""), 60);
    assert_eq!(names(&events), ["idle", "started", "packet"]);
    assert_eq!(tracker.stats().flows_evicted, 0);
}

#[test]
fn looking_is_not_using() {
    let mut tracker = small(2);
    for port in [1, 2] {
        track(&mut tracker, &udp((1, port), SERVER, b""), 0);
    }
    let first = *tracker.flows().nth(1).unwrap().0;
    assert!(tracker.get(&first).is_some() && tracker.get_mut(&first).is_some());
    assert!(tracker.snapshot_stats(&first).is_some() && tracker.snapshot_history(&first).is_some());
    assert_eq!(ports(&track(&mut tracker, &udp((1, 3), SERVER, b""), 0)[..1]), [1]);
    assert!(tracker.get(&first).is_none() && tracker.get_mut(&first).is_none());
    assert!(tracker.snapshot_stats(&first).is_none() && tracker.snapshot_history(&first).is_none());
}

#[test]
fn flows_are_listed_last_used_first() {
    let mut tracker = tracker();
    for port in [1, 2, 3, 2] {
        track(&mut tracker, &udp((1, port), SERVER, b""), 0);
    }
    let ports: Vec<u16> = tracker.flows().map(|(key, _)| key.a().port()).collect();
    assert_eq!(ports, [2, 3, 1]);
}

fn resized(tracker: &mut FlowTracker<FiveTuple>, max_flows: usize) -> Vec<Event> {
    let mut config = tracker.config().clone();
    config.max_flows = max_flows;
    tracker.set_config(config).expect("in range")
}

#[test]
fn shrinking_reports_every_flow_that_no_longer_fits() {
    let mut tracker = small(5);
    for port in [1, 2, 3, 4, 5, 1] {
        track(&mut tracker, &udp((1, port), SERVER, b"x"), 0);
    }
    let ended = resized(&mut tracker, 2);
    assert_eq!((names(&ended), ports(&ended)), (vec!["evicted".to_owned(); 3], vec![2, 3, 4]));
    assert_eq!((tracker.stats().flows_evicted, tracker.stats().flows_ended), (3, 3));
    check_sums(&tracker);
    // What stays keeps its counts, its order and its deadline.
    let left: Vec<(u16, u64)> =
        tracker.flows().map(|(key, entry)| (key.a().port(), entry.stats.packets_initiator)).collect();
    assert_eq!(left, [(1, 2), (5, 1)]);
    assert_eq!(ports(&track(&mut tracker, &udp((1, 9), SERVER, b""), 1)[..1]), [5]);
    assert_eq!(tracker.sweep(crate::packets::at(60)).len(), 1);
    check_sums(&tracker);
}

#[test]
fn growing_keeps_all_and_makes_room() {
    let mut tracker = small(2);
    for port in [1, 2] {
        track(&mut tracker, &udp((1, port), SERVER, b""), 0);
    }
    assert!(resized(&mut tracker, 2000).is_empty());
    for port in 3..=2000 {
        assert_eq!(names(&track(&mut tracker, &udp((1, port), SERVER, b""), 0)), ["started", "packet"]);
    }
    assert_eq!(names(&track(&mut tracker, &udp((1, 1), SERVER, b""), 0)), ["packet"]);
    assert_eq!(ports(&track(&mut tracker, &udp((1, 2001), SERVER, b""), 0)[..1]), [2]);
    check_sums(&tracker);
}

#[test]
fn a_refused_change_changes_nothing() {
    let mut tracker = small(2);
    track(&mut tracker, &udp(CLIENT, SERVER, b""), 0);
    let mut config = TrackerConfig::default();
    config.max_flows = 0;
    assert_eq!(tracker.set_config(config), Err(TrackerError::MaxFlows(0)));
    assert_eq!((tracker.config().max_flows, tracker.flow_count()), (2, 1));
}

#[test]
fn a_forgotten_flow_ends_without_an_event_and_is_counted() {
    let mut tracker = tracker();
    let frame = udp(CLIENT, SERVER, b"");
    track(&mut tracker, &frame, 0);
    let key = *tracker.flows().next().unwrap().0;
    assert!(tracker.forget(&key));
    assert!(!tracker.forget(&key));
    assert_eq!(
        (tracker.flow_count(), tracker.stats().flows_forgotten, tracker.stats().flows_ended),
        (0, 1, 0)
    );
    assert!(tracker.sweep(Timestamp::NEVER).is_empty());
    assert_eq!(names(&track(&mut tracker, &frame, 1)), ["started", "packet"]);
    check_sums(&tracker);
}

/// A key whose hash is always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Colliding(u8, u8);

impl Hash for Colliding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(0);
    }
}

#[test]
fn keys_that_all_collide_are_refused_within_bounds_and_counted() {
    let extractor = from_fn(|packet: &PacketView<'_>| {
        let frame = packet.frame();
        Some(Extracted::new(Colliding(frame[0], frame[1]), Orientation::Forward))
    });
    let mut tracker = FlowTracker::<_, ()>::with_config(extractor, TrackerConfig::default()).unwrap();
    let mut events = Vec::new();
    for number in 0..1000u16 {
        events.extend(tracker.track(PacketView::new(&number.to_be_bytes(), Timestamp::ZERO)));
    }
    let stats = *tracker.stats();
    assert_eq!(stats.packets_refused + stats.packets, 1000);
    assert_eq!((stats.packets_refused > 0, stats.flows_created), (true, stats.packets));
    assert_eq!(events.len() as u64, 2 * stats.packets);
    // A smaller index takes fewer of them: the rest is reported, not lost.
    let mut config = tracker.config().clone();
    config.max_flows = 100;
    let ended = tracker.set_config(config).unwrap();
    assert!(ended.iter().all(|event| matches!(event, FlowEvent::Ended { reason: EndReason::Evicted, .. })));
    assert_eq!(ended.len() as u64 + tracker.flow_count() as u64, stats.flows_created);
    assert_eq!(tracker.stats().flows_ended, ended.len() as u64);
}
