//! Bounded byte rings that take records from one worker to the logger.
//!
//! Each worker has two, evidence apart from flows, so that a flood of cheap records never
//! displaces an alert. A record is moved as one chunk of bytes: the reader sees all of it or
//! nothing. Neither side makes a system call on the way, but for a lossless producer that finds
//! its ring full, and for one that has the first record for a reader that has gone to sleep for long.

use crate::alarm::Alarm;
use crate::record::{Class, MAX_RECORD, Record};
use rtrb::RingBuffer;
use std::sync::Arc;
use std::time::Duration;

/// How often a lossless producer looks again before it sleeps.
const SPINS: u32 = 64;

/// How long a lossless producer sleeps between looks: short against the time that a full ring
/// takes to drain.
const NAP: Duration = Duration::from_micros(100);

/// What a producer does when its ring is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingMode {
    /// Refuse the record and count it: packets do not wait for a disk.
    Live,
    /// Wait for room, as long as there is a reader: for replay, and while shutting down.
    Lossless,
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The ring has no room for it.
    #[error("the ring is full")]
    Full,
    /// Nobody reads the ring any more.
    #[error("the ring's reader is gone")]
    Gone,
}

/// What became of the records of a ring, since it was made. Every record is counted once in
/// `pushed` or in `refused`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounts {
    /// Taken.
    pub pushed: u64,
    /// Refused.
    pub refused: u64,
    /// Taken, but cut to fit the bound of a record.
    pub truncated: u64,
}

/// A ring of at least `capacity` bytes; never less than one record needs.
#[must_use]
pub fn ring(capacity: usize, mode: RingMode) -> (RecordProducer, RecordConsumer) {
    let (producer, consumer) = RingBuffer::new(capacity.max(MAX_RECORD));
    let scratch = Vec::with_capacity(MAX_RECORD);
    let alarm = Arc::new(Alarm::default());
    let reader = RecordConsumer { bytes: consumer, alarm: Arc::clone(&alarm) };
    (RecordProducer { bytes: producer, scratch, mode, counts: RingCounts::default(), alarm }, reader)
}

/// The two rings of a worker, of at least these many bytes each.
#[must_use]
pub fn rings(evidence: usize, flow: usize, mode: RingMode) -> (Reporter, [RecordConsumer; 2]) {
    let (evidence, evidence_records) = ring(evidence, mode);
    let (flow, flow_records) = ring(flow, mode);
    (Reporter { evidence, flow }, [evidence_records, flow_records])
}

/// What a worker reports through: its two rings.
#[derive(Debug)]
pub struct Reporter {
    evidence: RecordProducer,
    flow: RecordProducer,
}

impl Reporter {
    /// Hands over a record, through the ring of its class.
    ///
    /// # Errors
    /// The record was refused, and counted.
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), Refused> {
        match record.class() {
            Class::Evidence => self.evidence.push(record),
            Class::Flow => self.flow.push(record),
        }
    }

    /// What became of the records of a class.
    #[must_use]
    pub const fn counts(&self, class: Class) -> RingCounts {
        match class {
            Class::Evidence => self.evidence.counts,
            Class::Flow => self.flow.counts,
        }
    }

    /// Changes what happens when a ring is full: at shutdown, losing nothing comes first.
    pub fn set_mode(&mut self, mode: RingMode) {
        self.evidence.mode = mode;
        self.flow.mode = mode;
    }
}

/// The writing end of a ring.
#[derive(Debug)]
pub struct RecordProducer {
    bytes: rtrb::Producer<u8>,
    /// Holds one encoded record; allocated once.
    scratch: Vec<u8>,
    mode: RingMode,
    counts: RingCounts,
    alarm: Arc<Alarm>,
}

impl RecordProducer {
    /// Hands over a record.
    ///
    /// # Errors
    /// The record was refused, and counted.
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), Refused> {
        self.scratch.clear();
        let truncated = record.encode(&mut self.scratch);
        let result = match self.mode {
            RingMode::Live => self.try_push(),
            RingMode::Lossless => self.wait_and_push(),
        };
        match result {
            Ok(()) => {
                self.counts.pushed += 1;
                self.counts.truncated += u64::from(truncated);
                self.alarm.ring();
            }
            Err(_) => self.counts.refused += 1,
        }
        result
    }

    /// What became of the records so far.
    #[must_use]
    pub const fn counts(&self) -> RingCounts {
        self.counts
    }

    fn try_push(&mut self) -> Result<(), Refused> {
        // A reader that is gone leaves room behind that nobody will ever read.
        if self.bytes.is_abandoned() {
            return Err(Refused::Gone);
        }
        self.bytes.push_entire_slice(&self.scratch).map_err(|_| Refused::Full)
    }

    fn wait_and_push(&mut self) -> Result<(), Refused> {
        let mut looks = 0;
        loop {
            match self.try_push() {
                Err(Refused::Full) if looks < SPINS => std::hint::spin_loop(),
                Err(Refused::Full) => std::thread::sleep(NAP),
                other => return other,
            }
            looks += 1;
        }
    }
}

