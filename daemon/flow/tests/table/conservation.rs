//! Every flow that began is active or has ended, once, at any moment, whatever way it goes.

use crate::packets::{at, packets_of, table, track};
use portcullis_flow::table::MOST_LOOKS;
use portcullis_flow::{EndReason, FlowSelector, FlowSettings, FlowTable};
use portcullis_wire::Timestamp;
use std::collections::BTreeMap;

/// The same numbers each time (Sebastiano Vigna's `SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)) % bound
    }
}

/// What the records say, counted by themselves.
#[derive(Default)]
struct Records {
    by_reason: BTreeMap<&'static str, u64>,
    ended: u64,
}

impl Records {
    fn finish(&mut self, table: &mut FlowTable, budget: usize) {
        table.finish(budget, &mut |flow| {
            *self.by_reason.entry(flow.end().map_or("none", EndReason::name)).or_default() += 1;
            self.ended += 1;
        });
    }

    fn check(&self, table: &FlowTable, memcap: u64) {
        let stats = table.stats();
        assert_eq!(stats.total, stats.active + stats.end.total(), "{stats:?}");
        assert_eq!(stats.end.total(), self.ended);
        assert_eq!(
            stats.wrk.flows_evicted,
            self.ended + table.waiting() as u64,
            "all left through the queue"
        );
        assert!(stats.memuse <= memcap && stats.active + stats.spare <= u64::from(table.capacity()));
    }
}

#[test]
fn every_flow_ends_once_by_whatever_way_at_every_moment() {
    const MEMCAP: u64 = 60_000;
    let (mut random, mut records) = (Random(1), Records::default());
    let mut table = table(&FlowSettings { memcap: MEMCAP, prealloc: 10, ..FlowSettings::default() });
    let mut nanos = at(0).as_nanos();
    for step in 0..200_000 {
        // Sometimes slow enough for all to expire, mostly faster than there is room.
        nanos += if step / 5_000 % 4 == 3 { 400_000_000 } else { 4_000_000 };
        let now = Timestamp::from_nanos(nanos);
        for packet in packets_of(step) {
            track(&mut table, &packet, now);
            records.check(&table, MEMCAP);
        }
        match random.below(40) {
            0 => {
                let selector = FlowSelector::default();
                let _ = table.inject(selector);
            }
            1..=4 => {
                table.work_injected(usize::try_from(random.below(50)).unwrap());
            }
            5..=20 => table.sweep(now, usize::try_from(random.below(70)).unwrap()),
            _ => records.finish(&mut table, usize::try_from(random.below(5)).unwrap()),
        }
        records.check(&table, MEMCAP);
    }
    assert!(
        table.stats().wrk.flows_injected > 1_000 && table.stats().get_used > 1_000,
        "{:?}",
        table.stats()
    );
    while !table.retire_all(Timestamp::from_nanos(nanos), 7) {
        records.check(&table, MEMCAP);
        records.finish(&mut table, 3);
    }
    records.finish(&mut table, usize::MAX);
    records.check(&table, MEMCAP);
    assert_eq!((table.active(), table.stats().total), (0, records.ended));
    let reasons: Vec<_> = records.by_reason.keys().copied().collect();
    assert_eq!(reasons, ["forced", "shutdown", "tcp_reuse", "timeout"], "{:?}", records.by_reason);
}

/// Whatever there is to do, a burst looks at a bounded number of slots.
#[test]
fn the_most_slots_looked_at_in_one_burst_are_as_stated() {
    const SWEPT: u64 = 64;
    let most = 32 * u64::from(MOST_LOOKS) + SWEPT;
    let mut table = table(&FlowSettings { memcap: 400_000, ..FlowSettings::default() });
    let looked = |table: &FlowTable| table.stats().get_used_eval + table.stats().wrk.slots_swept;
    let (mut nanos, mut longest) = (at(0).as_nanos(), 0);
    for burst in 0..3_000 {
        let before = looked(&table);
        for number in 0..32 {
            // So fast that most flows are too young to go, then slow enough.
            nanos += if burst % 200 < 150 { 10_000 } else { 2_000_000 };
            for packet in packets_of(burst * 32 + number) {
                track(&mut table, &packet, Timestamp::from_nanos(nanos));
            }
        }
        table.sweep(Timestamp::from_nanos(nanos), usize::try_from(SWEPT).unwrap());
        assert!(table.finish(64, &mut |_| {}) <= 64);
        longest = longest.max(looked(&table) - before);
    }
    assert!(longest <= most + 2 * u64::from(MOST_LOOKS) && longest > most / 2, "{longest} of {most}");
    assert!(table.stats().wrk.probe_max <= 16);
}
