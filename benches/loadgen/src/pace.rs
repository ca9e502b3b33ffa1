//! When frames are due: the same arithmetic as in `send.bpf.c`, for senders in user space.

use portcullis_trial::Trial;

/// Times of day are kept in 1/256 ns, so that rates are exact.
const FRACTION: u32 = 8;

/// How fast a sender may go and when it must stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// From one frame to the next, in 1/256 ns; 0 is as fast as it goes.
    pub(crate) gap: u64,
    /// Further behind than this a sender does not try to catch up, in 1/256 ns.
    pub(crate) catch_up: u64,
    /// Frames of a burst; 0 for none.
    pub(crate) burst: u32,
    /// From a burst's end to the next one's beginning, in 1/256 ns.
    pub(crate) pause: u64,
    /// Nanoseconds from the first frame to the end.
    pub(crate) duration: u64,
    /// Frames in all.
    pub(crate) limit: u64,
}

impl Pace {
    /// As a trial asks, with at most so many frames in all.
    pub(crate) fn of(trial: &Trial, limit: u64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a trial has 0 to 10^9 seconds"
        )]
        let duration = (trial.seconds * 1e9) as u64;
        let gap = trial.rate.per_second().map_or(0, |rate| (1_000_000_000 << FRACTION) / u64::from(rate));
        let pause = (trial.pause_us * 1000) << FRACTION;
        let catch_up = (trial.catch_up_us * 1000) << FRACTION;
        Self { gap, catch_up, burst: trial.burst.unwrap_or(0), pause, duration, limit }
    }
}

/// What a sender should do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a frame.
    Frame,
    /// Nothing for so many nanoseconds.
    Wait(u64),
    /// All is sent, or the time is over.
    Over,
}

/// Where a sender is in its pace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pace: Pace,
    first: Option<u64>,
    due: u64,
    in_burst: u32,
    made: u64,
}

impl Clock {
    pub(crate) const fn new(pace: Pace) -> Self {
        Self { pace, first: None, due: 0, in_burst: 0, made: 0 }
    }

    /// Is a frame due at this time, in nanoseconds? Then it is counted on.
    pub(crate) fn due(&mut self, now: u64) -> Due {
        let Pace { gap, catch_up, burst, pause, duration, limit } = self.pace;
        let time = now << FRACTION;
        if self.first.is_none() {
            self.due = time;
        }
        let first = *self.first.get_or_insert(now);
        if self.made >= limit || now.saturating_sub(first) >= duration {
            return Due::Over;
        }
        if gap > 0 || burst > 0 {
            if time < self.due {
                return Due::Wait((self.due - time) >> FRACTION);
            }
            if time - self.due > catch_up {
                self.due = time;
            }
            self.due += gap;
            if burst > 0 {
                self.in_burst += 1;
                if self.in_burst == burst {
                    self.in_burst = 0;
                    self.due = time + pause;
                }
            }
        }
        self.made += 1;
        Due::Frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Pace = Pace {
        gap: 0,
        catch_up: 100_000 << FRACTION,
        burst: 0,
        pause: 0,
        duration: u64::MAX,
        limit: u64::MAX,
    };

    fn times(pace: Pace, steps: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut clock = Clock::new(pace);
        steps.into_iter().filter(|now| clock.due(*now) == Due::Frame).collect()
    }

    #[test]
    fn without_a_rate_frames_are_always_due() {
        assert_eq!(times(PLAIN, 5..10), [5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_rate_is_kept_in_the_long_run() {
        // Three a microsecond: 333 1/3 ns.
        let pace = Pace { gap: (1000 << FRACTION) / 3, ..PLAIN };
        assert_eq!(times(pace, 0..999_990).len(), 3000);
    }

    #[test]
    fn what_was_missed_is_caught_up_but_not_a_long_pause() {
        let pace = Pace { gap: 1000 << FRACTION, ..PLAIN };
        assert_eq!(times(pace, [0, 3000, 3001, 3002, 3003]), [0, 3000, 3001, 3002]);
        assert_eq!(times(pace, [0, 500_000, 500_001]), [0, 500_000]);
    }

    #[test]
    fn bursts_come_whole_with_pauses_between() {
        let pace = Pace { burst: 3, pause: 100 << FRACTION, ..PLAIN };
        assert_eq!(times(pace, 1..220), [1, 2, 3, 103, 104, 105, 205, 206, 207]);
    }

    #[test]
    fn limit_and_duration_end_it() {
        assert_eq!(times(Pace { limit: 2, ..PLAIN }, 1..10), [1, 2]);
        assert_eq!(times(Pace { duration: 3, ..PLAIN }, 1..10), [1, 2, 3]);
        let mut clock = Clock::new(Pace { limit: 0, ..PLAIN });
        assert_eq!(clock.due(1), Due::Over);
    }

    #[test]
    fn who_waits_learns_for_how_long() {
        let mut clock = Clock::new(Pace { gap: 1000 << FRACTION, ..PLAIN });
        assert_eq!(
            (clock.due(10), clock.due(10), clock.due(510)),
            (Due::Frame, Due::Wait(1000), Due::Wait(500))
        );
    }
}
