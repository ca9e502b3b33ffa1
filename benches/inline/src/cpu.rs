//! CPUs: who runs where, and what the calling thread has used.

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Ties the calling thread, and those that it starts, to one CPU.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    ensure!(cpu < CpuSet::MAX_CPU, "there is no CPU {cpu}");
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    sched_setaffinity(None, &cpus).with_context(|| format!("cannot pin to CPU {cpu}"))
}

/// CPU time that the calling thread has used since it began, the kernel's on its behalf included. Where the kernel
/// does not account interrupts apart (`CONFIG_IRQ_TIME_ACCOUNTING`), that is also what soft interrupts took on top
/// of it: sending over a veth is mostly that.
pub(crate) fn thread_time() -> Duration {
    since_zero(ClockId::ThreadCPUTime)
}

/// A clock that never goes back.
pub(crate) fn clock() -> Duration {
    since_zero(ClockId::Monotonic)
}

fn since_zero(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let (seconds, nanos) =
        (u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0));
    Duration::new(seconds, nanos)
}
