//! The graceful end of a worker: what was queued is still judged and sent.

use crate::error::XdpError;
use crate::module::XdpModule;
use std::time::{Duration, Instant};

/// A worker without packets for so long has none on their way from the kernel any more: an entry of the socket map
/// that was deleted may still be in use for the rest of one round of a driver's receive loop.
const QUIET: Duration = Duration::from_millis(5);

/// Sending what is queued may take so long; what a dead link does not take is given up.
const FLUSH: Duration = Duration::from_millis(100);

/// How far the end has come.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    quiet_since: Option<Instant>,
    flush_since: Option<Instant>,
    ended: bool,
    /// Refused descriptors that were counted as errors already.
    pub(crate) invalid_seen: u64,
}

impl Drain {
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended
    }
}

impl XdpModule {
    /// One round of ending, after a poll that brought `count` packets; has the end come?
    pub(crate) fn drain(&mut self, count: usize) -> Result<bool, XdpError> {
        if count > 0 {
            self.draining.quiet_since = None;
            self.shared.set_quiet(self.worker, false);
            return Ok(false);
        }
        let now = Instant::now();
        let quiet_since = *self.draining.quiet_since.get_or_insert(now);
        if now.duration_since(quiet_since) < QUIET {
            return Ok(false);
        }
        self.shared.set_quiet(self.worker, true);
        if !self.shared.all_quiet() {
            return Ok(false);
        }
        let flush_since = *self.draining.flush_since.get_or_insert(now);
        let is_sent = self.lanes.iter_mut().all(|lane| lane.queued() == 0);
        if !is_sent && now.duration_since(flush_since) < FLUSH {
            return Ok(false);
        }
        self.refresh_kernel_stats(true)?;
        self.shared.set_ended(self.worker);
        self.draining.ended = true;
        Ok(true)
    }
}
