//! One thread: what the table keeps and gives away. Many: totals. All orders of events: loom.

use super::*;
use crate::key::{BitName, Who};
use crate::limit::{LimitKind, Ruling};
use portcullis_wire::decoded::mapped;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

mod orders;

fn table(entries: u64) -> HostTable {
    HostTable::new(&HostSettings { memcap: entries * 16, seed: 3 })
}

fn host(number: u32) -> Who {
    Who::Host { version: 4, address: mapped(number.to_be_bytes()) }
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + second)
}

const ONCE: Limit = Limit { kind: LimitKind::Limit, count: 1, seconds: 60 };

#[test]
fn each_key_has_a_count_of_its_own() {
    let table = table(4096);
    for round in 0..3 {
        for number in 0..500 {
            let counted = table.count(&Key::matches(1, 7, 0, host(number), 0), &ONCE, at(round));
            let ruling = if round == 0 { Ruling::Apply } else { Ruling::Silent };
            assert_eq!(counted, Counted { ruling, refused: false });
        }
    }
    assert_eq!(table.count(&Key::matches(1, 8, 0, host(1), 0), &ONCE, at(3)).ruling, Ruling::Apply);
    assert_eq!(table.count(&Key::matches(1, 7, 0, host(1), 0), &ONCE, at(61)).ruling, Ruling::Apply);
}

#[test]
fn different_ports_are_counted_once_each() {
    let table = table(4096);
    let limit = Limit { kind: LimitKind::Detection, count: 2, seconds: 10 };
    let key = Key::matches(1, 7, 4, host(1), 0);
    let check = |second: u64, port: u16, expect: Ruling| {
        let counted = table.count_distinct(&key, port, &limit, at(second));
        assert_eq!(counted, Counted { ruling: expect, refused: false }, "port {port} at {second}");
    };
    for _ in 0..3 {
        check(0, 80, Ruling::Nothing);
        check(1, 81, Ruling::Nothing);
    }
    check(2, 82, Ruling::Apply);
    check(3, 80, Ruling::Apply);
    check(10, 83, Ruling::Apply);
    // Another time: nothing is known of the ports of the one before.
    check(11, 82, Ruling::Nothing);
    check(11, 80, Ruling::Nothing);
    check(12, 82, Ruling::Nothing);
    check(12, 81, Ruling::Apply);
    let other = Key::matches(1, 7, 4, host(2), 0);
    assert_eq!(table.count_distinct(&other, 83, &limit, at(12)).ruling, Ruling::Nothing);
}

