//! Waking the reader of rings where it sleeps for long: it has told that it does, and whoever has a record for it then
//! wakes it, once. A reader that naps for a moment only is never woken, so a busy producer makes no system call.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

/// What a ring's two ends share of it.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    is_set: AtomicBool,
    sleeper: OnceLock<Thread>,
}

impl Alarm {
    /// From now on a record wakes this thread. One that comes at this very moment may not: whoever sleeps then looks again
    /// at the latest when it wakes by itself.
    pub(crate) fn set(&self) {
        // A ring's reader does not change.
        self.sleeper.get_or_init(std::thread::current);
        self.is_set.store(true, Ordering::SeqCst);
    }

    /// Nobody sleeps any more.
    pub(crate) fn unset(&self) {
        self.is_set.store(false, Ordering::Relaxed);
    }

    /// A record has come.
    #[inline]
    pub(crate) fn ring(&self) {
        if self.is_set.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if self.is_set.swap(false, Ordering::AcqRel)
            && let Some(sleeper) = self.sleeper.get()
        {
            sleeper.unpark();
        }
    }
}
