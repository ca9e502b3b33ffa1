//! Flows ended because somebody asks for it, and flows that are elephants.

use crate::packets::{Outcome, at, finish, table, track, track_and, udp};
use portcullis_flow::inject::MOST_REQUESTS;
use portcullis_flow::{
    Direction, EndReason, FlowMatch, FlowSelector, FlowSettings, FlowTable, Network, RateTracking,
    TooManyRequests,
};
use portcullis_wire::Timestamp;
use std::time::Duration;

fn new(table: &mut FlowTable, host: u8, port: u16) -> u64 {
    match track(table, &udp((host, port), (200, 53)), at(0)) {
        Outcome::New(id, _) => id,
        other => panic!("no new flow: {other:?}"),
    }
}

fn work(table: &mut FlowTable) -> Vec<u64> {
    while table.work_injected(7) > 0 {}
    let ended = finish(table);
    assert!(ended.iter().all(|(_, reason)| *reason == EndReason::Forced));
    ended.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn what_is_asked_for_ends_and_nothing_else() {
    let mut table = table(&FlowSettings::default());
    let flows: Vec<u64> = (0..100).map(|port| new(&mut table, (port % 2) as u8 + 1, port)).collect();
    table.inject(FlowSelector { id: Some(flows[3]), ..FlowSelector::default() }).expect("room");
    assert_eq!(work(&mut table), [flows[3]]);
    let network = Network::new("10.0.0.1".parse().expect("an address"), 32);
    let flows_of = FlowMatch { network, ..FlowMatch::default() };
    let selector = FlowSelector { flows: flows_of, ..FlowSelector::default() };
    table.inject(selector).expect("room");
    let mut ended = work(&mut table);
    ended.sort_unstable();
    let expected: Vec<u64> = flows.iter().copied().step_by(2).collect();
    assert_eq!(ended, expected);
    assert_eq!((table.active(), table.stats().wrk.flows_injected), (49, 51));
    assert_eq!(table.stats().wrk.flows_injected_max, 50);
    table.inject(FlowSelector::default()).expect("room");
    assert_eq!((work(&mut table).len(), table.active()), (49, 0));
    assert_eq!(table.work_injected(1), 0, "nothing is left to do");
}

#[test]
fn the_flow_between_two_ends_is_found_from_either_side() {
    let end = |host: u8, port: u16| (portcullis_wire::decoded::mapped([10, 0, 0, host]), port);
    let mut table = table(&FlowSettings::default());
    let flows: Vec<u64> = (0..10).map(|port| new(&mut table, 1, port)).collect();
    let ask = |table: &mut FlowTable, ends: [portcullis_flow::FlowEnd; 2]| {
        table.inject(FlowSelector { between: Some(ends), ..FlowSelector::default() }).expect("room");
        work(table)
    };
    assert_eq!(ask(&mut table, [end(1, 4), end(200, 53)]), [flows[4]]);
    assert_eq!(ask(&mut table, [end(200, 53), end(1, 5)]), [flows[5]]);
    assert_eq!(ask(&mut table, [end(1, 53), end(200, 6)]), [], "ports belong to their addresses");
    assert_eq!(ask(&mut table, [end(1, 6), end(201, 53)]), []);
    assert!(table.retire_all(at(0), usize::MAX));
    finish(&mut table);
}

#[test]
fn flows_that_begin_after_the_request_stay() {
    let mut table = table(&FlowSettings { prealloc: 1000, ..FlowSettings::default() });
    let before: Vec<u64> = (0..50).map(|port| new(&mut table, 1, port)).collect();
    table.inject(FlowSelector::default()).expect("room");
    let mut ended = Vec::new();
    for port in 100..400 {
        new(&mut table, 1, port);
        assert!(table.work_injected(5) <= 5, "a bounded number of places");
        ended.extend(finish(&mut table).into_iter().map(|(id, _)| id));
    }
    ended.sort_unstable();
    assert_eq!((ended, table.active()), (before, 300));
    assert!(table.retire_all(at(0), usize::MAX));
    finish(&mut table);
}

#[test]
fn requests_beyond_those_that_may_wait_are_refused_and_counted() {
    let mut table = table(&FlowSettings::default());
    new(&mut table, 1, 1);
    for _ in 0..MOST_REQUESTS {
        assert!(table.inject(FlowSelector::default()).is_ok());
    }
    let selector = FlowSelector { id: Some(7), ..FlowSelector::default() };
    assert_eq!(table.inject(selector), Err(TooManyRequests));
    assert_eq!(table.stats().wrk.injections_refused, 1);
    assert_eq!(work(&mut table).len(), 1);
    assert!(table.inject(FlowSelector::default()).is_ok());
    work(&mut table);
}

#[test]
fn an_elephant_is_counted_once_a_direction() {
    let rate_tracking = Some(RateTracking { bytes: 1000, interval: Duration::from_secs(8) });
    let mut table = table(&FlowSettings { rate_tracking, ..FlowSettings::default() });
    let (client, server) = (udp((1, 1), (2, 2)), udp((2, 2), (1, 1)));
    // Frames are of 100 bytes: one a second is 800 in an interval.
    for secs in 0..50 {
        track_and(&mut table, &client, at(secs), |flow| assert!(!flow.elephant(Direction::ToServer)));
    }
    let burst = |table: &mut FlowTable, packet, secs, direction: Direction| {
        for _ in 0..9 {
            track_and(table, packet, at(secs), |_| {});
        }
        track_and(table, packet, at(secs), |flow| assert!(flow.elephant(direction)));
    };
    burst(&mut table, &client, 60, Direction::ToServer);
    let counts = |table: &FlowTable| {
        let stats = table.stats();
        (stats.elephant, stats.elephant_toserver, stats.elephant_toclient)
    };
    assert_eq!(counts(&table), (1, 1, 0));
    burst(&mut table, &client, 80, Direction::ToServer);
    burst(&mut table, &server, 81, Direction::ToClient);
    assert_eq!(counts(&table), (1, 1, 1));
    assert!(table.retire_all(at(82), 1));
    table.finish(1, &mut |flow| assert!(flow.elephant(Direction::ToServer)));
    // Its memory is used again, and its rates are not.
    for _ in 0..9 {
        track_and(&mut table, &client, at(82), |flow| assert!(!flow.elephant(Direction::ToServer)));
    }
    assert_eq!(counts(&table), (1, 1, 1));
    assert!(table.retire_all(Timestamp::from_nanos(at(82).as_nanos() + 1), 1));
    finish(&mut table);
}
