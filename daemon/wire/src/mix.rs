//! What all seeded hashes over addresses and keys are made of: folded multiplication costs about a nanosecond for a
//! whole key; the seed, new at every start, keeps senders from choosing keys that meet.

/// Two words multiplied to 128 bits, halves combined.
#[inline]
#[must_use]
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
    let low = product as u64;
    low ^ (product >> 64) as u64
}

/// Sebastiano Vigna's `SplitMix64` output function: every bit of the input reaches every bit.
#[inline]
#[must_use]
pub const fn finalise(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The numbers that `SplitMix64` makes of a seed, one for each round of a hash.
pub fn rounds(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        finalise(state)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_those_of_split_mix() {
        // The first outputs for the seed 1234567, as published for this generator.
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert!(rounds(1_234_567).take(3).eq(expected));
    }

    #[test]
    fn halves_of_a_product_are_combined() {
        assert_eq!(fold(3, 5), 15);
        assert_eq!(fold(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(fold(1 << 63, 6), 3);
    }
}
