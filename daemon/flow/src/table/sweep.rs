//! The search for flows that are over: a cursor over deadlines, a bounded number of places at a time. Asks
//! for the memory of all that it finds before it touches the first of it.

use super::FlowTable;
use crate::arena::NO_DEADLINE;
use crate::flow::EndReason;
use crate::hash::FlowHash;
use crate::slot::SlotIndex;
use portcullis_wire::Timestamp;
use std::ops::Range;

/// Places looked at together.
const RUN: u32 = 64;

impl FlowTable {
    /// Looks at the next `slots` places for flows that are over at `now` and moves them to the work
    /// queue. Call it with a small number once a burst: it goes round and round.
    pub fn sweep(&mut self, now: Timestamp, slots: usize) {
        let seconds = u32::try_from(now.as_secs()).unwrap_or(NO_DEADLINE - 1).min(NO_DEADLINE - 1);
        let looked = u32::try_from(slots).unwrap_or(u32::MAX).min(self.arena.len());
        let mut left = looked;
        while left > 0 {
            let run = self.sweep.advance_by(left.min(RUN), self.arena.len());
            let length = run.end - run.start;
            left -= length;
            let stale = self.stale > 0;
            self.stale = self.stale.saturating_sub(length);
            if stale || self.arena.earliest_deadline(run.clone()) <= seconds {
                self.sweep_run(run, seconds, now, stale);
            }
        }
        self.stats.wrk.slots_swept += u64::from(looked);
        self.stats.wrk.slots_swept_max = self.stats.wrk.slots_swept_max.max(u64::from(looked));
    }

    fn sweep_run(&mut self, run: Range<u32>, seconds: u32, now: Timestamp, stale: bool) {
        let mut due = [SlotIndex(0); RUN as usize];
        let mut count = 0;
        for place in run {
            let slot = SlotIndex(place);
            let deadline = self.arena.deadlines()[slot.place()];
            if deadline <= seconds || stale && deadline != NO_DEADLINE {
                self.arena.prefetch_whole(slot);
                due[count] = slot;
                count += 1;
            }
        }
        let mut over = [(SlotIndex(0), FlowHash(0)); RUN as usize];
        let mut ending = 0;
        for slot in due.into_iter().take(count) {
            if self.is_over(slot, now) {
                let hash = self.hash(&self.arena.hot(slot).key);
                self.index.prefetch(hash);
                over[ending] = (slot, hash);
                ending += 1;
            } else {
                let deadline = self.expiry.deadline(self.arena.hot(slot));
                self.arena.set_deadline(slot, deadline);
            }
        }
        for (slot, hash) in over.into_iter().take(ending) {
            self.retire_hashed(slot, hash, EndReason::Timeout);
        }
    }
}
