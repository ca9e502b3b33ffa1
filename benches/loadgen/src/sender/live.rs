//! The sender of live frames: the kernel runs our program over pages of its own and puts them on the wire.
//!
//! The program leaves out what is not due, which is over in some 50 ns and needs no wait with soft interrupts off. A
//! run ends by a signal to the thread that began it: a test run can not be told how long to take, and beginning one
//! takes some 20 ms.

use crate::maker::Maker;
use crate::pace::Pace;
use crate::place::Opened;
use crate::sender::Sent;
use crate::sender::program::{self, Progress, Setup, Which};
use crate::sender::run_frames::run_frames;
use crate::stop::Stop;
use crate::thread;
use anyhow::{Context, Result};
use signal_hook::consts::SIGUSR1;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Frames that leave together as fast as they go: the kernel's own number.
const BATCH: u32 = 64;
/// With a rate: few, since a frame leaves only with its batch, and what is not due is in it, too.
const PACED_BATCH: u32 = 8;
/// How often to look whether all is sent.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The longest frame that fits a page beside what the kernel needs of it.
pub(crate) const LONGEST: u16 = 3400;

/// Sends until the pace is over or the wish to stop comes. The calling thread must be the process's first, for that is the
/// one that signals go to.
pub(crate) fn send(
    from: &Opened,
    maker: &Maker,
    pace: Pace,
    open_flows: Option<BorrowedFd<'_>>,
    stop: &Stop,
) -> Result<Sent> {
    let mut storage = MaybeUninit::uninit();
    let setup = Setup { which: Which::Send, maker, pace, egress: from.index, open_flows };
    let skeleton = program::load(&mut storage, &setup)?;
    let progress = Progress::of(&skeleton)?;
    // Without an action of ours the signal would end the process.
    signal_hook::flag::register(SIGUSR1, Arc::new(AtomicBool::new(false)))?;
    let (frame, batch) = (maker.longest(), batch(pace));
    let is_over = AtomicBool::new(false);
    let before = thread::cpu_time();
    std::thread::scope(|scope| {
        scope.spawn(|| interrupt_when_over(&progress, &is_over));
        let result = from.inside(|| {
            while !stop.is_wanted() && !progress.look()?.1 {
                match run_frames(&skeleton.progs.send, &frame, batch) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    other => other.context("the kernel refuses to run live frames")?,
                }
            }
            Ok(())
        });
        is_over.store(true, Ordering::Relaxed);
        result
    })?;
    let (sent, ..) = progress.look()?;
    Ok(Sent { cpu: thread::cpu_time() - before, ..sent })
}

/// A burst must leave when it is made, so it has to be a number of whole batches.
fn batch(pace: Pace) -> u32 {
    match (pace.gap, pace.burst) {
        (0, 0) => BATCH,
        (0, burst) => (1..=BATCH).rev().find(|batch| burst % batch == 0).unwrap_or(1),
        _ => PACED_BATCH,
    }
}

fn interrupt_when_over(progress: &Progress, is_over: &AtomicBool) {
    let process = rustix::process::getpid();
    while !is_over.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_EVERY);
        // What cannot be looked at, the sender's thread will complain of.
        if progress.look().is_ok_and(|(_, over, _)| !over) {
            continue;
        }
        // The process is this one, so there is nobody whom the signal does not reach.
        let _ = rustix::process::kill_process(process, rustix::process::Signal::USR1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_whole_batches() {
        let pace = Pace { gap: 0, catch_up: 0, burst: 0, pause: 0, duration: 0, limit: 0 };
        for (gap, burst, expected) in
            [(0, 0, 64), (9, 0, 8), (0, 64, 64), (0, 96, 48), (0, 7, 7), (0, 67, 1), (0, 2, 2)]
        {
            assert_eq!(batch(Pace { gap, burst, ..pace }), expected, "{gap} {burst}");
        }
    }
}
