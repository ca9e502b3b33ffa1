//! The seeded hash over a flow key. Folded multiplication (two 64-bit words multiplied to 128 bits,
//! halves combined) costs about a nanosecond for a whole key; the seed, new at every start, keeps
//! senders from choosing keys that meet in one bucket.

use crate::key::FlowKey;

/// A key's hash: the high half chooses the bucket, the low bits are the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowHash(pub u64);

/// A seed, spread over what each round of the hash needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    rounds: [u64; 6],
    last: u64,
}

impl Hasher {
    /// Spreads `seed` over the rounds.
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            finalise(state)
        };
        Self { rounds: std::array::from_fn(|_| next()), last: next() | 1 }
    }

    /// The key's hash under this seed.
    pub(crate) fn hash(&self, key: &FlowKey) -> FlowHash {
        let [a, b, c, d, e, f] = *key.words();
        let [ra, rb, rc, rd, re, rf] = self.rounds;
        let addresses = fold(a ^ ra, b ^ rb) ^ fold(c ^ rc, d ^ rd).rotate_left(23);
        FlowHash(fold(addresses ^ fold(e ^ re, f ^ rf), self.last))
    }
}

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
