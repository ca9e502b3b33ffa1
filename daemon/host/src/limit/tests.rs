//! Each kind by example, and all of them against a model that remembers every match.

use super::LimitKind::{Backoff, Both, Detection, Rate, Threshold};
use super::Ruling::{Apply, Nothing, Replace, Silent};
use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;
const START: u64 = 1_700_000_000 * SECOND;

/// The rulings on matches at these seconds.
fn rulings(limit: Limit, seconds: &[u64]) -> Vec<Ruling> {
    micros_rulings(limit, &seconds.iter().map(|second| second * SECOND).collect::<Vec<_>>())
}

fn micros_rulings(limit: Limit, times: &[u64]) -> Vec<Ruling> {
    let mut slot: Option<Slot> = None;
    let rule = |time: &u64| {
        let now = START + time;
        let (next, ruling) = limit.step(slot.filter(|slot| slot.counts_at(now)), now);
        slot = Some(next);
        ruling
    };
    times.iter().map(rule).collect()
}

#[test]
fn kinds_rule_as_documented() {
    let check = |kind, count, seconds, times: &[u64], expect: &[Ruling]| {
        assert_eq!(rulings(Limit { kind, count, seconds }, times), expect, "{kind:?} {times:?}");
    };
    check(LimitKind::Limit, 1, 10, &[0, 1, 10, 11, 12], &[Apply, Silent, Silent, Apply, Silent]);
    check(LimitKind::Limit, 2, 10, &[0, 1, 2, 3], &[Apply, Apply, Silent, Silent]);
    check(Threshold, 3, 10, &[0, 1, 2, 3, 4, 5], &[Nothing, Nothing, Apply, Nothing, Nothing, Apply]);
    check(Threshold, 2, 10, &[0, 11, 12, 24], &[Nothing, Nothing, Apply, Nothing]);
    check(Threshold, 1, 10, &[0, 1, 20], &[Apply, Apply, Apply]);
    check(Both, 2, 10, &[0, 1, 2, 10, 11, 12, 13], &[Nothing, Apply, Silent, Silent, Nothing, Apply, Silent]);
    check(Both, 1, 10, &[0, 1, 11], &[Apply, Silent, Apply]);
    check(
        Detection,
        2,
        10,
        &[0, 1, 2, 3, 11, 12, 13],
        &[Nothing, Nothing, Apply, Apply, Nothing, Nothing, Apply],
    );
    let rate = Rate { timeout: 30 };
    check(rate, 2, 10, &[0, 1, 2, 3, 32, 33, 34], &[Apply, Apply, Replace, Replace, Replace, Apply, Apply]);
    check(rate, 1, 10, &[0, 11, 12, 42, 43], &[Apply, Apply, Replace, Replace, Apply]);
}

#[test]
fn a_flow_is_heard_of_less_and_less() {
    let alerts = |count, multiplier, matches: u64| {
        let limit = Limit { kind: Backoff { multiplier }, count, seconds: 0 };
        let rulings = rulings(limit, &(0..matches).collect::<Vec<_>>());
        let early = rulings.iter().take_while(|ruling| **ruling == Nothing).count();
        assert_eq!(early, usize::try_from(count).unwrap() - 1);
        assert!(!rulings[early..].contains(&Nothing));
        (1..)
            .zip(rulings)
            .filter(|(_, ruling)| *ruling == Apply)
            .map(|(number, _)| number)
            .collect::<Vec<u64>>()
    };
    assert_eq!(alerts(1, 10, 2000), [1, 10, 100, 1000]);
    assert_eq!(alerts(1, 2, 70), [1, 2, 4, 8, 16, 32, 64]);
    assert_eq!(alerts(5, 5, 700), [5, 25, 125, 625]);
}

#[test]
fn a_count_that_is_full_stays_silent() {
    let limit = Limit { kind: Backoff { multiplier: 42_799 }, count: 49, seconds: 0 };
    assert_eq!(49 * 42_799, Slot::MOST);
    let slot = |count| Slot { end: START, count, acting: false };
    let (full, ruling) = limit.step(Some(slot(Slot::MOST - 1)), START);
    assert_eq!(ruling, Apply);
    let (same, ruling) = limit.step(Some(full), START);
    assert_eq!((same.count, ruling), (Slot::MOST, Silent));
}

#[test]
fn without_state_nothing_is_hidden_and_no_condition_met() {
    for kind in [LimitKind::Limit, Threshold, Both, Backoff { multiplier: 2 }, Rate { timeout: 1 }] {
        assert_eq!(kind.without_state(), Apply);
    }
    assert_eq!(Detection.without_state(), Nothing);
}

/// All matches of the current window by their times.
#[derive(Default)]
struct Model {
    window: Vec<u64>,
    in_force: Option<u64>,
}

impl Model {
    fn rule(&mut self, limit: &Limit, now: u64) -> Ruling {
        let length = u64::from(limit.seconds) * SECOND;
        if let (Rate { timeout }, Some(since)) = (limit.kind, self.in_force) {
            if now - since <= u64::from(timeout) * SECOND {
                return Replace;
            }
            *self = Self::default();
        }
        if self.window.first().is_some_and(|first| now - first > length) {
            self.window.clear();
        }
        self.window.push(now);
        let (matches, count) = (self.window.len(), usize::try_from(limit.count).unwrap());
        match limit.kind {
            LimitKind::Limit if matches <= count => Apply,
            LimitKind::Limit => Silent,
            Threshold if matches % count == 0 => Apply,
            Threshold => Nothing,
            Both if matches < count => Nothing,
            Both if matches == count => Apply,
            Both => Silent,
            Detection if matches <= count => Nothing,
            Detection | Backoff { .. } => Apply,
            Rate { .. } if matches <= count => Apply,
            Rate { .. } => {
                self.in_force = Some(now);
                Replace
            }
        }
    }
}

proptest! {
    #[test]
    fn rulings_are_those_of_the_model(
        kind in prop_oneof![
            Just(LimitKind::Limit), Just(Threshold), Just(Both), Just(Detection),
            (1_u32..20).prop_map(|timeout| Rate { timeout }),
        ],
        count in 1_u32..6,
        seconds in 1_u32..8,
        gaps in prop::collection::vec(prop_oneof![Just(0), 0_u64..3 * SECOND, 0_u64..30 * SECOND], 1..60),
    ) {
        let limit = Limit { kind, count, seconds };
        let times: Vec<u64> = gaps.iter().scan(0, |time, gap| { *time += gap; Some(*time) }).collect();
        let mut model = Model::default();
        let expected: Vec<Ruling> = times.iter().map(|time| model.rule(&limit, START + time)).collect();
        prop_assert_eq!(micros_rulings(limit, &times), expected);
    }
}
