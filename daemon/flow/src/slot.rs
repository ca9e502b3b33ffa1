//! The handle to a flow's memory. There is one for each flow in the arena, and it lives in exactly
//! one of index, work queue and spare pool: it can be neither copied nor cloned, and losing one
//! trips an assertion in debug builds.

/// Ownership of one flow's memory.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a slot that is lost is never used again"]
pub(crate) struct Slot(u32);

/// The name of a flow's memory, without ownership: for looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotIndex(pub(crate) u32);

impl SlotIndex {
    /// No flow's: there are fewer places.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// Its place in the arena.
    pub(crate) const fn place(self) -> usize {
        self.0 as usize
    }
}

impl Slot {
    /// The slot at a place. Only for the arena, which makes each once, and for those that keep slots
    /// as numbers (after [`keep`](Self::keep)).
    pub(crate) const fn at(place: u32) -> Self {
        Self(place)
    }

    /// Its name.
    pub(crate) const fn index(&self) -> SlotIndex {
        SlotIndex(self.0)
    }

    /// Gives the slot to a keeper, which stores the number and must bring the slot back with
    /// [`at`](Self::at).
    pub(crate) const fn keep(self) -> u32 {
        let place = self.0;
        std::mem::forget(self);
        place
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        debug_assert!(std::thread::panicking(), "flow slot {} was lost", self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_survives_keeping() {
        let place = Slot::at(3).keep();
        assert_eq!(place, 3);
        let slot = Slot::at(place);
        assert_eq!(slot.index().place(), 3);
        assert_eq!(slot.keep(), 3);
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_lost_slot_is_noticed() {
        assert!(std::panic::catch_unwind(|| drop(Slot::at(3))).is_err());
    }
}
