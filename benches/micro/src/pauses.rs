//! A full table in which every packet begins a flow, so that for each another one has to go: how
//! long bursts take, and how many slots the longest of them touched. Times are on the clock and of
//! the thread's CPU time, which leaves out when others had its CPU.

use clap::Args;
use portcullis_bench_micro::cpu_time;
use portcullis_bench_micro::flows::{Prepared, Random, packet};
use portcullis_bench_micro::tables::{BURST, START, flow_table, memory_for, track_burst};
use portcullis_flow::FlowTable;
use portcullis_wire::Timestamp;
use std::hint::black_box;
use std::time::Instant;

/// As the flow worker between bursts.
const SWEEP_PER_BURST: usize = 64;
/// Packets a second that the clock goes by. All of them begin flows, a flow may be replaced when
/// it was idle for a second, and so this has to be below the flows there are.
const RATE: u64 = 5_000_000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Flows of the full table; more than 5 million, or newcomers are refused.
    #[arg(long, default_value_t = 10_000_000)]
    flows: u64,
    /// Flows that are replaced.
    #[arg(long, default_value_t = 100_000_000)]
    replacements: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut table = flow_table(arguments.flows);
    let mut tally = Tally::default();
    let mut next = 0;
    // Fills it, and lets the replacing get under way.
    while next < arguments.flows + arguments.flows / 8 {
        next = burst(&mut table, next, &mut tally);
    }
    let before = *table.stats();
    tally = Tally::default();
    let end = next + arguments.replacements;
    while next < end {
        next = burst(&mut table, next, &mut tally);
    }
    let stats = table.stats();
    anyhow::ensure!(tally.most_memory <= memory_for(arguments.flows), "above memcap: {stats:?}");
    println!("{} flows active, {} new ones in", stats.active, stats.total - before.total);
    println!(
        "  evicted: {}, by timeout: {}, refused: {}, index refused: {}",
        stats.get_used - before.get_used,
        stats.wrk.flows_evicted - before.wrk.flows_evicted - (stats.get_used - before.get_used),
        stats.memcap - before.memcap,
        stats.index_refused - before.index_refused,
    );
    println!(
        "  most in one burst: {} slots looked at for expiry and eviction, {} flows finished",
        tally.most_slots, tally.most_finished
    );
    println!("  most buckets that one insertion looked at: {}", stats.wrk.probe_max);
    report("on the clock", &mut tally.clock);
    report("CPU time", &mut tally.cpu);
    let work = tally.cpu.get(tally.cpu.len() / 2).copied().unwrap_or(0);
    let (mut clock, mut cpu) = without_table(work, tally.cpu.len().min(1_000_000));
    report("on the clock, without any table", &mut clock);
    report("CPU time, without any table", &mut cpu);
    Ok(())
}

/// The same measured of arithmetic that takes about as long as half of the bursts: what the machine adds.
fn without_table(nanos: u32, bursts: usize) -> (Vec<u32>, Vec<u32>) {
    let (mut clocks, mut cpus) = (Vec::with_capacity(bursts), Vec::with_capacity(bursts));
    let mut random = Random(1);
    for _ in 0..bursts {
        let (cpu, clock) = (cpu_time(), Instant::now());
        // About a nanosecond each.
        for _ in 0..nanos {
            black_box(random.draw());
        }
        let (clock, cpu) = (clock.elapsed(), cpu_time().saturating_sub(cpu));
        clocks.push(u32::try_from(clock.as_nanos()).unwrap_or(u32::MAX));
        cpus.push(u32::try_from(cpu.as_nanos()).unwrap_or(u32::MAX));
    }
    (clocks, cpus)
}

/// The nanoseconds that half, 99 and 99.9 % of the bursts do not exceed, and the longest.
fn report(name: &str, nanos: &mut [u32]) {
    nanos.sort_unstable();
    let at = |of_a_thousand: usize| nanos.get(nanos.len() * of_a_thousand / 1000).copied().unwrap_or(0);
    let longest: Vec<u32> = nanos.iter().rev().take(8).copied().collect();
    println!("  burst, {name}: p50 {} p99 {} p99.9 {} ns, longest {longest:?}", at(500), at(990), at(999));
}

#[derive(Default)]
struct Tally {
    clock: Vec<u32>,
    cpu: Vec<u32>,
    most_slots: u64,
    most_finished: usize,
    most_memory: u64,
}

/// One burst, with what is done after each: 32 newcomers from `next` on. The number after them.
fn burst(table: &mut FlowTable, next: u64, tally: &mut Tally) -> u64 {
    let packets: [Prepared; BURST] = std::array::from_fn(|place| packet(next + place as u64, 4));
    let now = Timestamp::from_nanos(START.as_nanos() + next * 1_000_000_000 / RATE);
    let before = looked(table);
    let (cpu, clock) = (cpu_time(), Instant::now());
    let refused = track_burst(table, &packets, now);
    table.sweep(now, SWEEP_PER_BURST);
    let finished = table.finish(SWEEP_PER_BURST, &mut |flow| {
        black_box(flow.id());
    });
    let (clock, cpu) = (clock.elapsed(), cpu_time().saturating_sub(cpu));
    black_box(refused);
    tally.clock.push(u32::try_from(clock.as_nanos()).unwrap_or(u32::MAX));
    tally.cpu.push(u32::try_from(cpu.as_nanos()).unwrap_or(u32::MAX));
    tally.most_slots = tally.most_slots.max(looked(table) - before);
    tally.most_finished = tally.most_finished.max(finished);
    tally.most_memory = tally.most_memory.max(table.stats().memuse);
    next + BURST as u64
}

fn looked(table: &FlowTable) -> u64 {
    table.stats().get_used_eval + table.stats().wrk.slots_swept
}
