//! What flow tracking costs an inline worker.
//!
//! Client, gate and server in namespaces. One worker thread has one packet module over both ports of the gate, and
//! judges in turn without an engine, with flow tracking, and with flow tracking that leaves checksums alone: round
//! for round on the same module, under the same load, so that what else the machine does hits all alike. Each round
//! with an engine is set against the rounds without one before and after it.

use crate::load::{self, Load};
use crate::numbers::{self, Numbers};
use crate::output::line;
use crate::over::{self, Over};
use crate::rounds::Round;
use crate::workers::{self, Tracking};
use anyhow::{Result, ensure};
use portcullis_bench_micro::spread::Spread;
use portcullis_capture::{CaptureStats, PacketModule};
use portcullis_loadgen::thread::pin;
use portcullis_testkit::Lab;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Flows, in turn: one series of rounds for each number.
    #[arg(long, value_delimiter = ',', default_value = "64,10000")]
    flows: Vec<u32>,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Milliseconds of a round.
    #[arg(long, default_value_t = 500)]
    round_ms: u64,
    /// Frames a second; as many as go where not given.
    #[arg(long)]
    pps: Option<u32>,
    /// Bytes of a frame without its check sequence: 60 are 64 on a wire.
    #[arg(long, default_value_t = 60)]
    size: usize,
    /// The CPU that sends, and that everything but the worker runs on.
    #[arg(long, default_value_t = 0)]
    sender_cpu: u32,
    /// The worker's CPU.
    #[arg(long, default_value_t = 1)]
    worker_cpu: u32,
    /// The packet module. DPDK starts once in a run, so its drivers take one number of flows.
    #[arg(long, value_enum, default_value_t = Over::AfXdp)]
    over: Over,
    /// Writes every number into this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A kind of round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bare,
    Tracking,
    TrackingUnverified,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Bare => "no engine",
            Self::Tracking => "flow tracking",
            Self::TrackingUnverified => "flow tracking, checksums not verified",
        }
    }
}

/// One cycle; every other round is one without an engine, so that each other one lies between two of them.
const CYCLE: [Kind; 4] = [Kind::Bare, Kind::Tracking, Kind::Bare, Kind::TrackingUnverified];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(portcullis_testkit::is_root(), "namespaces and AF_XDP need root");
    ensure!(arguments.sender_cpu != arguments.worker_cpu, "the worker needs a CPU of its own");
    let once = arguments.over == Over::AfXdp || arguments.flows.len() == 1;
    ensure!(once, "DPDK starts once in a run: give one number of --flows");
    // Threads and processes that are started from here on stay there.
    pin(Some(arguments.sender_cpu))?;
    let mut all = Vec::new();
    for flows in &arguments.flows {
        let load =
            Load { flows: *flows, size: arguments.size, rate: arguments.pps, cpu: arguments.sender_cpu };
        all.extend(series(arguments, &load)?);
    }
    numbers::write(&all, arguments.json.as_deref())
}

/// All rounds over one number of flows, with what came of them.
fn series(arguments: &Arguments, load: &Load) -> Result<Vec<Numbers>> {
    let lab = Lab::inline()?;
    let scratch = tempfile::tempdir()?;
    let Ran { rounds, records, sent, arrived, stats } = match arguments.over {
        Over::AfXdp => {
            let (mut gate, set, mut module) = lab.gate.run(|| over::af_xdp(scratch.path()))?;
            let ran = under_load(arguments, load, &lab, &mut module)?;
            set.quiesce(&mut gate)?;
            ran
        }
        #[cfg(feature = "dpdk")]
        driver => {
            let (set, mut module) = lab.gate.run(|| over::dpdk(driver, arguments.sender_cpu))?;
            for port in [Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT] {
                // Live frames are redirected onto the wire: without an XDP program, only an end with GRO on takes them,
                // which the module has switched off.
                lab.gate.set_feature(port, "gro", true)?;
            }
            let ran = under_load(arguments, load, &lab, &mut module)?;
            let count = set.close([module]);
            ensure!(count.is_kept || count.missing() == 0, "buffers are missing: {count:?}");
            ran
        }
    };

    ensure!(arrived > 0, "none of {sent} frames arrived");
    let (flows, bytes, over) = (load.flows, load.size + 4, arguments.over);
    line(format_args!("{over:?}, {flows} flows, {bytes} bytes, {}", pace(load)))?;
    report(&rounds)?;
    line(format_args!(
        "  all rounds together: {sent} sent, {} received by the worker, {} lost before it, {} not sent on, \
         {arrived} arrived; {records} flow records\n",
        stats.received, stats.kernel_drops, stats.send_errors
    ))?;
    Ok(numbers_of(load.flows, &rounds))
}

