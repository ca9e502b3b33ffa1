//! The end of the source, as the reader tells it to all: when it was, and then that it has come.

use super::sync::{AtomicBool, AtomicU64, Ordering};
use portcullis_wire::Timestamp;

/// The end of the source, as the reader tells it to all.
#[derive(Debug, Default)]
pub(super) struct Ending {
    time: AtomicU64,
    come: AtomicBool,
}

impl Ending {
    pub(super) fn come(&self, time: Timestamp) {
        self.time.store(time.as_nanos(), Ordering::Relaxed);
        self.come.store(true, Ordering::Release);
    }

    pub(super) fn has_come(&self) -> bool {
        self.come.load(Ordering::Acquire)
    }

    pub(super) fn time(&self) -> Timestamp {
        Timestamp::from_nanos(self.time.load(Ordering::Relaxed))
    }
}
