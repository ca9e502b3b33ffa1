//! Where a tracker's flows are: places that never move, the crate's index from key to place, the order of
//! last use, and the expiry wheel. Owns memory and the agreement of these four; knows nothing of packets.
//!
//! Each place is in exactly one of two lists, free or in use (the latter ordered by use), and, while in use, in the
//! index and in one slot of the wheel.

use super::config::TrackerError;
use super::entry::FlowEntry;
use super::hash::KeyHash;
use super::list::Lists;
use super::wheel::Wheel;
use crate::hash::FlowHash;
use crate::index::Index;
use crate::memory::prefetch;
use crate::slot::{Slot, SlotIndex};
use std::hash::Hash;

const IN_USE: u32 = 0;
const FREE: u32 = 1;

/// A flow with its key: at the beginning of a cache line, of which most packets need the first three.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Record<K, S> {
    pub(super) key: K,
    pub(super) entry: FlowEntry<S>,
}

#[derive(Debug)]
pub(super) struct Store<K, S> {
    records: Vec<Option<Record<K, S>>>,
    index: Index,
    hash: KeyHash,
    order: Lists,
    wheel: Wheel,
    capacity: u32,
}

impl<K: Clone + Eq + Hash, S> Store<K, S> {
    /// A store for `capacity` flows, `ready` of them with their memory in use at once.
    pub(super) fn new(capacity: u32, ready: usize) -> Result<Self, TrackerError> {
        let bytes = crate::index::bytes_for(u64::from(capacity));
        let index = Index::new(capacity).map_err(|_| TrackerError::Memory { bytes })?;
        let mut records = Vec::new();
        let bytes = (capacity as usize).saturating_mul(size_of::<Option<Record<K, S>>>());
        records.try_reserve_exact(capacity as usize).map_err(|_| TrackerError::memory(bytes))?;
        let (order, wheel) = (Lists::new(2, capacity)?, Wheel::new(capacity)?);
        let mut store = Self { records, index, hash: KeyHash::random(), order, wheel, capacity };
        for _ in 0..ready.min(capacity as usize) {
            store.open();
        }
        Ok(store)
    }

    /// Flows.
    pub(super) const fn len(&self) -> usize {
        self.index.len() as usize
    }

    pub(super) const fn is_full(&self) -> bool {
        self.index.len() >= self.capacity
    }

    pub(super) fn hash(&self, key: &K) -> FlowHash {
        self.hash.hash(key)
    }

    /// Where a key's flow is, found under its hash.
    pub(super) fn find(&self, key: &K, hash: FlowHash) -> Option<u32> {
        let is_it =
            |slot: SlotIndex| self.records[slot.place()].as_ref().is_some_and(|record| record.key == *key);
        self.index.find(hash, is_it).map(|slot| slot.0)
    }

    /// Asks the processor for the index's part that has this hash: the first of three steps ahead of a look-up.
    pub(super) fn prefetch_index(&self, hash: FlowHash) {
        self.index.prefetch(hash);
    }

    /// The second: asks for the flow that most likely is meant, and its link. Where it is.
    pub(super) fn prefetch_flow(&self, hash: FlowHash) -> Option<u32> {
        let SlotIndex(place) = self.index.guess(hash)?;
        if let Some(record) = self.records.get(place as usize) {
            prefetch(record);
            self.order.prefetch(place);
        }
        Some(place)
    }

    /// The third: asks for what moves when that flow is noted as used.
    pub(super) fn prefetch_order(&self, place: u32) {
        self.order.prefetch_neighbours(place);
    }

    /// The flow that was used last, if its key is this one: most packets follow one of their own flow.
    pub(super) fn is_last_used(&self, key: &K) -> Option<u32> {
        let place = self.order.front(IN_USE)?;
        self.records[place as usize].as_ref().is_some_and(|record| record.key == *key).then_some(place)
    }

    pub(super) fn record(&self, place: u32) -> Option<&Record<K, S>> {
        self.records[place as usize].as_ref()
    }

    pub(super) fn record_mut(&mut self, place: u32) -> Option<&mut Record<K, S>> {
        self.records[place as usize].as_mut()
    }

    /// Notes that a flow was used.
    pub(super) fn touch(&mut self, place: u32) {
        if self.order.front(IN_USE) != Some(place) {
            self.order.move_to_front(IN_USE, place);
        }
    }

    /// The flow that was longest not used.
    pub(super) fn least_used(&self) -> Option<u32> {
        self.order.back(IN_USE)
    }

    /// The places of all flows, last used first.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> {
        self.order.iter(IN_USE)
    }

    /// All flows, last used first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record<K, S>> {
        self.places().filter_map(|place| self.record(place))
    }

    /// Takes in a flow that is not there, as the one used last.
    ///
    /// # Errors
    /// The flow, where there is no place for it: the store is full, or too many keys have this hash.
    #[expect(clippy::result_large_err, reason = "the flow is the caller's again; a box would allocate")]
    pub(super) fn insert(&mut self, hash: FlowHash, record: Record<K, S>) -> Result<u32, Record<K, S>> {
        if self.is_full() {
            return Err(record);
        }
        if self.order.front(FREE).is_none() {
            self.open();
        }
        let Some(place) = self.order.front(FREE) else { return Err(record) };
        if let Err(slot) = self.index.insert(hash, Slot::at(place)) {
            let _ = slot.keep();
            return Err(record);
        }
        self.order.move_to_front(IN_USE, place);
        self.wheel.arm(place, record.entry.deadline());
        self.records[place as usize] = Some(record);
        Ok(place)
    }

    /// Takes out the flow at a place.
    pub(super) fn remove(&mut self, place: u32) -> Option<Record<K, S>> {
        let record = self.records[place as usize].take()?;
        let hash = self.hash(&record.key);
        if let Some(slot) = self.index.remove(hash, SlotIndex(place)) {
            let _ = slot.keep();
        }
        self.order.move_to_front(FREE, place);
        self.wheel.rest(place);
        Some(record)
    }

    /// The wheel, to be turned.
    pub(super) const fn wheel(&mut self) -> &mut Wheel {
        &mut self.wheel
    }

    fn open(&mut self) {
        self.records.push(None);
        self.order.add(FREE);
        self.wheel.add();
    }
}
