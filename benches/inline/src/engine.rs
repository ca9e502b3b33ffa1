//! The engine alone: frames in memory, judged again and again by one worker without rules.
//!
//! Memory and all flows are there before the first packet that counts. What counts is the CPU time of the thread, so
//! that others who want its CPU do not; with and without the engine in turn.

use crate::numbers::{self, Numbers};
use crate::output::line;
use anyhow::Result;
use portcullis_bench_micro::frames::{self, Frame};
use portcullis_bench_micro::rig::{Rig, accept_all, looped};
use portcullis_bench_micro::spread::Spread;
use portcullis_loadgen::thread::{cpu_time, pin};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Flows, in turn.
    #[arg(long, value_delimiter = ',', default_value = "1000,1000000")]
    flows: Vec<u32>,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Packets of a round, at least.
    #[arg(long, default_value_t = 2_000_000)]
    packets: u32,
    /// The CPU to measure on.
    #[arg(long, default_value_t = 1)]
    cpu: u32,
    /// Writes every number into this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    pin(Some(arguments.cpu))?;
    let mut all = Vec::new();
    for flows in &arguments.flows {
        let frames = frames::udp(*flows);
        let times = u64::from(arguments.packets.div_ceil((*flows).max(1)));
        let mut rig = Rig::new("");
        // All flows begin here.
        rig.judge(&mut looped(&frames, 1));
        let (mut judged, mut accepted) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds {
            accepted.push(cost(&frames, times, accept_all));
            judged.push(cost(&frames, times, |module| rig.judge(module)));
        }
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        line(format_args!("{flows} flows, CPU ns by packet, the module's own included"))?;
        line(format_args!("  with the engine   {:.1}", spread(&judged)))?;
        line(format_args!("  module alone      {:.1}", spread(&accepted)))?;
        all.push(Numbers::of(flows, "CPU", "ns/packet", judged.into_iter()));
        all.push(Numbers::of(flows, "module alone", "ns/packet", accepted.into_iter()));
    }
    numbers::write(&all, arguments.json.as_deref())
}

/// Nanoseconds of CPU time a packet.
fn cost(
    frames: &[Frame],
    times: u64,
    judge: impl FnOnce(&mut portcullis_capture::memory::LoopModule) -> u64,
) -> f64 {
    let mut module = looped(frames, times);
    let start = cpu_time();
    let packets = judge(&mut module);
    let time = cpu_time().saturating_sub(start);
    by_packet(time, packets)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn by_packet(time: Duration, packets: u64) -> f64 {
    time.as_secs_f64() * 1e9 / packets.max(1) as f64
}
