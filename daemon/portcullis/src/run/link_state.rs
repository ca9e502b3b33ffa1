//! When the ports of a pair are taken down and brought up again: plain states and moments, no interface.
//!
//! A pair is one wire to whoever is at its ends, so a link that is lost at one port is made to be lost at the other.
//! What we took down ourselves is never taken for a loss, or both ports would keep each other down for ever; at most
//! one port of a pair is down on account of the other.

use std::time::{Duration, Instant};

/// How long a port that was brought up may take to find its link before it counts as lost.
const TRAINING: Duration = Duration::from_secs(10);

/// What a port is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Is it up, as an operator sees it?
    pub(crate) up: bool,
    /// Does it have a link?
    pub(crate) carrier: bool,
}

impl Seen {
    const fn is_good(self) -> bool {
        self.up && self.carrier
    }
}

/// What happened to a pair, to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// This port (0 or 1) lost its link.
    Lost(usize),
    /// It has its link again.
    Back(usize),
    /// No live worker stands behind the pair.
    Dead,
    /// One does again.
    Alive,
}

/// What to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Does the loss of one link take the other down?
    pub(crate) mirror: bool,
    /// Does the want of a live worker take both down (`fail = "link-down"`)?
    pub(crate) fail: bool,
    /// How long a link must be back, and a worker alive, before ports are brought up again.
    pub(crate) hold_down: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// Both links are there.
    Whole,
    /// A port was brought up; until then its link may be missing. A link that was seen meanwhile may not go again.
    Training { until: Instant, found: [bool; 2] },
    /// The link of port `which` is lost and its peer is down; since when the link is back.
    Lost { which: usize, back: Option<Instant> },
}

/// One pair of ports.
#[derive(Debug)]
pub(crate) struct PairState {
    rules: Rules,
    wire: Wire,
    /// There is no live worker; since when there is one again.
    dead: Option<Option<Instant>>,
    /// Ports that are down on our account.
    held: [bool; 2],
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// By port: to be brought up, or taken down.
    pub(crate) set_up: [Option<bool>; 2],
    /// What to tell.
    pub(crate) change: Option<Change>,
}

impl PairState {
    /// A pair whose ports were brought up just now.
    pub(crate) fn new(rules: Rules, now: Instant) -> Self {
        Self { rules, wire: training(now, [false; 2]), dead: None, held: [false; 2] }
    }

    /// Are ports of it down on our account?
    pub(crate) const fn is_held(&self) -> bool {
        let [one, other] = self.held;
        one || other
    }

    /// Looks at the pair.
    pub(crate) fn step(&mut self, now: Instant, seen: [Seen; 2], alive: bool) -> Step {
        let mut change = if self.rules.fail { self.look_at_workers(now, alive) } else { None };
        if self.rules.mirror && self.dead.is_none() && change.is_none() {
            change = self.look_at_links(now, seen);
        }
        let wanted = match (self.dead, self.wire) {
            (Some(_), _) => [true; 2],
            (None, Wire::Lost { which: 0, .. }) => [false, true],
            (None, Wire::Lost { .. }) => [true, false],
            (None, _) => [false; 2],
        };
        let mut step = Step { change, ..Step::default() };
        for ((held, wanted), set_up) in self.held.iter_mut().zip(wanted).zip(&mut step.set_up) {
            if *held != wanted {
                *set_up = Some(!wanted);
                *held = wanted;
            }
        }
        step
    }

    fn look_at_workers(&mut self, now: Instant, alive: bool) -> Option<Change> {
        match (&mut self.dead, alive) {
            (None, true) => None,
            (None, false) => {
                self.dead = Some(None);
                Some(Change::Dead)
            }
            (Some(since), false) => {
                *since = None;
                None
            }
            (Some(since), true) => {
                let since = *since.get_or_insert(now);
                (now.duration_since(since) >= self.rules.hold_down).then(|| {
                    self.dead = None;
                    self.wire = training(now, [false; 2]);
                    Change::Alive
                })
            }
        }
    }