/// What programs want to know of the rounds.
fn numbers_of(flows: u32, rounds: &[(Kind, Round)]) -> Vec<Numbers> {
    let by_cpu = |kind, quantity| {
        let own = rounds.iter().filter(move |(other, _)| *other == kind);
        Numbers::of(flows, quantity, "packets/CPU s", own.map(|(_, round)| round.by_cpu_second()))
    };
    let ratio = ratios(rounds, Kind::Tracking, Round::by_cpu_second);
    vec![
        by_cpu(Kind::Tracking, "with the engine"),
        by_cpu(Kind::Bare, "module alone"),
        Numbers::of(flows, "against the module alone", "", ratio),
    ]
}

fn pace(load: &Load) -> String {
    load.rate.map_or_else(|| "as fast as they go".to_owned(), |rate| format!("{rate} a second"))
}

/// What came of all rounds.
struct Ran {
    rounds: Vec<(Kind, Round)>,
    records: u64,
    sent: u64,
    arrived: u64,
    stats: CaptureStats,
}

/// All rounds, from the first frame sent to the last one that arrived.
fn under_load<M>(arguments: &Arguments, load: &Load, lab: &Lab, module: &mut M) -> Result<Ran>
where
    M: PacketModule + Send,
{
    let sink = load::receive(lab)?;
    let sender = load::send(lab, load)?;
    let worker = std::thread::scope(|scope| {
        let rounds = scope.spawn(|| measure(arguments, module));
        rounds.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let (rounds, records) = worker?;
    let sent = sender.stop("sent")?;
    let arrived = sink.stop("received")?;
    Ok(Ran { rounds, records, sent, arrived, stats: module.stats() })
}

/// The worker's thread: a cycle to warm up, then those that count.
fn measure<M: PacketModule>(arguments: &Arguments, module: &mut M) -> Result<(Vec<(Kind, Round)>, u64)> {
    // The loggers first: they stay with everything else.
    let mut verified = Tracking::new(true)?;
    let mut unverified = Tracking::new(false)?;
    pin(Some(arguments.worker_cpu))?;
    let length = Duration::from_millis(arguments.round_ms);
    let mut rounds = Vec::new();
    let cycles = (0..=arguments.rounds).flat_map(|_| CYCLE);
    for (place, kind) in cycles.chain([Kind::Bare]).enumerate() {
        let round = match kind {
            Kind::Bare => workers::accept_all(module, length)?,
            Kind::Tracking => verified.round(module, length)?,
            Kind::TrackingUnverified => unverified.round(module, length)?,
        };
        if place >= CYCLE.len() {
            rounds.push((kind, round));
        }
    }
    Ok((rounds, verified.finish()? + unverified.finish()?))
}

fn report(rounds: &[(Kind, Round)]) -> Result<()> {
    for kind in [Kind::Bare, Kind::Tracking, Kind::TrackingUnverified] {
        let own = || rounds.iter().filter(|(other, _)| *other == kind).map(|(_, round)| round);
        let spread = |measure: fn(&Round) -> f64| Spread::of(own().map(measure));
        line(format_args!("  {}, {} rounds", kind.name(), own().count()))?;
        line(format_args!("    packets by CPU second  {:.0} k", spread(Round::by_cpu_second).scaled(1e-3)))?;
        line(format_args!("    packets by second      {:.0} k", spread(Round::by_second).scaled(1e-3)))?;
        let nanos = Spread::of(own().map(|round| 1e9 / round.by_cpu_second()));
        line(format_args!("    CPU ns by packet       {nanos:.0}"))?;
        line(format_args!("    worker ran             {:.2} of the time", spread(Round::busy)))?;
        line(format_args!("    packets by burst       {:.1}", spread(Round::by_burst)))?;
        line(format_args!("    lost before the worker {:.3} of what came", spread(Round::loss)))?;
        if kind != Kind::Bare {
            let (by_cpu, by_time) =
                (against(rounds, kind, Round::by_cpu_second), against(rounds, kind, Round::by_second));
            line(format_args!(
                "    AGAINST NO ENGINE      {by_cpu:.3} by CPU second, {by_time:.3} by second"
            ))?;
        }
    }
    Ok(())
}

/// Each round of a kind against the mean of the two without an engine beside it.
fn against(rounds: &[(Kind, Round)], kind: Kind, measure: fn(&Round) -> f64) -> Spread {
    Spread::of(ratios(rounds, kind, measure))
}

fn ratios(rounds: &[(Kind, Round)], kind: Kind, measure: fn(&Round) -> f64) -> impl Iterator<Item = f64> {
    rounds.windows(3).filter_map(move |window| match window {
        [(Kind::Bare, before), (own, round), (Kind::Bare, after)] if *own == kind => {
            Some(measure(round) / f64::midpoint(measure(before), measure(after)))
        }
        _ => None,
    })
}
