//! The decoder beside etherparse's `SlicedPacket`, checksums off in both: over plain TCP, and over frames with
//! tags, extension headers and tunnels. Both decode the same packets.

use clap::Args;
use portcullis_bench_micro::cpu_time;
use portcullis_bench_micro::samples::{self, Sample};
use portcullis_bench_micro::spread::Spread;
use std::hint::black_box;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Turns of each, in turn.
    #[arg(long, default_value_t = 15)]
    turns: usize,
    /// Times that all frames are decoded in a turn.
    #[arg(long, default_value_t = 2000)]
    rounds: usize,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for (name, samples) in
        [("plain TCP/IPv4", samples::plain()), ("tunnels and extension headers", samples::mixed())]
    {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..arguments.turns {
            ours.push(timed(&samples, arguments.rounds, samples::ours()));
            theirs.push(timed(&samples, arguments.rounds, samples::etherparse));
        }
        let ratios = theirs.iter().zip(&ours).map(|(theirs, ours)| theirs / ours);
        println!(
            "{name:<30} ns a frame: ours {:.1}, etherparse {:.1}; etherparse by ours {:.2}",
            Spread::of(ours.iter().copied()),
            Spread::of(theirs.iter().copied()),
            Spread::of(ratios),
        );
    }
    Ok(())
}

/// Nanoseconds a frame.
fn timed(samples: &[Sample], rounds: usize, mut take: impl FnMut(&Sample)) -> f64 {
    let start = cpu_time();
    for _ in 0..rounds {
        for sample in samples {
            take(black_box(sample));
        }
    }
    let frames = u32::try_from(rounds * samples.len()).unwrap_or(u32::MAX);
    (cpu_time() - start).as_secs_f64() * 1e9 / f64::from(frames)
}
