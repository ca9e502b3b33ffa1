//! A forwarder that does known harm: packet sockets, one thread for each direction.

use super::faults::{Faults, Harm};
use super::nothing;
use crate::stop::Stop;
use crate::thread;
use anyhow::{Result, bail};
use portcullis_testkit::{NetNs, RawSocket};
use portcullis_trial::{Forwarded, How};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long nothing must have arrived for nothing to be expected.
const QUIET: Duration = Duration::from_millis(100);
/// How often to look whether that was all.
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(super) fn run(
    iface: &str,
    to: &str,
    faults: Faults,
    stop: &Stop,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Forwarded> {
    let here = NetNs::open(Path::new("/proc/thread-self/ns/net"), "this namespace")?;
    let open = |name: &str| RawSocket::open(&here, name);
    let ways = [(open(iface)?, open(to)?), (open(to)?, open(iface)?)];
    let start = Instant::now();
    let done = std::thread::scope(|scope| {
        let running = ways.map(|(from, to)| scope.spawn(move || one_way(from, &to, faults, stop)));
        ready()?;
        let ended = running.into_iter().map(|way| way.join().unwrap_or_else(|_| bail!("a direction died")));
        ended.collect::<Result<Vec<_>>>()
    })?;
    let sum = done.iter().fold(nothing(How::Faulty), |sum, way| Forwarded {
        received: sum.received + way.received,
        forwarded: sum.forwarded + way.forwarded,
        overflowed: sum.overflowed + way.overflowed,
        lost: sum.lost + way.lost,
        doubled: sum.doubled + way.doubled,
        swapped: sum.swapped + way.swapped,
        corrupted: sum.corrupted + way.corrupted,
        cpu_seconds: sum.cpu_seconds + way.cpu_seconds,
        ..sum
    });
    Ok(Forwarded { seconds: start.elapsed().as_secs_f64(), ..sum })
}

fn one_way(mut from: RawSocket, to: &RawSocket, faults: Faults, stop: &Stop) -> Result<Forwarded> {
    let mut harm = Harm::new(faults, nothing(How::Faulty));
    let mut last = Instant::now();
    while !stop.is_wanted() {
        let until_due = harm.due().map_or(LOOK_EVERY, |due| due.saturating_duration_since(Instant::now()));
        if let Some(frame) = from.receive(until_due.min(LOOK_EVERY))? {
            last = Instant::now();
            harm.take(frame, last);
        } else if last.elapsed() > QUIET {
            harm.let_go();
        }
        let now = Instant::now();
        while let Some(frame) = harm.next(now) {
            if to.send(&frame).is_err() {
                harm.done.forwarded -= 1;
                harm.done.overflowed += 1;
            }
        }
    }
    Ok(Forwarded { cpu_seconds: thread::cpu_time().as_secs_f64(), ..harm.done })
}
