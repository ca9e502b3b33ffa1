//! Where the bits of flows are kept: a part of its own, so that a flow without bits pays four bytes for
//! them. Grows with the flows that have some, within what is left of memcap; a part of that is theirs
//! alone, so that a flood of flows cannot keep rules from remembering.

use super::FlowBits;
use crate::memory::Mapped;
use crate::settings::SetupError;
use std::num::NonZeroU32;

/// Names the bits of one flow, counted from 1.
pub(crate) type BitsHandle = NonZeroU32;

/// Bytes for each flow that has bits.
const ENTRY_BYTES: u64 = size_of::<FlowBits>() as u64;

/// Of so many flows one may always have bits.
const FLOWS_FOR_EACH_RESERVED: u64 = 16;

/// Bytes of memcap that are kept for the bits of `capacity` flows.
pub(crate) const fn reserved_bytes(capacity: u64) -> u64 {
    reserved(capacity) * ENTRY_BYTES
}

const fn reserved(capacity: u64) -> u64 {
    capacity.div_ceil(FLOWS_FOR_EACH_RESERVED)
}

/// The bits of a worker's flows.
#[derive(Debug)]
pub(crate) struct BitsPool {
    /// Those of flows, and those given back: chained by their first slot.
    entries: Mapped<FlowBits>,
    free: Option<BitsHandle>,
    /// Entries that memcap allows at the moment.
    limit: u64,
    reserved: u64,
}

impl BitsPool {
    /// Reserves room for the bits of `capacity` flows. With `populate` the system provides at once
    /// what memcap keeps for them.
    pub(crate) fn reserve(capacity: u32, populate: bool) -> Result<Self, SetupError> {
        let refused = |error: std::io::Error| SetupError::Memory {
            bytes: u64::from(capacity) * ENTRY_BYTES,
            reason: error.to_string(),
        };
        let reserved = reserved(u64::from(capacity));
        let entries = Mapped::reserve(capacity as usize).map_err(refused)?;
        if populate {
            entries.populate(usize::try_from(reserved).unwrap_or(usize::MAX));
        }
        Ok(Self { entries, free: None, limit: reserved, reserved })
    }

    /// Bytes in use or ready for it: what counts as used memory.
    pub(crate) const fn bytes(&self) -> u64 {
        self.entries.len() as u64 * ENTRY_BYTES
    }

    /// Bytes that are not for flows: those in use, and those kept for bits.
    pub(crate) const fn claimed_bytes(&self) -> u64 {
        let there = self.entries.len() as u64;
        if there > self.reserved { there * ENTRY_BYTES } else { self.reserved * ENTRY_BYTES }
    }

    /// Says how many bytes flows and bits have left, what bits [claim](Self::claimed_bytes) not counted.
    pub(crate) const fn set_room(&mut self, bytes: u64) {
        self.limit = (self.claimed_bytes() + bytes) / ENTRY_BYTES;
    }

    /// The bits by this name.
    pub(crate) fn read(&self, handle: Option<BitsHandle>) -> FlowBits {
        let entry = handle.and_then(|handle| self.entries.as_slice().get(place(handle)));
        entry.copied().unwrap_or_default()
    }

    /// Keeps bits by this name, or a new one where that is `None`; `false` where there is no room for
    /// them. Without bits there is no name.
    pub(crate) fn write(&mut self, handle: &mut Option<BitsHandle>, bits: &FlowBits) -> bool {
        if bits.is_empty() {
            self.release(handle);
            return true;
        }
        *handle = handle.or_else(|| self.take());
        let entry = handle.and_then(|handle| self.entries.as_mut_slice().get_mut(place(handle)));
        entry.map(|entry| *entry = *bits).is_some()
    }

    /// Forgets the bits by this name.
    pub(crate) fn release(&mut self, handle: &mut Option<BitsHandle>) {
        if let Some(given) = handle.take()
            && let Some(entry) = self.entries.as_mut_slice().get_mut(place(given))
        {
            *entry = FlowBits::default();
            entry.0[0] = self.free.map_or(0, NonZeroU32::get);
            self.free = Some(given);
        }
    }

    fn take(&mut self) -> Option<BitsHandle> {
        if let Some(first) = self.free {
            let entry = self.entries.as_slice().get(place(first))?;
            self.free = NonZeroU32::new(entry.0[0]);
            return Some(first);
        }
        let has_room = (self.entries.len() as u64) < self.limit;
        (has_room && self.entries.extend(1, FlowBits::default()) == 1).then_some(())?;
        BitsHandle::new(u32::try_from(self.entries.len()).ok()?)
    }
}

const fn place(handle: BitsHandle) -> usize {
    handle.get() as usize - 1
}

#[cfg(test)]
mod tests {
    use super::super::FlowBit;
    use super::*;
    use proptest::prelude::*;

    fn bits(number: u32) -> FlowBits {
        let mut bits = FlowBits::default();
        assert!(bits.insert(FlowBit::named(&number.to_be_bytes())));
        bits
    }

    #[test]
    fn what_is_kept_for_bits_is_always_there_and_more_only_with_room() {
        let mut pool = BitsPool::reserve(40, false).expect("address space");
        assert_eq!((pool.bytes(), pool.claimed_bytes()), (0, 3 * 32), "nothing is used at first");
        let mut handles = [None; 5];
        let mut write = |pool: &mut BitsPool, at: usize| pool.write(&mut handles[at], &bits(1));
        assert!((0..3).all(|at| write(&mut pool, at)) && !write(&mut pool, 3));
        pool.set_room(33);
        assert!(write(&mut pool, 3) && !write(&mut pool, 4), "one more");
        assert_eq!((pool.bytes(), pool.claimed_bytes()), (4 * 32, 4 * 32));
        pool.set_room(0);
        assert!(!write(&mut pool, 4));
        pool.release(&mut handles[1]);
        assert_eq!(pool.bytes(), 4 * 32, "what is given back stays ready");
        assert!(pool.write(&mut handles[4], &bits(4)) && handles[1].is_none());
    }

    proptest! {
        /// Against a list of what each of ten flows was given last.
        #[test]
        fn each_flow_finds_its_own(steps in prop::collection::vec((0usize..10, 0u32..4), 1..200)) {
            let mut pool = BitsPool::reserve(100, false).expect("address space");
            let (mut handles, mut model) = ([None; 10], [FlowBits::default(); 10]);
            for (flow, number) in steps {
                let new = if number == 0 { FlowBits::default() } else { bits(number) };
                let mut had = handles[flow];
                if pool.write(&mut had, &new) {
                    (handles[flow], model[flow]) = (had, new);
                } else {
                    prop_assert!(handles.iter().flatten().count() == 7 && handles[flow].is_none());
                }
                for (handle, expected) in handles.iter().zip(&model) {
                    prop_assert_eq!(pool.read(*handle), *expected);
                    prop_assert_eq!(handle.is_none(), expected.is_empty());
                }
            }
        }
    }
}
