//! `portcullis run`: the gate between two live ports, from the first check to the last record. Two processes of one
//! program: the *warden* has the privileges and parses nothing that comes off the wire, the *gate* judges and has none.
//!
//! The warden:
//! - `setup`: what it reads of the configuration
//! - `keeper`: starts the gate, serves it, starts another where it dies, lets one follow another
//! - `warden`: all that needs privileges, and the fixed set of messages by which a gate asks for it
//! - `child`: a gate's process; `backoff`: how soon after another; `alive`: finds one whose warden died
//! - `watchdog`: when a gate hangs for good
//! - `signals`: signals as something to wait for
//! - `memory`: what the ports were like, so that a successor can restore them after a crash
//!
//! Both:
//! - `message`: messages with descriptors beside them
//! - `plan`: from the configuration to what each part is told, refusing what this build cannot do
//!
//! The gate:
//! - `link`: its end of the conversation
//! - `witness`: what the program noted of connections that nobody judged
//! - `wires`: the ports, whichever packet module serves them
//! - `dpdk`: the ports of the other packet module, which keep their privileges (`no_dpdk` in a build without it)
//! - `confinement`: all that it gives up: `privileges`, files but those of some `folders`, `syscalls`
//! - `worker`: the threads that judge, each on a CPU of its own
//! - `start`: everything in its order, and undone where a step fails
//! - `crew`: what the workers are made of; `announce`: how it all really stands
//! - `supervisor`: orders, signals, commands, statistics, and the way to the end
//! - `handover`: flows from one gate to the one that follows
//! - `reload`: new rules for the workers while they judge
//! - `list_balance`: whether what they counted is what the program did for them
//! - `lists`: bypasses, the allow-list and blocklists in the kernel, and what it noted of them
//! - `live`: timeouts and policies that change while the gate stands
//! - `link_state`, `link_watch`: links mirrored between the ports of a pair, and ports taken down for want of a worker
//! - `ending`: the last records, what must balance, the summary
//! - `asking`: what is known about a flow, and the last drops, for whoever asks
//! - `cache`: the verdict cache's other half, a thread between workers and the table of verdicts (`verdict_table`), which
//!   is the kernel's or, over DPDK, rules of the ports (`flow_rules`)
//! - `control`: the control socket's commands, handed to the supervisor
//! - `counters`: all counters, those of the kernel included, by their dotted names
//!
//! Invariants: nothing outside `warden` touches ports, pins or the kernel's maps; no thread but the
//! workers touches packets; no packet is judged with privileges; a panic ends its process at once with the pins in
//! place, so that the kernel's fail policy acts. A gate whose warden died goes on judging.

mod alive;
mod announce;
mod asking;
mod backoff;
mod blind;
mod cache;
mod child;
mod confinement;
mod control;
mod counters;
mod crew;
#[cfg_attr(not(feature = "dpdk"), path = "no_dpdk.rs")]
mod dpdk;
mod ending;
#[cfg(feature = "dpdk")]
mod flow_rules;
mod folders;
mod handover;
mod iface_stat;
mod keeper;
mod link;
mod link_state;
mod link_watch;
mod list_balance;
mod listed;
mod lists;
mod live;
mod memory;
mod message;
mod plan;
mod privileges;
mod reload;
mod setup;
mod signals;
mod start;
mod supervisor;
mod syscalls;
mod verdict_table;
mod warden;
mod watchdog;
mod wires;
mod witness;
mod worker;

use crate::cli::RunArgs;
use crate::config::Config;
use crate::exit::Failure;
use crate::output;
use portcullis_bpf::{Gate, GateConfig};
use std::path::Path;
use std::process::ExitCode;

/// Runs warden and gate until they are told to end; gives the exit status.
///
/// # Errors
/// Where the warden cannot start. What a gate fails for it tells itself.
pub fn run(arguments: &RunArgs) -> Result<ExitCode, Failure> {
    output::start_log();
    keeper::keep(arguments)
}

/// Judges for the warden that started this process.
///
/// # Errors
/// Where it cannot start, a worker fails, or what must balance at the end does not.
pub fn gate(arguments: &RunArgs) -> Result<(), Failure> {
    output::start_log();
    let gate = start::start(arguments)?;
    if let Some(summary) = supervisor::supervise(gate)? {
        output::summary(&summary);
    }
    Ok(())
}

/// Looks whether this build can do what the configuration asks of the gate, without touching anything.
///
/// # Errors
/// The first thing it cannot do.
pub fn check(config: &Config) -> Result<(), Failure> {
    plan::Plan::new(config).map(drop)
}

/// Can this build serve DPDK's ports?
///
/// # Errors
/// It cannot; what to do about it.
pub(crate) const fn has_dpdk() -> Result<(), &'static str> {
    dpdk::supported()
}

/// The version of Landlock that this kernel has.
///
/// # Errors
/// Why there is none.
pub(crate) fn landlock() -> Result<i32, &'static str> {
    folders::supported()
}

/// Takes down what a dead process left of a gate: a gate without a warden is ended, the program taken off, the ports made
/// what they were.
///
/// # Errors
/// A warden has the gate, or something cannot be taken down.
pub(crate) fn take_down_left(gate: &str) -> Result<(), String> {
    let folder = Path::new(GateConfig::LOCK_DIR);
    let memory = memory::PortMemory::open(folder, gate)?;
    let _alive = alive::Alive::claim(gate)?;
    let removed = Gate::remove_left(Path::new(GateConfig::PIN_DIR), folder, gate);
    let restored = memory.restore_left();
    removed.map_err(|error| error.to_string()).and(restored)
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
