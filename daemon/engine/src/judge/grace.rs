//! The midstream grace: after a start, and after a time in which packets passed unjudged, TCP connections are
//! there whose beginning nobody here has seen. For a while, and up to a number, they are picked up, and marked
//! as uninspected; after that `stream.midstream-policy` decides. Where somebody knows which connections passed unjudged,
//! only those are picked up after such a time.

use crate::settings::MidstreamGrace;
use crate::witness::{Passing, Witness};
use portcullis_flow::Blind;
use portcullis_wire::Timestamp;

/// One worker's grace.
#[derive(Debug)]
pub(crate) struct Grace {
    settings: MidstreamGrace,
    /// Until when it is given to every connection; `None` before the worker has seen a first packet.
    until: Option<Timestamp>,
    /// The time in which packets passed, where somebody knows whose.
    unjudged: Option<Blind>,
    /// Who knows.
    witness: Option<Box<dyn Witness>>,
    /// Flows that may still be picked up.
    left: u32,
}

impl Grace {
    /// A worker's part of it: as many flows as the others may pick up.
    pub(crate) fn new(settings: MidstreamGrace, workers: u8) -> Self {
        let flows = settings.flows.div_ceil(u32::from(workers.max(1)));
        Self {
            settings: MidstreamGrace { flows, ..settings },
            until: None,
            unjudged: None,
            witness: None,
            left: flows,
        }
    }

    /// From now on it is asked which connections passed, rather than given to all.
    pub(crate) fn ask(&mut self, witness: Box<dyn Witness>) {
        self.witness = Some(witness);
    }

    /// Flows were taken over from somebody who had seen all connections there are, unless that began so late that some
    /// may still be unknown: until then.
    pub(crate) fn follow(&mut self, until: Timestamp) {
        self.until = Some(until);
    }

    /// May a session be picked up now? `connection` tells which, if whoever is asked can have seen it as such.
    pub(crate) fn is_granted(&mut self, now: Timestamp, connection: Option<Passing>) -> bool {
        if self.left == 0 {
            return false;
        }
        let end = now.after(self.settings.time);
        if now < *self.until.get_or_insert(end) {
            return true;
        }
        let (Some(unjudged), Some(witness)) = (self.unjudged, &self.witness) else { return false };
        now < unjudged.until.after(self.settings.time)
            && connection.is_none_or(|connection| witness.saw(&connection, unjudged.since, now))
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
        self.left = self.settings.flows;
        if self.witness.is_none() {
            self.until = Some(time.until.after(self.settings.time));
            return;
        }
        // What passed a while ago may go on only now.
        let before = self.unjudged.filter(|before| time.since < before.until.after(self.settings.time));
        let since = before.map_or(time.since, |before| before.since.min(time.since));
        self.unjudged = Some(Blind { since, until: time.until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_capture::PortId;
    use std::time::Duration;

    #[test]
    fn it_is_bounded_in_time_and_number_and_begins_anew_after_a_blind_time() {
        let at = Timestamp::from_secs;
        let settings = MidstreamGrace { time: Duration::from_secs(60), flows: 3 };
        let mut grace = Grace::new(settings, 2);
        let granted = |grace: &mut Grace, seconds| grace.is_granted(at(seconds), None);
        assert!(granted(&mut grace, 1000) && granted(&mut grace, 1059) && !granted(&mut grace, 1060));
        grace.take();
        assert!(granted(&mut grace, 1001));
        grace.take();
        assert!(!granted(&mut grace, 1001), "two of the three are each worker's, rounded up");
        grace.renew(Blind { since: at(1100), until: at(1101) });
        assert!(granted(&mut grace, 1102) && !granted(&mut grace, 1161));
        let mut none = Grace::new(MidstreamGrace::default(), 1);
        assert!(!granted(&mut none, 1));
    }
    #[derive(Debug)]
    struct Saw(u16, u64);

    impl Witness for Saw {
        fn saw(&self, connection: &Passing, since: Timestamp, _: Timestamp) -> bool {
            connection.source.1 == self.0 && Timestamp::from_secs(self.1) >= since
        }
    }

    #[test]
    fn after_a_blind_time_it_is_for_those_that_were_seen_to_pass() {
        let at = Timestamp::from_secs;
        let from = |port| {
            let nobody = ([0; 16], port);
            Some(Passing { ingress: PortId(0), source: nobody, destination: nobody })
        };
        let settings = MidstreamGrace { time: Duration::from_secs(60), flows: 9 };
        let mut grace = Grace::new(settings, 1);
        grace.ask(Box::new(Saw(7, 1010)));
        assert!(grace.is_granted(at(900), from(1)), "at first nobody knows any");
        grace.follow(at(950));
        assert!(grace.is_granted(at(949), from(1)) && !grace.is_granted(at(950), from(1)));
        assert!(!grace.is_granted(at(950), from(7)), "nothing passed yet");
        grace.renew(Blind { since: at(1000), until: at(1020) });
        assert!(grace.is_granted(at(1021), from(7)) && !grace.is_granted(at(1021), from(1)));
        assert!(grace.is_granted(at(1021), None), "one that could not be seen");
        // The next such time takes nothing away from those of the one before.
        grace.renew(Blind { since: at(1070), until: at(1080) });
        assert!(grace.is_granted(at(1139), from(7)) && !grace.is_granted(at(1140), from(7)));
        grace.renew(Blind { since: at(1200), until: at(1201) });
        assert!(!grace.is_granted(at(1202), from(7)), "that was long before");
    }
}
