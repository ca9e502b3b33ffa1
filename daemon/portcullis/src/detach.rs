//! `portcullis ctl detach`: gives the ports back, whether the gate lives, hangs, or died and left them to the fail policy.
//!
//! From then on this host forwards nothing between the ports, whatever `fail` says.

use crate::bypass;
use crate::cli::CtlArgs;
use crate::exit::Failure;
use crate::output;
use crate::run;
use portcullis_bpf::{Gate, GateConfig, PanicSwitch};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;
use std::path::Path;

/// How long a gate may take to end gracefully, and then at once.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Detaches the gate that has the inline set, with all sets that it has.
///
/// # Errors
/// There is no such set, several where none is named, or something cannot be taken down.
pub(crate) fn run(arguments: &CtlArgs) -> Result<(), Failure> {
    let set = bypass::set(arguments.set.as_deref())?;
    let gate = PanicSwitch::gate_of(Path::new(GateConfig::PIN_DIR), &set);
    let (gate, _) = gate.ok_or_else(|| Failure::Control(format!("no inline set {set:?} stands here")))?;
    if let Some(process) = Gate::holder(Path::new(GateConfig::LOCK_DIR), &gate) {
        end(process).map_err(Failure::Control)?;
    }
    run::take_down_left(&gate).map_err(Failure::Control)?;
    output::line(&format!("{gate}: the ports are what they were, and nothing is forwarded between them"));
    Ok(())
}

/// Has a warden end: gracefully, and where its gate does not, at once.
fn end(process: u32) -> Result<(), String> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    let Some(pid) = pid else { return Err(format!("{process} is no process")) };
    // One that is gone has ended.
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    for _ in 0..2 {
        if pidfd_send_signal(&handle, Signal::TERM).is_err() {
            return Ok(());
        }
        if poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&PATIENCE)) == Ok(1) {
            return Ok(());
        }
    }
    Err(format!("process {process} does not end: kill it, and detach again"))
}
