//! Flows with idle timeouts of their own.

use crate::packets::{Outcome, at, finish, table, tcp, track, track_and, udp};
use portcullis_flow::flow::Bypass;
use portcullis_flow::{
    EndReason, FlowKey, FlowMatch, FlowSettings, FlowState, FlowTable, Network, TimeoutOverride,
    TimeoutOverrides,
};
use portcullis_wire::decoded::TcpFlags;
use std::time::Duration;

/// The last second at which the flow of `packet`, last seen at 0, is still there, found by sweeping.
fn ends_at(table: &mut FlowTable, limit: u64) -> Option<u64> {
    (0..=limit).find(|secs| {
        table.sweep(at(*secs), usize::MAX);
        finish(table).iter().any(|(_, reason)| *reason == EndReason::Timeout)
    })
}

fn check(overrides: &[TimeoutOverride], answered: bool, expected: u64) {
    let mut table = table(&FlowSettings::default());
    table.set_idle_timeouts(Some(Box::new(TimeoutOverrides(overrides.to_vec()))));
    track(&mut table, &udp((1, 5000), (2, 53)), at(0));
    if answered {
        track(&mut table, &udp((2, 53), (1, 5000)), at(0));
    }
    assert_eq!(ends_at(&mut table, 1000), Some(expected), "{overrides:?}");
}

fn matching(flows: FlowMatch) -> TimeoutOverride {
    TimeoutOverride { flows, new: Some(5), established: Some(700), ..TimeoutOverride::default() }
}

#[test]
fn the_first_override_that_matches_and_names_the_state_counts() {
    check(&[], false, 30);
    check(&[matching(FlowMatch::default())], false, 5);
    check(&[matching(FlowMatch::default())], true, 700);
    check(&[matching(FlowMatch { ports: Some(53..=53), ..FlowMatch::default() })], true, 700);
    check(&[matching(FlowMatch { ports: Some(54..=4999), ..FlowMatch::default() })], true, 300);
    check(&[matching(FlowMatch { protocol: Some(6), ..FlowMatch::default() })], false, 30);
    let network = Network::new("10.0.0.2".parse().expect("an address"), 31);
    check(&[matching(FlowMatch { network, ..FlowMatch::default() })], false, 5);
    let elsewhere = Network::new("192.0.2.0".parse().expect("an address"), 24);
    check(&[matching(FlowMatch { network: elsewhere, ..FlowMatch::default() })], false, 30);
    let closed = TimeoutOverride { closed: Some(1), ..TimeoutOverride::default() };
    let first = TimeoutOverride { new: Some(8), ..TimeoutOverride::default() };
    check(&[closed, first, matching(FlowMatch::default())], false, 8);
}

#[test]
fn a_function_is_asked_at_the_beginning_and_when_the_state_changes() {
    let mut table = table(&FlowSettings::default());
    let by_state = |key: &FlowKey, state| match state {
        FlowState::New => Some(Duration::from_secs(100)),
        FlowState::Established if key.protocol() == 6 => Some(Duration::from_secs(3)),
        FlowState::Closed => Some(Duration::from_secs(7)),
        FlowState::Established | FlowState::Bypassed => None,
    };
    table.set_idle_timeouts(Some(Box::new(by_state)));
    let (client, server) = ((1, 5000), (2, 80));
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    track(&mut table, &tcp(client, server, syn, 10, 0), at(0));
    table.sweep(at(99), usize::MAX);
    assert_eq!(table.waiting(), 0);
    track(&mut table, &tcp(server, client, syn | ack, 50, 11), at(99));
    track(&mut table, &tcp(client, server, ack, 11, 51), at(99));
    track(&mut table, &tcp(client, server, ack, 11, 51), at(101));
    track(&mut table, &tcp(client, server, TcpFlags::RST, 11, 51), at(103));
    table.sweep(at(109), usize::MAX);
    assert_eq!(table.waiting(), 0);
    let outcome = track(&mut table, &tcp(client, server, ack, 11, 51), at(110));
    assert!(matches!(outcome, Outcome::New(..)), "seven seconds after the reset: {outcome:?}");
    // The function goes: what begins now has the table's timeouts.
    finish(&mut table);
    table.set_idle_timeouts(None);
    assert!(table.retire_all(at(110), usize::MAX));
    finish(&mut table);
    track(&mut table, &udp((1, 1), (2, 2)), at(0));
    assert_eq!(ends_at(&mut table, 200), Some(30));
}

#[test]
fn a_callback_fixes_the_timeout_of_a_flow_and_gives_it_back() {
    let mut table = table(&FlowSettings::default());
    let all = TimeoutOverride { bypassed: Some(50), new: Some(40), ..TimeoutOverride::default() };
    table.set_idle_timeouts(Some(Box::new(TimeoutOverrides(vec![all]))));
    track_and(&mut table, &udp((1, 1), (2, 2)), at(0), |flow| {
        assert_eq!(flow.idle_timeout(), Some(Duration::from_secs(40)));
        flow.set_idle_timeout(Some(Duration::from_millis(12_500)));
        assert_eq!(flow.idle_timeout(), Some(Duration::from_secs(13)));
        flow.set_bypass(Bypass::Local);
    });
    assert_eq!(ends_at(&mut table, 100), Some(13), "fixed, whatever the state");
    track_and(&mut table, &udp((1, 1), (2, 2)), at(0), |flow| {
        flow.set_bypass(Bypass::Local);
        flow.set_idle_timeout(Some(Duration::from_secs(86_400)));
        flow.set_idle_timeout(None);
    });
    assert_eq!(ends_at(&mut table, 100), Some(50), "the table decides again");
}

#[test]
fn in_emergency_a_flow_keeps_no_more_than_the_emergency_timeout() {
    let mut table = table(&FlowSettings { memcap: 20_000, ..FlowSettings::default() });
    let long = TimeoutOverride { new: Some(1000), ..TimeoutOverride::default() };
    let short = TimeoutOverride {
        flows: FlowMatch { ports: Some(1..=1), ..FlowMatch::default() },
        new: Some(2),
        ..TimeoutOverride::default()
    };
    table.set_idle_timeouts(Some(Box::new(TimeoutOverrides(vec![short, long]))));
    let mut port = 1;
    while !table.emergency() {
        track(&mut table, &udp((1, port), (2, 53)), at(0));
        port += 1;
    }
    table.sweep(at(2), usize::MAX);
    assert_eq!(finish(&mut table).len(), 1, "the shorter override");
    assert!(!table.emergency() || table.waiting() == 0);
    table.sweep(at(9), usize::MAX);
    assert_eq!(table.waiting(), 0);
    table.sweep(at(10), usize::MAX);
    assert!(table.waiting() > 10, "emergency-new of 10 seconds");
    table.finish(usize::MAX, &mut |_| {});
}

#[test]
fn other_timeouts_hold_for_flows_that_are_there_already() {
    let check = |new: u32, expected: u64| {
        let mut table = table(&FlowSettings::default());
        track(&mut table, &udp((1, 5000), (2, 53)), at(0));
        // The sweep has seen it under the old ones.
        table.sweep(at(3), usize::MAX);
        let mut timeouts = FlowSettings::default().timeouts;
        timeouts.udp.new = new;
        table.set_timeouts(&timeouts);
        assert_eq!(ends_at(&mut table, 1000), Some(expected));
    };
    check(7, 7);
    check(90, 90);
}
