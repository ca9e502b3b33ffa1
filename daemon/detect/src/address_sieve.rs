//! Which addresses no list can hold: a few bits, in the core's own cache, that answer for nearly all of them, so that
//! the pieces of the address space, which are in memory, are asked about few.

use portcullis_wire::Address;

/// Addresses of IPv4 that share a bit, as a power of two: a quarter of a megabyte for all.
const BLOCK: u32 = 11;

/// Lengths of IPv6 networks that may be known by their beginnings, the longest first.
const LENGTHS: [u32; 4] = [64, 48, 32, 16];

/// Most beginnings that one piece is entered by.
const BEGINNINGS_MOST: u64 = 16;

/// Bits for each beginning, and least and most of them, as powers of two.
const BITS_EACH: usize = 16;
const BITS_LEAST: u32 = 10;
const BITS_MOST: u32 = 22;

/// Spreads numbers over 64 bits (the golden ratio's bits).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// By blocks of IPv4 addresses, whether any list holds one of them. Empty: that is not known.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Box<[u64]>);

impl Blocks {
    /// Of ranges of addresses, from the first to the last.
    pub(crate) fn of(ranges: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut words = vec![0_u64; 1 << (32 - BLOCK - 6)];
        for (first, last) in ranges {
            for block in first >> BLOCK..=last >> BLOCK {
                if let Some(word) = words.get_mut((block >> 6) as usize) {
                    *word |= 1 << (block & 63);
                }
            }
        }
        Self(words.into())
    }

    /// May a list hold it?
    #[inline]
    pub(crate) fn may_hold(&self, address: u32) -> bool {
        let block = address >> BLOCK;
        self.0.get((block >> 6) as usize).is_none_or(|word| word >> (block & 63) & 1 != 0)
    }

    pub(crate) fn memory(&self) -> usize {
        self.0.len() * 8
    }
}

/// By hashes of the beginnings of IPv6 addresses, whether any list may hold one. Empty: that is not known.
#[derive(Debug, Default)]
pub(crate) struct Beginnings {
    /// Lengths of beginnings that are looked at.
    lengths: Vec<u32>,
    words: Box<[u64]>,
    shift: u32,
}

impl Beginnings {
    /// Of ranges of addresses, from the first to the last.
    pub(crate) fn of(ranges: impl Iterator<Item = (u128, u128)>) -> Self {
        let mut found = Vec::new();
        for (first, last) in ranges {
            let (first, last) = (upper(first), upper(last));
            let spans = |length: &u32| (last >> (64 - length)) - (first >> (64 - length)) < BEGINNINGS_MOST;
            // What is so broad leaves little to tell apart.
            let Some(length) = LENGTHS.into_iter().find(spans) else { return Self::default() };
            let beginnings = first >> (64 - length)..=last >> (64 - length);
            found.extend(beginnings.map(|beginning| (length, beginning)));
        }
        found.sort_unstable();
        found.dedup();
        let bits = (found.len() * BITS_EACH).next_power_of_two().ilog2().clamp(BITS_LEAST, BITS_MOST);
        let mut words = vec![0_u64; 1 << (bits - 6)];
        let shift = 64 - (bits - 6);
        for (length, beginning) in &found {
            let (place, mask) = place(*length, *beginning, shift);
            if let Some(word) = words.get_mut(place) {
                *word |= mask;
            }
        }
        let mut lengths: Vec<u32> = found.into_iter().map(|(length, _)| length).collect();
        lengths.dedup();
        Self { lengths, words: words.into(), shift }
    }

    /// May a list hold it?
    #[inline]
    pub(crate) fn may_hold(&self, address: &Address) -> bool {
        let upper = upper(u128::from_be_bytes(*address));
        let has = |length: &u32| {
            let (place, mask) = place(*length, upper >> (64 - length), self.shift);
            self.words.get(place).is_some_and(|word| word & mask == mask)
        };
        self.words.is_empty() || self.lengths.iter().any(has)
    }

    pub(crate) fn memory(&self) -> usize {
        self.words.len() * 8
    }
}

/// The word of a beginning, and three bits of it: what is in none of the lists shares all three with others once in a
/// hundred times, where it would share one of them once in sixteen.
#[inline]
fn place(length: u32, beginning: u64, shift: u32) -> (usize, u64) {
    // Twice, for networks are given away in order.
    let once = (beginning ^ u64::from(length) << 57).wrapping_mul(SPREAD);
    let hash = (once ^ once >> 32).wrapping_mul(SPREAD);
    let bit = |number: u32| 1_u64 << (hash >> (shift - 6 * number) & 63);
    (usize::try_from(hash >> shift).unwrap_or(usize::MAX), bit(1) | bit(2) | bit(3))
}

/// The 64 bits that networks differ in.
const fn upper(address: u128) -> u64 {
    (address >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_in_a_range_is_never_ruled_out(
            ranges in prop::collection::vec((any::<u128>(), 0_u32..128), 0..40),
            inside in any::<u128>(),
        ) {
            let wide = ranges.iter().map(|(first, bits)| {
                let rest = (1_u128 << bits) - 1;
                (first & !rest, first | rest)
            });
            let beginnings = Beginnings::of(wide.clone());
            let narrow = wide.clone().map(|(first, last)| ((first >> 96) as u32, (last >> 96) as u32));
            let blocks = Blocks::of(narrow.clone());
            for ((first, last), (low, high)) in wide.zip(narrow) {
                for address in [first, last, first + inside % (last - first).max(1)] {
                    prop_assert!(beginnings.may_hold(&address.to_be_bytes()), "{address:x}");
                }
                for address in [low, high, low + (high - low) / 2] {
                    prop_assert!(blocks.may_hold(address), "{address:x}");
                }
            }
        }
    }

    #[test]
    fn nearly_all_others_are_ruled_out() {
        let spread = |number: u64| u128::from(number.wrapping_mul(SPREAD)) << 64;
        let beginnings = Beginnings::of((0..10_000).map(|number| (spread(number), spread(number) | 0xffff)));
        let held = |number: &u64| beginnings.may_hold(&spread(*number).to_be_bytes());
        assert!((0..10_000).all(|number| held(&number)));
        assert!((10_000..20_000).filter(held).count() < 200);
        let blocks = Blocks::of((0..10_000_u32).map(|number| (number << 16, number << 16 | 0xff)));
        assert!(!blocks.may_hold(0x0001_0800) && !blocks.may_hold(0xffff_0000));
        // Not known where none was asked for, and of what is too broad.
        assert!(Blocks::default().may_hold(7) && Beginnings::default().may_hold(&[7; 16]));
        assert!(Beginnings::of([(0, u128::MAX)].into_iter()).may_hold(&[7; 16]));
    }
}
