//! Threads: where they run, and what they have used.

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Ties the calling thread, and those that it starts, to one CPU.
pub(crate) fn pin(cpu: Option<u32>) -> Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    let index = usize::try_from(cpu)?;
    ensure!(index < CpuSet::MAX_CPU, "there is no CPU {cpu}");
    let mut cpus = CpuSet::new();
    cpus.set(index);
    sched_setaffinity(None, &cpus).with_context(|| format!("cannot pin to CPU {cpu}"))
}

/// CPU time that the calling thread has used, the kernel's on its behalf included.
pub(crate) fn cpu_time() -> Duration {
    since_zero(ClockId::ThreadCPUTime)
}

/// Nanoseconds of the clock that BPF programs read.
pub(crate) fn nanos() -> u64 {
    u64::try_from(since_zero(ClockId::Monotonic).as_nanos()).unwrap_or(u64::MAX)
}

fn since_zero(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
