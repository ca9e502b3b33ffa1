//! A process that crashes says so before the kernel has cleaned up after it: that may take long where there is much
//! memory, and sockets are closed last.
#![expect(unsafe_code, reason = "signal handlers")]

use crate::pulse::Pulses;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Signals that end a process by a fault of its own.
const FAULTS: [libc::c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];

/// Whose heartbeats to stop, and what was to happen without us.
struct Crash {
    pulses: Pulses,
    before: [libc::sigaction; FAULTS.len()],
}

static CRASH: OnceLock<Crash> = OnceLock::new();

/// So that only the first of several threads that fall together looks at it.
static CRASHED: AtomicBool = AtomicBool::new(false);

/// From now on a crash of this process stops the heartbeats of all its workers at once. What else was to happen at the
/// signal happens after that. Only the first call counts: a process has one gate.
///
/// # Errors
/// The system takes no handler.
pub fn stop_on_crash(pulses: Pulses) -> io::Result<()> {
    let mut before = [no_action(); FAULTS.len()];
    for (signal, before) in FAULTS.into_iter().zip(&mut before) {
        // SAFETY: no new action is given; the old one is written to a valid struct.
        let asked = unsafe { libc::sigaction(signal, ptr::null(), before) };
        if asked != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    if CRASH.set(Crash { pulses, before }).is_err() {
        return Ok(());
    }
    let mut action = no_action();
    let handler: extern "C" fn(libc::c_int, *const libc::siginfo_t, *const libc::c_void) = on_crash;
    action.sa_sigaction = handler as libc::sighandler_t;
    // On the stack that the standard library has for handlers: the thread's own may be what overflowed.
    action.sa_flags = libc::SA_ONSTACK | libc::SA_SIGINFO;
    for signal in FAULTS {
        // SAFETY: the action is a valid struct, and its handler does nothing that a handler must not.
        let set = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Stops the heartbeats and puts back what was to happen before. A fault then happens again, and meets that; what somebody
/// sent (`abort` sends, too) does not come again by itself, and what it does by default is what it was sent for.
extern "C" fn on_crash(signal: libc::c_int, info: *const libc::siginfo_t, _: *const libc::c_void) {
    let Some(crash) = CRASH.get() else { return };
    if !CRASHED.swap(true, Ordering::Relaxed) {
        crash.pulses.stop_all();
    }
    // SAFETY: with SA_SIGINFO the kernel hands over a valid struct.
    let was_sent = unsafe { (*info).si_code } <= 0;
    let index = FAULTS.iter().position(|fault| *fault == signal);
    let Some(before) = index.and_then(|index| crash.before.get(index)) else { return };
    let default = no_action();
    let next = if was_sent { &raw const default } else { &raw const *before };
    // SAFETY: async-signal-safe (signal-safety(7)); the action is one that the system gave us, or the default.
    unsafe { libc::sigaction(signal, next, ptr::null_mut()) };
    if was_sent {
        // It waits until this handler has returned.
        // SAFETY: async-signal-safe, too.
        unsafe { libc::raise(signal) };
    }
}

fn no_action() -> libc::sigaction {
    let action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeroes is the default action with an empty mask.
    unsafe { action.assume_init() }
}
