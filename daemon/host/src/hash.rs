//! The seeded hash over a key: where its entry may be, and the tag that tells it from others there.

use crate::key::Key;
use portcullis_wire::mix::{finalise, fold, rounds};

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
        let mut rounds = rounds(seed);
        let mut next = || rounds.next().unwrap_or_default();
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
