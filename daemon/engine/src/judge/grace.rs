//! The midstream grace: after a start, and after a time in which packets passed unjudged, TCP connections are
//! there whose beginning nobody here has seen. For a while, and up to a number, they are picked up, and marked
//! as uninspected; after that `stream.midstream-policy` decides.

use crate::settings::MidstreamGrace;
use portcullis_flow::Blind;
use portcullis_wire::Timestamp;

/// One worker's grace.
#[derive(Debug)]
pub(crate) struct Grace {
    settings: MidstreamGrace,
    /// Until when; `None` before the worker has seen a first packet.
    until: Option<Timestamp>,
    /// Flows that may still be picked up.
    left: u32,
}

impl Grace {
    /// A worker's part of it: as many flows as the others may pick up.
    pub(crate) fn new(settings: MidstreamGrace, workers: u8) -> Self {
        let flows = settings.flows.div_ceil(u32::from(workers.max(1)));
        Self { settings: MidstreamGrace { flows, ..settings }, until: None, left: flows }
    }

    /// May a session be picked up now?
    pub(crate) fn is_granted(&mut self, now: Timestamp) -> bool {
        if self.left == 0 {
            return false;
        }
        let end = now.after(self.settings.time);
        now < *self.until.get_or_insert(end)
    }

    /// One was.
    pub(crate) fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// The first packets come: from now on time counts.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        if self.until.is_none() {
            self.until = Some(now.after(self.settings.time));
        }
    }

    /// Packets passed unjudged: all of it again.
    pub(crate) fn renew(&mut self, time: Blind) {
        self.until = Some(time.until.after(self.settings.time));
        self.left = self.settings.flows;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_bounded_in_time_and_number_and_begins_anew_after_a_blind_time() {
        let at = Timestamp::from_secs;
        let settings = MidstreamGrace { time: Duration::from_secs(60), flows: 3 };
        let mut grace = Grace::new(settings, 2);
        assert!(grace.is_granted(at(1000)) && grace.is_granted(at(1059)) && !grace.is_granted(at(1060)));
        grace.take();
        assert!(grace.is_granted(at(1001)));
        grace.take();
        assert!(!grace.is_granted(at(1001)), "two of the three are each worker's, rounded up");
        grace.renew(Blind { since: at(1100), until: at(1101) });
        assert!(grace.is_granted(at(1102)) && !grace.is_granted(at(1161)));
        let mut none = Grace::new(MidstreamGrace::default(), 1);
        assert!(!none.is_granted(at(1)));
    }
}
