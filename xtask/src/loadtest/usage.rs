//! What CPU time was used, by processes and by the whole machine, and what memory processes have.

use std::fs;

use anyhow::{Context, Result};

/// CPU time used up to a moment, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// By some processes, all their threads.
    pub(crate) own: f64,
    /// By everything on the machine, soft interrupts included.
    pub(crate) machine: f64,
}

impl Usage {
    /// Until now. A process that has ended counts nothing.
    pub(crate) fn until_now(processes: &[u32]) -> Result<Self> {
        let own = processes.iter().filter_map(|id| fs::read_to_string(format!("/proc/{id}/stat")).ok());
        let own: f64 = own.filter_map(|text| of_process(&text)).sum();
        let machine = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        let machine = of_machine(&machine).context("/proc/stat is not as it should be")?;
        Ok(Self { own: own / ticks(), machine: machine / ticks() })
    }

    /// From `earlier` on.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { own: self.own - earlier.own, machine: self.machine - earlier.machine }
    }
}

/// The kernel counts CPU time in so many a second.
#[expect(clippy::cast_precision_loss, reason = "a hundred or a thousand")]
fn ticks() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// User and system time of `/proc/PID/stat`: the 14th and 15th word, of which the second, in brackets, may have spaces.
fn of_process(text: &str) -> Option<f64> {
    let (_, rest) = text.rsplit_once(") ")?;
    let mut times = rest.split(' ').skip(11).map(|word| word.parse::<f64>().ok());
    Some(times.next()?? + times.next()??)
}

/// All that is not idling or waiting for disks in the first line of `/proc/stat`; what guests use is in user time.
fn of_machine(text: &str) -> Option<f64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let times: Option<Vec<f64>> = line.split_whitespace().map(|word| word.parse().ok()).collect();
    let [user, nice, system, _idle, _waiting, interrupts, softly, ..] = times?[..] else { return None };
    Some(user + nice + system + interrupts + softly)
}

/// The resident memory of processes in bytes: now, and the most that it was.
pub(crate) fn memory(processes: &[u32]) -> (f64, f64) {
    let sum = |name: &str| {
        let texts = processes.iter().filter_map(|id| fs::read_to_string(format!("/proc/{id}/status")).ok());
        texts.filter_map(|text| kilobytes(&text, name)).sum::<f64>() * 1024.0
    };
    (sum("VmRSS:"), sum("VmHWM:"))
}

fn kilobytes(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_process_are_found() {
        let text = "77 (a) name) S 1 2 3 4 5 6 7 8 9 10 250 30 1 2 20 0";
        assert_eq!(of_process(text), Some(280.0));
        assert_eq!(of_process("77 (cut short) S 1"), None);
    }

    #[test]
    fn the_time_of_the_machine_leaves_out_idling() {
        assert_eq!(of_machine("cpu  1 2 4 1000 1000 8 16 500 0 0\ncpu0 1"), Some(31.0));
        assert_eq!(of_machine("nonsense"), None);
    }

    #[test]
    fn work_is_seen() {
        let own = [std::process::id()];
        let before = Usage::until_now(&own).unwrap();
        let mut used = Usage::default();
        while used.own <= 0.0 || used.machine <= 0.0 {
            used = Usage::until_now(&own).unwrap().since(before);
        }
        let (now, most) = memory(&own);
        assert!(now > 0.0 && most >= now);
    }
}
