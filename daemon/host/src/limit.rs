//! What a rule counts for, and what follows from each count. Pure: a state in, a state out.

use crate::slot::{Slot, micros_after};

/// The largest `count` that a [`Limit`] may have.
pub const COUNT_MAX: u32 = 1_000_000;

/// How long the count of a flow is kept after its last match, where the limit has no time of its own, in
/// seconds: longer than any flow's idle time by default.
const FLOW_MEMORY: u32 = 3600;

/// What is counted for, as in Suricata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// `threshold: type limit`: alerts on the first `count` matches of `seconds`; all others act in silence.
    Limit,
    /// `threshold: type threshold`: every `count`-th match of `seconds` is one; the others are none.
    Threshold,
    /// `threshold: type both`: the `count`-th match of `seconds` alerts, those before are none, those after
    /// act in silence.
    Both,
    /// `threshold: type backoff`: the `count`-th match alerts, then each time that `multiplier` times as
    /// many are reached; matches before are none, others act in silence. Has no `seconds`.
    Backoff {
        /// 2 and more.
        multiplier: u32,
    },
    /// `detection_filter`: matches after the first `count` of `seconds` are matches, those before are none.
    Detection,
    /// `rate_filter`: where more than `count` matches come within `seconds`, the rule has another action for
    /// `timeout` seconds. The match after that begins a new count.
    Rate {
        /// How long the other action is in force, in seconds.
        timeout: u32,
    },
}

/// A limit on a rule's matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted for.
    pub kind: LimitKind,
    /// How many: 1 to [`COUNT_MAX`].
    pub count: u32,
    /// Within how long, in seconds, the ends included.
    pub seconds: u32,
}

/// What follows for a match of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ruling {
    /// It is a match: alert and action.
    Apply,
    /// It acts, but does not alert.
    Silent,
    /// It is none: neither alert nor action.
    Nothing,
    /// It is a match, with the rate filter's action in place of its own.
    Replace,
}

/// A ruling, and whether it was made by count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Counted {
    /// What follows.
    pub ruling: Ruling,
    /// The table had no place for the count: the ruling is the one [without
    /// state](LimitKind::without_state). To be counted.
    pub refused: bool,
}

impl LimitKind {
    /// What a rule does whose matches cannot be counted (no place in the table, or nothing to count by): a
    /// threshold must not hide an alert it has not counted, so it alerts; a detection filter is a condition
    /// that is not met; a rate filter is not in force.
    pub const fn without_state(self) -> Ruling {
        match self {
            Self::Detection => Ruling::Nothing,
            Self::Limit | Self::Threshold | Self::Both | Self::Backoff { .. } | Self::Rate { .. } => {
                Ruling::Apply
            }
        }
    }

    /// A number for [`Key::matches`](crate::Key::matches) that no other kind has.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Limit => 0,
            Self::Threshold => 1,
            Self::Both => 2,
            Self::Backoff { .. } => 3,
            Self::Detection => 4,
            Self::Rate { .. } => 5,
        }
    }
}

impl Limit {
    /// Takes in a match at `now` (in microseconds): `slot` is the count so far, if its time is not over.
    pub(crate) fn step(&self, slot: Option<Slot>, now: u64) -> (Slot, Ruling) {
        let fresh = Slot { end: micros_after(now, self.seconds), count: 0, acting: false };
        let slot = slot.unwrap_or(fresh);
        match self.kind {
            LimitKind::Limit => {
                let slot = slot.count_to(self.count + 1);
                (slot, if slot.count > self.count { Ruling::Silent } else { Ruling::Apply })
            }
            LimitKind::Threshold => {
                let slot = slot.count_to(self.count);
                if slot.count < self.count {
                    (slot, Ruling::Nothing)
                } else {
                    (Slot { count: 0, ..slot }, Ruling::Apply)
                }
            }
            LimitKind::Both => {
                let slot = slot.count_to(self.count + 1);
                let ruling = match slot.count.cmp(&self.count) {
                    std::cmp::Ordering::Less => Ruling::Nothing,
                    std::cmp::Ordering::Equal => Ruling::Apply,
                    std::cmp::Ordering::Greater => Ruling::Silent,
                };
                (slot, ruling)
            }
            LimitKind::Backoff { multiplier } => {
                let before = slot.count;
                let slot = Slot { end: micros_after(now, FLOW_MEMORY), ..slot.count_to(Slot::MOST) };
                (slot, self.back_off(before, slot.count, multiplier))
            }
            LimitKind::Detection => {
                let slot = slot.count_to(self.count + 1);
                (slot, if slot.count > self.count { Ruling::Apply } else { Ruling::Nothing })
            }
            LimitKind::Rate { .. } if slot.acting => (slot, Ruling::Replace),
            LimitKind::Rate { timeout } => {
                let slot = slot.count_to(self.count + 1);
                if slot.count > self.count {
                    (Slot { end: micros_after(now, timeout), acting: true, ..slot }, Ruling::Replace)
                } else {
                    (slot, Ruling::Apply)
                }
            }
        }
    }

    /// Is `count` one of `count`, `count * multiplier`, `count * multiplier²`, …? A count that can grow no
    /// more is none of them.
    fn back_off(&self, before: u32, count: u32, multiplier: u32) -> Ruling {
        if count < self.count {
            return Ruling::Nothing;
        }
        let mut next = Some(self.count);
        while let Some(reached) = next.filter(|reached| *reached < count) {
            next = reached.checked_mul(multiplier.max(2));
        }
        if next == Some(count) && before < count { Ruling::Apply } else { Ruling::Silent }
    }
}

#[cfg(test)]
mod tests;
