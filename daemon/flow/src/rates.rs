//! Elephant flows (`flow.rate-tracking`): those that carry many bytes in a short time. Bytes of the
//! last interval by flow and direction, kept only where the setting is on.

use crate::flow::{Direction, ELEPHANT, Flow};
use portcullis_wire::Timestamp;
use std::time::Duration;

/// `flow.rate-tracking`: what makes a flow an elephant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateTracking {
    /// `bytes`: this many in one direction, at least 1.
    pub bytes: u64,
    /// `interval`: within this time, at least a second.
    pub interval: Duration,
}

/// Parts of the interval. The oldest goes as a whole, so what is summed up spans seven eighths of the
/// interval at least, and never more than all of it: no flow is called an elephant that is none.
const PARTS: usize = 8;

/// The bytes of one flow, by direction and part of the interval.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    /// The number of the current part, counted from the epoch.
    part: u64,
    bytes: [[u64; PARTS]; 2],
}

impl Rate {
    /// Takes in a packet; the bytes of the last interval in its direction.
    fn take_in(&mut self, direction: Direction, length: u64, part: u64) -> u64 {
        let passed = part.saturating_sub(self.part);
        for next in (self.part + 1..).take(usize::try_from(passed).unwrap_or(PARTS).min(PARTS)) {
            self.bytes.iter_mut().for_each(|bytes| bytes[place(next)] = 0);
        }
        // An older stamp counts as the current one.
        self.part = self.part.max(part);
        let bytes = &mut self.bytes[direction.index()];
        bytes[place(self.part)] += length;
        bytes.iter().sum()
    }
}

const fn place(part: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
    let place = (part % PARTS as u64) as usize;
    place
}

/// The rates of all flows of a worker, by slot.
#[derive(Debug)]
pub(crate) struct Rates {
    limit: u64,
    part_nanos: u64,
    pub(crate) flows: Vec<Rate>,
}

impl Rates {
    pub(crate) fn new(settings: RateTracking) -> Self {
        let nanos = u64::try_from(settings.interval.as_nanos()).unwrap_or(u64::MAX);
        Self { limit: settings.bytes.max(1), part_nanos: (nanos / PARTS as u64).max(1), flows: Vec::new() }
    }
}

impl Flow<'_> {
    /// Was it an elephant in this direction at any time: more bytes than `flow.rate-tracking.bytes` in
    /// an interval?
    #[must_use]
    pub fn elephant(&self, direction: Direction) -> bool {
        self.hot.flags & (ELEPHANT << direction.index()) != 0
    }

    /// Takes in a packet; `true` if it makes the flow an elephant in this direction.
    pub(crate) fn became_elephant(&mut self, direction: Direction, length: u32, now: Timestamp) -> bool {
        let Some(rates) = self.storage.rates_mut() else { return false };
        let part = now.as_nanos() / rates.part_nanos;
        let Some(rate) = rates.flows.get_mut(self.slot.place()) else { return false };
        let reached = rate.take_in(direction, u64::from(length), part) >= rates.limit;
        let is_new = reached && !self.elephant(direction);
        if is_new {
            self.hot.flags |= ELEPHANT << direction.index();
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against all packets written down: never more than the interval's, never less than those of
        /// seven eighths of it.
        #[test]
        fn a_rate_is_that_of_the_last_interval(packets in proptest::collection::vec(
            (0u64..30, 1u64..1000, any::<bool>()), 1..60)
        ) {
            let (mut rate, mut now, mut seen) = (Rate::default(), 1000u64, Vec::new());
            for (wait, length, back) in packets {
                now += wait;
                let direction = if back { Direction::ToClient } else { Direction::ToServer };
                seen.push((now, length, direction));
                // A part is 10 ticks, the interval 80.
                let found = rate.take_in(direction, length, now / 10);
                let of_last = |ticks: u64| -> u64 {
                    let recent = |entry: &&(u64, u64, Direction)| entry.0 + ticks > now && entry.2 == direction;
                    seen.iter().filter(recent).map(|entry| entry.1).sum()
                };
                prop_assert!(found <= of_last(80) && found >= of_last(70), "{found} at {now}");
            }
        }
    }
}
