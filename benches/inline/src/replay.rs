//! A replay of a generated capture: packets a second from the first packet to the last record written, and peak
//! memory; by the program from a file, and by its engine and logger from frames that lie in memory.

use crate::numbers::{self, Numbers};
use crate::output::line;
use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use portcullis_bench_micro::spread::Spread;
use portcullis_capture::memory::LoopModule;
use portcullis_capture::{PacketModule, PortId, WorkerId};
use portcullis_engine::{EngineSettings, FlowWorker, Rules, WorkerParts, drive, publish};
use portcullis_eve::{EveOptions, EventTypes, FileSink, Formatter, LoggerThread, Sink};
use portcullis_event::{Record, RingMode, StatsRecord, ring};
use portcullis_flow::Callbacks;
use portcullis_testkit::Traffic;
use portcullis_wire::Timestamp;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

/// Bytes of each ring to the logger, as the program has them.
const RING: usize = 4 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The program; the `portcullis` beside this one where not given.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Packets of the capture.
    #[arg(long, default_value_t = 700_000)]
    packets: u64,
    /// Flows of the capture.
    #[arg(long, default_value_t = 100_000)]
    flows: u32,
    /// How often.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// Numbers of workers of the program, in turn.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    workers: Vec<u8>,
    /// Writes every number into this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What [`run_measured`] is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Measured {
    /// The program and its arguments.
    #[arg(trailing_var_arg = true, required = true)]
    command: Vec<OsString>,
}

/// What is asked for in a process of its own: frames from memory.
#[derive(Debug, clap::Args)]
pub(crate) struct FromMemory {
    /// Packets.
    #[arg(long)]
    packets: u64,
    /// Flows.
    #[arg(long)]
    flows: u32,
    /// Where the log goes.
    #[arg(long)]
    log: PathBuf,
}

/// What one run took.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// From the first packet to the last record.
    seconds: f64,
    whole_seconds: f64,
    /// Of the whole process, start and end included.
    cpu_seconds: f64,
    peak_mib: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("portcullis"),
    };
    ensure!(program.exists(), "{} is not built", program.display());
    let scratch = tempfile::tempdir()?;
    let capture = scratch.path().join("generated.pcap");
    let traffic = Traffic::new(arguments.packets, arguments.flows);
    let made = traffic.write_pcap(&capture).context("cannot write the capture")?;
    line(format_args!(
        "{} packets, {} flows ({} TCP, {} UDP), {} MB; flow and stats records on, no rules",
        made.packets,
        made.tcp_flows + made.udp_flows,
        made.tcp_flows,
        made.udp_flows,
        made.bytes / 1_000_000
    ))?;
    let logs = scratch.path().join("logs");
    let this = std::env::current_exe()?;
    let log = logs.join("eve.json");
    let (packets, flows) = (arguments.packets.to_string(), arguments.flows.to_string());
    let mut roads = Vec::new();
    let mut memory = Command::new(&this);
    memory.args(["from-memory", "--packets", &packets, "--flows", &flows, "--log"]).arg(&log);
    roads.push(("memory".to_owned(), memory));
    for workers in &arguments.workers {
        let mut command = Command::new(&program);
        command.arg("replay").arg(&capture).arg("-l").arg(&logs).args(["--workers", &workers.to_string()]);
        command.args(["--set", r#"outputs.eve-log.types=["flow", "stats"]"#]);
        let others = if *workers == 1 { String::new() } else { format!(", {workers} workers") };
        roads.push((format!("mapped file{others}"), command));
    }
    let mut runs = vec![Vec::new(); roads.len()];
    // In turn, so that what else the machine does hits all alike.
    for _ in 0..arguments.rounds {
        for ((_, command), runs) in roads.iter().zip(&mut runs) {
            fs::create_dir_all(&logs)?;
            runs.push(measure(command)?);
            check_records(&logs, arguments.flows)?;
            fs::remove_dir_all(&logs)?;
        }
    }
    let mut all = Vec::new();
    for ((name, _), runs) in roads.iter().zip(&runs) {
        report(name, made.packets, runs, &mut all)?;
    }
    numbers::write(&all, arguments.json.as_deref())
}

fn report(name: &str, packets: u64, runs: &[Run], all: &mut Vec<Numbers>) -> Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let packets = packets as f64;
    line(format_args!("  {name}, {} runs", runs.len()))?;
    let mut put = |quantity, unit, measure: &dyn Fn(&Run) -> f64| {
        all.push(Numbers::of(name, quantity, unit, runs.iter().map(measure)));
        line(format_args!("    {quantity:<20} {:.3} {unit}", Spread::of(runs.iter().map(measure))))
    };
    put("rate", "packets/s", &|run| packets / run.seconds)?;
    put("rate with start and end", "packets/s", &|run| packets / run.whole_seconds)?;
    put("CPU", "ns/packet", &|run| run.cpu_seconds * 1e9 / packets)?;
    // What lies in memory before the first packet is no replay's.
    if name != "memory" {
        put("memory", "MB", &|run| run.peak_mib * 1.048_576)?;
    }
    Ok(())
}

