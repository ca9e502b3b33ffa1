//! The floor: what it takes to probe one cache line for a tag, fetch the two of the flow it names,
//! compare the key and count, over memory of the flow table's layout and without anything else.
//! No checks of bounds, no expiry, no states. The only module with unsafe code.

use crate::flows::Prepared;
use crate::tables::{BURST, Entry, Table, flow_table};
use memmap2::{Advice, MmapMut, MmapOptions};
use portcullis_flow::{FlowHash, FlowKey, FlowTable, Keyed};
use portcullis_wire::Timestamp;
use std::marker::PhantomData;

const WAYS: usize = 10;
const HUGE_PAGE: usize = 2 << 20;

/// As the flow table's: tags, the number of keys that passed, slots.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u16; WAYS],
    passed: u16,
    _nothing: u16,
    slots: [u32; WAYS],
}

const _: () = assert!(size_of::<Bucket>() == 64);

/// Zeroed memory for so many values, in huge pages where the system has them.
#[derive(Debug)]
struct Memory<T> {
    map: MmapMut,
    len: usize,
    values: PhantomData<T>,
}

impl<T: Copy> Memory<T> {
    /// `T` must be valid when zero; both types here are.
    fn new(len: usize) -> Self {
        let bytes = (len * size_of::<T>()).next_multiple_of(HUGE_PAGE);
        let map = match MmapOptions::new().len(bytes).map_anon() {
            Ok(map) => map,
            Err(error) => panic!("{bytes} bytes: {error}"),
        };
        let _ = map.advise(Advice::HugePage);
        let _ = map.advise(Advice::PopulateWrite);
        Self { map, len, values: PhantomData }
    }

    #[inline]
    fn at(&self, place: usize) -> *const T {
        debug_assert!(place < self.len);
        self.map.as_ptr().cast::<T>().wrapping_add(place)
    }

    #[inline]
    fn get(&self, place: usize) -> &T {
        // SAFETY: the place is below len, as `home`, `after` and the slots handed out are; the
        // memory is mapped, aligned to a page, and valid as T when zero.
        unsafe { &*self.at(place) }
    }

    #[inline]
    fn get_mut(&mut self, place: usize) -> &mut T {
        let at = self.map.as_mut_ptr().cast::<T>().wrapping_add(place);
        // SAFETY: as for get, and self is borrowed mutably.
        unsafe { &mut *at }
    }
}

/// A table that can only be filled and looked up in.
#[derive(Debug)]
pub struct Floor {
    buckets: Memory<Bucket>,
    entries: Memory<Entry>,
    len: usize,
    /// There for its hash function.
    hasher: FlowTable,
}

impl Floor {
    /// With room for so many flows.
    #[must_use]
    pub fn new(flows: u64) -> Self {
        let room = usize::try_from(flows).unwrap_or(0);
        Self {
            buckets: Memory::new((room * 18).div_ceil(100)),
            entries: Memory::new(room),
            len: 0,
            hasher: flow_table(64),
        }
    }

    #[inline]
    fn home(&self, hash: FlowHash) -> usize {
        usize::try_from((u128::from(hash.0 >> 32) * self.buckets.len as u128) >> 32).unwrap_or(0)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len { 0 } else { at + 1 }
    }

    /// Follows the buckets from the home on.
    fn find(&self, hash: FlowHash, key: &FlowKey) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let bucket = self.buckets.get(at);
            let mut ways = matching(bucket, tag(hash));
            while ways != 0 {
                let slot = bucket.slots[ways.trailing_zeros() as usize % WAYS];
                if same(&self.entries.get(slot as usize).key, key) {
                    return Some(slot);
                }
                ways &= ways - 1;
            }
            if bucket.passed == 0 {
                return None;
            }
            at = self.after(at);
        }
    }

    fn make(&mut self, hash: FlowHash, key: &FlowKey) -> u32 {
        assert!(self.len < self.entries.len, "the floor's table is full");
        let mut at = self.home(hash);
        loop {
            let ways = matching(self.buckets.get(at), 0);
            if ways != 0 {
                let way = ways.trailing_zeros() as usize;
                let slot = u32::try_from(self.len).unwrap_or(u32::MAX);
                let bucket = self.buckets.get_mut(at);
                bucket.tags[way] = tag(hash);
                bucket.slots[way] = slot;
                *self.entries.get_mut(self.len) = Entry::new(*key);
                self.len += 1;
                return slot;
            }
            self.buckets.get_mut(at).passed += 1;
            at = self.after(at);
        }
    }

    #[inline]
    fn take_burst(&mut self, burst: &[Prepared], now: Timestamp) {
        let mut hashes = [FlowHash(0); BURST];
        let mut slots = [0u32; BURST];
        for (packet, hash) in burst.iter().zip(&mut hashes) {
            *hash = self.hasher.hash(&packet.keyed.key);
            prefetch_at(self.buckets.at(self.home(*hash)));
        }
        for (hash, slot) in hashes.iter().take(burst.len()).zip(&mut slots) {
            let bucket = self.buckets.get(self.home(*hash));
            let ways = matching(bucket, tag(*hash));
            // Without a match some slot of the bucket: always one that there is.
            *slot = bucket.slots[ways.trailing_zeros() as usize % WAYS];
            prefetch_at(self.entries.at(*slot as usize));
        }
        for ((packet, hash), guess) in burst.iter().zip(&hashes).zip(&slots) {
            let key = &packet.keyed.key;
            let mut slot = *guess;
            if !same(&self.entries.get(slot as usize).key, key) {
                slot = match self.find(*hash, key) {
                    Some(slot) => slot,
                    None => self.make(*hash, key),
                };
            }
            self.entries.get_mut(slot as usize).counters.update(packet, now);
        }
    }
}

