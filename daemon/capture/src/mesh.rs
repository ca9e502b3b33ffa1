//! What the workers of a live module share: rings between each two of them, and the state of ending.
//!
//! Whatever goes through a ring is owned: it is moved in, moved out, and dropped with the ring. Nobody waits: what
//! finds no room, or a worker that is gone, is given back. Bells are the modules' own.

use rtrb::{Consumer, Producer, PushError, RingBuffer};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One worker's ends of rings to and from each other worker.
#[derive(Debug)]
pub struct Ends<T> {
    /// To the others, by worker; none to itself.
    to: Vec<Option<Producer<T>>>,
    /// From the others.
    from: Vec<Consumer<T>>,
    /// Whom something was given since that was asked last.
    given: Vec<bool>,
}

impl<T> Ends<T> {
    /// Connects each worker with each other one, by rings of so many entries; the ends by worker.
    #[must_use]
    pub fn mesh(workers: usize, entries: usize) -> Vec<Self> {
        let empty = |_| Self { to: Vec::new(), from: Vec::new(), given: vec![false; workers] };
        let mut all: Vec<Self> = (0..workers).map(empty).collect();
        for from in 0..workers {
            for to in 0..workers {
                let mut end = None;
                if from != to {
                    let (producer, consumer) = RingBuffer::new(entries);
                    end = Some(producer);
                    if let Some(target) = all.get_mut(to) {
                        target.from.push(consumer);
                    }
                }
                if let Some(source) = all.get_mut(from) {
                    source.to.push(end);
                }
            }
        }
        all
    }

    /// Is there room at another worker that has not dropped its ends?
    #[must_use]
    pub fn has_room(&self, worker: usize) -> bool {
        let ring = self.to.get(worker).and_then(Option::as_ref);
        ring.is_some_and(|ring| !ring.is_full() && !ring.is_abandoned())
    }

    /// Gives something to another worker.
    ///
    /// # Errors
    /// It comes back where there is no such worker, or no room at it.
    pub fn give(&mut self, worker: usize, value: T) -> Result<(), T> {
        let Some(Some(ring)) = self.to.get_mut(worker) else { return Err(value) };
        if ring.is_abandoned() {
            return Err(value);
        }
        ring.push(value).map_err(|PushError::Full(value)| value)?;
        if let Some(flag) = self.given.get_mut(worker) {
            *flag = true;
        }
        Ok(())
    }

    /// Takes at most `limit` of what others gave, some of each; the next time begins with another one.
    pub fn take(&mut self, limit: usize, mut each: impl FnMut(T)) {
        let mut left = limit;
        for ring in &mut self.from {
            while left > 0
                && let Ok(value) = ring.pop()
            {
                each(value);
                left -= 1;
            }
        }
        if self.from.len() > 1 {
            self.from.rotate_left(1);
        }
    }

    /// Takes all that is there now.
    pub fn take_all(&mut self, mut each: impl FnMut(T)) {
        for ring in &mut self.from {
            let Ok(values) = ring.read_chunk(ring.slots()) else { continue };
            values.into_iter().for_each(&mut each);
        }
    }

    /// How much waits to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.from.iter().map(Consumer::slots).sum()
    }

    /// Does anything wait to be taken?
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.from.iter().any(|ring| !ring.is_empty())
    }

    /// Whom something was given since this was asked last, to ring their bells.
    pub fn take_given(&mut self) -> impl Iterator<Item = bool> {
        self.given.iter_mut().map(std::mem::take)
    }
}

/// How far the workers of a set have come on their way to the end.
#[derive(Debug)]
pub struct Ending {
    begun: AtomicBool,
    quiet: Vec<AtomicBool>,
    ended: Vec<AtomicBool>,
}

impl Ending {
    /// Of so many workers, none of which has begun.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let flags = || (0..workers).map(|_| AtomicBool::new(false)).collect();
        Self { begun: AtomicBool::new(false), quiet: flags(), ended: flags() }
    }

    /// Begins it; workers that sleep are to be woken.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Has it begun?
    #[inline]
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Says whether a worker has had nothing to do for a while.
    fn set_quiet(&self, worker: usize, quiet: bool) {
        if let Some(flag) = self.quiet.get(worker) {
            flag.store(quiet, Ordering::Release);
        }
    }

    /// Is every worker without work, or at its end? Then no ring between them will be written any more.
    fn all_quiet(&self) -> bool {
        self.quiet.iter().all(|flag| flag.load(Ordering::Acquire))
    }

    /// Says that a worker has ended.
    pub fn set_ended(&self, worker: usize) {
        self.set_quiet(worker, true);
        if let Some(flag) = self.ended.get(worker) {
            flag.store(true, Ordering::Release);
        }
    }

    /// Has a worker ended, or is there none of this number?
    #[inline]
    #[must_use]
    pub fn has_ended(&self, worker: usize) -> bool {
        self.ended.get(worker).is_none_or(|flag| flag.load(Ordering::Acquire))
    }
}

