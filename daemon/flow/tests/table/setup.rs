//! Settings, shares and ids.

use crate::packets::{Outcome, at, finish, table, track, udp};
use portcullis_flow::{FlowSettings, FlowTable, SetupError, Share};
use std::collections::HashSet;

fn refusal(settings: FlowSettings, worker: u8, workers: u8) -> String {
    let made = FlowTable::new(&settings, Share { worker, workers }, 1, at(0));
    made.map(|_| ()).expect_err("it must be refused").to_string()
}

#[test]
fn bad_settings_are_refused_by_name() {
    let good = FlowSettings::default();
    let small = refusal(FlowSettings { memcap: 10_000, ..good }, 0, 4);
    assert_eq!(small, "flow.memcap of 10000 bytes over 4 workers is too small: each needs 3104 bytes");
    let percent = refusal(FlowSettings { emergency_recovery: 0, ..good }, 0, 1);
    assert_eq!(percent, "flow.emergency-recovery is 0, must be 1 to 100");
    assert!(refusal(FlowSettings { emergency_recovery: 101, ..good }, 0, 1).contains("101"));
    assert_eq!(refusal(good, 2, 2), "worker 2 of 2");
    assert_eq!(refusal(good, 0, 0), "worker 0 of 0");
}

#[test]
fn the_least_share_that_is_asked_for_is_enough() {
    let error = FlowTable::new(
        &FlowSettings { memcap: 1, ..FlowSettings::default() },
        Share { worker: 0, workers: 1 },
        1,
        at(0),
    );
    let Err(SetupError::MemcapTooSmall { least, .. }) = error else { panic!("{error:?}") };
    let enough = table(&FlowSettings { memcap: least, ..FlowSettings::default() });
    // All of it but what is kept for the bits of one flow in sixteen.
    assert_eq!((enough.capacity(), enough.stats().memuse), (16, least - 32));
    assert!(
        refusal(FlowSettings { memcap: least - 1, ..FlowSettings::default() }, 0, 1).contains("too small")
    );
}

#[test]
fn memuse_is_exact_and_within_memcap() {
    let settings = FlowSettings { memcap: 400_000, prealloc: 0, ..FlowSettings::default() };
    let mut table = table(&settings);
    let empty = table.stats().memuse;
    let first = track(&mut table, &udp((1, 1), (2, 2)), at(0));
    assert!(matches!(first, Outcome::New(..)));
    let block = table.stats().memuse - empty;
    assert_eq!(block % u64::from(portcullis_flow::table::BLOCK), 0, "whole flows");
    let flow = block / u64::from(portcullis_flow::table::BLOCK);
    assert_eq!(flow, 180);
    assert_eq!(table.stats().spare, u64::from(portcullis_flow::table::BLOCK) - 1);
    for port in 0..5000 {
        track(&mut table, &udp((1, port), (2, 2)), at(0));
        assert!(table.stats().memuse <= 400_000);
    }
    assert_eq!(table.stats().memuse, empty + flow * u64::from(table.capacity()));
    let kept = u64::from(table.capacity()).div_ceil(16) * 32;
    assert!(400_000 - table.stats().memuse - kept < 2 * 180 + 64, "no room for another flow was left");
}

/// An idle flow in a full table of ten million, IPv4 and IPv6 alike: 128 bytes hot, 48 cold, 4 for its
/// deadline, 11.52 of the index.
#[test]
fn an_idle_flow_takes_less_than_192_bytes_all_in() {
    let with =
        |prealloc| table(&FlowSettings { memcap: 193_520_000 * 10, prealloc, ..FlowSettings::default() });
    let (empty, ready) = (with(0), with(1000));
    let capacity = u64::from(empty.capacity());
    assert!((10_000_000..10_000_100).contains(&capacity), "{capacity} flows");
    let memuse = empty.stats().memuse;
    assert_eq!((ready.stats().memuse - memuse, ready.stats().spare), (1000 * 180, 1000));
    assert_eq!(memuse * 100 / capacity, 1152, "hundredths of a byte");
}

#[test]
fn prealloc_is_shared_and_limited_by_memcap() {
    let ready = |prealloc, memcap, workers| {
        let settings = FlowSettings { prealloc, memcap, ..FlowSettings::default() };
        let table = FlowTable::new(&settings, Share { worker: 0, workers }, 1, at(0)).expect("good settings");
        (table.stats().spare, table.capacity())
    };
    assert_eq!(ready(10_000, 128 << 20, 4).0, 2_500);
    assert_eq!(ready(10_000, 128 << 20, 3).0, 3_334);
    let (spare, capacity) = ready(u32::MAX, 400_000, 1);
    assert_eq!(spare, u64::from(capacity));
}

#[test]
fn ids_are_unique_over_workers_and_restarts() {
    let mut ids = HashSet::new();
    for start in [at(0), at(1)] {
        for worker in 0..3 {
            let share = Share { worker, workers: 3 };
            let mut table = FlowTable::new(&FlowSettings::default(), share, 1, start).expect("good settings");
            for port in 0..3000 {
                let Outcome::New(id, _) = track(&mut table, &udp((1, port), (2, 2)), at(2)) else {
                    panic!("room for all")
                };
                assert!(id > 0 && id < 1 << 53);
                assert!(ids.insert(id), "{id} twice");
            }
            assert!(table.retire_all(at(2), usize::MAX));
            assert_eq!(finish(&mut table).len(), 3000);
        }
    }
}
