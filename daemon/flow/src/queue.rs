//! Where slots wait: the spare pool (last in, first out, so that a reused flow is still in the
//! cache) and the work queue (first in, first out). Both chain slots through the flows' own cold
//! part, so they need no memory and have no bound but the arena's.

use crate::arena::Arena;
use crate::slot::{Slot, SlotIndex};

const NONE: u32 = u32::MAX;

/// Flows ready for use.
#[derive(Debug)]
pub(crate) struct SparePool {
    top: u32,
    len: u32,
}

impl SparePool {
    pub(crate) const fn new() -> Self {
        Self { top: NONE, len: 0 }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn push(&mut self, arena: &mut Arena, slot: Slot) {
        arena.cold_mut(slot.index()).next = self.top;
        self.top = slot.keep();
        self.len += 1;
    }

    pub(crate) fn pop(&mut self, arena: &mut Arena) -> Option<Slot> {
        if self.top == NONE {
            return None;
        }
        let slot = Slot::at(self.top);
        self.top = arena.cold_mut(slot.index()).next;
        self.len -= 1;
        Some(slot)
    }
}

/// Flows out of the table, waiting to be finished.
#[derive(Debug)]
pub(crate) struct WorkQueue {
    first: u32,
    last: u32,
    len: u32,
}

impl WorkQueue {
    pub(crate) const fn new() -> Self {
        Self { first: NONE, last: NONE, len: 0 }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn push(&mut self, arena: &mut Arena, slot: Slot) {
        arena.cold_mut(slot.index()).next = NONE;
        let place = slot.keep();
        if self.last == NONE {
            self.first = place;
        } else {
            arena.cold_mut(SlotIndex(self.last)).next = place;
        }
        self.last = place;
        self.len += 1;
    }

    pub(crate) fn pop(&mut self, arena: &mut Arena) -> Option<Slot> {
        if self.first == NONE {
            return None;
        }
        let slot = Slot::at(self.first);
        self.first = arena.cold_mut(slot.index()).next;
        if self.first == NONE {
            self.last = NONE;
        }
        self.len -= 1;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spare_pool_is_a_stack() {
        let mut arena = Arena::reserve(4, false).expect("address space");
        let mut spare = SparePool::new();
        assert!(spare.pop(&mut arena).is_none());
        for slot in arena.open(10) {
            spare.push(&mut arena, slot);
        }
        assert_eq!((arena.len(), spare.len()), (4, 4), "only what there was room for");
        let order: Vec<u32> = std::iter::from_fn(|| spare.pop(&mut arena).map(Slot::keep)).collect();
        assert_eq!((order, spare.len()), (vec![3, 2, 1, 0], 0));
    }

    #[test]
    fn work_queue_is_a_queue() {
        let mut arena = Arena::reserve(4, false).expect("address space");
        let mut work = WorkQueue::new();
        let mut slots = arena.open(4);
        let mut next = || slots.next().expect("a slot");
        work.push(&mut arena, next());
        work.push(&mut arena, next());
        assert_eq!(work.pop(&mut arena).map(Slot::keep), Some(0));
        work.push(&mut arena, next());
        assert_eq!(work.pop(&mut arena).map(Slot::keep), Some(1));
        assert_eq!(work.pop(&mut arena).map(Slot::keep), Some(2));
        assert!(work.pop(&mut arena).is_none());
        work.push(&mut arena, next());
        assert_eq!((work.len(), work.pop(&mut arena).map(Slot::keep)), (1, Some(3)));
        assert_eq!(work.len(), 0);
    }
}
