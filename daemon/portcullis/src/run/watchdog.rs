//! When a gate hangs for good: a worker that does not look at its queues any more, or a gate that does not talk to its
//! warden. The fail policy has long been acting; here it is decided that waiting is no use.

use std::time::{Duration, Instant};

/// Looks within the limit.
const LOOKS: u32 = 4;

/// Looks at the only gate that judges.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    next: Option<Instant>,
    /// Was it silent at the last look?
    silent: bool,
}

/// For how long nothing has been heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silence {
    /// Of the worker that has been silent longest; `None` where that cannot be told.
    pub(crate) worker: Option<Duration>,
    /// Of the gate itself.
    pub(crate) gate: Duration,
}

impl Watchdog {
    /// When to look again, if there is a limit.
    pub(crate) fn due(&self, limit: Duration) -> Option<Instant> {
        (!limit.is_zero()).then_some(self.next).flatten()
    }

    /// A gate judges from now on: nothing that was is held against it.
    pub(crate) fn begin(&mut self, now: Instant, limit: Duration) {
        *self = Self { next: Some(now + limit / LOOKS), silent: false };
    }

    /// Nobody judges whom silence could be held against.
    pub(crate) fn rest(&mut self) {
        *self = Self::default();
    }

    /// Looks, if it is time; why the gate is to be killed, if it is. At two looks in a row it must have been silent for
    /// too long: after the whole machine stood still everybody gets the time to say something.
    pub(crate) fn look(&mut self, now: Instant, limit: Duration, silence: Silence) -> Option<String> {
        if self.due(limit).is_none_or(|due| now < due) {
            return None;
        }
        self.next = Some(now + limit / LOOKS);
        let told = |who: &str, time: Duration| format!("{who} for {} s", time.as_secs());
        let reason = match silence {
            Silence { worker: Some(worker), .. } if worker > limit => {
                told("a worker has not looked at its queues", worker)
            }
            Silence { gate, .. } if gate > limit => told("it has not said anything", gate),
            _ => {
                self.silent = false;
                return None;
            }
        };
        std::mem::replace(&mut self.silent, true).then_some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(8);
    const SECOND: Duration = Duration::from_secs(1);

    fn silence(worker: u64, gate: u64) -> Silence {
        Silence { worker: Some(SECOND * u32::try_from(worker).unwrap()), gate: Duration::from_secs(gate) }
    }

    #[test]
    fn only_who_is_silent_at_two_looks_in_a_row_is_killed() {
        let start = Instant::now();
        let mut dog = Watchdog::default();
        assert!(
            dog.due(LIMIT).is_none() && dog.look(start, LIMIT, silence(99, 99)).is_none(),
            "nobody judges"
        );
        dog.begin(start, LIMIT);
        assert_eq!(dog.due(LIMIT), Some(start + SECOND * 2));
        let mut at = start;
        let mut look = |silence| {
            at += SECOND * 2;
            dog.look(at, LIMIT, silence)
        };
        assert_eq!(look(silence(1, 1)), None);
        assert_eq!(look(silence(9, 1)), None, "once");
        assert_eq!(look(silence(0, 1)), None, "it is back");
        assert_eq!(look(silence(9, 1)), None);
        assert!(look(silence(11, 1)).unwrap().contains("queues for 11 s"));
        assert_eq!(look(silence(0, 0)), None);
        assert_eq!(look(silence(0, 10)), None);
        assert!(look(silence(0, 12)).unwrap().contains("said anything for 12 s"));
    }

    #[test]
    fn it_looks_when_it_is_time_and_not_at_all_without_a_limit() {
        let start = Instant::now();
        let mut dog = Watchdog::default();
        dog.begin(start, LIMIT);
        assert_eq!(dog.look(start + SECOND, LIMIT, silence(99, 99)), None);
        assert_eq!(dog.look(start + SECOND * 2, LIMIT, silence(99, 99)), None);
        assert_eq!(dog.look(start + SECOND * 3, LIMIT, silence(99, 99)), None, "not yet again");
        assert!(dog.look(start + SECOND * 4, LIMIT, silence(99, 99)).is_some());
        dog.begin(start, Duration::ZERO);
        assert!(dog.due(Duration::ZERO).is_none());
        assert_eq!(dog.look(start + SECOND * 9, Duration::ZERO, silence(99, 99)), None);
    }
}
