//! The seeded hash over a key: where its entry may be, and the tag that tells it from others there.
//! Folded multiplication, as for the flow index; the seed keeps senders from choosing addresses that meet.

use crate::key::Key;

/// Bits of a tag.
pub(crate) const TAG_BITS: u32 = 54;

/// A key's hash: two numbers that do not depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hashed {
    /// Chooses the first place.
    pub(crate) place: u64,
    /// Not 0, below 2 to the power of [`TAG_BITS`].
    pub(crate) tag: u64,
}

/// A seed, spread over what each round of the two hashes needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    rounds: [[u64; 7]; 2],
}

impl Hasher {
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            finalise(state)
        };
        Self { rounds: std::array::from_fn(|_| std::array::from_fn(|_| next())) }
    }

    pub(crate) fn hash(&self, key: &Key) -> Hashed {
        let [place, tag] = self.rounds.map(|rounds| one(key.words(), &rounds));
        Hashed { place, tag: (tag >> (u64::BITS - TAG_BITS)).max(1) }
    }
}

fn one(words: &[u64; 6], rounds: &[u64; 7]) -> u64 {
    let [a, b, c, d, e, f] = *words;
    let [ra, rb, rc, rd, re, rf, last] = *rounds;
    let addresses = fold(c ^ rc, d ^ rd) ^ fold(e ^ re, f ^ rf).rotate_left(23);
    finalise(fold(addresses ^ fold(a ^ ra, b ^ rb), last | 1))
}

/// Two words multiplied to 128 bits, halves combined.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
    let low = product as u64;
    low ^ (product >> 64) as u64
}

/// Sebastiano Vigna's `SplitMix64` output function: every bit of the input reaches every bit.
const fn finalise(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Who;
    use portcullis_wire::decoded::mapped;
    use std::collections::BTreeSet;

    fn key(host: u16, sid: u32) -> Key {
        let [high, low] = host.to_be_bytes();
        let who = Who::Host { version: 4, address: mapped([10, 0, high, low]) };
        Key::matches(1, sid, 0, who, 0)
    }

    #[test]
    fn similar_keys_spread_over_places_and_tags() {
        let hasher = Hasher::new(7);
        let mut places = [0_u32; 256];
        let mut tags = BTreeSet::new();
        for host in 0..256 {
            for sid in 0..256 {
                let Hashed { place, tag } = hasher.hash(&key(host, 2_000_000 + sid));
                assert!(tag != 0 && tag < 1 << TAG_BITS);
                places[usize::from(place.to_be_bytes()[0])] += 1;
                tags.insert(tag);
            }
        }
        assert_eq!(tags.len(), 65_536, "no two are alike");
        // 256 expected, standard deviation 16: five deviations.
        assert!(places.iter().all(|count| (176..336).contains(count)), "{places:?}");
        assert_ne!(Hasher::new(8).hash(&key(1, 1)), hasher.hash(&key(1, 1)));
    }
}
