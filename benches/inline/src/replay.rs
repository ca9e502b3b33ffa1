//! `portcullis replay` of a generated capture: packets a second, and peak memory.

use crate::numbers::{self, Numbers};
use crate::output::line;
use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use portcullis_bench_micro::spread::Spread;
use portcullis_testkit::Traffic;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

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
    /// Numbers of workers, in turn.
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

/// What one run took.
#[derive(Clone, Copy, Debug)]
struct Run {
    seconds: f64,
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
    // What it takes to start and to end: the same with next to nothing between.
    let one = scratch.path().join("one-flow.pcap");
    Traffic::new(1, 1).write_pcap(&one).context("cannot write the capture")?;
    let mut all = Vec::new();
    for workers in &arguments.workers {
        let (mut runs, mut starts) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds {
            starts.push(replay(&program, &one, scratch.path(), *workers, 1)?);
            runs.push(replay(&program, &capture, scratch.path(), *workers, arguments.flows)?);
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let packets = made.packets as f64;
        let spread = |measure: &dyn Fn(&Run) -> f64| Spread::of(runs.iter().map(measure));
        line(format_args!(
            "  {workers} worker(s), {} runs, start and end of the program included",
            runs.len()
        ))?;
        line(format_args!("    packets by second  {:.0} k", spread(&|run| packets / run.seconds / 1e3)))?;
        line(format_args!("    CPU ns by packet   {:.0}", spread(&|run| run.cpu_seconds * 1e9 / packets)))?;
        line(format_args!("    seconds            {:.2}", spread(&|run| run.seconds)))?;
        line(format_args!("    peak memory        {:.0} MiB", spread(&|run| run.peak_mib)))?;
        let rates = || runs.iter().zip(&starts).map(|(run, start)| packets / (run.seconds - start.seconds));
        line(format_args!(
            "    packets by second  {:.0} k, start and end excluded",
            Spread::of(rates()).scaled(1e-3)
        ))?;
        if *workers == 1 {
            let mapped = |quantity, unit, measure: &dyn Fn(&Run) -> f64| {
                Numbers::of("mapped file", quantity, unit, runs.iter().map(measure))
            };
            all.push(Numbers::of("mapped file", "rate", "packets/s", rates()));
            all.push(mapped("rate with start and end", "packets/s", &|run| packets / run.seconds));
            all.push(mapped("CPU", "ns/packet", &|run| run.cpu_seconds * 1e9 / packets));
            all.push(mapped("memory", "MB", &|run| run.peak_mib * 1.048_576));
        }
    }
    numbers::write(&all, arguments.json.as_deref())
}

fn replay(program: &Path, capture: &Path, scratch: &Path, workers: u8, flows: u32) -> Result<Run> {
    let logs = scratch.join("logs");
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["measured", "--"]).arg(program).arg("replay").arg(capture).arg("-l").arg(&logs);
    command.args(["--workers", &workers.to_string()]);
    command.args(["--set", r#"outputs.eve-log.types=["flow", "stats"]"#]);
    let output = command.stdin(Stdio::null()).output().context("cannot run the replay")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the replay failed: {}", String::from_utf8_lossy(&output.stderr));
    let results: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let number = |key: &str| -> Result<f64> {
        let value = results.get(key).with_context(|| format!("no `{key}` was measured"))?;
        value.parse().with_context(|| format!("`{key}` is no number"))
    };
    let run = Run {
        seconds: number("seconds")?,
        cpu_seconds: number("cpu_seconds")?,
        peak_mib: number("peak_kib")? / 1024.0,
    };
    check_records(&logs, flows)?;
    fs::remove_dir_all(&logs)?;
    Ok(run)
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
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status()?;
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
