//! The logger of a running engine: the rings from the workers, the thread that empties them, the
//! file it writes. The same for replay and live.

use crate::config::Config;
use crate::exit::Failure;
use crate::settings;
use portcullis_eve::{FileSink, Formatter, LogCounts, LoggerHandle, LoggerThread, Opener, Sink};
use portcullis_event::ring::{ring, rings};
use portcullis_event::{BlindRecord, Record, RecordProducer, Reporter, RingMode, StatsRecord};
use std::path::{Path, PathBuf};

/// Bytes of a worker's ring for alerts and drops.
const EVIDENCE_RING: usize = 4 << 20;

/// Bytes of a worker's ring for flow records.
const FLOW_RING: usize = 4 << 20;

/// Bytes of the ring for statistics.
const STATS_RING: usize = 256 << 10;

/// Bytes of the ring for what lists in the kernel decided.
const LISTED_RING: usize = 256 << 10;

/// A running logger.
#[derive(Debug)]
pub struct Log {
    handle: LoggerHandle,
    stats: RecordProducer,
    /// For what lists in the kernel decided, until whoever reports that takes it.
    listed: Option<RecordProducer>,
    path: Option<PathBuf>,
    /// Errors that [`trouble`](Self::trouble) has told of.
    told: u64,
}

/// What the logger wrote.
#[derive(Clone, Debug)]
pub struct Written {
    /// What it counted.
    pub counts: LogCounts,
    /// The file; `None` where EVE is off.
    pub path: Option<PathBuf>,
}

impl Written {
    /// Lines that are in the file.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.counts.evidence_lines.saturating_add(self.counts.flow_lines)
    }
}

impl Log {
    /// Opens the log below `folder` and starts the thread. Returns what the workers report through,
    /// one each. `interfaces` are the names of the ports, by number.
    ///
    /// # Errors
    /// The file cannot be opened, or the thread not be started.
    pub fn start(
        config: &Config,
        folder: &Path,
        interfaces: Vec<String>,
        workers: usize,
        mode: RingMode,
    ) -> Result<(Self, Vec<Reporter>), Failure> {
        Self::start_over(config, folder, interfaces, workers, mode, None)
    }

