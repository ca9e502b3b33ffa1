//! The thread that empties the workers' rings, formats what it finds and writes it.
//!
//! Evidence comes first: flow records are taken a few at a time, and before each such round the
//! evidence rings are emptied. Nothing that a sink does ends the thread.

use crate::formatter::Formatter;
use crate::sink::Sink;
use portcullis_event::{Class, Record, RecordConsumer};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Most records that are taken from one ring before the next one has its turn.
const EVIDENCE_ROUND: usize = 512;
const FLOW_ROUND: usize = 128;

/// Longest time that a written line waits in a sink's buffer while more keep coming.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Sleep while there is nothing to do: first short, for traffic comes in bursts, then doubled up
/// to the longest. Until then producers never wake us, for that would be a system call on their side.
const SHORTEST_NAP: Duration = Duration::from_micros(200);
const LONGEST_NAP: Duration = Duration::from_millis(10);

/// Where nothing came for all those naps the next record wakes us: one that is not heard waits so long at most.
const SLEEP: Duration = Duration::from_millis(500);

/// What the logger did since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Lines of alerts and drops that every sink took.
    pub evidence_lines: u64,
    /// Lines of flows, netflows and statistics that every sink took.
    pub flow_lines: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Records that the options leave out.
    pub skipped: u64,
    /// Lines that a sink did not take.
    pub lost: u64,
    /// Failed calls of a sink, for whatever it was called.
    pub errors: u64,
    /// Records that could not be read back: none, unless memory is broken.
    pub unreadable: u64,
}

/// Why the logger did not end well.
#[derive(Debug, thiserror::Error)]
pub enum LoggerError {
    /// The last lines could not be written.
    #[error("the last lines of the log could not be written: {0}")]
    Unwritten(#[source] io::Error),
    /// The thread panicked.
    #[error("the logger thread panicked")]
    Panicked,
}

/// The logger thread; its inside runs where [`spawn`](Self::spawn) put it.
#[derive(Debug)]
pub struct LoggerThread {
    evidence: Vec<RecordConsumer>,
    flow: Vec<RecordConsumer>,
    output: Output,
}

impl LoggerThread {
    /// Starts the thread. `evidence` and `flow` are the reading ends of the workers' rings (and
    /// `flow` of the one that statistics come through); each line goes to every sink.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn spawn(
        evidence: Vec<RecordConsumer>,
        flow: Vec<RecordConsumer>,
        formatter: Formatter,
        sinks: Vec<Box<dyn Sink>>,
    ) -> io::Result<LoggerHandle> {
        let shared = Arc::new(Shared::default());
        let output = Output {
            formatter,
            sinks,
            shared: Arc::clone(&shared),
            line: Vec::with_capacity(LINE),
            counts: LogCounts::default(),
        };
        let logger = Self { evidence, flow, output };
        let thread = thread::Builder::new().name("logger".to_owned()).spawn(move || logger.run())?;
        Ok(LoggerHandle { shared, thread: Some(thread) })
    }

    fn run(mut self) -> Result<LogCounts, LoggerError> {
        let mut torn = Vec::with_capacity(portcullis_event::MAX_RECORD);
        let mut nap = SHORTEST_NAP;
        let mut flushed_at = Instant::now();
        let mut flushed = Ok(());
        loop {
            if self.output.shared.reopen.swap(false, Ordering::AcqRel) {
                self.output.reopen();
            }
            // Looked up first: what was pushed before the last producer went is then seen below.
            let ending = self.is_ending();
            let taken = self.take_round(&mut torn);
            let idle = taken == 0;
            if idle || flushed_at.elapsed() >= FLUSH_EVERY {
                flushed = self.output.flush();
                flushed_at = Instant::now();
            }
            self.output.publish();
            if !idle {
                nap = SHORTEST_NAP;
            } else if ending {
                break;
            } else {
                self.sleep(nap);
                nap = (nap * 2).min(LONGEST_NAP);
            }
        }
        flushed.map_err(LoggerError::Unwritten)?;
        Ok(self.output.counts)
    }

    /// A nap, or after the longest one until somebody has something to write. Whose end is being waited for tells nobody of it.
    fn sleep(&self, nap: Duration) {
        if nap < LONGEST_NAP || self.output.shared.closed.load(Ordering::Acquire) {
            return thread::park_timeout(nap);
        }
        let rings = || self.evidence.iter().chain(&self.flow);
        rings().for_each(RecordConsumer::set_alarm);
        if rings().all(RecordConsumer::is_empty) {
            thread::park_timeout(SLEEP);
        }
        rings().for_each(RecordConsumer::unset_alarm);
    }

    /// Told to end, and no producer left?
    fn is_ending(&self) -> bool {
        let mut rings = self.evidence.iter().chain(&self.flow);
        self.output.shared.closed.load(Ordering::Acquire) && rings.all(RecordConsumer::is_finished)
    }

    /// Takes what evidence there is and some of the flow records; tells how many. Those that are in two parts in their ring
    /// are put together in `torn`.
    fn take_round(&mut self, torn: &mut Vec<u8>) -> usize {
        let mut taken = 0;
        for ring in &mut self.evidence {
            taken += ring.drain(EVIDENCE_ROUND, torn, |bytes| self.output.write(bytes));
        }
        for ring in &mut self.flow {
            taken += ring.drain(FLOW_ROUND, torn, |bytes| self.output.write(bytes));
        }
        taken
    }
}

/// What other threads hold of the logger.
#[derive(Debug)]
pub struct LoggerHandle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<LogCounts, LoggerError>>>,
}

