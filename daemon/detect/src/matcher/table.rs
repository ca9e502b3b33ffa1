//! Windows of patterns: which patterns have one, for the few windows that the filter lets through.

use super::FOLD;
use super::rarity;

/// Most buckets, as a power of two.
const BUCKETS_MOST: u32 = 20;

/// Spreads a window over 32 bits.
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

/// The windows of some patterns, all of one width.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Of each bucket, which of eight kinds of windows it has: few enough bytes to stay close, so that what passed the
    /// filter by chance is told from a window without a look at the bucket.
    kinds: Box<[u8]>,
    /// Where the entries of each bucket begin, one more at the end.
    buckets: Box<[u32]>,
    shift: u32,
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
        if windows == 0 {
            return Self::default();
        }
        let bits = windows.next_power_of_two().ilog2().clamp(4, BUCKETS_MOST);
        let mut crowd = rarity::Crowd::default();
        let mut entries: Vec<Entry> = Vec::with_capacity(windows);
        for &(pattern, bytes) in patterns {
            let first = crowd.choose(bytes, width + places - 1);
            for back in first..first + places {
                let Some(window) = bytes.get(back..back + width) else { continue };
                let key = folded(window) & mask;
                entries.push(Entry { key, pattern, back: u8::try_from(back).unwrap_or(u8::MAX) });
            }
        }
        let mut table = Self { shift: 32 - bits, mask, ..Self::default() };
        entries.sort_unstable_by_key(|entry| (table.bucket(entry.key), entry.key, entry.pattern, entry.back));
        let mut starts = vec![0_u32; (1 << bits) + 1];
        let mut kinds = vec![0; 1 << bits];
        for entry in &entries {
            if let Some(known) = kinds.get_mut(table.bucket(entry.key)) {
                *known |= table.kind(entry.key);
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
        table.kinds = kinds.into();
        table.buckets = starts.into();
        table.entries = entries.into();
        table
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn memory(&self) -> usize {
        self.kinds.len() + self.buckets.len() * 4 + self.entries.len() * size_of::<Entry>()
    }

    /// The windows as windows of four bytes: where there are fewer, with every byte that may follow.
    pub(super) fn keys(&self) -> impl Iterator<Item = u32> {
        let folded_bytes = (0..=u8::MAX).filter(|byte| byte & 0x20 != 0);
        let last: Vec<u32> = if self.mask == u32::MAX {
            vec![0]
        } else {
            folded_bytes.map(|byte| u32::from(byte) << 24).collect()
        };
        self.entries.iter().flat_map(move |entry| last.clone().into_iter().map(move |byte| entry.key | byte))
    }

    /// The windows as they are.
    pub(super) fn pairs(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().map(|entry| entry.key)
    }

    /// May a pattern have this window? Wrong for one in eight at most of those that have passed the filter by chance.
    #[inline]
    pub(super) fn may_hold(&self, key: u32) -> bool {
        let key = key & self.mask;
        self.kinds.get(self.bucket(key)).is_some_and(|known| known & self.kind(key) != 0)
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
    fn bucket(&self, key: u32) -> usize {
        (key.wrapping_mul(SPREAD) >> self.shift) as usize
    }

    /// One of eight bits, by what the bucket leaves of the spread window.
    #[inline]
    fn kind(&self, key: u32) -> u8 {
        1 << (key.wrapping_mul(SPREAD) >> (self.shift - 3) & 7)
    }
}

/// The window as a folded number.
fn folded(window: &[u8]) -> u32 {
    let mut bytes = [0; 4];
    for (to, from) in bytes.iter_mut().zip(window) {
        *to = *from;
    }
    u32::from_le_bytes(bytes) | FOLD
}
