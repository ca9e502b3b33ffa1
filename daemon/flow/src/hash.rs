//! The seeded hash over a flow key, by folded multiplication.

use crate::key::FlowKey;
use portcullis_wire::mix::{fold, rounds};

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
        let mut rounds = rounds(seed);
        let mut next = || rounds.next().unwrap_or_default();
        Self { rounds: std::array::from_fn(|_| next()), last: next() | 1 }
    }

    /// The key's hash under this seed.
    #[inline]
    pub(crate) fn hash(&self, key: &FlowKey) -> FlowHash {
        let [a, b, c, d, e, f] = *key.words();
        let [ra, rb, rc, rd, re, rf] = self.rounds;
        let addresses = fold(a ^ ra, b ^ rb) ^ fold(c ^ rc, d ^ rd).rotate_left(23);
        FlowHash(fold(addresses ^ fold(e ^ re, f ^ rf), self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyScope;
    use portcullis_wire::Decoded;
    use portcullis_wire::decoded::{Transport, Udp};

    fn key(host: u16, port: u16) -> FlowKey {
        let [high, low] = host.to_be_bytes();
        let decoded = Decoded {
            ip_version: 4,
            protocol: 17,
            source: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, high, low],
            destination: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 0, 1],
            source_port: port,
            destination_port: 53,
            transport: Transport::Udp(Udp::default()),
            ..Decoded::default()
        };
        FlowKey::of(&decoded, &KeyScope::default()).expect("UDP has a flow").key
    }

    /// Counts how keys that differ in a few bits fall into 256 classes: none may be far from
    /// its share.
    fn check_spread(class: impl Fn(FlowHash) -> usize) {
        let hasher = Hasher::new(7);
        let mut classes = [0u32; 256];
        for host in 0..256 {
            for port in 0..256 {
                classes[class(hasher.hash(&key(host, 1024 + port)))] += 1;
            }
        }
        let (least, most) = (classes.iter().min(), classes.iter().max());
        // 256 expected, standard deviation 16: five deviations.
        assert!(least > Some(&176) && most < Some(&336), "{least:?} to {most:?}");
    }

    #[test]
    fn similar_keys_spread_over_buckets_and_tags() {
        for byte in [7, 5, 4, 1, 0] {
            check_spread(|hash| usize::from(hash.0.to_le_bytes()[byte]));
        }
    }

    #[test]
    fn another_seed_is_another_hash() {
        let key = key(1, 2);
        assert_eq!(Hasher::new(1).hash(&key), Hasher::new(1).hash(&key));
        assert_ne!(Hasher::new(1).hash(&key), Hasher::new(2).hash(&key));
    }
}
