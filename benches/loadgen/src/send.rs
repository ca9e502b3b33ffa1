//! A sender of live frames alone, for as long as it is wanted.

use crate::maker::{Layout, Maker};
use crate::pace::Pace;
use crate::place::Opened;
use crate::sender::live;
use crate::stop::Stop;
use crate::trial::rate;
use crate::{report, thread};
use anyhow::{Result, ensure};
use portcullis_trial::{Place, Rate, Size, Trial};

/// About three days of 2^32 frames would be longer; a sender that is not told when to stop is told by a signal.
const LONG: f64 = 1e6;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The interface to send on, in this namespace.
    #[arg(long)]
    iface: String,
    /// Bytes of a frame without its check sequence, or `imix`.
    #[arg(long, default_value_t)]
    size: Size,
    /// Flows, taken in turn; they differ by their ports, flow 0 has 10000 and 7.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    flows: u32,
    /// Frames a second; as fast as they go when not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pps: Option<u32>,
    /// Stop after this many frames.
    #[arg(long)]
    count: Option<u64>,
    /// Stop after this many seconds.
    #[arg(long, default_value_t = LONG)]
    seconds: f64,
    /// Pin the sender to this CPU (live frames come to the receive queue of the CPU's number).
    #[arg(long)]
    cpu: Option<u32>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { iface, size, flows, pps, count, seconds, cpu } = arguments;
    ensure!(*seconds > 0.0 && *seconds <= 1e9, "--seconds must be above 0, not {seconds}");
    if let Size::Bytes(bytes) = size {
        ensure!(*bytes <= live::LONGEST, "live frames have {} bytes at most", live::LONGEST);
    }
    let from = Place::here(iface);
    let trial = Trial {
        size: *size,
        flows: *flows,
        rate: pps.map_or(Rate::Max, Rate::PerSecond),
        seconds: *seconds,
        // Nothing of its flows is left to chance.
        seed: 0,
        ..Trial::between(from.clone(), from.clone())
    };
    let from = Opened::open(&from)?;
    thread::pin(*cpu)?;
    let stop = Stop::on_signals()?;
    let maker = Maker::new(&trial, Layout::Udp, 0x8000);
    let sent = live::send(&from, &maker, Pace::of(&trial, count.unwrap_or(u64::MAX)), None, &stop)?;
    report("sent", sent.frames)?;
    report("bytes", sent.bytes)?;
    report("pps", format_args!("{:.0}", rate(sent.frames, sent.first, sent.last)))?;
    report("cpu_seconds", sent.cpu.as_secs_f64())?;
    Ok(())
}
