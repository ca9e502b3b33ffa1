//! Harm that is done on purpose, and counted: which frames, is decided by counting them.

use portcullis_trial::Forwarded;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Ethernet, IPv4 without options, UDP or TCP.
const HEADERS: usize = 42;

/// What is done to IPv4 frames with UDP or TCP; each direction is counted by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub(super) struct Faults {
    /// With `faulty`: lose each so-and-so-many-th frame.
    #[arg(long, default_value_t = 0)]
    lose: u64,
    /// With `faulty`: hold each frame for so many microseconds at least.
    #[arg(long, default_value_t = 0)]
    delay_us: u64,
    /// With `faulty`: send each so-and-so-many-th frame after the one that follows it.
    #[arg(long, default_value_t = 0)]
    swap: u64,
    /// With `faulty`: send each so-and-so-many-th frame twice.
    #[arg(long, default_value_t = 0)]
    double: u64,
    /// With `faulty`: change the last byte of each so-and-so-many-th frame.
    #[arg(long, default_value_t = 0)]
    corrupt: u64,
}

impl Faults {
    /// Is no harm wanted?
    pub(super) fn are_none(self) -> bool {
        self == Self::default()
    }
}

/// Does the harm in one direction.
#[derive(Debug)]
pub(super) struct Harm {
    faults: Faults,
    /// Frames that can be harmed, so far.
    count: u64,
    /// To be sent after the next one.
    held: Option<(Instant, Vec<u8>)>,
    /// To be sent, in order, with the time before which they may not.
    waiting: VecDeque<(Instant, Vec<u8>)>,
    pub(super) done: Forwarded,
}

impl Harm {
    pub(super) const fn new(faults: Faults, done: Forwarded) -> Self {
        Self { faults, count: 0, held: None, waiting: VecDeque::new(), done }
    }

    /// A frame arrived.
    pub(super) fn take(&mut self, mut frame: Vec<u8>, now: Instant) {
        self.done.received += 1;
        let due = now + Duration::from_micros(self.faults.delay_us);
        if !can_be_harmed(&frame) {
            self.waiting.push_back((due, frame));
            return;
        }
        self.count += 1;
        let is_turn = |each: u64| each > 0 && self.count.is_multiple_of(each);
        if is_turn(self.faults.lose) {
            self.done.lost += 1;
            return;
        }
        if is_turn(self.faults.corrupt)
            && let Some(last) = frame.last_mut()
        {
            *last ^= 0x55;
            self.done.corrupted += 1;
        }
        // One is enough to be held.
        if is_turn(self.faults.swap) && self.held.is_none() {
            self.held = Some((due, frame));
            return;
        }
        if is_turn(self.faults.double) {
            self.waiting.push_back((due, frame.clone()));
            self.done.doubled += 1;
        }
        self.waiting.push_back((due, frame));
        if let Some((_, frame)) = self.held.take() {
            self.waiting.push_back((due, frame));
            self.done.swapped += 1;
        }
    }

    /// Nothing arrived for a while: what waits for a next frame to be sent after waits in vain.
    pub(super) fn let_go(&mut self) {
        self.waiting.extend(self.held.take());
    }

    /// The next frame that may be sent by now; counted as sent.
    pub(super) fn next(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (due, _) = self.waiting.front()?;
        if *due > now {
            return None;
        }
        let (_, frame) = self.waiting.pop_front()?;
        self.done.forwarded += 1;
        Some(frame)
    }

    /// When a frame may be sent next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }
}

fn can_be_harmed(frame: &[u8]) -> bool {
    frame.len() > HEADERS && frame[12..14] == [8, 0] && matches!(frame[23], 6 | 17)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::nothing;
    use portcullis_trial::How;

    fn frame(number: u8) -> Vec<u8> {
        let mut frame = vec![0; 60];
        frame[12] = 8;
        frame[23] = 17;
        frame[50] = number;
        frame
    }

    /// What is sent of frames 1 to `count`.
    fn sent(faults: Faults, count: u8) -> (Vec<u8>, Forwarded) {
        let now = Instant::now();
        let mut harm = Harm::new(faults, nothing(How::Faulty));
        (1..=count).for_each(|number| harm.take(frame(number), now));
        harm.let_go();
        let later = now + Duration::from_secs(1);
        let sent = std::iter::from_fn(|| harm.next(later)).map(|frame| frame[50]).collect();
        (sent, harm.done)
    }

    #[test]
    fn harm_is_done_by_count() {
        let none = Faults::default();
        assert_eq!(sent(none, 4).0, [1, 2, 3, 4]);
        let (frames, done) = sent(Faults { lose: 3, ..none }, 7);
        assert_eq!((frames, done.lost), (vec![1, 2, 4, 5, 7], 2));
        let (frames, done) = sent(Faults { double: 2, ..none }, 5);
        assert_eq!((frames, done.doubled, done.forwarded), (vec![1, 2, 2, 3, 4, 4, 5], 2, 7));
        let (frames, done) = sent(Faults { swap: 2, ..none }, 6);
        assert_eq!((frames, done.swapped), (vec![1, 3, 2, 5, 4, 6], 2));
    }

    #[test]
    fn what_is_delayed_waits() {
        let now = Instant::now();
        let mut harm = Harm::new(Faults { delay_us: 100, ..Faults::default() }, nothing(How::Faulty));
        harm.take(frame(1), now);
        assert_eq!(harm.next(now + Duration::from_micros(99)), None);
        assert_eq!(harm.due(), Some(now + Duration::from_micros(100)));
        assert_eq!(harm.next(now + Duration::from_micros(100)), Some(frame(1)));
    }

    #[test]
    fn what_is_no_load_comes_through() {
        let now = Instant::now();
        let mut harm = Harm::new(Faults { lose: 1, ..Faults::default() }, nothing(How::Faulty));
        harm.take(vec![0; 60], now);
        assert_eq!((harm.next(now), harm.done.lost), (Some(vec![0; 60]), 0));
    }
}
