//! The table of bits that says of a window whether any pattern can have it.

/// Bits for each window that is entered, so that few windows of a payload find one set by chance.
const BITS_PER_WINDOW: usize = 256;

/// Least and most bits, as powers of two. The largest table stays in a core's own cache.
const BITS_LEAST: u32 = 14;
const BITS_MOST: u32 = 22;

/// Spreads a window over 64 bits, of which the upper half is used (the golden ratio's bits, which are odd and
/// have no pattern).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Windows of four folded bytes, with few false ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    words: Box<[u64]>,
    /// One less than the number of bits.
    mask: u64,
}

impl Filter {
    /// A table of these windows.
    pub(super) fn build(keys: &[u32]) -> Self {
        if keys.is_empty() {
            return Self::default();
        }
        let bits = (keys.len() * BITS_PER_WINDOW).next_power_of_two().ilog2().clamp(BITS_LEAST, BITS_MOST);
        let mut filter = Self { words: vec![0; 1 << (bits - 6)].into(), mask: (1 << bits) - 1 };
        for key in keys {
            let bit = filter.bit(*key);
            if let Some(word) = filter.words.get_mut(place(bit)) {
                *word |= 1 << (bit & 63);
            }
        }
        filter
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(crate) fn memory(&self) -> usize {
        self.words.len() * 8
    }

    /// A number whose lowest bit says whether a pattern may have this window.
    #[inline]
    pub(super) fn may_hold(&self, key: u32) -> u64 {
        let bit = self.bit(key);
        self.words.get(place(bit)).map_or(0, |word| word >> (bit & 63))
    }

    #[inline]
    fn bit(&self, key: u32) -> u64 {
        u64::from(key).wrapping_mul(SPREAD) >> 32 & self.mask
    }
}

#[inline]
const fn place(bit: u64) -> usize {
    (bit >> 6) as usize
}
