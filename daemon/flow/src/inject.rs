//! Flows that are ended because somebody outside asks for it: a bounded number of places looked at a
//! burst, each flow that was there when it was asked for, and none that began later.

use crate::arena::NO_DEADLINE;
use crate::arena::Parts;
use crate::flow::EndReason;
use crate::idle::FlowMatch;
use crate::key::{FlowKey, protocol};
use crate::slot::SlotIndex;
use crate::table::{FlowTable, ID_MASK};
use portcullis_wire::Address;
use std::collections::VecDeque;

/// Most requests that may wait.
pub const MOST_REQUESTS: usize = 8;

/// Which flows are to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowSelector {
    /// The one with this id; `None` for any.
    pub id: Option<u64>,
    /// Those whose key matches.
    pub flows: FlowMatch,
    /// Those between these two ends, whichever of them is the client; `None` for any.
    pub between: Option<[FlowEnd; 2]>,
}

/// One end of a flow: its address, IPv4 in its mapped form, and its port where the protocol has ports.
pub type FlowEnd = (Address, u16);

/// No more requests can wait; this one is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_REQUESTS} requests to end flows wait already")]
pub struct TooManyRequests;

/// Requests under way, the first of them at work.
#[derive(Debug)]
pub(crate) struct Injection {
    requests: VecDeque<Request>,
}

#[derive(Debug)]
struct Request {
    selector: FlowSelector,
    /// The next place to look at, and where to stop.
    places: std::ops::Range<u32>,
    /// Flows that began later have this id or one after it.
    before: u64,
    ended: u64,
}

impl Injection {
    pub(crate) fn new() -> Self {
        Self { requests: VecDeque::with_capacity(MOST_REQUESTS) }
    }
}

impl FlowTable {
    /// Asks for flows to be ended, whatever their state: their end is [`EndReason::Forced`]. It is done
    /// by [`work_injected`](Self::work_injected), in the order of the requests.
    ///
    /// # Errors
    /// [`TooManyRequests`] where [`MOST_REQUESTS`] wait.
    pub fn inject(&mut self, selector: FlowSelector) -> Result<(), TooManyRequests> {
        if self.injection.requests.len() == MOST_REQUESTS {
            self.stats.wrk.injections_refused += 1;
            return Err(TooManyRequests);
        }
        let (places, before) = (0..self.arena.len(), self.next_id());
        self.injection.requests.push_back(Request { selector, places, before, ended: 0 });
        Ok(())
    }

    /// Looks at up to `slots` places for flows that were asked to be ended and moves them to the
    /// work queue. Call it with a small number once a burst. Returns how many places it looked at:
    /// 0 where nothing is asked for.
    pub fn work_injected(&mut self, slots: usize) -> usize {
        let Some(mut request) = self.injection.requests.pop_front() else { return 0 };
        let mut looked = 0;
        while looked < slots
            && let Some(place) = request.places.next()
        {
            looked += 1;
            let slot = SlotIndex(place);
            if self.arena.deadlines()[slot.place()] == NO_DEADLINE || !self.is_selected(slot, &request) {
                continue;
            }
            self.retire(slot, EndReason::Forced);
            request.ended += 1;
            self.stats.wrk.flows_injected += 1;
        }
        self.stats.wrk.flows_injected_max = self.stats.wrk.flows_injected_max.max(request.ended);
        if !request.places.is_empty() {
            self.injection.requests.push_front(request);
        }
        looked
    }

    /// Is a flow asked for?
    fn is_selected(&mut self, slot: SlotIndex, request: &Request) -> bool {
        let Parts { hot, cold, .. } = self.arena.parts(slot);
        let selector = &request.selector;
        is_earlier(cold.id, request.before)
            && selector.id.is_none_or(|id| id == cold.id)
            && selector.flows.matches(&hot.key)
            && selector.between.is_none_or(|ends| is_between(&hot.key, ends))
    }
}

/// Is a flow with this key between these ends? Ports count only where there are any.
fn is_between(key: &FlowKey, [one, other]: [FlowEnd; 2]) -> bool {
    let has_ports = matches!(key.protocol(), protocol::TCP | protocol::UDP | protocol::SCTP);
    let is = |mine: FlowEnd, theirs: FlowEnd| mine.0 == theirs.0 && (!has_ports || mine.1 == theirs.1);
    let (lower, higher) = (key.lower(), key.higher());
    is(lower, one) && is(higher, other) || is(lower, other) && is(higher, one)
}

/// Was the first id given out before the other? They wrap round.
const fn is_earlier(id: u64, other: u64) -> bool {
    let ahead = other.wrapping_sub(id) & ID_MASK;
    ahead != 0 && ahead <= ID_MASK / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_round_the_wrap() {
        assert!(is_earlier(1, 2) && !is_earlier(2, 1) && !is_earlier(2, 2));
        assert!(is_earlier(ID_MASK - 1, 3) && !is_earlier(3, ID_MASK - 1));
    }
}
