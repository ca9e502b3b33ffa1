//! From a key's hash to a slot: buckets of one cache line, ten (tag, slot) pairs each. Sized once
//! and never rehashed: a key that finds its home bucket full goes to one of the next, every bucket it
//! passed counts it, and a deletion counts down again, so there are no tombstones. Knows no keys:
//! the caller compares.

use crate::hash::FlowHash;
use crate::memory::{Mapped, equal_lanes};
use crate::settings::SetupError;
use crate::slot::{Slot, SlotIndex};

/// Pairs in a bucket.
const WAYS: usize = 10;
/// Buckets a key may be in, its home included. In a full table runs of full buckets get rarer five-fold
/// with each bucket more, so that sixteen in a row do not happen by chance in any table's life;
/// chosen keys are refused.
pub(crate) const MAX_PROBE: usize = 16;
/// A full table has ten pairs in each eighteen places.
const LOAD_NUMERATOR: u64 = 10;
const LOAD_DENOMINATOR: u64 = 18;

/// One cache line: tags first, so that one comparison of all finds the candidates.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    /// Ten tags (0 is an empty place), then the number of keys that passed this bucket for a later
    /// one, then nothing.
    lanes: [u16; 12],
    slots: [u32; WAYS],
}

const _: () = assert!(size_of::<Bucket>() == 64);

const EMPTY: Bucket = Bucket { lanes: [0; 12], slots: [0; WAYS] };
const PASSED: usize = WAYS;

/// The index of one table.
#[derive(Debug)]
pub(crate) struct Index {
    buckets: Mapped<Bucket>,
    len: u32,
    probe_max: usize,
}

/// Buckets for `capacity` flows.
fn buckets_for(capacity: u64) -> u64 {
    (capacity * LOAD_DENOMINATOR).div_ceil(LOAD_NUMERATOR * WAYS as u64).max(1)
}

/// Bytes of an index for `capacity` flows.
pub(crate) fn bytes_for(capacity: u64) -> u64 {
    buckets_for(capacity) * size_of::<Bucket>() as u64
}

impl Index {
    /// An empty index for `capacity` flows.
    pub(crate) fn new(capacity: u32) -> Result<Self, SetupError> {
        let refused = |error: std::io::Error| SetupError::Memory {
            bytes: bytes_for(u64::from(capacity)),
            reason: error.to_string(),
        };
        let count = usize::try_from(buckets_for(u64::from(capacity))).unwrap_or(usize::MAX);
        let mut buckets = Mapped::reserve(count).map_err(refused)?;
        buckets.extend(count, EMPTY);
        Ok(Self { buckets, len: 0, probe_max: 0 })
    }

    /// Flows in the index.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Most buckets that one insertion looked at.
    pub(crate) const fn probe_max(&self) -> usize {
        self.probe_max
    }

    /// Asks for the home bucket's cache line.
    #[inline]
    pub(crate) fn prefetch(&self, hash: FlowHash) {
        self.buckets.prefetch(self.home(hash));
    }

    /// The first slot in the home bucket whose tag fits: most likely the flow.
    #[inline]
    pub(crate) fn guess(&self, hash: FlowHash) -> Option<SlotIndex> {
        let bucket = &self.buckets.as_slice()[self.home(hash)];
        let mut matches = matching(&bucket.lanes, tag(hash));
        matches.next().map(|way| SlotIndex(bucket.slots[way]))
    }

