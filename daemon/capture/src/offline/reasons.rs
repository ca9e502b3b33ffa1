//! Why a sleeper is to wake up. Whoever has something for it makes that visible, adds a reason, and then
//! wakes it; the sleeper looks, and sleeps only where it found nothing: so nothing is slept through.

use super::sync::{AtomicU8, Ordering};
use crate::module::Wake;

/// There may be frames.
pub(super) const READY: u8 = 1;
/// The module's waker was used.
pub(super) const WOKEN: u8 = 2;

/// The reasons that were given since the sleeper last looked.
#[derive(Debug)]
pub(super) struct Reasons(AtomicU8);

impl Reasons {
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// Gives one. Whatever was written before is seen by the look that finds it.
    pub(super) fn add(&self, reason: u8) {
        self.0.fetch_or(reason, Ordering::AcqRel);
    }

    /// Is there a reason not to sleep? `ready` is asked whether there is work, and told whether that was
    /// said. The waker goes first; what else was said is then kept for the next look.
    pub(super) fn look(&self, mut ready: impl FnMut(bool) -> bool) -> Option<Wake> {
        let reasons = self.0.swap(0, Ordering::AcqRel);
        if reasons & WOKEN != 0 {
            self.0.fetch_or(reasons & READY, Ordering::AcqRel);
            return Some(Wake::Woken);
        }
        ready(reasons & READY != 0).then_some(Wake::Ready)
    }
}
