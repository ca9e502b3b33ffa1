//! The table beside a plain map, and after an owner who died while it wrote.

use super::*;
use crate::tuple::Side;
use proptest::prelude::*;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use std::collections::HashMap;

/// One that only this process sees, in memory of its own.
fn cache(entries: u32) -> (CacheMap, VerdictCache) {
    let lines = memfd_create("cache", MemfdFlags::CLOEXEC).unwrap();
    let line_count = CacheMap::lines(entries);
    ftruncate(&lines, u64::from(line_count) * 64 + 4096).unwrap();
    let map = CacheMap { lines, line_count };
    let cache = VerdictCache::open(&map).unwrap();
    (map, cache)
}

fn tuple(number: u16) -> Tuple {
    Tuple {
        source: [1; 16],
        destination: [2; 16],
        source_port: number,
        destination_port: 443,
        vlans: [None; 3],
        version: 4,
        protocol: 6,
        set: 0,
        side: Side::First,
    }
}

fn entry(until: u64) -> CacheEntry {
    CacheEntry { packets: 0, bytes: 0, until: until << 27, generation: 1, action: CacheAction::Pass }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u16, u64),
    Take(u16),
    /// A program answers a packet.
    Answer(u16),
    Recycle,
    /// Another process goes on with it.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = 0..80_u16;
    let step = prop_oneof![
        6 => (number.clone(), 1..1000_u64).prop_map(|(number, until)| Step::Put(number, until)),
        4 => number.clone().prop_map(Step::Take),
        3 => number.prop_map(Step::Answer),
        1 => Just(Step::Recycle),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn it_holds_what_a_map_holds(steps in steps()) {
        const ENTRIES: usize = 32;
        let (map, mut cache) = cache(32);
        cache.set_generation(1);
        let mut model = HashMap::<u16, CacheEntry>::new();
        for step in steps {
            match step {
                Step::Put(number, until) => match cache.put(&tuple(number), &entry(until)) {
                    Ok(()) => { model.insert(number, entry(until)); }
                    // Few lines rest here, so that only many entries near each other are in its way.
                    Err(CacheError::Full) => prop_assert!(!model.contains_key(&number) && model.len() >= ENTRIES / 4),
                },
                Step::Take(number) => prop_assert_eq!(cache.take(&tuple(number)), model.remove(&number)),
                Step::Answer(number) => {
                    let (_, found) = cache.find(&Key::of(&tuple(number)));
                    prop_assert_eq!(found.is_some(), model.contains_key(&number));
                    if let (Some(at), Some(entry)) = (found, model.get_mut(&number)) {
                        cache.line(at).unwrap().packets.fetch_add(1, Ordering::Relaxed);
                        entry.packets += 1;
                    }
                }
                Step::Recycle => cache.recycle(),
                Step::Reopen => cache = VerdictCache::open(&map).unwrap(),
            }
            prop_assert!(model.len() <= ENTRIES);
        }
        let found: HashMap<u16, CacheEntry> =
            cache.entries().into_iter().map(|(tuple, entry)| (tuple.source_port, entry)).collect();
        prop_assert_eq!(found, model);
    }
}

#[test]
fn packets_are_counted_beyond_what_a_line_holds() {
    let (_map, cache) = cache(4);
    cache.put(&tuple(1), &entry(1)).unwrap();
    let at = cache.find(&Key::of(&tuple(1))).1.unwrap();
    for round in 1..4_u64 {
        cache.line(at).unwrap().packets.fetch_add(0xf000_0000, Ordering::Relaxed);
        assert_eq!(cache.get(&tuple(1)).unwrap().packets, round * 0xf000_0000);
    }
}

#[test]
fn a_line_that_was_taken_out_is_nobodys_until_it_was_recycled() {
    let (_map, cache) = cache(64);
    let put = |number| cache.put(&tuple(number), &entry(1));
    put(1).unwrap();
    let at = cache.find(&Key::of(&tuple(1))).1.unwrap();
    cache.take(&tuple(1)).unwrap();
    assert_eq!(cache.line(at).unwrap().verdict.load(Ordering::Relaxed), 0);
    put(1).unwrap();
    assert_ne!(cache.find(&Key::of(&tuple(1))).1.unwrap(), at);
    cache.take(&tuple(1)).unwrap();
    cache.recycle();
    put(1).unwrap();
    assert_eq!(cache.find(&Key::of(&tuple(1))).1.unwrap(), at);
}

#[test]
fn what_was_half_written_is_put_right() {
    let (map, first) = cache(64);
    first.set_generation(1);
    for number in 0..20 {
        first.put(&tuple(number), &entry(7)).unwrap();
    }
    // An entry that its home does not know, a home that knows an empty line, and one with a key that leads elsewhere.
    let place = |number| first.find(&Key::of(&tuple(number)));
    let (home, found) = place(3);
    first.line(home).unwrap().near.fetch_and(!(1 << (found.unwrap() - home)), Ordering::Relaxed);
    first.line(place(4).1.unwrap()).unwrap().verdict.store(0, Ordering::Relaxed);
    first.line(place(5).1.unwrap()).unwrap().ports.store(0, Ordering::Relaxed);
    let second = VerdictCache::open(&map).unwrap();
    assert_eq!(second.generation(), 1);
    assert!(second.get(&tuple(3)).is_some());
    assert!(second.get(&tuple(4)).is_none());
    second.put(&tuple(4), &entry(8)).unwrap();
    let has = |number| second.entries().iter().filter(|(tuple, _)| tuple.source_port == number).count();
    assert_eq!((has(3), has(4), has(6)), (1, 1, 1));
}

#[test]
fn without_lines_there_is_no_cache() {
    let (_map, cache) = cache(0);
    assert!(matches!(cache.put(&tuple(1), &entry(1)), Err(CacheError::Full)));
    assert!(cache.entries().is_empty());
    assert_eq!(cache.take(&tuple(1)), None);
}

#[test]
fn as_many_find_room_as_were_asked_for() {
    let (_map, cache) = cache(10_000);
    let refused = (0..10_000).filter(|number| cache.put(&tuple(*number), &entry(1)).is_err()).count();
    assert!(refused <= 100, "{refused} of 10,000 were refused");
    assert_eq!(cache.entries().len(), 10_000 - refused);
}