    /// The slot that has this hash and that `is_it` recognises.
    pub(crate) fn find(&self, hash: FlowHash, mut is_it: impl FnMut(SlotIndex) -> bool) -> Option<SlotIndex> {
        let buckets = self.buckets.as_slice();
        let tag = tag(hash);
        let mut at = self.home(hash);
        for _ in 0..MAX_PROBE {
            let bucket = &buckets[at];
            for way in matching(&bucket.lanes, tag) {
                let slot = SlotIndex(bucket.slots[way]);
                if is_it(slot) {
                    return Some(slot);
                }
            }
            if bucket.lanes[PASSED] == 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// Takes a slot in under a hash.
    ///
    /// # Errors
    /// The slot, where all buckets that could hold it are full.
    pub(crate) fn insert(&mut self, hash: FlowHash, slot: Slot) -> Result<(), Slot> {
        let home = self.home(hash);
        let mut at = home;
        let mut free = None;
        for probe in 1..=MAX_PROBE.min(self.buckets.len()) {
            self.probe_max = self.probe_max.max(probe);
            if let Some(way) = matching(&self.buckets.as_slice()[at].lanes, 0).next() {
                free = Some((probe, at, way));
                break;
            }
            at = self.after(at);
        }
        let Some((probe, at, way)) = free else { return Err(slot) };
        self.pass(home, probe - 1, |passed| *passed += 1);
        let bucket = &mut self.buckets.as_mut_slice()[at];
        bucket.lanes[way] = tag(hash);
        bucket.slots[way] = slot.keep();
        self.len += 1;
        Ok(())
    }

    /// Takes the slot out again; `None` where it is not in the index under this hash.
    pub(crate) fn remove(&mut self, hash: FlowHash, slot: SlotIndex) -> Option<Slot> {
        let home = self.home(hash);
        let mut at = home;
        for passed in 0..MAX_PROBE {
            let bucket = &mut self.buckets.as_mut_slice()[at];
            let found = matching(&bucket.lanes, tag(hash)).find(|way| bucket.slots[*way] == slot.0);
            if let Some(way) = found {
                bucket.lanes[way] = 0;
                self.pass(home, passed, |passed| *passed -= 1);
                self.len -= 1;
                return Some(Slot::at(slot.0));
            }
            at = self.after(at);
        }
        None
    }

    /// Tells the `count` buckets from `home` on that a key passes them, or no longer does. No more
    /// keys pass a bucket than the next ones hold, so the count cannot overflow.
    fn pass(&mut self, home: usize, count: usize, mut change: impl FnMut(&mut u16)) {
        let mut at = home;
        for _ in 0..count {
            change(&mut self.buckets.as_mut_slice()[at].lanes[PASSED]);
            at = self.after(at);
        }
    }

    /// The high half of the hash, spread evenly over the buckets without a division.
    #[inline]
    fn home(&self, hash: FlowHash) -> usize {
        // There are fewer buckets than flows, and so fewer than 2^32.
        let spread = (hash.0 >> 32) * self.buckets.len() as u64;
        usize::try_from(spread >> 32).unwrap_or(0)
    }

    const fn after(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len() { 0 } else { at + 1 }
    }
}

/// The low bits of the hash, which do not choose the bucket; never 0.
fn tag(hash: FlowHash) -> u16 {
    let [low, high, ..] = hash.0.to_le_bytes();
    u16::from_le_bytes([low, high]).max(1)
}

/// The ways whose tag is `tag`.
fn matching(lanes: &[u16; 12], tag: u16) -> impl Iterator<Item = usize> + use<> {
    let mut found = equal_lanes(lanes, tag) & ((1 << WAYS) - 1);
    std::iter::from_fn(move || {
        if found == 0 {
            return None;
        }
        let way = found.trailing_zeros() as usize;
        found &= found - 1;
        Some(way)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn take_out(index: &mut Index, hash: FlowHash, place: u32) -> bool {
        index.remove(hash, SlotIndex(place)).map(Slot::keep) == Some(place)
    }

    #[test]
    fn finds_what_was_put_in_and_no_more() {
        let mut index = Index::new(100).expect("memory");
        let hash = FlowHash(0x1234_5678_9abc_def0);
        assert!(index.find(hash, |_| true).is_none());
        assert!(index.insert(hash, Slot::at(7)).is_ok());
        assert_eq!(index.find(hash, |slot| slot.0 == 7), Some(SlotIndex(7)));
        assert_eq!(index.guess(hash), Some(SlotIndex(7)));
        assert!(index.find(hash, |_| false).is_none());
        assert!(index.find(FlowHash(hash.0 ^ 1), |_| true).is_none(), "another tag");
        assert!(index.remove(hash, SlotIndex(8)).is_none(), "another slot");
        assert!(take_out(&mut index, hash, 7));
        assert_eq!((index.len(), index.find(hash, |_| true)), (0, None));
    }

    #[test]
    fn a_tag_of_zero_is_not_an_empty_place() {
        let mut index = Index::new(100).expect("memory");
        assert!(index.find(FlowHash(0), |_| true).is_none());
        assert!(index.insert(FlowHash(0), Slot::at(3)).is_ok());
        assert_eq!(index.find(FlowHash(0), |_| true), Some(SlotIndex(3)));
        assert!(take_out(&mut index, FlowHash(0), 3));
    }

    #[test]
    fn keys_that_all_meet_in_one_bucket_are_refused_within_bounds_and_leave_no_trace() {
        let mut index = Index::new(10_000).expect("memory");
        let hash = FlowHash(0xffff_ffff_0000_0001); // the last bucket: its neighbours wrap
        let bound = u32::try_from(WAYS * MAX_PROBE).expect("small");
        for place in 0..bound {
            assert!(index.insert(hash, Slot::at(place)).is_ok());
        }
        let refused = index.insert(hash, Slot::at(bound));
        assert_eq!(refused.map_err(Slot::keep), Err(bound), "the slot comes back");
        assert_eq!(index.probe_max(), MAX_PROBE);
        let mut compared = 0;
        assert!(
            index
                .find(hash, |_| {
                    compared += 1;
                    false
                })
                .is_none()
        );
        assert_eq!(compared, bound, "a look-up compares no more than these");
        // Taken out in another order than put in: no bucket may still count a key that passed.
        for place in (0..bound).rev().step_by(2).chain((0..bound - 1).step_by(2)) {
            assert!(take_out(&mut index, hash, place), "{place}");
        }
        assert!(index.buckets.as_slice().iter().all(|bucket| bucket.lanes == [0; 12]));
    }

    #[test]
    fn a_table_as_full_as_it_gets_probes_little() {
        let capacity = 50_000;
        let mut index = Index::new(capacity).expect("memory");
        let mut state = 1u64;
        for place in 0..capacity {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let hash = FlowHash((state ^ state >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ state >> 32);
            assert!(index.insert(hash, Slot::at(place)).is_ok());
        }
        assert!(index.probe_max() <= 6, "{} buckets", index.probe_max());
    }

    proptest! {
        /// Against a map: few hashes, so that buckets overflow and tags repeat.
        #[test]
        fn agrees_with_a_map(operations in prop::collection::vec((any::<bool>(), 0u64..4, 0u64..3), 1..600)) {
            let mut index = Index::new(200).expect("memory");
            let mut model: HashMap<u32, FlowHash> = HashMap::new();
            let mut next = 0;
            for (insert, bucket, tag) in operations {
                let hash = FlowHash(bucket << 59 | tag);
                if insert {
                    match index.insert(hash, Slot::at(next)) {
                        Ok(()) => { model.insert(next, hash); }
                        Err(slot) => { let _ = slot.keep(); }
                    }
                    next += 1;
                } else if let Some(place) = model.iter().filter(|(_, h)| **h == hash).map(|(p, _)| *p).min() {
                    model.remove(&place);
                    prop_assert!(take_out(&mut index, hash, place));
                }
                prop_assert_eq!(index.len() as usize, model.len());
            }
            for (place, hash) in &model {
                prop_assert_eq!(index.find(*hash, |slot| slot.0 == *place), Some(SlotIndex(*place)));
            }
            for (place, hash) in model {
                prop_assert!(take_out(&mut index, hash, place));
            }
            prop_assert!(index.buckets.as_slice().iter().all(|bucket| bucket.lanes == [0; 12]));
        }

        /// The comparison of all lanes finds exactly the lanes that a plain one finds.
        #[test]
        fn matching_agrees_with_a_plain_comparison(
            lanes in prop::array::uniform12(prop::sample::select(vec![0u16, 1, 0x7fff, 0x8000, 0x8001, 0xffff])),
            tag in prop::sample::select(vec![0u16, 1, 0x7fff, 0x8000, 0x8001, 0xffff]),
        ) {
            let plain: Vec<usize> = (0..WAYS).filter(|way| lanes[*way] == tag).collect();
            prop_assert_eq!(matching(&lanes, tag).collect::<Vec<_>>(), plain);
        }
    }
}
