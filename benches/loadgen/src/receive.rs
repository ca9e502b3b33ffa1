//! The receiver: an XDP program counts and drops, per CPU, so that counting costs the receiving
//! side next to nothing.

use std::mem::MaybeUninit;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags};

use crate::place::interface_index;
use crate::report;
use crate::skeleton::receive::ReceiveSkelBuilder;
use crate::stop::Stop;

/// How often the counters are looked at: the precision of the reported time span.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The interface to receive on, in this namespace.
    #[arg(long)]
    iface: String,
    /// Stop when this many frames have arrived.
    #[arg(long)]
    count: Option<u64>,
    /// Stop after this many seconds.
    #[arg(long)]
    seconds: Option<f64>,
    /// Stop when nothing has arrived for this many milliseconds after the first frame.
    #[arg(long)]
    quiet_ms: Option<u64>,
}

/// What has arrived so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counters {
    packets: u64,
    bytes: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let duration = arguments.seconds.map(Duration::try_from_secs_f64).transpose().context("--seconds")?;
    let quiet = arguments.quiet_ms.map(Duration::from_millis);
    let index = i32::try_from(interface_index(&arguments.iface)?)?;
    let stop = Stop::on_signals()?;
    let mut storage = MaybeUninit::uninit();
    let mut open = ReceiveSkelBuilder::default().open(&mut storage)?;
    open.progs.receive.set_autoload(false);
    open.progs.returned.set_autoload(false);
    let skeleton = open.load().context("cannot load the counting BPF program (it needs root)")?;
    // Detached when it goes out of scope.
    let _attached =
        skeleton.progs.count.attach_xdp(index).with_context(|| {
            format!("cannot attach to {} (is another XDP program there?)", arguments.iface)
        })?;
    report("state", "ready")?;

    let start = Instant::now();
    let mut seen = Counters::default();
    let (mut first, mut last) = (None, start);
    loop {
        let now = Instant::now();
        let counters = read(&skeleton.maps.received)?;
        if counters != seen {
            seen = counters;
            first = first.or(Some(now));
            last = now;
        }
        let finished = stop.is_wanted()
            || arguments.count.is_some_and(|count| seen.packets >= count)
            || duration.is_some_and(|duration| now - start >= duration)
            || quiet.is_some_and(|quiet| first.is_some() && now - last >= quiet);
        if finished {
            break;
        }
        sleep(LOOK_EVERY);
    }
    let span = first.map_or(Duration::ZERO, |first| last - first);
    report("received", seen.packets)?;
    report("bytes", seen.bytes)?;
    report("seconds", format_args!("{:.6}", span.as_secs_f64()))?;
    report("pps", format_args!("{:.0}", rate(seen.packets, span)))?;
    Ok(())
}

/// Frames a second, 0 where no time has passed.
fn rate(frames: u64, span: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate is printed without decimals")]
    let frames = frames as f64;
    if span.is_zero() { 0.0 } else { frames / span.as_secs_f64() }
}

fn read(map: &impl MapCore) -> Result<Counters> {
    let values = map.lookup_percpu(&0_u32.to_ne_bytes(), MapFlags::ANY)?.unwrap_or_default();
    let mut sum = Counters::default();
    for value in &values {
        let (words, _) = value.as_chunks::<8>();
        if let &[packets, bytes] = words {
            sum.packets += u64::from_ne_bytes(packets);
            sum.bytes += u64::from_ne_bytes(bytes);
        }
    }
    Ok(sum)
}