/// The reading end of a ring.
#[derive(Debug)]
pub struct RecordConsumer {
    bytes: rtrb::Consumer<u8>,
    alarm: Arc<Alarm>,
}

impl RecordConsumer {
    /// Takes the oldest record's bytes into `record`, replacing what is there; `false`, and
    /// `record` empty, when there is none. They are what [`Record::decode`] reads.
    pub fn pop(&mut self, record: &mut Vec<u8>) -> bool {
        record.clear();
        let Some(length) = self.next_length() else { return false };
        record.resize(length, 0);
        self.bytes.pop_entire_slice(record).is_ok()
    }

    /// Has the next record unpark this thread, which is about to sleep for long; what is in the ring already has not. The
    /// thread has to be the same each time. A record of this very moment may unpark nobody.
    pub fn set_alarm(&self) {
        self.alarm.set();
    }

    /// Ends that: the thread is awake.
    pub fn unset_alarm(&self) {
        self.alarm.unset();
    }

    /// Is there nothing to be read now?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes up to `limit` records, the oldest first, and tells their number. Each is lent where it lies in the ring; one
    /// that lies at its end and its beginning is put together in `scratch`. Their room is given back all at once.
    pub fn drain(&mut self, limit: usize, scratch: &mut Vec<u8>, mut take: impl FnMut(&[u8])) -> usize {
        let Ok(chunk) = self.bytes.read_chunk(self.bytes.slots()) else { return 0 };
        let (front, back) = chunk.as_slices();
        let (mut place, mut taken) = (0_usize, 0);
        while taken < limit {
            let (front, back) = match place.checked_sub(front.len()) {
                None => (front.get(place..).unwrap_or_default(), back),
                Some(place) => (back.get(place..).unwrap_or_default(), &[][..]),
            };
            let Some(length) = record_length(front, back) else { break };
            if let Some(record) = front.get(..length) {
                take(record);
            } else if let Some(rest) = back.get(..length - front.len()) {
                scratch.clear();
                scratch.extend_from_slice(front);
                scratch.extend_from_slice(rest);
                take(scratch);
            } else {
                break;
            }
            place += length;
            taken += 1;
        }
        chunk.commit(place);
        taken
    }

    /// Is the producer gone, and everything read?
    #[must_use]
    pub fn is_finished(&self) -> bool {
        nothing_will_come(|| self.bytes.is_abandoned(), || self.bytes.is_empty())
    }

    /// Length of the oldest record, prefix included.
    fn next_length(&mut self) -> Option<usize> {
        // Never committed: the prefix stays in the ring and is taken with the record.
        let chunk = self.bytes.read_chunk(PREFIX).ok()?;
        let (front, back) = chunk.as_slices();
        record_length(front, back)
    }
}

/// Length of the record that begins in `front` and may go on in `back`, prefix included.
fn record_length(front: &[u8], back: &[u8]) -> Option<usize> {
    let prefix = match front.first_chunk() {
        Some(prefix) => *prefix,
        None => {
            let mut bytes = front.iter().chain(back);
            let mut prefix = [0; PREFIX];
            for byte in &mut prefix {
                *byte = *bytes.next()?;
            }
            prefix
        }
    };
    usize::try_from(u32::from_le_bytes(prefix)).ok().map(|length| length + PREFIX)
}

/// In this order: what the producer wrote before it went is seen by the second look.
fn nothing_will_come(is_abandoned: impl FnOnce() -> bool, is_empty: impl FnOnce() -> bool) -> bool {
    is_abandoned() && is_empty()
}

/// Bytes of the length before each record.
const PREFIX: usize = size_of::<u32>();

#[cfg(test)]
mod tests {
    use super::nothing_will_come;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// In every order in which the two may meet: a reader that is told that nothing will come has read all.
    /// The ring is rtrb's; what it publishes with stands for it.
    #[test]
    fn a_reader_does_not_end_before_the_last_record() {
        loom::model(|| {
            let ring = Arc::new((AtomicUsize::new(0), AtomicBool::new(false)));
            let theirs = Arc::clone(&ring);
            let producer = loom::thread::spawn(move || {
                theirs.0.fetch_add(1, Ordering::Release);
                theirs.0.fetch_add(1, Ordering::Release);
                theirs.1.store(true, Ordering::Release);
            });
            let mut read = 0;
            for _ in 0..3 {
                let is_gone = || ring.1.load(Ordering::Acquire);
                if nothing_will_come(is_gone, || ring.0.load(Ordering::Acquire) == read) {
                    assert_eq!(read, 2);
                }
                read = ring.0.load(Ordering::Acquire);
            }
            producer.join().unwrap();
        });
    }
}
