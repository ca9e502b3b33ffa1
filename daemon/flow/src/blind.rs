//! Times in which packets passed that nobody judged. Which flows were there then is found out when their next
//! packet comes, or when they end, by when they were last seen: nothing goes through all of them.

use crate::arena::Parts;
use crate::flow::UNINSPECTED;
use crate::slot::SlotIndex;
use crate::table::FlowTable;
use portcullis_wire::Timestamp;

/// A time in which packets passed unjudged, on the engine's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blind {
    /// The last moment at which all packets were judged.
    pub since: Timestamp,
    /// The first one after it.
    pub until: Timestamp,
}

impl FlowTable {
    /// Says that packets may have passed unjudged. Flows that were there are [uninspected](crate::Flow::uninspected)
    /// from now on. A time that ended before one that is known already tells nothing new: `false`.
    pub fn blind(&mut self, time: Blind) -> bool {
        let is_new = time.until > self.blind.until && time.since < time.until;
        if is_new {
            // What ended between two such times is told by the sweep, sooner or later: one is kept.
            self.blind = time;
        }
        is_new
    }

    /// Was the flow last seen before a time that nobody saw?
    pub(crate) fn is_unseen(&self, slot: SlotIndex) -> bool {
        self.arena.hot(slot).last_seen < self.blind.until
    }

    /// Marks a flow of which a packet has come after such a time: no other packet will find that again, even if
    /// the clock was set back.
    pub(crate) fn mark_unseen(&mut self, slot: SlotIndex) {
        let until = self.blind.until;
        let Parts { hot, .. } = self.arena.parts(slot);
        hot.last_seen = hot.last_seen.max(until);
        self.stats.uninspected += u64::from(hot.flags & UNINSPECTED == 0);
        hot.flags |= UNINSPECTED;
    }

    /// Marks a flow that ends, if it was not over before such a time.
    pub(crate) fn mark_unseen_at_end(&mut self, slot: SlotIndex) {
        let there = self.is_unseen(slot) && self.expiry.end_of(self.arena.hot(slot)) > self.blind.since;
        let Parts { hot, .. } = self.arena.parts(slot);
        if there && hot.flags & UNINSPECTED == 0 {
            self.stats.uninspected += 1;
            hot.flags |= UNINSPECTED;
        }
    }
}
