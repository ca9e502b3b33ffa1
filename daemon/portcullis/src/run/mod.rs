//! `portcullis run`: the gate between two live ports, from the first check to the last record.
//!
//! - `plan`: from the configuration to what each part is told, refusing what this build cannot do
//! - `warden`: all that needs privileges, behind one fixed set of messages
//! - `memory`: what the ports were like, so that a successor can restore them after a crash
//! - `worker`: the threads that judge, each on a CPU of its own
//! - `start`: everything in its order, and undone where a step fails
//! - `supervisor`: signals, commands, statistics, and the way to the end
//! - `reload`: new rules for the workers while they judge
//! - `live`: timeouts and policies that change while the gate stands
//! - `ending`: the last records, what must balance, the summary
//! - `control`: the control socket's commands, handed to the supervisor
//! - `counters`: all counters, those of the kernel included, by their dotted names
//!
//! Invariants: nothing outside `warden` touches ports, pins or the kernel's maps; no thread but the
//! workers touches packets; a panic ends the process at once with the pins in place, so that the
//! kernel's fail policy acts.

mod blind;
mod control;
mod counters;
mod ending;
mod live;
mod memory;
mod plan;
mod reload;
mod start;
mod supervisor;
mod warden;
mod worker;

use crate::cli::RunArgs;
use crate::config::Config;
use crate::exit::Failure;
use crate::output;

/// Runs the gate until it is told to end.
///
/// # Errors
/// Where it cannot start, a worker fails, or what must balance at the end does not.
pub fn run(arguments: &RunArgs) -> Result<(), Failure> {
    output::start_log();
    let gate = start::start(arguments)?;
    let summary = supervisor::supervise(gate)?;
    output::summary(&summary);
    Ok(())
}

/// Looks whether this build can do what the configuration asks of the gate, without touching anything.
///
/// # Errors
/// The first thing it cannot do.
pub fn check(config: &Config) -> Result<(), Failure> {
    plan::Plan::new(config).map(drop)
}

/// Ends the process when the thread that holds it panics: a worker that is gone must look gone to the
/// kernel, whose fail policy then acts.
#[derive(Debug)]
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    /// Runs itself in a process of its own, for it dies there.
    #[test]
    fn a_panic_ends_the_process_at_once() {
        const DIE: &str = "PORTCULLIS_TEST_PANIC";
        if std::env::var_os(DIE).is_some() {
            let worker = std::thread::spawn(|| {
                let _guard = AbortOnPanic;
                panic!("as the test wants");
            });
            let _ = worker.join();
            return;
        }
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "run::tests::a_panic_ends_the_process_at_once"]).env(DIE, "1");
        let status = again.output().unwrap().status;
        assert_eq!(status.signal(), Some(signal_hook::consts::SIGABRT), "{status}");
    }
}
