//! What the passing of time does.

use super::core::FlowTracker;
use super::event::{EndReason, FlowEvent};
use super::extract::FlowExtractor;
use portcullis_wire::Timestamp;

impl<E: FlowExtractor, S> FlowTracker<E, S> {
    /// Ends every flow that at `now` was idle for its timeout or longer. Looks at the flows whose time may have come,
    /// not at all: see [`sweep_at_most`](Self::sweep_at_most) for a bound on these too.
    pub fn sweep(&mut self, now: Timestamp) -> Vec<FlowEvent<E::Key, S>> {
        let mut ended = Vec::new();
        self.sweep_into(now, usize::MAX, |event| ended.push(event));
        ended
    }

    /// [`sweep`](Self::sweep) by another name, for programs that tick by hand.
    pub fn manual_tick(&mut self, now: Timestamp) -> Vec<FlowEvent<E::Key, S>> {
        self.sweep(now)
    }

    /// A sweep that looks at no more than `flows` flows. Is it complete? If not, the next one goes on; nothing is lost,
    /// and a flow that is over and was not reached ends at the latest with its next packet.
    pub fn sweep_at_most(&mut self, now: Timestamp, flows: usize) -> (Vec<FlowEvent<E::Key, S>>, bool) {
        let mut ended = Vec::new();
        let complete = self.sweep_into(now, flows, |event| ended.push(event));
        (ended, complete)
    }

    /// The same, and hands each event to `events` instead of collecting them.
    pub fn sweep_into(
        &mut self,
        now: Timestamp,
        flows: usize,
        mut events: impl FnMut(FlowEvent<E::Key, S>),
    ) -> bool {
        let mut turn = self.store.wheel().turn(now);
        let mut looked_at = 0;
        while let Some(place) = self.store.wheel().due(&turn) {
            if looked_at == flows {
                return false;
            }
            looked_at += 1;
            let over = self.store.record(place).is_none_or(|record| record.entry.is_over(now));
            if !over && let Some(deadline) = self.store.record(place).map(|record| record.entry.deadline()) {
                self.store.wheel().arm(place, deadline);
                self.store.wheel().kept(&mut turn, place, deadline);
            } else if let Some(record) = self.store.remove(place) {
                events(self.end(record, EndReason::IdleTimeout));
            }
        }
        true
    }

    /// Ends every flow, the longest not seen first: at the end of a capture or of the program.
    pub fn drain(&mut self) -> Vec<FlowEvent<E::Key, S>> {
        let mut ended = Vec::with_capacity(self.flow_count());
        while let Some(record) = self.store.least_used().and_then(|place| self.store.remove(place)) {
            ended.push(self.end(record, EndReason::Drained));
        }
        ended
    }
}
