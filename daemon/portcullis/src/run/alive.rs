//! A file that every gate of an inline set holds locked as long as it lives, so that a warden finds the gate of one that
//! died: that gate goes on judging, and has to leave before another can take its queues.

use portcullis_bpf::GateConfig;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a gate without a warden may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often to look whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The file. Every gate gets a descriptor of it.
#[derive(Debug)]
pub(crate) struct Alive {
    path: PathBuf,
    /// Opened for reading only: gates have it, and must not write who is to be ended.
    lock: File,
}

impl Alive {
    /// Claims the file of the inline set `name`; has a gate end that holds it. For a warden that is the only one of its
    /// name.
    ///
    /// # Errors
    /// The file cannot be used, or that gate does not end.
    pub(crate) fn claim(name: &str) -> Result<Self, String> {
        Self::claim_in(Path::new(GateConfig::LOCK_DIR), name)
    }

    fn claim_in(folder: &Path, name: &str) -> Result<Self, String> {
        let path = folder.join(format!("{name}.gate"));
        let fail = |error: io::Error| format!("cannot use {}: {error}", path.display());
        std::fs::create_dir_all(folder).map_err(fail)?;
        OpenOptions::new().append(true).create(true).open(&path).map_err(fail)?;
        let lock = File::open(&path).map_err(fail)?;
        if !is_free(&lock).map_err(fail)? {
            end_orphan(&path, &lock)?;
        }
        Ok(Self { path, lock })
    }

    /// Keeps which process is the gate.
    pub(crate) fn note(&self, process: u32) {
        if let Err(error) = std::fs::write(&self.path, format!("{process}\n")) {
            tracing::warn!("cannot note the gate in {}: {error}", self.path.display());
        }
    }
}

impl AsFd for Alive {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }
}

fn end_orphan(path: &Path, lock: &File) -> Result<(), String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let unknown = || format!("a gate without a warden lives, but {} does not say which", path.display());
    let process = text.trim().parse().ok().and_then(Pid::from_raw).ok_or_else(unknown)?;
    let Ok(handle) = pidfd_open(process, PidfdFlags::empty()) else { return wait(lock, PATIENCE, process) };
    // While it is locked the process that was noted is the gate; the handle stays that one's.
    if is_free(lock).map_err(|error| error.to_string())? {
        return Ok(());
    }
    tracing::info!("a gate without a warden judges (process {process}): it leaves now");
    for signal in [Signal::TERM, Signal::KILL] {
        match pidfd_send_signal(&handle, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(format!("cannot end process {process}: {error}")),
        }
        let waiting = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        let _ = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&waiting));
        if wait(lock, LOOK_EVERY * 5, process).is_ok() {
            return Ok(());
        }
    }
    wait(lock, PATIENCE, process)
}

fn wait(lock: &File, patience: Duration, process: Pid) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    while !is_free(lock).map_err(|error| error.to_string())? {
        if Instant::now() > deadline {
            return Err(format!("a gate without a warden (process {process}) does not end"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Locks the file if nobody else has it.
fn is_free(lock: &File) -> io::Result<bool> {
    match flock(lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_gate_whose_warden_died_is_ended_and_no_other_process() {
        let folder = tempfile::tempdir().unwrap();
        let alive = Alive::claim_in(folder.path(), "test").unwrap();
        let hand_on = alive.lock.try_clone().unwrap();
        // It has the descriptor, as a gate has it.
        let mut gate = Command::new("sleep").arg("1000").stdin(Stdio::from(hand_on)).spawn().unwrap();
        let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
        alive.note(gate.id());
        drop(alive);
        let reaper = std::thread::spawn(move || gate.wait().unwrap());
        let next = Alive::claim_in(folder.path(), "test").unwrap();
        assert!(!reaper.join().unwrap().success());

        // Nobody holds it: whoever was noted is somebody else by now.
        next.note(other.id());
        drop(next);
        drop(Alive::claim_in(folder.path(), "test").unwrap());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
