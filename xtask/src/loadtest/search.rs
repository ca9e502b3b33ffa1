//! The search for throughput as RFC 2544 section 26.1 defines it: the fastest rate at which nothing is lost.

use anyhow::{Result, ensure};

/// How a search goes about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// The least rate that is tried, in packets a second. A device that loses packets at this one has no throughput.
    pub(crate) least: f64,
    /// The greatest rate that is tried.
    pub(crate) most: f64,
    /// The search is over when what is known to pass and what is known to be too much lie within this share.
    pub(crate) resolution: f64,
    /// How often a rate is tried before it counts as too much. RFC 2544 tries once; where sender, device and receiver
    /// share a machine with whatever else runs on it, one loss in one trial says little.
    pub(crate) tries: u32,
}

/// What came of one trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    /// Packets a second that were really sent.
    pub(crate) offered: f64,
    /// Packets a second that arrived.
    pub(crate) received: f64,
    /// Packets that did not arrive.
    pub(crate) lost: u64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Throughput {
    /// Packets a second; 0 where even the least rate was too much.
    pub(crate) rate: f64,
    /// The sender could not offer more: the device may well be faster.
    pub(crate) sender_limited: bool,
    /// Trials that were made.
    pub(crate) trials: u32,
}

/// Below this share of the rate asked for, the sender is taken to be at its end.
const KEPT_UP: f64 = 0.97;

impl Search {
    /// Looks for the throughput of whatever `trial` sends at a rate.
    ///
    /// # Errors
    ///
    /// The first one of `trial`, and when the search's own measures make no sense.
    pub(crate) fn run(&self, mut trial: impl FnMut(f64) -> Result<Seen>) -> Result<Throughput> {
        ensure!(self.least > 0.0 && self.least <= self.most, "a search needs a range of rates");
        ensure!(self.resolution > 0.0 && self.tries > 0, "a search needs a resolution and a try");
        let mut found = Throughput { rate: 0.0, sender_limited: false, trials: 0 };
        let mut too_much = self.most;
        let mut next = self.most;
        let mut has_lost = false;
        loop {
            let (passed, last) = self.passes(next, &mut found.trials, &mut trial)?;
            if passed {
                found.rate = found.rate.max(last.offered.min(next));
                // Nothing was ever lost, and no more can be sent.
                found.sender_limited = !has_lost && (next >= self.most || !kept_up(next, last));
                if found.sender_limited {
                    return Ok(found);
                }
                if !kept_up(next, last) {
                    // More than this was sent before, so the sender was held up. What it was to send proved nothing.
                    too_much = too_much.min(next).max(found.rate);
                }
            } else {
                has_lost = true;
                // What was offered was too much, even where more had been asked for.
                too_much = next.min(last.offered).max(found.rate);
            }
            if found.rate > 0.0 && too_much - found.rate <= too_much * self.resolution {
                return Ok(found);
            }
            if !passed && next <= self.least {
                return Ok(found);
            }
            next = match found.rate {
                // Nothing passed yet: about what arrived could pass, unless that is no news.
                rate if rate <= 0.0 => last.received.clamp(too_much * 0.5, too_much * 0.9),
                rate => f64::midpoint(rate, too_much),
            };
            next = next.max(self.least);
        }
    }

    /// Does `rate` pass in one of the tries? With the trial that tells most: one that passed at the full rate, else
    /// the fastest one that passed, else the last one.
    fn passes(
        &self,
        rate: f64,
        trials: &mut u32,
        trial: &mut impl FnMut(f64) -> Result<Seen>,
    ) -> Result<(bool, Seen)> {
        let mut best: Option<Seen> = None;
        let mut attempt = 0;
        loop {
            let seen = trial(rate)?;
            *trials += 1;
            attempt += 1;
            if seen.lost == 0 {
                best = best.filter(|best| best.offered >= seen.offered).or(Some(seen));
            }
            // What loses a tenth and more is not merely unlucky.
            let hopeless = best.is_none() && seen.received < seen.offered * 0.9;
            let done = best.is_some_and(|best| kept_up(rate, best));
            if done || hopeless || attempt >= self.tries {
                return Ok((best.is_some(), best.unwrap_or(seen)));
            }
        }
    }
}

