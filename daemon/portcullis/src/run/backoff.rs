//! How soon another gate is started after one has died.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Deaths count for so long.
const MINUTE: Duration = Duration::from_secs(60);

/// After the second death within a minute; doubled with each further one.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(10);

/// Deaths that are remembered.
const MOST: usize = 1024;

/// The deaths of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    deaths: VecDeque<Instant>,
}

impl Backoff {
    /// A gate died; how long to wait, none for the first within a minute.
    pub(crate) fn died(&mut self, now: Instant) -> Duration {
        self.forget(now);
        if self.deaths.len() == MOST {
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
        match u32::try_from(self.deaths.len()).unwrap_or(u32::MAX) {
            0 | 1 => Duration::ZERO,
            count => FIRST.saturating_mul(1 << (count - 2).min(16)).min(LONGEST),
        }
    }

    /// Have there been more than `most` within a minute? 0: that never counts.
    pub(crate) fn exceeds(&self, most: u32) -> bool {
        most > 0 && self.deaths.len() > usize::try_from(most).unwrap_or(usize::MAX)
    }

    fn forget(&mut self, now: Instant) {
        while self.deaths.front().is_some_and(|death| now.duration_since(*death) > MINUTE) {
            self.deaths.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_replaced_at_once_and_further_ones_ever_later() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..10).map(|_| backoff.died(start).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert!(backoff.exceeds(9) && !backoff.exceeds(10) && !backoff.exceeds(0));
        assert_eq!(backoff.died(start + MINUTE * 2), Duration::ZERO, "they are forgotten");
        assert!(!backoff.exceeds(1));
        for _ in 0..5000 {
            assert!(backoff.died(start + MINUTE * 2) <= LONGEST);
        }
    }
}
