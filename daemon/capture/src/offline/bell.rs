//! Sleeping and waking: how one worker's state tells another that there is work.

use super::reasons::{READY, Reasons, WOKEN};
use crate::module::Wake;
use crossbeam::sync::{Parker, Unparker};
use portcullis_wire::Timestamp;
use std::sync::Arc;
use std::task;
use std::time::Instant;

/// The side of a sleeper that others hold.
#[derive(Debug)]
pub(super) struct Bell {
    reasons: Reasons,
    unparker: Unparker,
}

impl Bell {
    /// Says that there may be frames. Cheap while nobody sleeps: no lock, no system call.
    pub(super) fn ring(&self) {
        self.wake_for(READY);
    }

    fn wake_for(&self, reason: u8) {
        self.reasons.add(reason);
        self.unparker.unpark();
    }
}

impl task::Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_for(WOKEN);
    }
}

/// A waker for a source: it rings, where the module's own waker interrupts.
struct SourceBell(Arc<Bell>);

impl task::Wake for SourceBell {
    fn wake(self: Arc<Self>) {
        self.0.ring();
    }
}

/// The side of a sleeper that it keeps.
#[derive(Debug)]
pub(super) struct Sleeper {
    parker: Parker,
    bell: Arc<Bell>,
}

impl Sleeper {
    pub(super) fn new() -> Self {
        let parker = Parker::new();
        let bell = Bell { reasons: Reasons::new(), unparker: parker.unparker().clone() };
        Self { parker, bell: Arc::new(bell) }
    }

    pub(super) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    pub(super) fn waker(&self) -> task::Waker {
        task::Waker::from(self.bell())
    }

    pub(super) fn source_waker(&self) -> task::Waker {
        task::Waker::from(Arc::new(SourceBell(self.bell())))
    }

    /// Sleeps until `ready` (asked at once, and again after each ring, which it is told of), the
    /// waker, or `until`. Packet time stands still meanwhile, so what is left from `now` to
    /// `until` passes on the monotonic clock.
    pub(super) fn wait(&self, now: Timestamp, until: Timestamp, mut ready: impl FnMut(bool) -> bool) -> Wake {
        let deadline = Instant::now().checked_add(until.since(now));
        loop {
            if let Some(wake) = self.bell.reasons.look(&mut ready) {
                return wake;
            }
            match deadline {
                Some(deadline) if Instant::now() >= deadline => return Wake::TimedOut,
                Some(deadline) => self.parker.park_deadline(deadline),
                None => self.parker.park(),
            }
        }
    }
}

/// Rings when it is dropped. Kept as the last field, so that whoever wakes finds the rings that
/// were declared before it abandoned already.
#[derive(Debug)]
pub(super) struct Farewell(pub(super) Vec<Arc<Bell>>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.iter().for_each(|bell| bell.ring());
    }
}
