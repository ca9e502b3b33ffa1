//! The graceful end of a worker: what was queued is still judged and sent.

use crate::error::XdpError;
use crate::module::XdpModule;
use portcullis_capture::mesh::Farewell;
use std::time::{Duration, Instant};

/// Sending what is queued may take so long; what a dead link does not take is given up.
const FLUSH: Duration = Duration::from_millis(100);

/// How far the end has come.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    farewell: Farewell,
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
        if !self.draining.farewell.may_end(&self.shared.ending, self.worker, count) {
            return Ok(false);
        }
        let now = Instant::now();
        let flush_since = *self.draining.flush_since.get_or_insert(now);
        let is_sent = self.lanes.iter_mut().all(|lane| lane.queued() == 0);
        if !is_sent && now.duration_since(flush_since) < FLUSH {
            return Ok(false);
        }
        self.refresh_kernel_stats(true)?;
        self.shared.ending.set_ended(self.worker);
        self.draining.ended = true;
        Ok(true)
    }
}