/// Runs a command in a process that has no other child.
fn measure(command: &Command) -> Result<Run> {
    let mut measured = Command::new(std::env::current_exe()?);
    measured.args(["measured", "--"]).arg(command.get_program()).args(command.get_args());
    let output = measured.stdin(Stdio::null()).output().context("cannot run the replay")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the replay failed: {}", String::from_utf8_lossy(&output.stderr));
    let results: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let number = |key: &str| -> Result<f64> {
        let value = results.get(key).with_context(|| format!("no `{key}` was measured"))?;
        value.parse().with_context(|| format!("`{key}` is no number"))
    };
    Ok(Run {
        seconds: told_seconds(&text).context("the replay did not tell its time")?,
        whole_seconds: number("seconds")?,
        cpu_seconds: number("cpu_seconds")?,
        peak_mib: number("peak_kib")? / 1024.0,
    })
}

/// The time that the summary of a replay tells: ` time   0.123  s`.
fn told_seconds(summary: &str) -> Option<f64> {
    let words = summary.lines().find_map(|line| line.trim().strip_prefix("time "))?;
    words.split_whitespace().next()?.parse().ok()
}

/// Judges frames that lie in memory, as a replay does: the same engine, settings, rings and logger, and a file to
/// write to.
pub(crate) fn run_from_memory(arguments: &FromMemory) -> Result<()> {
    let mut frames = Vec::new();
    let traffic = Traffic::new(arguments.packets, arguments.flows);
    traffic.for_each(|time, frame| -> Result<()> {
        frames.push((time, PortId(0), frame.to_vec()));
        Ok(())
    })?;
    let mut module = LoopModule::new(frames, 1);
    let (reporter, [evidence, flows]) = ring::rings(RING, RING, RingMode::Lossless);
    let types = EventTypes { flow: true, stats: true, ..EventTypes::NONE };
    let formatter = Formatter::new(EveOptions { types, ..EveOptions::default() });
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(FileSink::open(&arguments.log)?)];
    let (mut stats, stats_records) = ring::ring(RING, RingMode::Lossless);
    let logger = LoggerThread::spawn(vec![evidence], vec![flows, stats_records], formatter, sinks)?;
    let (publisher, mut published) = publish::channel();
    let parts = WorkerParts {
        id: WorkerId(0),
        workers: 1,
        rules: Arc::new(Rules::default()),
        callbacks: Callbacks::default(),
        reporter,
        publisher,
        start: Timestamp::ZERO,
    };
    let mut worker =
        FlowWorker::new(&EngineSettings::default(), parts).context("cannot set up the engine")?;
    let (_commander, commands) = crossbeam::channel::bounded(0);
    let start = Instant::now();
    drive(&mut module, &mut worker, &commands)?;
    let record = StatsRecord {
        timestamp: module.now(),
        counters: Box::new(*published.latest()),
        ..StatsRecord::default()
    };
    stats.push(&Record::Stats(record))?;
    drop((worker, stats));
    let lines = logger.finish()?.flow_lines;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(lines == u64::from(arguments.flows) + 1, "{lines} records were written");
    line(format_args!("time {seconds:.6} s"))?;
    Ok(())
}

/// A replay that lost records would be fast for nothing.
fn check_records(logs: &Path, flows: u32) -> Result<()> {
    let log = fs::read(logs.join("eve.json")).context("cannot read the log")?;
    let kind = |line: &[u8], kind: &[u8]| line.windows(kind.len()).any(|part| part == kind);
    let lines = || log.split(|byte| *byte == b'\n');
    let found = lines().filter(|line| kind(line, br#""event_type":"flow""#)).count();
    ensure!(found == flows as usize, "{found} flow records, not {flows}");
    ensure!(lines().any(|line| kind(line, br#""event_type":"stats""#)), "no record of statistics");
    Ok(())
}

/// Runs a program in a small process of its own, whose children are then that program alone, and tells what it took.
pub(crate) fn run_measured(measured: &Measured) -> Result<()> {
    let [program, arguments @ ..] = measured.command.as_slice() else { return Ok(()) };
    let start = Instant::now();
    let status = Command::new(program).args(arguments).status()?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(status.success(), "{}: {status}", program.display());
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros =
        [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    line(format_args!("seconds={seconds:.6}"))?;
    line(format_args!("cpu_seconds={}e-6", micros.iter().sum::<i64>()))?;
    line(format_args!("peak_kib={}", usage.max_rss()))?;
    Ok(())
}
