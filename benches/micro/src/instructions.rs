//! Instructions of a packet that belongs to a known flow, as callgrind counts them: this program
//! runs itself under it, and only what is between decoding a burst and its last update is counted.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use portcullis_bench_micro::flows::{Prepared, Random, packet};
use portcullis_bench_micro::frames;
use portcullis_bench_micro::rig::{Rig, looped};
use portcullis_bench_micro::tables::{BURST, Ours, START, Std, Table, fill, flow_table};
use portcullis_wire::{Decoded, Decoder, DecoderConfig, LinkType};
use std::hint::black_box;
use std::process::Command;

/// Few enough for valgrind; what is counted does not depend on it.
const FLOWS: u64 = 4096;
const ROUNDS: u64 = 16;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The decoder, checksums not verified.
    Decode,
    /// Hash, look-up and update in the flow table.
    Table,
    /// The same with the sweep and finishing after each burst.
    TableAndSweep,
    /// Hash, look-up and update in the standard library's map.
    Std,
    /// The flow worker on a burst, without rules: decoder with checksums, owner, table, verdict, counters.
    Engine,
    /// The same with what it does after each burst: sweep, finishing, counters published.
    EngineAndHouse,
}

pub(crate) fn run() -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    for what in What::value_variants() {
        let name = what.to_possible_value().context("it has a name")?.get_name().to_owned();
        let arguments = ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"];
        let mut valgrind = Command::new("valgrind");
        valgrind.args(arguments).arg("--toggle-collect=*counted_part*");
        let output = valgrind.arg(&program).args(["counted", &name]).output().context("running valgrind")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let collected = said.lines().find_map(|line| line.split_once("Collected : "));
        let Some((_, collected)) = collected else { bail!("valgrind counted nothing: {said}") };
        let instructions: u64 = collected.trim().parse()?;
        println!("{name:<18} {} instructions a packet", instructions.div_ceil(FLOWS * ROUNDS));
    }
    Ok(())
}

pub(crate) fn run_counted(arguments: &Arguments) -> anyhow::Result<()> {
    match arguments.what {
        What::Decode => count_decoder(),
        What::Table => count_table(&mut Ours { table: flow_table(2 * FLOWS), sweeping: false }),
        What::TableAndSweep => count_table(&mut Ours { table: flow_table(2 * FLOWS), sweeping: true }),
        What::Std => count_table(&mut Std::new(FLOWS)),
        What::Engine => count_engine(false),
        What::EngineAndHouse => count_engine(true),
    }
    Ok(())
}

fn count_decoder() {
    let frames = frames::udp(u32::try_from(FLOWS).unwrap_or(0));
    let decoder = Decoder::new(DecoderConfig::without_checksums());
    let mut decoded = Decoded::default();
    for (_, _, frame) in frames.iter().cycle().take(frames.len() * usize::try_from(ROUNDS).unwrap_or(0)) {
        counted_part(&mut || {
            decoder.decode_into(LinkType::Ethernet, None, false, black_box(frame), &mut decoded);
            black_box(&decoded);
        });
    }
}

fn count_table(table: &mut dyn Table) {
    fill(table, FLOWS, 4, |_| START);
    let mut random = Random(1);
    for _ in 0..FLOWS * ROUNDS / BURST as u64 {
        let packets: [Prepared; BURST] = std::array::from_fn(|_| packet(random.below(FLOWS), 4));
        counted_part(&mut || table.take(&packets, &[], START));
    }
}

fn count_engine(keep_house: bool) {
    let frames = frames::udp(u32::try_from(FLOWS).unwrap_or(0));
    let mut rig = Rig::new("");
    rig.judge(&mut looped(&frames, 1));
    rig.judge_within(&mut looped(&frames, ROUNDS), keep_house, counted_part);
}

/// Named in the call of valgrind.
#[inline(never)]
fn counted_part(work: &mut dyn FnMut()) {
    work();
}
