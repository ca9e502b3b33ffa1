//! DPDK's environment, which a process has once.

use super::{c_string, ffi, reason};
use crate::config::EalConfig;
use crate::error::DpdkError;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

/// Has it been started, ever? DPDK can start it only once a process.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Is it up?
static RUNNING: AtomicBool = AtomicBool::new(false);

/// The environment: memory, drivers, devices. Taken down when the last reference goes.
#[derive(Debug)]
pub struct Eal {
    thread: Option<JoinHandle<()>>,
    end: Option<Sender<()>>,
}

impl Eal {
    /// Starts it, with the devices that it shall have.
    ///
    /// It lives on a thread of its own, because DPDK pins whoever starts it to a CPU.
    ///
    /// # Errors
    /// It was started before in this process, or DPDK refuses; it says why on standard error.
    pub fn start(config: &EalConfig) -> Result<Arc<Self>, DpdkError> {
        let arguments = config.arguments();
        let arguments: Vec<CString> =
            arguments.iter().map(|word| c_string(word)).collect::<Result<_, _>>()?;
        if STARTED.swap(true, Ordering::AcqRel) {
            return Err(DpdkError::StartedBefore);
        }
        let (answer, answered) = channel();
        let (end, ended) = channel();
        let body = move || {
            let code = init(arguments);
            RUNNING.store(code == 0, Ordering::Release);
            // Whoever asked waits for it.
            let _ = answer.send(if code == 0 { Ok(()) } else { Err(reason(code)) });
            if code == 0 {
                // Comes when the last reference has gone.
                let _ = ended.recv();
                RUNNING.store(false, Ordering::Release);
                // SAFETY: it was started on this very thread, and nothing that stands on it is left: each holds a
                // reference.
                unsafe { ffi::pc_eal_cleanup() };
            }
        };
        let thread = Builder::new().name("eal".to_owned()).spawn(body);
        let thread = thread.map_err(|error| DpdkError::Environment(error.to_string()))?;
        let eal = Arc::new(Self { thread: Some(thread), end: Some(end) });
        match answered.recv() {
            Ok(Ok(())) => Ok(eal),
            Ok(Err(reason)) => Err(DpdkError::Environment(reason)),
            Err(_) => Err(DpdkError::Environment("its thread ended".to_owned())),
        }
    }

    /// DPDK's version, such as `DPDK 22.11.11`.
    #[must_use]
    pub fn version() -> String {
        // SAFETY: a static string that ends.
        unsafe { CStr::from_ptr(ffi::pc_version()) }.to_string_lossy().into_owned()
    }
}

impl Drop for Eal {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked, and there would be nothing to do about it.
            let _ = thread.join();
        }
    }
}

fn init(arguments: Vec<CString>) -> c_int {
    // DPDK keeps what it was given, and may reorder it: both stay for ever, once a process.
    let words: Vec<*mut c_char> =
        arguments.into_iter().map(CString::into_raw).chain([std::ptr::null_mut()]).collect();
    let words = words.leak();
    let count = c_int::try_from(words.len() - 1).unwrap_or(c_int::MAX);
    // SAFETY: `count` strings that end, then a null, all of which stay; `STARTED` lets only one caller come here.
    unsafe { ffi::pc_eal_init(count, words.as_mut_ptr()) }
}

/// A thread that DPDK knows has caches of its own in every pool; without one, each buffer is fetched from what all
/// threads share.
#[derive(Debug)]
struct Registered(bool);

impl Drop for Registered {
    fn drop(&mut self) {
        if self.0 && RUNNING.load(Ordering::Acquire) {
            // SAFETY: this thread registered itself, and the environment is up.
            unsafe { ffi::pc_thread_unregister() };
        }
    }
}

thread_local! {
    static REGISTERED: Registered = {
        // SAFETY: only called by who holds a started environment.
        let code = unsafe { ffi::pc_thread_register() };
        // Where DPDK has no number left for the thread, it goes on without.
        Registered(code == 0)
    };
}

/// Makes this thread known to DPDK, once; for who holds a started environment.
pub(crate) fn register_thread(_eal: &Eal) {
    REGISTERED.with(|_| ());
}
