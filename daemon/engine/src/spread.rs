//! How NICs spread packets over their queues (receive-side scaling): the Toeplitz hash over addresses, and a table of
//! queues. Where all ports spread alike, the worker of that queue is the owner, and fewer packets have to be passed on.

use portcullis_capture::WorkerId;
use portcullis_wire::decoded::Address;

/// What an IPv4 address begins with in its mapped form.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Most buckets: there is no NIC with so many.
const MAX_BUCKETS: usize = 32_768;

/// Bytes of two IPv6 addresses.
const LONGEST: usize = 32;

/// The spread of a NIC as a function of addresses, the same for both directions.
#[derive(Debug)]
pub struct Spread {
    /// By position and value of a byte: what it adds to the hash.
    terms: Box<[[u32; 256]]>,
    /// By bucket of the indirection table: the worker that has the queue.
    workers: Box<[u8]>,
}

impl Spread {
    /// The spread of a NIC with this key and this indirection table, whose queue *q* is worker *q* mod *workers*'s.
    /// `None` where that cannot be followed: the key is shorter than two IPv6 addresses take (36 bytes), or the number of
    /// buckets is no power of two.
    #[must_use]
    pub fn new(key: &[u8], table: &[u32], workers: u8) -> Option<Self> {
        if !table.len().is_power_of_two() || table.len() > MAX_BUCKETS || workers == 0 {
            return None;
        }
        let terms: Option<Vec<[u32; 256]>> =
            (0..LONGEST).map(|place| Some(terms(key.get(place..place + 5)?.first_chunk()?))).collect();
        let worker = |queue: &u32| u8::try_from(queue % u32::from(workers)).ok();
        let workers: Option<Vec<u8>> = table.iter().map(worker).collect();
        Some(Self { terms: terms?.into(), workers: workers?.into() })
    }

    /// The owner of a pair of addresses. A NIC whose key is not symmetric brings one of the directions elsewhere: that
    /// of the lower address to the higher counts.
    #[must_use]
    pub fn owner(&self, one: &Address, other: &Address) -> WorkerId {
        self.at(self.place(one, other))
    }

    /// The bucket of a pair of addresses, from 1.
    pub(crate) fn place(&self, one: &Address, other: &Address) -> u16 {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        // Of an IPv4 address, which is held mapped, the NIC sees four bytes.
        let skipped =
            if [low, high].iter().all(|address| address.starts_with(&MAPPED)) { MAPPED.len() } else { 0 };
        let hash = self.hash(low.iter().skip(skipped).chain(high.iter().skip(skipped)));
        u16::try_from(hash as usize & (self.workers.len() - 1)).unwrap_or(0) + 1
    }

    /// The worker of a bucket, from 1.
    pub(crate) fn at(&self, place: u16) -> WorkerId {
        WorkerId(self.workers.get(usize::from(place).saturating_sub(1)).copied().unwrap_or(0))
    }

    fn hash<'a>(&self, bytes: impl Iterator<Item = &'a u8>) -> u32 {
        let term = |(terms, byte): (&[u32; 256], &u8)| terms.get(usize::from(*byte)).copied().unwrap_or(0);
        self.terms.iter().zip(bytes).map(term).fold(0, |hash, term| hash ^ term)
    }
}

/// What each value of a byte adds: for each bit that is set, the 32 bits of the key that begin at its place.
fn terms(key: &[u8; 5]) -> [u32; 256] {
    let [a, b, c, d, next] = *key;
    let (word, next) = (u32::from_be_bytes([a, b, c, d]), u32::from(next));
    let mut terms = [0; 256];
    for (value, term) in (0_u32..).zip(&mut terms) {
        for bit in (0..8_u32).filter(|bit| value & (0x80 >> bit) != 0) {
            *term ^= if bit == 0 { word } else { word << bit | next >> (8 - bit) };
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// The key that Microsoft's verification suite for RSS uses.
    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
        0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
        0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    fn address(text: &str) -> Vec<u8> {
        text.parse::<Ipv4Addr>()
            .map(|address| address.octets().to_vec())
            .or_else(|_| text.parse::<Ipv6Addr>().map(|address| address.octets().to_vec()))
            .unwrap()
    }

    #[test]
    fn the_hash_is_that_of_the_verification_suite() {
        let spread = Spread::new(&KEY, &[0], 1).unwrap();
        let check = |source: &str, destination: &str, expected: u32| {
            let bytes = [address(source), address(destination)].concat();
            assert_eq!(spread.hash(bytes.iter()), expected, "{source} {destination}");
        };
        check("66.9.149.187", "161.142.100.80", 0x323e_8fc2);
        check("199.92.111.2", "65.69.140.83", 0xd718_262a);
        check("24.19.198.95", "12.22.207.184", 0xd2d0_a5de);
        check("3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 0x2cc1_8cd5);
    }

    #[test]
    fn a_packet_is_the_worker_s_whose_queue_it_comes_by() {
        let table: Vec<u32> = (0..128).map(|bucket| bucket % 8).collect();
        let spread = Spread::new(&KEY, &table, 3).unwrap();
        let mapped = |text: &str| -> Address { text.parse::<Ipv4Addr>().unwrap().to_ipv6_mapped().octets() };
        let (low, high) = (mapped("66.9.149.187"), mapped("161.142.100.80"));
        // Bucket 0x42 is queue 2.
        assert_eq!(spread.owner(&low, &high), WorkerId(2));
        assert_eq!(spread.owner(&high, &low), WorkerId(2));
    }

    #[test]
    fn what_cannot_be_followed_is_not() {
        assert!(Spread::new(&KEY[..35], &[0, 1], 2).is_none());
        assert!(Spread::new(&KEY[..36], &[0, 1], 2).is_some());
        assert!(Spread::new(&KEY, &[0, 1, 2], 2).is_none());
        assert!(Spread::new(&KEY, &[], 2).is_none());
    }

    proptest! {
        #[test]
        fn a_symmetric_key_brings_both_directions_to_the_owner(one: [u8; 16], other: [u8; 16]) {
            let key: Vec<u8> = [0x6d, 0x5a].repeat(20);
            let table: Vec<u32> = (0..64).collect();
            let spread = Spread::new(&key, &table, 64).unwrap();
            let by_nic = |a: &Address, b: &Address| spread.hash(a.iter().chain(b)) % 64;
            let owner = u32::from(spread.owner(&one, &other).0);
            prop_assert_eq!((by_nic(&one, &other), by_nic(&other, &one)), (owner, owner));
        }
    }
}
