//! An entry as one word of 128 bits: whose it is, until when it counts, and how much.

use crate::hash::TAG_BITS;
use portcullis_wire::Timestamp;

const COUNT_BITS: u32 = 21;
const END_BITS: u32 = 52;
const END_MOST: u64 = (1 << END_BITS) - 1;

const ACTING_AT: u32 = COUNT_BITS;
const END_AT: u32 = COUNT_BITS + 1;
const TAG_AT: u32 = END_AT + END_BITS;
const _: () = assert!(TAG_AT + TAG_BITS == u128::BITS, "the parts fill the word");

/// A place where nothing ever was.
pub(crate) const EMPTY: u128 = 0;

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The last microsecond since the epoch at which it counts; at most in the year 2112.
    pub(crate) end: u64,
    /// Matches; of a bit, 1.
    pub(crate) count: u32,
    /// Is a rate filter in force?
    pub(crate) acting: bool,
}

impl Slot {
    /// The largest count that fits.
    pub(crate) const MOST: u32 = (1 << COUNT_BITS) - 1;

    /// Counts one more, at most to `most`.
    pub(crate) fn count_to(self, most: u32) -> Self {
        Self { count: self.count.saturating_add(1).min(most).min(Self::MOST), ..self }
    }

    pub(crate) fn pack(self, tag: u64) -> u128 {
        u128::from(tag) << TAG_AT
            | u128::from(self.end.min(END_MOST)) << END_AT
            | u128::from(self.acting) << ACTING_AT
            | u128::from(self.count.min(Self::MOST))
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is masked to its bits")]
    pub(crate) const fn unpack(word: u128) -> Self {
        Self {
            end: (word >> END_AT) as u64 & END_MOST,
            count: word as u32 & Self::MOST,
            acting: word >> ACTING_AT & 1 == 1,
        }
    }

    /// Does it still count at `now`?
    pub(crate) const fn counts_at(self, now: u64) -> bool {
        now <= self.end
    }
}

/// Whose entry it is; 0 for nobody's.
pub(crate) const fn tag(word: u128) -> u64 {
    (word >> TAG_AT) as u64
}

/// The whole microseconds of `now`, at most what an entry can say; at least 1, so that what ends at 0 never
/// counts.
pub(crate) fn micros(now: Timestamp) -> u64 {
    (now.as_nanos() / 1000).clamp(1, END_MOST)
}

/// `seconds` after `now`.
pub(crate) fn micros_after(now: u64, seconds: u32) -> u64 {
    now.saturating_add(u64::from(seconds) * 1_000_000).min(END_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_say_what_was_put_in(end in 0..=END_MOST, count in 0..=Slot::MOST, acting: bool, whose in 1_u64..1 << TAG_BITS) {
            let slot = Slot { end, count, acting };
            let word = slot.pack(whose);
            prop_assert_eq!((tag(word), Slot::unpack(word)), (whose, slot));
        }
    }

    #[test]
    fn nobody_counts() {
        assert_eq!(tag(EMPTY), 0);
        assert!(!Slot::unpack(EMPTY).counts_at(1));
    }

    #[test]
    fn times_stay_within_what_can_be_said() {
        assert_eq!((micros(Timestamp::NEVER), micros(Timestamp::ZERO)), (END_MOST, 1));
        assert_eq!(micros_after(END_MOST - 1, 5), END_MOST);
        assert_eq!(micros(Timestamp::from_secs(2)), 2_000_000);
        assert_eq!(micros_after(2_000_000, 3), 5_000_000);
    }
}
