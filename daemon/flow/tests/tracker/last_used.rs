//! The short way for packets of the flow that was used last must never show: what it leads to is the same.

use crate::packets::{ACK, CLIENT, RST, SERVER, SYN, check_sums, names, small, tcp, track, tracker, udp};

#[test]
fn there_is_none_at_first_and_the_first_packets_flow_then() {
    let mut tracker = tracker();
    assert!(tracker.flows().next().is_none());
    let frame = udp(CLIENT, SERVER, b"x");
    assert_eq!(names(&track(&mut tracker, &frame, 0)), ["started", "packet"]);
    assert!(tracker.flows().next().unwrap().0.either_port(CLIENT.1));
    assert_eq!(names(&track(&mut tracker, &frame, 0)), ["packet"]);
}

#[test]
fn a_flow_that_was_reset_is_not_used_again() {
    let mut tracker = tracker();
    let syn = tcp(CLIENT, SERVER, SYN, 1, 0).to_vec();
    track(&mut tracker, &syn, 0);
    track(&mut tracker, &tcp(SERVER, CLIENT, RST | ACK, 0, 2).to_vec(), 0);
    assert!(tracker.flows().next().is_none());
    assert_eq!(names(&track(&mut tracker, &syn, 0)), ["started", "Active-SynSent", "packet"]);
    check_sums(&tracker);
}

#[test]
fn a_flow_that_was_evicted_is_not_used_again() {
    let mut tracker = small(2);
    for port in [1, 2, 3] {
        track(&mut tracker, &udp((1, port), SERVER, b"x"), 0);
    }
    assert!(tracker.flows().next().unwrap().0.either_port(3));
    assert_eq!(names(&track(&mut tracker, &udp((1, 1), SERVER, b"x"), 0)), ["evicted", "started", "packet"]);
    // With room for one, the one used last is the one evicted.
    let mut tracker = small(1);
    for port in [1, 2, 1, 2] {
        let events = track(&mut tracker, &udp((1, port), SERVER, b"x"), 0);
        assert!(names(&events).ends_with(&["started".into(), "packet".into()]));
    }
    check_sums(&tracker);
}

#[test]
fn a_flow_that_was_forgotten_is_not_used_again() {
    let mut tracker = tracker();
    let frame = udp(CLIENT, SERVER, b"x");
    track(&mut tracker, &frame, 0);
    let key = *tracker.flows().next().unwrap().0;
    assert!(tracker.forget(&key));
    assert!(tracker.flows().next().is_none());
    assert_eq!(names(&track(&mut tracker, &frame, 0)), ["started", "packet"]);
}

#[test]
fn one_flow_alone_starts_once() {
    let mut tracker = tracker();
    let frame = udp(CLIENT, SERVER, b"x");
    let events: Vec<_> = (0..10).flat_map(|_| track(&mut tracker, &frame, 0)).collect();
    let names = names(&events);
    assert_eq!(names.iter().filter(|name| *name == "started").count(), 1);
    assert_eq!(names.iter().filter(|name| *name == "packet").count(), 10);
    assert_eq!(names.len(), 11);
}

#[test]
fn two_flows_in_turn_start_once_each() {
    let mut tracker = tracker();
    let frames = [udp((1, 1), (2, 2), b"x"), udp((1, 3), (2, 4), b"x")];
    let events: Vec<_> = (0..10).flat_map(|turn| track(&mut tracker, &frames[turn % 2], 0)).collect();
    let names = names(&events);
    assert_eq!(names.iter().filter(|name| *name == "started").count(), 2);
    assert_eq!(names.iter().filter(|name| *name == "packet").count(), 10);
    assert_eq!((names.len(), tracker.flow_count()), (12, 2));
    assert!(tracker.all_flow_stats().all(|(_, stats)| stats.packets_initiator == 5));
}