/// A worker without packets for so long has none on their way to it any more, from the others or from the kernel: an
/// entry of the socket map that was deleted may still be in use for the rest of one round of a driver's receive loop.
const QUIET: Duration = Duration::from_millis(5);

/// One worker's way to the end.
#[derive(Debug, Default)]
pub struct Farewell {
    quiet_since: Option<Instant>,
}

impl Farewell {
    /// After a poll that brought `count` packets: is every worker quiet, so that this one may end?
    pub fn may_end(&mut self, ending: &Ending, worker: usize, count: usize) -> bool {
        if count > 0 {
            self.quiet_since = None;
            ending.set_quiet(worker, false);
            return false;
        }
        let now = Instant::now();
        if now.duration_since(*self.quiet_since.get_or_insert(now)) < QUIET {
            return false;
        }
        ending.set_quiet(worker, true);
        ending.all_quiet()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn everything_given_is_taken_once_and_in_order() {
        let mut all = Ends::mesh(3, 8);
        for number in 0..4 {
            all[0].give(2, (0, number)).unwrap();
            all[1].give(2, (1, number)).unwrap();
        }
        assert_eq!(all[0].take_given().collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(all[0].take_given().collect::<Vec<_>>(), [false; 3]);
        assert!(all[2].has_waiting() && all[2].waiting() == 8 && !all[1].has_waiting());
        let mut taken = Vec::new();
        // Each time another one is first.
        all[2].take(3, |value| taken.push(value));
        all[2].take(3, |value| taken.push(value));
        all[2].take_all(|value| taken.push(value));
        assert_eq!(taken, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]);
    }

    #[test]
    fn what_cannot_be_given_comes_back() {
        let mut all = Ends::mesh(2, 2);
        assert_eq!(all[0].give(0, 7), Err(7), "not to itself");
        assert_eq!(all[0].give(2, 7), Err(7), "nobody");
        all[0].give(1, 1).unwrap();
        assert!(all[0].has_room(1));
        all[0].give(1, 2).unwrap();
        assert!(!all[0].has_room(1));
        assert_eq!(all[0].give(1, 7), Err(7), "no room");
        all[1].take(1, drop);
        all[0].give(1, 3).unwrap();
        drop(all.pop());
        assert_eq!(all[0].give(1, 7), Err(7), "gone");
        assert!(!all[0].has_room(1));
    }

    #[test]
    fn what_nobody_takes_is_dropped_with_the_rings() {
        let value = Arc::new(());
        let mut all = Ends::mesh(2, 4);
        all[0].give(1, Arc::clone(&value)).unwrap();
        assert_eq!(Arc::strong_count(&value), 2);
        drop(all);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn nobody_ends_while_another_has_work() {
        let ending = Ending::new(2);
        let mut farewells = [Farewell::default(), Farewell::default()];
        assert!(!ending.has_begun());
        ending.begin();
        assert!(ending.has_begun());
        let wait = || std::thread::sleep(2 * QUIET);
        assert!(!farewells[0].may_end(&ending, 0, 0), "it was not quiet for long");
        wait();
        assert!(!farewells[0].may_end(&ending, 0, 0), "the other one is not quiet");
        assert!(!farewells[1].may_end(&ending, 1, 0));
        wait();
        assert!(!farewells[0].may_end(&ending, 0, 1), "here is a packet");
        assert!(!farewells[1].may_end(&ending, 1, 0));
        assert!(!farewells[0].may_end(&ending, 0, 0));
        wait();
        assert!(farewells[0].may_end(&ending, 0, 0) && farewells[1].may_end(&ending, 1, 0));
        assert!(!ending.has_ended(0) && ending.has_ended(2));
        ending.set_ended(0);
        assert!(ending.has_ended(0) && ending.all_quiet());
    }
}