#[test]
fn many_threads_count_each_port_once() {
    let table = Arc::new(table(1 << 14));
    let limit = Limit { kind: LimitKind::Detection, count: 2000, seconds: 60 };
    let key = Key::matches(1, 7, 4, Who::All, 0);
    let applied = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..4_u16)
        .map(|thread| {
            let (table, applied) = (Arc::clone(&table), Arc::clone(&applied));
            std::thread::spawn(move || {
                // All have the same ports, each in another order.
                for step in 0..2000_u16 {
                    let port = step.wrapping_mul(2 * thread + 1) % 2000;
                    let counted = table.count_distinct(&key, port, &limit, at(0));
                    assert!(!counted.refused);
                    applied.fetch_add(u32::from(counted.ruling == Ruling::Apply), Ordering::Relaxed);
                }
                for port in 0..2000 {
                    let counted = table.count_distinct(&key, port, &limit, at(0));
                    applied.fetch_add(u32::from(counted.ruling == Ruling::Apply), Ordering::Relaxed);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(applied.load(Ordering::Relaxed), 0, "there are 2000 ports, and no more were counted");
    assert_eq!(table.count_distinct(&key, 2000, &limit, at(0)).ruling, Ruling::Apply);
}

#[test]
fn ports_without_a_place_are_refused() {
    let table = table(0);
    let limit = Limit { kind: LimitKind::Detection, count: 1, seconds: 10 };
    let counted = table.count_distinct(&Key::matches(1, 7, 4, host(1), 0), 80, &limit, at(0));
    assert_eq!(counted, Counted { ruling: Ruling::Nothing, refused: true });
}

#[test]
fn bits_are_set_toggled_unset_and_end() {
    let table = table(64);
    let key = Key::bit(BitName::named(b"seen"), host(1), 0);
    assert!(!table.is_set(&key, at(0)));
    table.set(&key, at(0), 10).unwrap();
    assert!(table.is_set(&key, at(10)) && !table.is_set(&key, at(11)));
    table.set(&key, at(5), 10).unwrap();
    assert!(table.is_set(&key, at(15)), "set again, it counts from then on");
    table.toggle(&key, at(6), 10).unwrap();
    assert!(!table.is_set(&key, at(6)));
    table.toggle(&key, at(7), 10).unwrap();
    assert!(table.is_set(&key, at(17)));
    table.toggle(&key, at(18), 10).unwrap();
    assert!(table.is_set(&key, at(18)), "it had ended");
    table.unset(&key, at(18));
    assert!(!table.is_set(&key, at(18)));
    table.unset(&key, at(18));
}

#[test]
fn a_full_table_refuses_and_makes_room_by_time() {
    let table = table(8);
    assert_eq!(table.capacity(), 8);
    let count = |number, second| table.count(&Key::matches(1, 1, 0, host(number), 0), &ONCE, at(second));
    for number in 0..8 {
        assert!(!count(number, 0).refused);
    }
    assert_eq!(count(8, 60), Counted { ruling: Ruling::Apply, refused: true });
    assert_eq!(count(7, 60).ruling, Ruling::Silent, "those that are there are kept");
    let name = BitName::named(b"x");
    assert_eq!(table.set(&Key::bit(name, host(9), 0), at(60), 5), Err(Refused));
    assert_eq!(table.toggle(&Key::bit(name, host(9), 0), at(60), 5), Err(Refused));
    for number in 10..18 {
        assert!(!count(number, 61).refused, "all have ended");
    }
    assert!(count(0, 61).refused);
}

#[test]
fn a_table_without_memory_refuses_everything() {
    let table = table(1);
    let key = Key::matches(1, 1, 0, Who::All, 0);
    assert_eq!(table.capacity(), 0);
    assert!(table.count(&key, &ONCE, at(0)).refused);
    assert!(!table.is_set(&key, at(0)));
    table.unset(&key, at(0));
}

#[test]
fn most_of_the_table_can_be_used() {
    let table = table(1 << 16);
    let entries = 1_u32 << 15;
    let refused = (0..entries)
        .filter(|number| table.count(&Key::matches(1, 1, 0, host(*number), 0), &ONCE, at(0)).refused)
        .count();
    assert_eq!(refused, 0, "of {entries} keys for twice as many places");
}

#[test]
fn nothing_is_allocated_but_the_table() {
    let table = table(64);
    let info = allocation_counter::measure(|| {
        for number in 0..200 {
            let key = Key::bit(BitName::named(b"name"), host(number), 0);
            let _ = table.count(&Key::matches(1, 1, 0, host(number), 0), &ONCE, at(0));
            let _ = table.set(&key, at(0), 5);
            let _ = table.toggle(&key, at(0), 5);
            table.unset(&key, at(0));
        }
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}

/// Workers that count matches of few keys at once miss none and count none twice.
#[test]
fn threads_count_together() {
    const THREADS: u32 = 4;
    const MATCHES: u32 = 20_000;
    const KEYS: u32 = 8;
    let table = Arc::new(table(64));
    let every_tenth = Limit { kind: LimitKind::Threshold, count: 10, seconds: 60 };
    let first_hundred = Limit { kind: LimitKind::Limit, count: 100, seconds: 60 };
    let alerts = [AtomicU32::new(0), AtomicU32::new(0)];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (table, alerts) = (Arc::clone(&table), &alerts);
            scope.spawn(move || {
                for number in 0..MATCHES {
                    let who = host((number + thread) % KEYS);
                    for (limit, alerts) in [every_tenth, first_hundred].iter().zip(alerts) {
                        let key = Key::matches(1, 1, limit.kind.number(), who, 0);
                        let counted = table.count(&key, limit, at(0));
                        assert!(!counted.refused);
                        alerts.fetch_add(u32::from(counted.ruling == Ruling::Apply), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(alerts.map(AtomicU32::into_inner), [THREADS * MATCHES / 10, KEYS * 100]);
}
