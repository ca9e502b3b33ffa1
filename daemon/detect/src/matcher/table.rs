//! Windows of patterns: a table of bits that nearly always says no, and what to compare where it says yes.

use super::FOLD;
use super::rarity;

/// Bits of the table for each window, so that few windows of a payload find one set by chance.
const BITS_PER_WINDOW: usize = 32;

/// Least and most bits of the table, as powers of two. The largest stays in a core's own cache.
const BITS_LEAST: u32 = 10;
const BITS_MOST: u32 = 21;

/// Spreads a window over 32 bits (the golden ratio's, which is odd and has no pattern).
const SPREAD: u32 = 0x9e37_79b1;

/// A window that may be one of a pattern, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) at: usize,
    /// Folded.
    pub(super) key: u32,
}

/// A pattern with this window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    key: u32,
    pub(super) pattern: u32,
    /// How far behind the pattern's beginning the window stands.
    pub(super) back: u8,
}

/// The windows of some patterns.
#[derive(Debug, Default)]
pub(super) struct Table {
    bits: Box<[u64]>,
    bits_shift: u32,
    /// Where the entries of each bucket begin, one more at the end.
    buckets: Box<[u32]>,
    buckets_shift: u32,
    entries: Box<[Entry]>,
    /// The bytes that belong to a window.
    mask: u32,
}

impl Table {
    /// Chooses windows of `width` bytes for the patterns with their numbers, each at `places` neighbouring
    /// places.
    pub(super) fn build(patterns: &[(u32, &[u8])], width: usize, places: usize) -> Self {
        let mask = if width >= 4 { u32::MAX } else { (1 << (8 * width)) - 1 };
        let windows = patterns.len() * places;
        let bits = (windows * BITS_PER_WINDOW).next_power_of_two().ilog2().clamp(BITS_LEAST, BITS_MOST);
        let buckets = windows.next_power_of_two().ilog2().clamp(4, BITS_MOST);
        let mut crowd = rarity::Crowd::default();
        let mut entries: Vec<Entry> = Vec::with_capacity(windows);
        for &(pattern, bytes) in patterns {
            let first = crowd.choose(bytes, width + places - 1);
            for back in first..first + places {
                let Some(window) = bytes.get(back..back + width) else { continue };
                let key = key(window);
                entries.push(Entry { key, pattern, back: u8::try_from(back).unwrap_or(u8::MAX) });
            }
        }
        let mut table = Self {
            bits: vec![0; 1 << bits.saturating_sub(6)].into(),
            bits_shift: 32 - bits,
            buckets: Box::default(),
            buckets_shift: 32 - buckets,
            entries: Box::default(),
            mask,
        };
        entries.sort_by_key(|entry| (table.bucket(entry.key), entry.key, entry.pattern));
        let mut starts = vec![0_u32; (1 << buckets) + 1];
        for entry in &entries {
            let bit = table.spread(entry.key) >> table.bits_shift;
            if let Some(word) = table.bits.get_mut((bit >> 6) as usize) {
                *word |= 1 << (bit & 63);
            }
            if let Some(count) = starts.get_mut(table.bucket(entry.key) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        table.buckets = starts.into();
        table.entries = entries.into();
        table
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn memory(&self) -> usize {
        self.bits.len() * 8 + self.buckets.len() * 4 + self.entries.len() * size_of::<Entry>()
    }

    /// 1 if a pattern may have this window, 0 if none has.
    #[inline]
    pub(super) fn may_hold(&self, key: u32) -> u64 {
        let bit = self.spread(key) >> self.bits_shift;
        self.bits.get((bit >> 6) as usize).map_or(0, |word| word >> (bit & 63) & 1)
    }

    /// The patterns with this window.
    pub(super) fn entries(&self, key: u32) -> impl Iterator<Item = &Entry> {
        let key = key & self.mask;
        let bucket = self.bucket(key);
        let range = match (self.buckets.get(bucket), self.buckets.get(bucket + 1)) {
            (Some(&start), Some(&end)) => start as usize..end as usize,
            _ => 0..0,
        };
        let entries = self.entries.get(range).unwrap_or_default();
        entries.iter().filter(move |entry| entry.key == key)
    }

    #[inline]
    fn spread(&self, key: u32) -> u32 {
        (key & self.mask).wrapping_mul(SPREAD)
    }

    fn bucket(&self, key: u32) -> usize {
        (self.spread(key) >> self.buckets_shift) as usize
    }
}

/// The window as a folded number.
fn key(window: &[u8]) -> u32 {
    let mut bytes = [0; 4];
    for (to, from) in bytes.iter_mut().zip(window) {
        *to = *from;
    }
    let fold = match window.len() {
        2 => FOLD & 0xffff,
        3 => FOLD & 0xff_ffff,
        _ => FOLD,
    };
    u32::from_le_bytes(bytes) | fold
}