impl Table for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    /// # Panics
    /// Where flows are to go: it cannot do that.
    fn take(&mut self, packets: &[Prepared], gone: &[Keyed], now: Timestamp) {
        assert!(gone.is_empty(), "the floor forgets no flow");
        for burst in packets.chunks(BURST) {
            self.take_burst(burst, now);
        }
    }

    fn len(&self) -> u64 {
        self.len as u64
    }
}

fn tag(hash: FlowHash) -> u16 {
    let [low, high, ..] = hash.0.to_le_bytes();
    u16::from_le_bytes([low, high]).max(1)
}

#[inline]
fn same(mine: &FlowKey, theirs: &FlowKey) -> bool {
    let pairs = mine.words().iter().zip(theirs.words());
    pairs.map(|(mine, theirs)| mine ^ theirs).fold(0, |all, difference| all | difference) == 0
}

/// The ways with this tag, a bit each.
#[cfg(target_arch = "x86_64")]
#[inline]
fn matching(bucket: &Bucket, tag: u16) -> u32 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { matching_sse2(bucket, tag) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn matching_sse2(bucket: &Bucket, tag: u16) -> u32 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi16, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16, _mm_set1_epi16,
    };
    let start = std::ptr::from_ref(bucket).cast::<__m128i>();
    // SAFETY: the first 16 bytes of a bucket of 64.
    let low = unsafe { _mm_loadu_si128(start) };
    // SAFETY: the next 16.
    let high = unsafe { _mm_loadu_si128(start.wrapping_add(1)) };
    let wanted = _mm_set1_epi16(tag.cast_signed());
    let equal = _mm_packs_epi16(_mm_cmpeq_epi16(low, wanted), _mm_cmpeq_epi16(high, wanted));
    _mm_movemask_epi8(equal).cast_unsigned() & ((1 << WAYS) - 1)
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn matching(bucket: &Bucket, tag: u16) -> u32 {
    let bits = bucket.tags.iter().enumerate().map(|(way, found)| u32::from(*found == tag) << way);
    bits.fold(0, |all, bit| all | bit)
}

/// Asks for the two cache lines of an entry.
#[inline]
pub fn prefetch(entry: &Entry) {
    prefetch_at(entry);
}

#[inline]
fn prefetch_at<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..size_of::<T>().div_ceil(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint: it neither faults nor changes anything, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast::<i8>().wrapping_add(line * 64)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::packet;
    use crate::tables::{Brown, Ours, START, Std, fill};

    /// What is measured against each other must agree on what it holds.
    #[test]
    fn all_tables_hold_the_same_flows() {
        for ip_version in [4, 6] {
            let mut tables: Vec<Box<dyn Table>> = vec![
                Box::new(Ours { table: flow_table(2100), sweeping: false }),
                Box::new(Std::new(2000)),
                Box::new(Brown::new(2000, false)),
                Box::new(Brown::new(2000, true)),
                Box::new(Floor::new(2000)),
            ];
            for table in &mut tables {
                fill(table.as_mut(), 2000, ip_version, |_| START);
                fill(table.as_mut(), 2000, ip_version, |_| START);
                assert_eq!(table.len(), 2000, "{}", table.name());
            }
            let gone: Vec<Keyed> = (0..500).map(|flow| packet(flow, ip_version).keyed).collect();
            for table in &mut tables[1..4] {
                table.take(&[], &gone, START);
                assert_eq!(table.len(), 1500, "{}", table.name());
            }
        }
    }
}