    fn look_at_links(&mut self, now: Instant, seen: [Seen; 2]) -> Option<Change> {
        let good = seen.map(Seen::is_good);
        let missing = good.iter().position(|good| !good);
        match &mut self.wire {
            Wire::Whole => {
                let which = missing?;
                Some(self.lose(which))
            }
            Wire::Training { until, found } => {
                let gone =
                    (0..2).find(|port| found.get(*port) == Some(&true) && good.get(*port) == Some(&false));
                let late = missing.filter(|_| now >= *until);
                if let Some(which) = gone.or(late) {
                    return Some(self.lose(which));
                }
                for (found, good) in found.iter_mut().zip(good) {
                    *found |= good;
                }
                if missing.is_none() {
                    self.wire = Wire::Whole;
                }
                None
            }
            Wire::Lost { which, back } => {
                let which = *which;
                if good.get(which) != Some(&true) {
                    *back = None;
                    return None;
                }
                let since = *back.get_or_insert(now);
                (now.duration_since(since) >= self.rules.hold_down).then(|| {
                    self.wire = training(now, good);
                    Change::Back(which)
                })
            }
        }
    }

    const fn lose(&mut self, which: usize) -> Change {
        self.wire = Wire::Lost { which, back: None };
        Change::Lost(which)
    }
}

