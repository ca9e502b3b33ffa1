//! A worker's share of `flow.memcap`: how many flows it holds, and what takes of it.

use super::FlowTable;
use crate::bits::pool;
use crate::index;

impl FlowTable {
    /// Opens up to `count` more flows and makes them spare; how many memcap allowed.
    pub(crate) fn open(&mut self, count: u32) -> u32 {
        let before = self.spare.len();
        let room = self.room() / self.flow_bytes;
        let count = count.min(u32::try_from(room).unwrap_or(u32::MAX));
        // The pool is a stack: the first one goes on top, so that flows are used in the order of their
        // places. The search for one to evict meets the oldest first then.
        for slot in self.arena.open(count).rev() {
            self.spare.push(&mut self.arena, slot);
        }
        let opened = self.spare.len() - before;
        self.storage.open(opened);
        let room = self.room();
        self.arena.bits_mut().set_room(room);
        self.stats.spare = u64::from(self.spare.len());
        self.count_memory();
        opened
    }

    /// Bytes of the share that neither flows have nor flow bits claim.
    fn room(&self) -> u64 {
        let claimed = self.flow_memory() + self.arena.bits().claimed_bytes();
        self.share.saturating_sub(claimed)
    }

    fn flow_memory(&self) -> u64 {
        index::bytes_for(u64::from(self.capacity)) + u64::from(self.arena.len()) * self.flow_bytes
    }

    /// Brings `flow.memuse` up to date.
    pub(super) fn count_memory(&mut self) {
        self.stats.memuse = self.flow_memory() + self.arena.bits().bytes();
    }
}

/// Bytes that `flows` flows of `flow_bytes` need: with their index, and what is kept for flow bits.
pub(super) fn bytes_for(flows: u64, flow_bytes: u64) -> u64 {
    flows * flow_bytes + index::bytes_for(flows) + pool::reserved_bytes(flows)
}

/// Most flows of `flow_bytes` that fit in `share` bytes.
pub(super) fn capacity_within(share: u64, flow_bytes: u64) -> u32 {
    let fits = |flows: u64| bytes_for(flows, flow_bytes) <= share;
    let (mut fitting, mut beyond) = (0, (share / flow_bytes).min(u64::from(u32::MAX - 1)) + 1);
    while fitting + 1 < beyond {
        let middle = fitting.midpoint(beyond);
        if fits(middle) {
            fitting = middle;
        } else {
            beyond = middle;
        }
    }
    u32::try_from(fitting).unwrap_or(u32::MAX - 1)
}
