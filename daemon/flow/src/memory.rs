//! Memory for flows: mapped once, huge pages where it is large, never moved; prefetch; and the
//! comparison of a cache line's tags at once. The only module with unsafe code.

use memmap2::{Advice, MmapMut, MmapOptions};
use std::io;
use std::marker::PhantomData;

/// Below this size huge pages would waste more than they save.
const HUGE_FROM: usize = 8 << 20;

/// The size of a huge page; where it is another, some of what is said below is not so, and nothing worse.
const HUGE_PAGE: usize = 2 << 20;

/// Room for `capacity` values at a fixed address, of which the first `len` are there. The room
/// is address space only until values are written to it.
#[derive(Debug)]
pub(crate) struct Mapped<T: Copy> {
    map: MmapMut,
    len: usize,
    capacity: usize,
    values: PhantomData<T>,
}

impl<T: Copy> Mapped<T> {
    const PAGE_HOLDS_IT: () = assert!(align_of::<T>() <= 4096 && size_of::<T>() > 0);

    /// Reserves room.
    pub(crate) fn reserve(capacity: usize) -> io::Result<Self> {
        let () = Self::PAGE_HOLDS_IT;
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let bytes = capacity.checked_mul(size_of::<T>()).ok_or_else(too_large)?;
        // Only a mapping of whole huge pages starts at one (`__get_unmapped_area` in mm/mmap.c).
        let length =
            if bytes >= HUGE_FROM { bytes.checked_next_multiple_of(HUGE_PAGE) } else { Some(bytes.max(1)) };
        let length = length.ok_or_else(too_large)?;
        let map = MmapOptions::new().len(length).no_reserve_swap().map_anon()?;
        if bytes >= HUGE_FROM {
            // Refused where the kernel has no transparent huge pages: slower, not wrong.
            let _ = map.advise(Advice::HugePage);
        }
        Ok(Self { map, len: 0, capacity, values: PhantomData })
    }

    /// Has the system provide the memory of the first `count` values at once, so that no first write has
    /// to wait for that.
    pub(crate) fn populate(&self, count: usize) {
        let bytes = count.min(self.capacity) * size_of::<T>();
        if bytes > 0 {
            // Refused by kernels before 5.14: pages then come with the first write.
            let _ = self.map.advise_range(Advice::PopulateWrite, 0, bytes);
        }
    }

    /// Adds `count` times `value`, as far as there is room; how many were added.
    pub(crate) fn extend(&mut self, count: usize, value: T) -> usize {
        let added = count.min(self.capacity - self.len);
        for index in self.len..self.len + added {
            let base = self.map.as_mut_ptr().cast::<T>();
            // SAFETY: index < capacity, and the mapping is capacity * size_of::<T>() bytes long.
            let place = unsafe { base.add(index) };
            // SAFETY: the place is within the mapping, which is writable, ours alone, and aligned:
            // it starts at a page, and a page is a multiple of T's alignment.
            unsafe { place.write(value) };
        }
        self.len += added;
        added
    }

    /// Values that are there.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The values.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: the first len values were written by extend, T is Copy (nothing to drop, nothing
        // invalidated by moves), the mapping lives as long as self and is borrowed with it.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<T>(), self.len) }
    }

    /// The values, to be changed.
    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as for as_slice, and self is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr().cast::<T>(), self.len) }
    }

    /// Asks the processor to load the cache lines of a value; nothing where it is not there.
    #[inline]
    pub(crate) fn prefetch(&self, index: usize) {
        if let Some(value) = self.as_slice().get(index) {
            prefetch(value);
        }
    }
}

/// Asks the processor to load the first cache line of some bytes; nothing where there are none.
#[inline]
pub fn prefetch_start(bytes: &[u8]) {
    if let Some(first) = bytes.first() {
        prefetch(first);
    }
}

/// Asks the processor to load a value's cache lines, for reading and writing soon.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = std::ptr::from_ref(value).cast::<i8>();
        for line in 0..size_of::<T>().div_ceil(64) {
            // SAFETY: a prefetch is a hint: it neither faults nor changes anything, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line * 64)) };
        }
    }
    // Other targets have no stable prefetch; out-of-order execution must do.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// The lanes that equal `wanted`, a bit each.
#[inline]
pub(crate) fn equal_lanes(lanes: &[u16; 12], wanted: u16) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { equal_lanes_sse2(lanes, wanted) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let bits = lanes.iter().enumerate().map(|(lane, tag)| u32::from(*tag == wanted) << lane);
        bits.fold(0, |all, bit| all | bit)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn equal_lanes_sse2(lanes: &[u16; 12], wanted: u16) -> u32 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi16, _mm_loadl_epi64, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16,
        _mm_set1_epi16,
    };
    let start = lanes.as_ptr().cast::<__m128i>();
    // SAFETY: reads 16 of the 24 bytes, at any alignment.
    let first = unsafe { _mm_loadu_si128(start) };
    // SAFETY: reads the 8 bytes that are left, at any alignment.
    let rest = unsafe { _mm_loadl_epi64(start.wrapping_add(1)) };
    let wanted = _mm_set1_epi16(wanted.cast_signed());
    let equal = _mm_packs_epi16(_mm_cmpeq_epi16(first, wanted), _mm_cmpeq_epi16(rest, wanted));
    // The upper four lanes are of no tag: zeros were read for them.
    _mm_movemask_epi8(equal).cast_unsigned() & 0xfff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extends_to_its_capacity_and_never_moves() {
        let mut mapped = Mapped::<[u64; 16]>::reserve(100).expect("address space");
        assert_eq!(mapped.extend(60, [1; 16]), 60);
        let address = mapped.as_slice().as_ptr();
        assert_eq!(mapped.extend(60, [2; 16]), 40, "only as far as there is room");
        assert_eq!((mapped.len(), mapped.as_slice().as_ptr()), (100, address));
        assert_eq!((mapped.as_slice()[59], mapped.as_slice()[60]), ([1; 16], [2; 16]));
        mapped.as_mut_slice()[99][15] = 7;
        assert_eq!(mapped.as_slice()[99][15], 7);
        mapped.prefetch(99);
        mapped.prefetch(1000);
    }

    #[test]
    fn room_that_cannot_be_is_refused() {
        assert!(Mapped::<[u64; 16]>::reserve(usize::MAX / 2).is_err());
        assert!(Mapped::<u8>::reserve(usize::MAX / 2).is_err());
    }

    #[test]
    fn large_room_is_usable_with_huge_pages() {
        for populate in [false, true] {
            let mut mapped = Mapped::<u64>::reserve(HUGE_FROM / 4).expect("address space");
            if populate {
                mapped.populate(usize::MAX);
            }
            assert_eq!(mapped.extend(3, 5), 3);
            assert_eq!(mapped.as_slice(), [5, 5, 5]);
        }
    }
}
