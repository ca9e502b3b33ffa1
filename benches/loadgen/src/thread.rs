//! Threads of senders, forwarders and measurements: where they run, and what they have used.

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Ties the calling thread, and those that it starts, to one CPU, where one is named.
///
/// # Errors
/// There is no such CPU, or this process may not use it.
pub fn pin(cpu: Option<u32>) -> Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    let index = usize::try_from(cpu)?;
    ensure!(index < CpuSet::MAX_CPU, "there is no CPU {cpu}");
    let mut cpus = CpuSet::new();
    cpus.set(index);
    sched_setaffinity(None, &cpus).with_context(|| format!("cannot pin to CPU {cpu}"))
}

/// CPU time that the calling thread has used since it began, the kernel's on its behalf included. Where the kernel
/// does not account interrupts apart (`CONFIG_IRQ_TIME_ACCOUNTING`), that is also what soft interrupts took on top
/// of it: sending over a veth is mostly that.
#[must_use]
pub fn cpu_time() -> Duration {
    since_zero(ClockId::ThreadCPUTime)
}

/// A clock that never goes back: the one that BPF programs read.
#[must_use]
pub fn clock() -> Duration {
    since_zero(ClockId::Monotonic)
}

/// Its nanoseconds.
pub(crate) fn nanos() -> u64 {
    u64::try_from(clock().as_nanos()).unwrap_or(u64::MAX)
}

fn since_zero(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}
