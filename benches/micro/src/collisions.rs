//! Keys that somebody who knows a seed has chosen so that they meet in few buckets: what they do to a table
//! with that seed, and to one with the seed of another run.

use clap::Args;
use portcullis_bench_micro::cpu_time;
use portcullis_bench_micro::flows::{Prepared, Random, packet};
use portcullis_bench_micro::tables::{BURST, START, memory_for, track_burst};
use portcullis_flow::{FlowSettings, FlowTable, Share};

/// The seed that is known.
const KNOWN: u64 = 0x5eed;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Keys, and flows that there is room for.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// In so few of a thousand and twenty-four parts of the table they meet.
    #[arg(long, default_value_t = 1)]
    parts: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let known = table(arguments.keys, KNOWN)?;
    let meets = |packet: &Prepared| known.hash(&packet.keyed.key).0 >> 54 < arguments.parts;
    let keys = usize::try_from(arguments.keys)?;
    let chosen: Vec<Prepared> = (0..).map(|flow| packet(flow, 6)).filter(meets).take(keys).collect();
    let random: Vec<Prepared> = (0..arguments.keys).map(|flow| packet(flow, 6)).collect();
    let mut seeds = Random(u64::from(std::process::id()));
    for (what, seed, packets) in [
        ("chosen keys, the seed that they were chosen for", KNOWN, &chosen),
        ("chosen keys, the seed of another run", seeds.draw(), &chosen),
        ("keys that nobody chose", seeds.draw(), &random),
    ] {
        let mut table = table(arguments.keys, seed)?;
        let (mut slowest, start) = (0, cpu_time());
        for burst in packets.chunks(BURST) {
            let start = cpu_time();
            track_burst(&mut table, burst, START);
            slowest = slowest.max(cpu_time().saturating_sub(start).as_nanos());
        }
        let took = cpu_time().saturating_sub(start);
        let stats = table.stats();
        println!(
            "{what}: {} of {} in, {} refused for full buckets; most buckets that one looked at: {}; {:.0} ns \
             each, slowest burst {} us",
            stats.total,
            packets.len(),
            stats.index_refused,
            stats.wrk.probe_max,
            took.as_secs_f64() * 1e9 / f64::from(u32::try_from(packets.len())?),
            slowest / 1000,
        );
    }
    Ok(())
}

fn table(flows: u64, seed: u64) -> anyhow::Result<FlowTable> {
    let memcap = memory_for(flows + 1024);
    let settings = FlowSettings { memcap, prealloc: u32::MAX, populate: true, ..FlowSettings::default() };
    Ok(FlowTable::new(&settings, Share { worker: 0, workers: 1 }, seed, START)?)
}
