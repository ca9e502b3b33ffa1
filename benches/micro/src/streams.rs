//! TCP sessions: what a segment costs beyond finding its flow, in streams that are as they should be and in floods
//! that are not. Each is run at so many segments, twice and four times as many: the figure for each should be the
//! same, for what a segment costs must not depend on what came before it; and memory must stay where the settings put
//! it.

use anyhow::Context as _;
use clap::Args;
use portcullis_bench_micro::cpu_time;
use portcullis_bench_micro::flows::Random;
use portcullis_bench_micro::segments::{open, segment, take};
use portcullis_bench_micro::spread::Spread;
use portcullis_flow::Direction;
use portcullis_stream::{Share, StreamSettings, Streams};
use std::time::Duration;

/// Segments are made in lots, outside of what is measured.
const LOT: usize = 1024;
const WINDOW: u32 = 65_535;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Segments of the shortest run.
    #[arg(long, default_value_t = 200_000)]
    segments: usize,
    /// How often each is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How far rules look back, in bytes.
    #[arg(long, default_value_t = 64)]
    reach: u64,
}

/// A stream.
struct Flood {
    name: &'static str,
    /// How much each segment carries.
    length: u32,
    /// How far it is from one place to the next, and which place a segment has, by its number from 0.
    step: u32,
    place: fn(u32, &mut Random) -> u32,
    /// After how many segments the receiver acknowledges what it has.
    acknowledged: u32,
}

impl Flood {
    const fn new(name: &'static str, length: u32, step: u32, place: fn(u32, &mut Random) -> u32) -> Self {
        Self { name, length, step, place, acknowledged: 16 }
    }

    /// Nothing is acknowledged, so that all of it stays in the window.
    const fn stuck(name: &'static str, length: u32, place: fn(u32, &mut Random) -> u32) -> Self {
        Self { name, length, step: 1, place, acknowledged: u32::MAX }
    }
}

const FLOODS: [Flood; 9] = [
    Flood::new("in order, 1460 bytes", 1460, 1460, |number, _| number),
    Flood::new("in order, 64 bytes", 64, 64, |number, _| number),
    Flood::new("in order, 1 byte", 1, 1, |number, _| number),
    Flood::new("in pairs backwards, 1460 bytes", 1460, 1460, |number, _| number ^ 1),
    Flood::new("in sixteens backwards, 1460 bytes", 1460, 1460, |number, _| number ^ 15),
    Flood::new("each over half of the one before it, 1460 bytes", 1460, 730, |number, _| number),
    Flood::stuck("the same place for ever, 1460 bytes", 1460, |_, _| 0),
    Flood::stuck("anywhere in the window, overlapping, 1460 bytes", 1460, anywhere),
    Flood::stuck("anywhere in the window, overlapping, 1 byte", 1, anywhere),
];

fn anywhere(_: u32, random: &mut Random) -> u32 {
    u32::try_from(random.below(u64::from(WINDOW - 1460))).unwrap_or(0)
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for inline in [true, false] {
        println!("{}", if inline { "inline" } else { "not inline" });
        for flood in &FLOODS {
            println!("  {}", flood.name);
            for factor in [1, 2, 4] {
                measure(arguments, arguments.segments * factor, inline, flood)?;
            }
        }
    }
    Ok(())
}

fn measure(arguments: &Arguments, segments: usize, inline: bool, flood: &Flood) -> anyhow::Result<()> {
    let mut settings = StreamSettings { inline, ..StreamSettings::default() };
    settings.reassembly.depth = 0;
    let mut nanos = Vec::new();
    let mut most = 0;
    let payload = vec![b'x'; flood.length as usize];
    for _ in 0..arguments.rounds {
        let mut streams = Streams::new(&settings, Share { workers: 1, seed: 7 })?;
        streams.set_reach(Some(arguments.reach));
        let session = open(&mut streams).context("no session")?;
        let mut random = Random(1);
        let mut spent = Duration::ZERO;
        let mut done = 0;
        while done < segments {
            let count = LOT.min(segments - done);
            let numbers = (0..).skip(done).take(count);
            let lot: Vec<(u32, u32)> = numbers
                .map(|number| (number, flood.step.wrapping_mul((flood.place)(number, &mut random))))
                .collect();
            let start = cpu_time();
            for (number, place) in lot {
                take(&mut streams, session, &segment(Direction::ToServer, place, 0, &payload));
                if (number + 1).is_multiple_of(flood.acknowledged) {
                    let all = (number + 1).wrapping_mul(flood.step);
                    take(&mut streams, session, &segment(Direction::ToClient, 0, all, &[]));
                }
            }
            spent += cpu_time() - start;
            done += count;
            most = most.max(streams.stats().reassembly_memuse);
        }
        nanos.push(spent.as_secs_f64() * 1e9 / segments as f64);
    }
    anyhow::ensure!(
        most <= settings.reassembly.memcap,
        "{most} bytes are more than stream.reassembly.memcap"
    );
    let spread = Spread::of(nanos.into_iter());
    println!("    {segments:>8} segments: {spread:.0} ns each; at most {} KiB", most >> 10);
    Ok(())
}