impl LoggerHandle {
    /// Has every sink start afresh, soon: for a log file that was moved away.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// Has the thread end once every producer is dropped and everything is written.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.wake();
    }

    /// What was done up to a moment ago.
    #[must_use]
    pub fn counts(&self) -> LogCounts {
        self.shared.counts()
    }

    /// What a sink complained of last.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.shared.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// [Closes](Self::close) the logger and waits for its end: drop every producer before.
    ///
    /// # Errors
    /// The last lines could not be written, or the thread panicked.
    pub fn finish(mut self) -> Result<LogCounts, LoggerError> {
        self.close();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(LoggerError::Panicked),
            None => Ok(self.counts()),
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for LoggerHandle {
    /// Closes the logger without waiting for it.
    fn drop(&mut self) {
        self.close();
    }
}

/// Room for an ordinary line; the buffer grows once for a longer one.
const LINE: usize = 8 * 1024;

struct Output {
    formatter: Formatter,
    sinks: Vec<Box<dyn Sink>>,
    shared: Arc<Shared>,
    line: Vec<u8>,
    counts: LogCounts,
}

impl Output {
    fn write(&mut self, bytes: &[u8]) {
        let Ok(record) = Record::decode(bytes) else {
            self.counts.unreadable += 1;
            return;
        };
        self.line.clear();
        if !self.formatter.format(&record, &mut self.line) {
            self.counts.skipped += 1;
            return;
        }
        let line = &self.line;
        if each_sink(&mut self.sinks, &self.shared, &mut self.counts, |sink| sink.write_line(line)).is_err() {
            self.counts.lost += 1;
            return;
        }
        match record.class() {
            Class::Evidence => self.counts.evidence_lines += 1,
            Class::Flow => self.counts.flow_lines += 1,
        }
        self.counts.bytes += u64::try_from(self.line.len()).unwrap_or(u64::MAX);
    }

    fn flush(&mut self) -> io::Result<()> {
        each_sink(&mut self.sinks, &self.shared, &mut self.counts, |sink| sink.flush())
    }

    fn reopen(&mut self) {
        // Counted and kept as the last error; the sinks go on with what they have.
        let _counted = each_sink(&mut self.sinks, &self.shared, &mut self.counts, |sink| sink.reopen());
    }

    fn publish(&self) {
        self.shared.publish(&self.counts);
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("sinks", &self.sinks.len()).field("counts", &self.counts).finish()
    }
}

/// Does the same with every sink, whatever the others say; counts errors and returns the last.
fn each_sink(
    sinks: &mut [Box<dyn Sink>],
    shared: &Shared,
    counts: &mut LogCounts,
    mut act: impl FnMut(&mut dyn Sink) -> io::Result<()>,
) -> io::Result<()> {
    let mut result = Ok(());
    for sink in sinks {
        if let Err(error) = act(sink.as_mut()) {
            counts.errors += 1;
            *shared.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            result = Err(error);
        }
    }
    result
}

/// What the thread and its handle share.
#[derive(Debug, Default)]
struct Shared {
    closed: AtomicBool,
    reopen: AtomicBool,
    last_error: Mutex<Option<String>>,
    evidence_lines: AtomicU64,
    flow_lines: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    lost: AtomicU64,
    errors: AtomicU64,
    unreadable: AtomicU64,
}

impl Shared {
    fn publish(&self, counts: &LogCounts) {
        let LogCounts { evidence_lines, flow_lines, bytes, skipped, lost, errors, unreadable } = *counts;
        self.evidence_lines.store(evidence_lines, Ordering::Relaxed);
        self.flow_lines.store(flow_lines, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        self.skipped.store(skipped, Ordering::Relaxed);
        self.lost.store(lost, Ordering::Relaxed);
        self.errors.store(errors, Ordering::Relaxed);
        self.unreadable.store(unreadable, Ordering::Relaxed);
    }

    fn counts(&self) -> LogCounts {
        LogCounts {
            evidence_lines: self.evidence_lines.load(Ordering::Relaxed),
            flow_lines: self.flow_lines.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            unreadable: self.unreadable.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{EveOptions, EventTypes};
    use jiff::tz::TimeZone;
    use portcullis_event::StatsRecord;
    use portcullis_event::ring::{RingMode, ring};

    #[test]
    fn a_round_takes_little_of_the_flow_records() {
        let (mut producers, mut consumers) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (mut producer, consumer) = ring(4 << 20, RingMode::Live);
            for _ in 0..1000 {
                producer.push(&Record::Stats(StatsRecord::default())).unwrap();
            }
            producers.push(producer);
            consumers.push(consumer);
        }
        let options = EveOptions { types: EventTypes::NONE, ..EveOptions::default() };
        let output = Output {
            formatter: Formatter::with_time_zone(options, TimeZone::UTC),
            sinks: Vec::new(),
            shared: Arc::default(),
            line: Vec::new(),
            counts: LogCounts::default(),
        };
        let flow = consumers.split_off(1);
        let mut logger = LoggerThread { evidence: consumers, flow, output };
        assert_eq!(logger.take_round(&mut Vec::new()), EVIDENCE_ROUND + FLOW_ROUND);
        assert_eq!(logger.take_round(&mut Vec::new()), (1000 - EVIDENCE_ROUND) + FLOW_ROUND);
        assert_eq!(logger.take_round(&mut Vec::new()), FLOW_ROUND);
        assert!(!logger.is_ending());
    }
}