    /// The same where `opener`, if given, opens the file.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_over(
        config: &Config,
        folder: &Path,
        interfaces: Vec<String>,
        workers: usize,
        mode: RingMode,
        opener: Option<Opener>,
    ) -> Result<(Self, Vec<Reporter>), Failure> {
        let path = config.eve.enabled.then(|| folder.join(&config.eve.filename));
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        if let Some(path) = &path {
            let sink = match opener {
                Some(opener) => FileSink::opened_by(path, opener),
                None => FileSink::open(path),
            };
            let sink = sink.map_err(|error| Failure::Runtime(error.to_string()))?;
            sinks.push(Box::new(sink));
        }
        let mut reporters = Vec::with_capacity(workers);
        let (mut evidence, mut flow) = (Vec::new(), Vec::new());
        for _ in 0..workers {
            let (reporter, [alerts, flows]) = rings(EVIDENCE_RING, FLOW_RING, mode);
            reporters.push(reporter);
            evidence.push(alerts);
            flow.push(flows);
        }
        let (stats, records) = ring(STATS_RING, mode);
        flow.push(records);
        let (listed, records) = ring(LISTED_RING, mode);
        evidence.push(records);
        let formatter = Formatter::new(settings::eve(&config.eve, interfaces));
        let handle = LoggerThread::spawn(evidence, flow, formatter, sinks)
            .map_err(|error| Failure::Runtime(format!("cannot start the logger: {error}")))?;
        Ok((Self { handle, stats, listed: Some(listed), path, told: 0 }, reporters))
    }

    /// What is reported through about packets that lists in the kernel decided: once. It has to be gone before
    /// [`finish`](Self::finish).
    pub fn take_listed(&mut self) -> Option<RecordProducer> {
        self.listed.take()
    }

    /// Writes the counters. Where the ring is full the next statistics will have them.
    pub fn stats(&mut self, stats: StatsRecord) {
        let _ = self.stats.push(&Record::Stats(stats));
    }

    /// Writes a blind window. Where the ring is full it is only counted.
    pub fn blind(&mut self, window: BlindRecord) {
        let _ = self.stats.push(&Record::Blind(window));
    }

    /// Lines that could not be written so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.handle.counts().lost
    }

    /// What went wrong with the file since this was asked last, if anything did.
    pub fn trouble(&mut self) -> Option<String> {
        let counts = self.handle.counts();
        if counts.errors <= self.told {
            return None;
        }
        self.told = counts.errors;
        let reason = self.handle.last_error().unwrap_or_else(|| "no reason known".to_owned());
        Some(format!("the log: {reason}; {} lines are lost so far", counts.lost))
    }

    /// Has the file opened anew, for one that was moved away.
    pub fn reopen(&self) {
        self.handle.reopen();
    }

    /// Waits until all that was reported is written. The workers' reporters must be gone.
    ///
    /// # Errors
    /// The last lines could not be written, or lines were lost on the way.
    pub fn finish(self) -> Result<Written, Failure> {
        let Self { handle, stats, listed, path, .. } = self;
        drop((stats, listed));
        handle.close();
        let complaint = handle.last_error();
        let counts = handle.finish().map_err(|error| Failure::Runtime(error.to_string()))?;
        if counts.lost > 0 {
            let reason = complaint.unwrap_or_else(|| "no reason known".to_owned());
            let message = format!("{} lines of the log could not be written: {reason}", counts.lost);
            return Err(Failure::Runtime(message));
        }
        Ok(Written { counts, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inline, Sources, parse};
    use portcullis_event::Counters;
    use std::time::{Duration, Instant};

    fn config(overrides: &[&str]) -> Config {
        let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
        parse(Sources { overrides, ..Sources::default() }, Inline::No).unwrap().config
    }

    fn stats(packets: u64) -> StatsRecord {
        let counters = Counters { decoder_pkts: packets, ..Counters::default() };
        StatsRecord { counters: Box::new(counters), ..StatsRecord::default() }
    }

    #[test]
    fn what_is_reported_is_in_the_file_when_the_log_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        let (mut log, reporters) =
            Log::start(&config(&[]), &deep, Vec::new(), 3, RingMode::Lossless).unwrap();
        assert_eq!(reporters.len(), 3);
        drop(reporters);
        log.stats(stats(7));
        let written = log.finish().unwrap();
        assert_eq!(written.lines(), 1);
        assert_eq!(written.path, Some(deep.join("eve.json")));
        let text = std::fs::read_to_string(deep.join("eve.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(record["stats"]["decoder"]["pkts"], 7);
    }

    #[test]
    fn without_eve_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&["outputs.eve-log.enabled=no"]);
        let (mut log, reporters) =
            Log::start(&config, folder.path(), Vec::new(), 1, RingMode::Lossless).unwrap();
        drop(reporters);
        log.stats(stats(7));
        assert_eq!(log.finish().unwrap().path, None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let result = Log::start(&config(&[]), &folder.path().join("file"), Vec::new(), 1, RingMode::Live);
        assert!(matches!(result, Err(Failure::Runtime(_))));
    }

    #[test]
    fn trouble_is_told_while_it_lasts_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _reporters) =
            Log::start(&config(&[]), folder.path(), Vec::new(), 1, RingMode::Live).unwrap();
        assert_eq!(log.trouble(), None);
        let path = folder.path().join("eve.json");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        log.reopen();
        let deadline = Instant::now() + Duration::from_secs(60);
        let told = loop {
            if let Some(told) = log.trouble() {
                break told;
            }
            assert!(Instant::now() < deadline, "nothing is told");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(told.contains("eve.json") && told.ends_with("0 lines are lost so far"), "{told}");
        assert_eq!((log.trouble(), log.lost()), (None, 0));
    }

    #[test]
    fn a_full_disk_is_told() {
        let config = config(&["outputs.eve-log.filename=/dev/full"]);
        let (mut log, reporters) =
            Log::start(&config, Path::new(""), Vec::new(), 1, RingMode::Lossless).unwrap();
        drop(reporters);
        log.stats(stats(7));
        let failure = log.finish().unwrap_err().to_string();
        assert!(failure.contains("No space left"), "{failure}");
    }
}