/// The state of ports that were brought up just now, of which some have their link already.
fn training(now: Instant, found: [bool; 2]) -> Wire {
    Wire::Training { until: now + TRAINING, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Seen = Seen { up: true, carrier: true };
    const CUT: Seen = Seen { up: true, carrier: false };
    const DOWN: Seen = Seen { up: false, carrier: false };
    const HOLD: Duration = Duration::from_secs(1);

    /// A pair, and a clock that the test moves.
    struct Bench {
        pair: PairState,
        now: Instant,
    }

    impl Bench {
        fn new(mirror: bool, fail: bool) -> Self {
            let now = Instant::now();
            Self { pair: PairState::new(Rules { mirror, fail, hold_down: HOLD }, now), now }
        }

        /// After so many milliseconds the pair is seen like this.
        fn check(&mut self, after: u64, seen: [Seen; 2], set_up: [Option<bool>; 2], change: Option<Change>) {
            self.alive(after, seen, true, set_up, change);
        }

        fn alive(
            &mut self,
            after: u64,
            seen: [Seen; 2],
            alive: bool,
            set_up: [Option<bool>; 2],
            change: Option<Change>,
        ) {
            self.now += Duration::from_millis(after);
            assert_eq!(self.pair.step(self.now, seen, alive), Step { set_up, change }, "{:?}", self.pair);
        }
    }

    const NOTHING: [Option<bool>; 2] = [None, None];

    #[test]
    fn a_lost_link_takes_its_peer_down_and_back_up() {
        let mut pair = Bench::new(true, false);
        pair.check(0, [GOOD, GOOD], NOTHING, None);
        pair.check(5, [CUT, GOOD], [None, Some(false)], Some(Change::Lost(0)));
        pair.check(5, [CUT, DOWN], NOTHING, None);
        pair.check(100, [GOOD, DOWN], NOTHING, None);
        pair.check(999, [GOOD, DOWN], NOTHING, None);
        pair.check(1, [GOOD, DOWN], [None, Some(true)], Some(Change::Back(0)));
        // It takes its time to find its link, which is no loss.
        pair.check(5000, [GOOD, CUT], NOTHING, None);
        pair.check(1, [GOOD, GOOD], NOTHING, None);
        pair.check(1, [GOOD, CUT], [Some(false), None], Some(Change::Lost(1)));
        assert!(pair.pair.is_held());
    }

    #[test]
    fn a_link_that_comes_and_goes_is_held_down() {
        let mut pair = Bench::new(true, false);
        pair.check(0, [GOOD, GOOD], NOTHING, None);
        pair.check(1, [GOOD, CUT], [Some(false), None], Some(Change::Lost(1)));
        for _ in 0..10 {
            pair.check(900, [DOWN, GOOD], NOTHING, None);
            pair.check(50, [DOWN, CUT], NOTHING, None);
        }
        pair.check(1, [DOWN, GOOD], NOTHING, None);
        pair.check(1000, [DOWN, GOOD], [Some(true), None], Some(Change::Back(1)));
        pair.check(1, [CUT, CUT], [Some(false), None], Some(Change::Lost(1)));
    }

    #[test]
    fn two_lost_links_do_not_keep_each_other_down() {
        let mut pair = Bench::new(true, false);
        pair.check(0, [GOOD, GOOD], NOTHING, None);
        pair.check(1, [CUT, CUT], [None, Some(false)], Some(Change::Lost(0)));
        pair.check(1, [GOOD, DOWN], NOTHING, None);
        pair.check(1000, [GOOD, DOWN], [None, Some(true)], Some(Change::Back(0)));
        // The other's cable is out, too: then it is the one that is lost, and whoever comes back brings both back.
        pair.check(9_999, [GOOD, CUT], NOTHING, None);
        pair.check(1, [GOOD, CUT], [Some(false), None], Some(Change::Lost(1)));
        pair.check(60_000, [DOWN, GOOD], NOTHING, None);
        pair.check(1000, [DOWN, GOOD], [Some(true), None], Some(Change::Back(1)));
        pair.check(1, [GOOD, GOOD], NOTHING, None);
    }

    #[test]
    fn an_operator_s_down_is_a_loss_and_ours_is_not() {
        let mut pair = Bench::new(true, false);
        pair.check(0, [GOOD, GOOD], NOTHING, None);
        pair.check(1, [DOWN, GOOD], [None, Some(false)], Some(Change::Lost(0)));
        pair.check(1, [GOOD, DOWN], NOTHING, None);
        pair.check(1000, [GOOD, DOWN], [None, Some(true)], Some(Change::Back(0)));
        pair.check(1, [GOOD, GOOD], NOTHING, None);
        assert!(!pair.pair.is_held());
    }

    #[test]
    fn links_that_are_not_there_at_the_start_have_time() {
        let mut pair = Bench::new(true, false);
        pair.check(0, [CUT, GOOD], NOTHING, None);
        pair.check(9_999, [CUT, GOOD], NOTHING, None);
        pair.check(1, [CUT, GOOD], [None, Some(false)], Some(Change::Lost(0)));
        let mut other = Bench::new(false, false);
        other.check(60_000, [CUT, GOOD], NOTHING, None);
    }

    #[test]
    fn without_a_live_worker_both_are_down() {
        let mut pair = Bench::new(true, true);
        pair.check(0, [GOOD, GOOD], NOTHING, None);
        pair.alive(1, [GOOD, GOOD], false, [Some(false); 2], Some(Change::Dead));
        pair.alive(5000, [DOWN, DOWN], false, NOTHING, None);
        pair.check(1, [DOWN, DOWN], NOTHING, None);
        pair.alive(500, [DOWN, DOWN], false, NOTHING, None);
        pair.check(1, [DOWN, DOWN], NOTHING, None);
        pair.check(1000, [DOWN, DOWN], [Some(true); 2], Some(Change::Alive));
        pair.check(1, [CUT, CUT], NOTHING, None);
        pair.check(1, [GOOD, GOOD], NOTHING, None);
        // A port that was held on account of its peer stays with it when the worker dies in between.
        pair.check(1, [CUT, GOOD], [None, Some(false)], Some(Change::Lost(0)));
        pair.alive(1, [CUT, DOWN], false, [Some(false), None], Some(Change::Dead));
        pair.check(1, [DOWN, DOWN], NOTHING, None);
        pair.check(1000, [DOWN, DOWN], [Some(true); 2], Some(Change::Alive));
    }
}
