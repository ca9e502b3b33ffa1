//! The logger thread, with real rings and files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::tz::TimeZone;
use portcullis_capture::DropReason;
use portcullis_eve::{
    EveOptions, EventTypes, FileSink, Formatter, LogCounts, LoggerError, LoggerHandle, LoggerThread, Sink,
};
use portcullis_event::ring::{RingMode, rings};
use portcullis_event::{
    Common, DropRecord, DroppedPacket, NetflowRecord, Record, RecordConsumer, Reporter, TtlRange,
};
use portcullis_wire::Timestamp;
use serde_json::Value;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

fn dropped(flow_id: u64) -> Record<'static> {
    Record::Drop(DropRecord {
        common: Common { flow_id: Some(flow_id), ..Common::default() },
        direction: None,
        packet: DroppedPacket::default(),
        reason: DropReason::Rules,
        alert: None,
        verdict: None,
        repeated: false,
        truncated: false,
    })
}

fn netflow(flow_id: u64) -> Record<'static> {
    Record::Netflow(NetflowRecord {
        common: Common { flow_id: Some(flow_id), ..Common::default() },
        pkts: 1,
        bytes: 1,
        start: Timestamp::ZERO,
        end: Timestamp::ZERO,
        ttl: TtlRange::default(),
        tcp_flags: None,
    })
}

fn formatter() -> Formatter {
    let types = EventTypes { netflow: true, ..EventTypes::default() };
    Formatter::with_time_zone(EveOptions { types, ..EveOptions::default() }, TimeZone::UTC)
}

/// Reporters for some workers, and the logger that reads them.
fn start(workers: usize, sinks: Vec<Box<dyn Sink>>) -> (Vec<Reporter>, LoggerHandle) {
    let (reporters, consumers): (Vec<_>, Vec<[RecordConsumer; 2]>) =
        (0..workers).map(|_| rings(0, 0, RingMode::Lossless)).unzip();
    let (evidence, flow) = consumers.into_iter().map(|[evidence, flow]| (evidence, flow)).unzip();
    (reporters, LoggerThread::spawn(evidence, flow, formatter(), sinks).unwrap())
}

/// The flow ids of a file's events, by kind, in order.
fn events(path: &Path) -> Vec<(String, u64)> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let event = |line| {
        let event: Value = serde_json::from_str(line).unwrap();
        (event["event_type"].as_str().unwrap().to_owned(), event["flow_id"].as_u64().unwrap())
    };
    text.lines().map(event).collect()
}

/// Waits for another thread, but not for ever.
fn wait_until(mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !reached() {
        assert!(Instant::now() < deadline, "the other thread never comes that far");
        thread::sleep(Duration::from_millis(1));
    }
}

const RECORDS: u64 = 4000;
const WORKERS: u64 = 3;

