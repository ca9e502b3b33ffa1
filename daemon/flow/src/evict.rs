//! Making room when memcap is reached: flows that are over, else by force those that nobody
//! answered or that are closed and quiet. A bounded look at a few, never a search.

use crate::arena::{Hot, NO_DEADLINE};
use crate::flow::{Direction, EndReason, FlowState, SEEN};
use crate::slot::SlotIndex;
use crate::table::FlowTable;
use portcullis_wire::Timestamp;
use std::ops::Range;
use std::time::Duration;

/// Most slots looked at for one newcomer.
const MAX_LOOKS: u32 = 16;

/// A place in the arena that goes round and round.
#[derive(Debug, Default)]
pub(crate) struct Cursor(u32);

impl Cursor {
    /// The slot at the cursor, among `len`, which is not 0; then moves on.
    pub(crate) fn advance(&mut self, len: u32) -> SlotIndex {
        SlotIndex(self.advance_by(1, len).start)
    }

    /// The slot that [`advance`](Self::advance) will give.
    const fn next(&self, len: u32) -> SlotIndex {
        SlotIndex(if self.0 < len { self.0 } else { 0 })
    }

    /// Up to `most` slots from the cursor on, as far as the end of the arena; then moves on past them.
    pub(crate) fn advance_by(&mut self, most: u32, len: u32) -> Range<u32> {
        let start = self.next(len).0;
        self.0 = start + most.min(len - start);
        start..self.0
    }
}

impl FlowTable {
    /// Moves one flow to the work queue to make room for the next newcomer, if one of the few looked
    /// at may go.
    pub(crate) fn evict_one(&mut self, now: Timestamp) {
        let mut victim: Option<(u8, SlotIndex)> = None;
        for _ in 0..MAX_LOOKS.min(self.arena.len()) {
            let slot = self.evict.advance(self.arena.len());
            if self.arena.deadlines()[slot.place()] == NO_DEADLINE {
                continue;
            }
            self.stats.get_used_eval += 1;
            if self.is_over(slot, now) {
                self.retire(slot, EndReason::Timeout);
                return;
            }
            let Some(rank) = rank(self.arena.hot(slot), now) else {
                self.stats.get_used_eval_reject += 1;
                continue;
            };
            if victim.is_none_or(|(best, _)| rank < best) {
                victim = Some((rank, slot));
            }
            if rank == 0 {
                break;
            }
        }
        match victim {
            Some((_, slot)) => {
                self.stats.get_used += 1;
                self.retire(slot, EndReason::Forced);
                self.prefetch_victim();
            }
            None => self.stats.get_used_failed += 1,
        }
    }
}

impl FlowTable {
    /// Asks for what the next eviction will most likely need: the flow at the cursor leaves a bucket
    /// that is in no cache; the flow after it is looked at next.
    fn prefetch_victim(&self) {
        let next = self.evict.next(self.arena.len());
        self.index.prefetch(self.hash(&self.arena.hot(next).key));
        self.arena.prefetch(SlotIndex(next.0.saturating_add(1)));
    }
}

/// How readily a flow is given up, 0 first; `None` while it is alive. Idle times are Suricata's. An
/// established flow is never given up: what it would make room for is a newcomer that nobody has
/// answered yet.
fn rank(hot: &Hot, now: Timestamp) -> Option<u8> {
    let answered = hot.flags & (SEEN << Direction::ToClient.index()) != 0;
    let (rank, alive) = match hot.state {
        FlowState::New if answered => (2, 1),
        FlowState::New => (0, 1),
        FlowState::Closed => (1, 3),
        FlowState::Bypassed => (3, 30),
        FlowState::Established => return None,
    };
    (now.since(hot.last_seen) > Duration::from_secs(alive)).then_some(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_round_and_leaves_nothing_out() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.advance_by(3, 5), 0..3);
        assert_eq!(cursor.advance_by(3, 5), 3..5);
        assert_eq!(cursor.advance(5), SlotIndex(0));
        assert_eq!(cursor.advance_by(9, 5), 1..5);
        assert_eq!(cursor.advance_by(9, 8), 5..8, "the arena has grown");
        assert_eq!(cursor.advance_by(9, 8), 0..8);
    }
}
