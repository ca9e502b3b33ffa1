//! How many frames are due: the arithmetic of a sender's rate, without a clock of its own.

use std::time::Duration;

/// When a sender must stop and how fast it may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Frames a second; `None` is as fast as it goes.
    pub(crate) rate: Option<u32>,
    /// Frames in all; `None` is without end.
    pub(crate) count: Option<u64>,
    /// Time in all; `None` is without end.
    pub(crate) duration: Option<Duration>,
}

/// What a sender should do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send this many, at least 1 and at most the group asked for.
    Frames(u32),
    /// Nothing before this much time has passed.
    Wait(Duration),
    /// All is sent, or the time is over.
    Finished,
}

impl Pace {
    /// What is due `elapsed` after the first frame when `sent` frames have gone, in groups of
    /// `group`: a full one or, at the very end, what is left. A sender that fell behind gets one
    /// group after the other without waiting.
    pub(crate) fn due(&self, elapsed: Duration, sent: u64, group: u32) -> Due {
        if self.duration.is_some_and(|duration| elapsed >= duration) {
            return Due::Finished;
        }
        let left = self.count.map_or(u64::MAX, |count| count.saturating_sub(sent));
        if left == 0 {
            return Due::Finished;
        }
        let frames = u32::try_from(left).map_or(group, |left| left.min(group));
        let Some(rate) = self.rate else { return Due::Frames(frames) };
        // The last frame of the group is due this long after the first frame of all.
        let nanos = (u128::from(sent) + u128::from(frames) - 1) * 1_000_000_000 / u128::from(rate.max(1));
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        match due.checked_sub(elapsed) {
            None | Some(Duration::ZERO) => Due::Frames(frames),
            // Not longer than a signal may wait for an answer.
            Some(early) => Due::Wait(early.min(Duration::from_millis(20))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pace: (Option<u32>, Option<u64>, Option<u64>), elapsed_ms: u64, sent: u64, expected: Due) {
        let (rate, count, seconds) = pace;
        let pace = Pace { rate, count, duration: seconds.map(Duration::from_secs) };
        assert_eq!(pace.due(Duration::from_millis(elapsed_ms), sent, 64), expected, "{pace:?}");
    }

    #[test]
    fn a_sender_without_a_rate_sends_full_groups() {
        check((None, None, None), 0, 0, Due::Frames(64));
        check((None, None, None), 5, 1 << 40, Due::Frames(64));
    }

    #[test]
    fn count_and_duration_end_it() {
        check((None, Some(100), None), 0, 64, Due::Frames(36));
        check((None, Some(100), None), 0, 100, Due::Finished);
        check((None, None, Some(2)), 1999, 0, Due::Frames(64));
        check((None, None, Some(2)), 2000, 0, Due::Finished);
        check((Some(10), Some(100), Some(2)), 2000, 1, Due::Finished);
    }

    #[test]
    fn a_group_goes_when_its_last_frame_is_due() {
        check((Some(1000), None, None), 0, 0, Due::Wait(Duration::from_millis(20)));
        check((Some(1000), None, None), 60, 0, Due::Wait(Duration::from_millis(3)));
        check((Some(1000), None, None), 63, 0, Due::Frames(64));
        check((Some(1000), None, None), 63, 64, Due::Wait(Duration::from_millis(20)));
        check((Some(1000), None, None), 500, 64, Due::Frames(64));
        check((Some(1000), Some(70), None), 65, 64, Due::Wait(Duration::from_millis(4)));
        check((Some(1000), Some(70), None), 69, 64, Due::Frames(6));
    }

    #[test]
    fn the_first_frame_goes_at_once() {
        let pace = Pace { rate: Some(1), count: None, duration: None };
        assert_eq!(pace.due(Duration::ZERO, 0, 1), Due::Frames(1));
        assert_eq!(pace.due(Duration::from_millis(990), 1, 1), Due::Wait(Duration::from_millis(10)));
        assert_eq!(pace.due(Duration::from_secs(1), 1, 1), Due::Frames(1));
    }
}
