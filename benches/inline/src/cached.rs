//! What the verdict cache answers, against programs that do nothing but drop or redirect.
//!
//! Client, gate and server in namespaces, the same load for all. In turn: a program that drops and counts, the gate with
//! every flow cached as dropped, a program that redirects to the other port, the gate with every flow cached as passed. No
//! worker is there, and the gate fails open. Each round with the gate is set against the bare one before it.

use crate::load::{self, Load};
use crate::output::line;
use anyhow::{Context, Result, ensure};
use portcullis_bench_micro::spread::Spread;
use portcullis_bpf::pulse::coarse_now;
use portcullis_bpf::{
    CacheAction, CacheEntry, CacheError, Gate, GateConfig, GateCounters, GatePort, Side, Tuple,
};
use portcullis_testkit::Lab;
use portcullis_wire::decoded::mapped;
use std::thread::sleep;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Flows, in turn, all of them cached.
    #[arg(long, default_value_t = 100_000)]
    flows: u32,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Milliseconds of a round.
    #[arg(long, default_value_t = 500)]
    round_ms: u64,
    /// Bytes of a frame without its check sequence: 60 are 64 on a wire.
    #[arg(long, default_value_t = 60)]
    size: usize,
    /// The CPU that sends, and that the ports' work is done on.
    #[arg(long, default_value_t = 0)]
    cpu: u32,
}

/// As the load generator sends them.
const CLIENT: [u8; 4] = [10, 77, 0, 1];
const SERVER: [u8; 4] = [10, 77, 0, 2];
const FIRST_PORT: u32 = 10_000;
const FIRST_TARGET: u32 = 7;

const GENERATION: u32 = 1;

/// How long the sender has to get going.
const WARM_UP: Duration = Duration::from_millis(200);

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(portcullis_testkit::is_root(), "namespaces and XDP need root");
    let lab = Lab::inline()?;
    let load = Load { flows: arguments.flows, size: arguments.size, rate: None, cpu: arguments.cpu };
    let length = Duration::from_millis(arguments.round_ms);
    let mut rounds: [Vec<f64>; 4] = Default::default();
    // The first cycle is to warm up.
    for cycle in 0..=arguments.rounds {
        let found = [
            bare_drop(&lab, &load, length)?,
            cached(&lab, &load, length, CacheAction::Drop)?,
            bare_redirect(&lab, &load, length)?,
            cached(&lab, &load, length, CacheAction::Pass)?,
        ];
        if cycle > 0 {
            rounds.iter_mut().zip(found).for_each(|(kind, rate)| kind.push(rate));
        }
    }
    line(format_args!("{} flows, {} bytes, as fast as they go", load.flows, load.size + 4))?;
    let names = ["bare drop", "cached drop", "bare redirect", "cached pass"];
    for (name, rates) in names.iter().zip(&rounds) {
        let spread = Spread::of(rates.iter().copied()).scaled(1e-6);
        line(format_args!("  {name:14} {spread:.2} million a second"))?;
    }
    let [bare_drops, drops, redirects, passes] = &rounds;
    for (name, own, bare) in [("DROP", drops, bare_drops), ("PASS", passes, redirects)] {
        let ratio = Spread::of(own.iter().zip(bare).map(|(own, bare)| own / bare));
        line(format_args!("  CACHED {name} AGAINST BARE {ratio:.2}"))?;
    }
    Ok(())
}

fn bare_drop(lab: &Lab, load: &Load, length: Duration) -> Result<f64> {
    let sink = load::receive_at(&lab.gate, Lab::GATE_CLIENT_PORT)?;
    let sender = load::send(lab, load)?;
    sleep(WARM_UP + length);
    let rate = sink.stop("pps")?;
    sender.end()?;
    as_rate(rate)
}

fn bare_redirect(lab: &Lab, load: &Load, length: Duration) -> Result<f64> {
    let forwarder = load::forward(lab)?;
    let sink = load::receive(lab)?;
    let sender = load::send(lab, load)?;
    sleep(WARM_UP + length);
    let rate = sink.stop("pps")?;
    sender.end()?;
    forwarder.end()?;
    as_rate(rate)
}

/// The gate, with all flows of the load in its cache that find room there: in a full one a few of ten thousand do not.
fn cached(lab: &Lab, load: &Load, length: Duration, action: CacheAction) -> Result<f64> {
    let scratch = tempfile::tempdir()?;
    let port = |name: &str| GatePort { name: name.to_owned(), queues: 1 };
    let gate = lab.gate.run(|| {
        Gate::load(&GateConfig {
            name: "bench-cached".to_owned(),
            ports: vec![port(Lab::GATE_CLIENT_PORT), port(Lab::GATE_SERVER_PORT)],
            cache: load.flows,
            lock_dir: scratch.path().to_owned(),
            ..GateConfig::default()
        })
    })?;
    fill(&gate, load.flows, action)?;
    let sink = load::receive(lab)?;
    let sender = load::send(lab, load)?;
    sleep(WARM_UP);
    let (before, start) = (gate.counters()?, Instant::now());
    sleep(length);
    let (after, took) = (gate.counters()?.since(&before), start.elapsed());
    let arrived = sink.stop("pps")?;
    sender.end()?;
    let GateCounters { cache_passed, cache_dropped, uninspected, .. } = after;
    let answered = cache_passed + cache_dropped;
    ensure!(uninspected <= answered / 100, "{uninspected} frames were of no cached flow, {answered} of one");
    match action {
        CacheAction::Drop => Ok(as_rate(cache_dropped)? / took.as_secs_f64()),
        CacheAction::Pass => {
            ensure!(cache_passed > 0, "nothing passed");
            as_rate(arrived)
        }
    }
}

fn fill(gate: &Gate, flows: u32, action: CacheAction) -> Result<()> {
    let mut refused = 0;
    let cache = gate.cache()?;
    cache.set_generation(GENERATION);
    let until = coarse_now() + 3_600_000_000_000;
    let entry = CacheEntry { packets: 0, bytes: 0, until, generation: GENERATION, action };
    for flow in 0..flows {
        let tuple = Tuple {
            source: mapped(CLIENT),
            destination: mapped(SERVER),
            source_port: u16::try_from(FIRST_PORT + (flow & 0x3fff))?,
            destination_port: u16::try_from(FIRST_TARGET + (flow >> 14)).context("too many flows")?,
            vlans: [None; 3],
            version: 4,
            protocol: 17,
            set: 0,
            side: Side::First,
        };
        match cache.put(&tuple, &entry) {
            Ok(()) => {}
            Err(CacheError::Full) => refused += 1,
        }
    }
    ensure!(refused <= flows / 1000, "{refused} of {flows} flows found no room");
    Ok(())
}

fn as_rate(frames: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(frames).context("more frames than can be")?))
}