#[test]
fn everything_is_written_in_each_workers_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/eve.json");
    let sink = FileSink::open(&path).unwrap();
    let (reporters, logger) = start(3, vec![Box::new(sink)]);
    let workers: Vec<_> = reporters
        .into_iter()
        .zip(0..)
        .map(|(mut reporter, worker): (_, u64)| {
            thread::spawn(move || {
                for number in 0..RECORDS {
                    let flow_id = worker * RECORDS + number;
                    reporter.push(&netflow(flow_id)).unwrap();
                    reporter.push(&dropped(flow_id)).unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let counts = logger.finish().unwrap();
    let written = fs::metadata(&path).unwrap().len();
    let lines = WORKERS * RECORDS;
    let expected =
        LogCounts { evidence_lines: lines, flow_lines: lines, bytes: written, ..LogCounts::default() };
    assert_eq!(counts, expected);

    let events = events(&path);
    for kind in ["drop", "netflow"] {
        for worker in 0..WORKERS {
            let ids = worker * RECORDS..(worker + 1) * RECORDS;
            let found = events.iter().filter(|(found, id)| found == kind && ids.contains(id));
            assert!(found.map(|(_, id)| *id).eq(ids.clone()), "{kind} of worker {worker}");
        }
    }
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("eve.json"), folder.path().join("eve.json.1"));
    let (mut reporters, logger) = start(1, vec![Box::new(FileSink::open(&path).unwrap())]);
    let reporter = &mut reporters[0];
    reporter.push(&dropped(1)).unwrap();
    wait_until(|| logger.counts().evidence_lines == 1);
    fs::rename(&path, &moved).unwrap();
    logger.reopen();
    wait_until(|| path.exists());
    reporter.push(&dropped(2)).unwrap();
    drop(reporters);
    assert_eq!(logger.finish().unwrap().evidence_lines, 2);
    assert_eq!(events(&moved), [("drop".to_owned(), 1)]);
    assert_eq!(events(&path), [("drop".to_owned(), 2)]);
}

#[test]
fn a_file_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    for flow_id in [1, 2] {
        let (mut reporters, logger) = start(1, vec![Box::new(FileSink::open(&path).unwrap())]);
        reporters[0].push(&dropped(flow_id)).unwrap();
        drop(reporters);
        logger.finish().unwrap();
    }
    assert_eq!(events(&path), [("drop".to_owned(), 1), ("drop".to_owned(), 2)]);
}

#[test]
fn lines_are_on_disk_while_the_logger_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    let (mut reporters, logger) = start(1, vec![Box::new(FileSink::open(&path).unwrap())]);
    reporters[0].push(&dropped(1)).unwrap();
    wait_until(|| fs::metadata(&path).unwrap().len() > 0);
    assert_eq!(events(&path), [("drop".to_owned(), 1)]);
    drop(reporters);
    logger.finish().unwrap();
}

/// A sink that fails as it is told to.
struct Faulty {
    lines: Arc<Mutex<Vec<u8>>>,
    fails_writing: u32,
    fails_flushing: bool,
}

impl Sink for Faulty {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.fails_writing > 0 {
            self.fails_writing -= 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.lines.lock().unwrap().extend_from_slice(line);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.fails_flushing { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_fails_is_counted_and_tried_again() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let faulty = Faulty { lines: Arc::clone(&lines), fails_writing: 3, fails_flushing: false };
    let good = Arc::new(Mutex::new(Vec::new()));
    let other = Faulty { lines: Arc::clone(&good), fails_writing: 0, fails_flushing: false };
    let (mut reporters, logger) = start(1, vec![Box::new(faulty), Box::new(other)]);
    for flow_id in 0..10 {
        reporters[0].push(&dropped(flow_id)).unwrap();
    }
    drop(reporters);
    wait_until(|| logger.counts().evidence_lines == 7);
    assert!(logger.last_error().is_some());
    let counts = logger.finish().unwrap();
    assert_eq!((counts.evidence_lines, counts.lost, counts.errors), (7, 3, 3));
    let count_lines = |lines: &Mutex<Vec<u8>>| lines.lock().unwrap().split(|byte| *byte == b'\n').count() - 1;
    assert_eq!(count_lines(&lines), 7);
    assert_eq!(count_lines(&good), 10);
}

#[test]
fn unwritten_lines_are_an_error_at_the_end() {
    let faulty = Faulty { lines: Arc::default(), fails_writing: 0, fails_flushing: true };
    let (mut reporters, logger) = start(1, vec![Box::new(faulty)]);
    reporters[0].push(&dropped(1)).unwrap();
    drop(reporters);
    let error = logger.finish().unwrap_err();
    assert!(matches!(error, LoggerError::Unwritten(_)));
    assert!(error.to_string().starts_with("the last lines of the log could not be written: "), "{error}");
}

#[test]
fn what_is_left_out_is_counted() {
    let (mut reporter, [evidence, flow]) = rings(0, 0, RingMode::Lossless);
    let options = EveOptions { types: EventTypes::NONE, ..EveOptions::default() };
    let logger =
        LoggerThread::spawn(vec![evidence], vec![flow], Formatter::new(options), Vec::new()).unwrap();
    reporter.push(&dropped(1)).unwrap();
    reporter.push(&netflow(1)).unwrap();
    drop(reporter);
    assert_eq!(logger.finish().unwrap(), LogCounts { skipped: 2, ..LogCounts::default() });
}

#[test]
fn a_closed_logger_still_takes_what_producers_have() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Faulty { lines: Arc::clone(&lines), fails_writing: 0, fails_flushing: false };
    let (mut reporters, logger) = start(1, vec![Box::new(sink)]);
    logger.close();
    for flow_id in 0..RECORDS {
        reporters[0].push(&netflow(flow_id)).unwrap();
    }
    drop(reporters);
    assert_eq!(logger.finish().unwrap().flow_lines, RECORDS);
}