/// Was about the rate sent that was asked for?
fn kept_up(rate: f64, seen: Seen) -> bool {
    seen.offered >= rate * KEPT_UP
}

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use proptest::prelude::*;

    use super::*;

    /// A device that forwards up to its capacity, before a sender with an end of its own; every so often a trial
    /// loses a packet that is not the device's fault.
    #[derive(Debug)]
    struct Device {
        capacity: f64,
        sender: f64,
        unlucky: Vec<bool>,
        trials: usize,
    }

    impl Device {
        fn trial(&mut self, rate: f64) -> Seen {
            let offered = rate.min(self.sender);
            let unlucky = self.unlucky.get(self.trials).copied().unwrap_or(false);
            self.trials += 1;
            let received = offered.min(self.capacity);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates of a test")]
            let over = (offered - received).ceil() as u64;
            Seen { offered, received, lost: over + u64::from(unlucky) }
        }
    }

    const SEARCH: Search = Search { least: 1_000.0, most: 10_000_000.0, resolution: 0.02, tries: 3 };

    fn check(search: Search, capacity: f64, sender: f64, rate: std::ops::RangeInclusive<f64>, limited: bool) {
        let mut device = Device { capacity, sender, unlucky: Vec::new(), trials: 0 };
        let found = search.run(|rate| Ok(device.trial(rate))).unwrap();
        assert!(rate.contains(&found.rate), "{found:?} of {device:?}");
        assert_eq!(found.sender_limited, limited, "{found:?} of {device:?}");
        assert_eq!(usize::try_from(found.trials).unwrap(), device.trials);
    }

    #[test]
    fn the_capacity_is_found_from_below() {
        check(SEARCH, 1_000_000.0, 1e9, 980_000.0..=1_000_000.0, false);
        check(SEARCH, 1_100.0, 1e9, 1_078.0..=1_100.0, false);
        check(Search { tries: 1, ..SEARCH }, 333_333.0, 1e9, 326_666.0..=333_333.0, false);
    }

    #[test]
    fn a_sender_at_its_end_is_told() {
        check(SEARCH, 5_000_000.0, 2_000_000.0, 2_000_000.0..=2_000_000.0, true);
        check(SEARCH, 1e9, 1e9, 1e7..=1e7, true);
        // The sender is the faster one.
        check(SEARCH, 1_500_000.0, 2_000_000.0, 1_470_000.0..=1_500_000.0, false);
    }

    #[test]
    fn a_device_that_always_loses_has_no_throughput() {
        check(SEARCH, 10.0, 1e9, 0.0..=0.0, false);
    }

    #[test]
    fn a_sender_that_is_held_up_is_not_at_its_end() {
        let mut device = Device { capacity: 1_000_000.0, sender: 1e9, unlucky: Vec::new(), trials: 0 };
        let found = SEARCH.run(|rate| {
            // After the first trial it is slow for a while.
            device.sender = if (1..4).contains(&device.trials) { 5_000.0 } else { 1e9 };
            Ok(device.trial(rate))
        });
        let found = found.unwrap();
        assert!(!found.sender_limited && found.rate > 400_000.0 && found.rate <= 1_000_000.0, "{found:?}");
    }

    #[test]
    fn errors_end_the_search() {
        let mut trials = 0;
        let result = SEARCH.run(|_| {
            trials += 1;
            bail!("no wire")
        });
        assert_eq!((result.unwrap_err().to_string().as_str(), trials), ("no wire", 1));
        assert!(
            Search { tries: 0, ..SEARCH }.run(|_| bail!("tried")).unwrap_err().to_string().contains("try")
        );
    }

    proptest! {
        #[test]
        fn noise_that_is_rarer_than_the_tries_does_not_move_it(
            capacity in 2_000.0..20_000_000.0_f64,
            sender in 2_000.0..20_000_000.0_f64,
            noise in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            // Bad luck never strikes as often in a row as a rate is tried.
            let mut row = 0;
            let unlucky = noise.into_iter().map(|bad| {
                row = if bad && row + 1 < SEARCH.tries { row + 1 } else { 0 };
                row > 0
            });
            let mut device = Device { capacity, sender, unlucky: unlucky.collect(), trials: 0 };
            let found = SEARCH.run(|rate| Ok(device.trial(rate))).unwrap();
            let reachable = capacity.min(sender).min(SEARCH.most);
            prop_assert!(found.rate <= reachable, "{:?} of {:?}", found, device);
            prop_assert!(found.rate >= reachable * 0.95, "{:?} of {:?}", found, device);
            prop_assert!(found.trials <= 3 * 40, "{:?}", found);
        }

        #[test]
        fn noise_alone_never_raises_it(capacity in 2_000.0..20_000_000.0_f64,
            unlucky in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut device = Device { capacity, sender: 1e9, unlucky, trials: 0 };
            let found = SEARCH.run(|rate| Ok(device.trial(rate))).unwrap();
            prop_assert!(found.rate <= capacity.min(SEARCH.most));
        }
    }
}
