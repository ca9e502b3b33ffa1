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
pub(crate) const MAX_LOOKS: u32 = 16;
/// Most flows moved for one newcomer: those of an earlier search that found none are made up for.
const MAX_VICTIMS: u32 = 2;
/// After so many young flows in a row the search goes on elsewhere: they began together, and so will
/// the next ones have.
const YOUNG_TOGETHER: u32 = 4;
/// Victims that are asked for ahead: their memory so many searches before, their place in the index half
/// as many.
const AHEAD: u32 = 8;

/// A place in the arena that goes round and round.
#[derive(Debug, Default)]
pub(crate) struct Cursor(u32);

impl Cursor {
    /// The slot at the cursor, among `len`, which is not 0; then moves on.
    pub(crate) fn advance(&mut self, len: u32) -> SlotIndex {
        SlotIndex(self.advance_by(1, len).start)
    }

    /// The slot that [`advance`](Self::advance) will give after so many more, which are fewer than `len`.
    const fn ahead(&self, more: u32, len: u32) -> SlotIndex {
        let next = if self.0 < len { self.0 } else { 0 };
        SlotIndex(if more < len - next { next + more } else { more - (len - next) })
    }

    /// Goes on somewhere else; again and again, it comes near every place (the golden section).
    fn jump(&mut self, len: u32) {
        let far = u64::from(len) * 5 / 8;
        let place = (u64::from(self.0) + far) % u64::from(len);
        self.0 = u32::try_from(place).unwrap_or(0);
    }

    /// Up to `most` slots from the cursor on, as far as the end of the arena; then moves on past them.
    pub(crate) fn advance_by(&mut self, most: u32, len: u32) -> Range<u32> {
        let start = self.ahead(0, len).0;
        self.0 = start + most.min(len - start);
        start..self.0
    }
}

impl FlowTable {
    /// Moves a flow to the work queue to make room for the next newcomer, or two, if among the few looked
    /// at there are some that may go.
    pub(crate) fn make_room(&mut self, now: Timestamp) {
        let mut looks = MAX_LOOKS.min(self.arena.len());
        for _ in 0..MAX_VICTIMS {
            let enough = self.spare.len() + self.work.len() > self.low_water;
            if enough || !self.evict_one(now, &mut looks) {
                return;
            }
        }
    }

    /// Looks at no more flows than `looks`, and takes those from it; did it find one?
    fn evict_one(&mut self, now: Timestamp, looks: &mut u32) -> bool {
        if *looks == 0 {
            return false;
        }
        let mut victim: Option<(u8, SlotIndex)> = None;
        let mut young = 0;
        while *looks > 0 {
            *looks -= 1;
            let slot = self.evict.advance(self.arena.len());
            if self.arena.deadlines()[slot.place()] == NO_DEADLINE {
                continue;
            }
            self.stats.get_used_eval += 1;
            if self.is_over(slot, now) {
                self.retire(slot, EndReason::Timeout);
                self.prefetch_victims();
                return true;
            }
            let rank = rank(self.arena.hot(slot), now);
            match rank {
                Rank::Alive | Rank::Young => self.stats.get_used_eval_reject += 1,
                Rank::Victim(rank) if victim.is_none_or(|(best, _)| rank < best) => {
                    victim = Some((rank, slot));
                }
                Rank::Victim(_) => {}
            }
            if rank == Rank::Victim(0) {
                break;
            }
            young = if rank == Rank::Young { young + 1 } else { 0 };
            if young == YOUNG_TOGETHER {
                self.evict.jump(self.arena.len());
                young = 0;
            }
        }
        match victim {
            Some((_, slot)) => {
                self.stats.get_used += 1;
                self.retire(slot, EndReason::Forced);
                self.prefetch_victims();
            }
            None => self.stats.get_used_failed += 1,
        }
        victim.is_some()
    }

    /// Asks for what the next evictions will most likely need: their flows, and the buckets that these are
    /// in, which are in no cache.
    fn prefetch_victims(&self) {
        let len = self.arena.len();
        if len > AHEAD {
            self.arena.prefetch_whole(self.evict.ahead(AHEAD, len));
            let next = self.evict.ahead(AHEAD / 2, len);
            self.index.prefetch(self.hash(&self.arena.hot(next).key));
        }
    }
}

/// How readily a flow is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    /// 0 first.
    Victim(u8),
    /// Not yet, but only because it has just begun: nobody has answered.
    Young,
    /// Not at all.
    Alive,
}

/// Idle times are Suricata's. An established flow is never given up: what it would make room for is a
/// newcomer that nobody has answered yet.
fn rank(hot: &Hot, now: Timestamp) -> Rank {
    let answered = hot.flags & (SEEN << Direction::ToClient.index()) != 0;
    let (rank, alive) = match hot.state {
        FlowState::New if answered => (2, 1),
        FlowState::New => (0, 1),
        FlowState::Closed => (1, 3),
        FlowState::Bypassed => (3, 30),
        FlowState::Established => return Rank::Alive,
    };
    match (now.since(hot.last_seen) > Duration::from_secs(alive), rank) {
        (true, _) => Rank::Victim(rank),
        (false, 0) => Rank::Young,
        (false, _) => Rank::Alive,
    }
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
        let ahead = |more| cursor.ahead(more, 8).0;
        assert_eq!([ahead(0), ahead(7)], [0, 7]);
        let mut near_its_end = Cursor(6);
        assert_eq!([1, 2, 5].map(|more| near_its_end.ahead(more, 8).0), [7, 0, 3]);
        near_its_end.jump(8);
        assert_eq!(near_its_end.advance(8), SlotIndex(3));
    }
}
