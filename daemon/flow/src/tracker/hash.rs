//! The seeded hash over any key. Folds sixteen bytes at a time, so that a key should hash itself in
//! few large pieces.

use crate::hash::FlowHash;
use portcullis_wire::mix::{finalise, fold};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// The seed of one tracker.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyHash {
    start: u64,
    round: u64,
}

/// A hash in the making.
struct Folding {
    state: u64,
    round: u64,
}

impl KeyHash {
    /// A seed that nobody can foretell.
    pub(super) fn random() -> Self {
        let seed = RandomState::new().hash_one(0u8);
        Self { start: finalise(seed), round: finalise(seed ^ 0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// The key's hash under this seed.
    pub(super) fn hash<K: Hash>(&self, key: &K) -> FlowHash {
        let mut folding = Folding { state: self.start, round: self.round };
        key.hash(&mut folding);
        FlowHash(finalise(folding.state))
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<16>();
        for pair in pairs {
            let (low, high) = pair.split_at(8);
            self.pair(word(low), word(high));
        }
        if !rest.is_empty() {
            let (low, high) = rest.split_at(rest.len().min(8));
            self.pair(word(low), word(high) ^ (rest.len() as u64) << 56);
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.state = fold(self.state ^ value, self.round);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

impl Folding {
    fn pair(&mut self, low: u64, high: u64) {
        self.state = fold(self.state ^ low, self.round ^ high).rotate_left(23) ^ low.wrapping_add(high);
    }
}

/// At most eight bytes as a number.
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_that_differ_little_differ_in_bucket_and_tag() {
        let hash = KeyHash::random();
        let hashes: Vec<u64> = (0..10_000u64).map(|number| hash.hash(&[number.to_be_bytes(); 5]).0).collect();
        let distinct: HashSet<u64> = hashes.iter().copied().collect();
        assert_eq!(distinct.len(), 10_000);
        let tags: HashSet<u64> = hashes.iter().map(|hash| hash & 0xffff).collect();
        assert!(tags.len() > 8_000, "about 9,275 of 65,536 tags are met, not {}", tags.len());
    }

    #[test]
    fn the_seed_changes_every_hash() {
        let (one, other) = (KeyHash::random(), KeyHash::random());
        assert_ne!(one.hash(&7u64), other.hash(&7u64));
        assert_eq!(one.hash(&"key"), one.hash(&"key"));
    }
}
