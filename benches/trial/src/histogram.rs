//! Counts by size, in buckets that grow with it.

use serde::{Deserialize, Serialize};

/// Bits of a value that a bucket tells apart: 32 buckets to each doubling.
const BITS: u32 = 5;

/// Buckets that there are; the last one ends at 2^36 - 1: 68 seconds of nanoseconds.
pub const BUCKETS: usize = 1024;

/// Seven hundredths of a hundred are, as floats, a bit more than seven.
const EXACTLY: f64 = 1.0 - 1e-12;

/// How many values there were of each size. Values below 64 have buckets of their own, a bucket above is 1/32 of
/// the value wide at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram {
    buckets: Vec<Bucket>,
}

/// One bucket that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The least value that belongs into it.
    pub from: u64,
    /// The least value that is too large.
    pub to: u64,
    /// How many there were.
    pub count: u64,
}

impl Histogram {
    /// Which bucket a value belongs into; the last one where it is too large.
    #[must_use]
    pub fn index(value: u64) -> usize {
        // The values below 2^BITS, and the 2^BITS above them, are their own buckets.
        let shift = value.checked_ilog2().unwrap_or(0).saturating_sub(BITS);
        let index = (u64::from(shift) << BITS) + (value >> shift);
        usize::try_from(index).unwrap_or(usize::MAX).min(BUCKETS - 1)
    }

    /// The least value that belongs into a bucket.
    fn least(index: usize) -> u64 {
        let index = u64::try_from(index).unwrap_or(u64::MAX);
        let shift = (index >> BITS).saturating_sub(1);
        (index - (shift << BITS)) << shift
    }

    /// From the counts of all buckets, by [`index`](Self::index).
    #[must_use]
    pub fn from_counts(counts: &[u64]) -> Self {
        let filled = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let bucket = |(index, count): (usize, &u64)| Bucket {
            from: Self::least(index),
            to: Self::least(index + 1),
            count: *count,
        };
        Self { buckets: filled.map(bucket).collect() }
    }

    /// The buckets that are not empty, from the least to the most.
    #[must_use]
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// The largest value of the bucket at which at least this share (0 to 1) of all values is reached; 0 for none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let wanted = self.count() as f64 * share * EXACTLY;
        let mut reached = 0;
        for bucket in &self.buckets {
            reached += bucket.count;
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            if reached as f64 >= wanted {
                return bucket.to - 1;
            }
        }
        self.buckets.last().map_or(0, |bucket| bucket.to - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut counts = vec![0; BUCKETS];
        values.iter().for_each(|value| counts[Histogram::index(*value)] += 1);
        Histogram::from_counts(&counts)
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(of(&[]).percentile(0.5), 0);
    }

    #[test]
    fn small_values_are_exact() {
        let values: Vec<u64> = (0..64).collect();
        let histogram = of(&values);
        assert_eq!(histogram.buckets().len(), 64);
        assert_eq!(histogram.percentile(0.5), 31);
        assert_eq!(histogram.percentile(1.0), 63);
    }

    #[test]
    fn shares_that_are_no_floats_are_not_rounded_up() {
        let values: Vec<u64> = (1..=50).collect();
        for percent in (2_u8..=100).step_by(2) {
            assert_eq!(of(&values).percentile(f64::from(percent) / 100.0), u64::from(percent) / 2);
        }
    }

    #[test]
    fn buckets_are_without_gaps() {
        for index in 0..BUCKETS - 1 {
            let (from, to) = (Histogram::least(index), Histogram::least(index + 1));
            assert!(from < to);
            assert_eq!((Histogram::index(from), Histogram::index(to - 1)), (index, index));
        }
        assert_eq!(Histogram::least(BUCKETS), 1 << 36);
        assert_eq!(Histogram::index(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn percentiles_are_close(mut values in proptest::collection::vec(1_u64..1 << 36, 1..200), percent in 1_usize..=100) {
            let found = of(&values).percentile(f64::from(u8::try_from(percent).unwrap()) / 100.0);
            values.sort_unstable();
            let exact = values[(percent * values.len()).div_ceil(100) - 1];
            prop_assert!(found >= exact && found - exact <= exact / 32, "{found} {exact}");
        }
    }
}
