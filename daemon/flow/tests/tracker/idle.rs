//! Flows end when nothing was seen of them for long enough.

use crate::packets::{CLIENT, SERVER, SYN, at, check_sums, names, small, tcp, track, tracker, udp};
use portcullis_flow::tracker::{FiveTuple, FlowEvent, FlowTracker, TrackerConfig};
use portcullis_wire::Timestamp;
use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn idle_for_exactly_the_timeout_is_over() {
    let mut config = TrackerConfig::default();
    config.idle_timeout_udp = secs(60);
    let mut tracker = FlowTracker::<FiveTuple>::with_config(FiveTuple::bidirectional(), config).unwrap();
    track(&mut tracker, &udp(CLIENT, SERVER, b"x"), 0);
    let just_before = Timestamp::from_nanos(at(60).as_nanos() - 1);
    assert!(tracker.sweep(just_before).is_empty());
    assert_eq!(names(&tracker.sweep(at(60))), ["idle"]);
    assert_eq!((tracker.flow_count(), tracker.stats().flows_ended), (0, 1));
    assert!(tracker.sweep(at(61)).is_empty(), "ends once");
}

#[test]
fn each_protocol_has_its_timeout() {
    let mut tracker = tracker();
    track(&mut tracker, &tcp(CLIENT, SERVER, SYN, 1, 0).to_vec(), 0);
    track(&mut tracker, &udp(CLIENT, SERVER, b""), 0);
    track(&mut tracker, &crate::packets::between(1, 2).echo_request(1, 1).to_vec(), 0);
    for (when, left) in [(29, 3), (30, 2), (59, 2), (60, 1), (299, 1), (300, 0)] {
        tracker.manual_tick(at(when));
        assert_eq!(tracker.flow_count(), left, "after {when} s");
    }
    check_sums(&tracker);
}

#[test]
fn packets_keep_a_flow_alive_however_often_it_is_swept() {
    for every in [1, 7, 50] {
        let mut tracker = tracker();
        for when in 0..1000 {
            if when % 59 == 0 {
                track(&mut tracker, &udp(CLIENT, SERVER, b""), when);
            }
            if when % every == 0 {
                assert!(tracker.sweep(at(when)).is_empty());
            }
        }
        assert_eq!(tracker.stats().flows_created, 1);
    }
}

#[test]
fn a_packet_finds_a_flow_over_before_a_sweep_does() {
    let mut tracker = tracker();
    let frame = udp(CLIENT, SERVER, b"");
    track(&mut tracker, &frame, 0);
    let events = track(&mut tracker, &frame, 60);
    assert_eq!(names(&events), ["idle", "started", "packet"]);
    assert!(tracker.sweep(at(119)).is_empty());
    check_sums(&tracker);
}

#[test]
fn a_function_gives_flows_their_own_timeout() {
    let mut tracker = tracker();
    tracker.set_idle_timeout_fn(|key, _| if key.either_port(80) { None } else { Some(secs(5)) });
    track(&mut tracker, &tcp((1, 1234), (2, 80), SYN, 1, 0).to_vec(), 0);
    track(&mut tracker, &tcp((1, 1235), (2, 8080), SYN, 1, 0).to_vec(), 0);
    let ended = tracker.sweep(at(10));
    assert_eq!(names(&ended), ["idle"]);
    assert!(ended[0].key().either_port(8080));
}

#[test]
fn a_function_without_an_answer_leaves_the_setting() {
    let mut tracker = tracker();
    tracker.set_idle_timeout_fn(|_, _| None);
    track(&mut tracker, &udp(CLIENT, SERVER, b"x"), 0);
    assert!(tracker.sweep(at(10)).is_empty());
    assert_eq!(tracker.sweep(at(120)).len(), 1);
}

#[test]
fn the_function_taken_away_the_settings_hold_again() {
    let mut tracker = tracker();
    tracker.set_idle_timeout_fn(|_, _| Some(secs(1)));
    track(&mut tracker, &tcp(CLIENT, SERVER, SYN, 1, 0).to_vec(), 0);
    tracker.clear_idle_timeout_fn();
    assert!(tracker.sweep(at(10)).is_empty());
    assert_eq!(tracker.sweep(at(300)).len(), 1);
}

#[test]
fn new_timeouts_hold_for_live_flows() {
    let mut tracker = tracker();
    track(&mut tracker, &udp(CLIENT, SERVER, b""), 0);
    tracker.sweep(at(1));
    tracker.set_idle_timeout_fn(|_, _| Some(secs(3)));
    assert_eq!(tracker.flows().next().unwrap().1.idle_timeout(), secs(3));
    assert!(tracker.sweep(at(2)).is_empty());
    assert_eq!(tracker.sweep(at(3)).len(), 1);

    track(&mut tracker, &udp(CLIENT, SERVER, b""), 10);
    tracker.clear_idle_timeout_fn();
    let mut config = tracker.config().clone();
    config.idle_timeout_udp = secs(5);
    assert!(tracker.set_config(config).unwrap().is_empty());
    assert!(tracker.sweep(at(14)).is_empty());
    assert_eq!(tracker.sweep(at(15)).len(), 1);
}

#[test]
fn a_timeout_longer_than_the_wheel_and_a_long_silence() {
    let mut tracker = tracker();
    tracker.set_idle_timeout_fn(|_, _| Some(secs(100_000)));
    track(&mut tracker, &udp(CLIENT, SERVER, b""), 0);
    for when in [1, 600, 50_000, 99_999] {
        assert!(tracker.sweep(at(when)).is_empty(), "{when}");
    }
    assert_eq!(tracker.sweep(at(100_000)).len(), 1);
    track(&mut tracker, &udp(CLIENT, SERVER, b""), 200_000);
    assert_eq!(tracker.sweep(Timestamp::NEVER).len(), 1);
    track(&mut tracker, &udp(CLIENT, SERVER, b""), 200_000);
    assert!(tracker.sweep(at(200_001)).is_empty(), "time that went back ends nothing early");
    assert_eq!(tracker.sweep(at(300_000)).len(), 1);
}

#[test]
fn a_bounded_sweep_goes_on_where_it_stopped() {
    let mut tracker = small(1000);
    for port in 0..100 {
        track(&mut tracker, &udp((1, port), SERVER, b""), u64::from(port) / 10);
    }
    let (mut ended, mut sweeps) = (0, 0);
    loop {
        let (events, complete) = tracker.sweep_at_most(at(1000), 7);
        assert!(events.len() <= 7 && events.iter().all(|event| matches!(event, FlowEvent::Ended { .. })));
        (ended, sweeps) = (ended + events.len(), sweeps + 1);
        if complete {
            break;
        }
    }
    assert_eq!((ended, tracker.flow_count()), (100, 0));
    assert!(sweeps <= 31, "{sweeps}: no flow is looked at more than twice");
}
