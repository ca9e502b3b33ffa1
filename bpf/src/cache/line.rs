//! What a line of the verdict cache says, in Rust; the C side is `struct cached` and `cache.h`.

use crate::tuple::{Side, Tuple};

/// `CACHE_TIME_SHIFT`: the unit of times is 0.13 seconds.
const TIME_SHIFT: u32 = 27;

/// Generations that a line tells apart: it has 15 bits for one, and 0 means none.
const GENERATIONS: u32 = (1 << 15) - 1;

/// What of an entry is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) addresses: [u64; 4],
    pub(super) ports: u32,
    pub(super) ids: u32,
    pub(super) kind: u32,
}

impl Key {
    pub(super) fn of(tuple: &Tuple) -> Self {
        let half = |address: &[u8; 16]| {
            let [a, b, c, d, e, f, g, h, rest @ ..] = *address;
            [u64::from_ne_bytes([a, b, c, d, e, f, g, h]), u64::from_ne_bytes(rest)]
        };
        let ([s0, s1], [d0, d1]) = (half(&tuple.source), half(&tuple.destination));
        let [p0, p1] = tuple.source_port.to_be_bytes();
        let [p2, p3] = tuple.destination_port.to_be_bytes();
        let [outer, middle, inner] = tuple.vlans.map(|id| u32::from(id.unwrap_or(0)) & 0xfff);
        let tags = tuple.vlans.iter().flatten().fold(0, |count, _| count + 1);
        let side = u32::from(tuple.side == Side::Second);
        Self {
            addresses: [s0, s1, d0, d1],
            ports: u32::from_ne_bytes([p0, p1, p2, p3]),
            ids: outer | middle << 12 | u32::from(tuple.set) << 24,
            kind: inner
                | tags << 12
                | u32::from(tuple.protocol) << 16
                | side << 24
                | u32::from(tuple.version == 6) << 25,
        }
    }

    pub(super) fn tuple(&self) -> Tuple {
        let whole = |high: u64, low: u64| {
            let mut address = [0; 16];
            address[..8].copy_from_slice(&high.to_ne_bytes());
            address[8..].copy_from_slice(&low.to_ne_bytes());
            address
        };
        let [s0, s1, d0, d1] = self.addresses;
        let [p0, p1, p2, p3] = self.ports.to_ne_bytes();
        let tags = self.kind >> 12 & 3;
        let id = |tag: u32, word: u32| u16::try_from(word & 0xfff).ok().filter(|_| tag < tags);
        let byte = |word: u32| u8::try_from(word & 0xff).unwrap_or(0);
        Tuple {
            source: whole(s0, s1),
            destination: whole(d0, d1),
            source_port: u16::from_be_bytes([p0, p1]),
            destination_port: u16::from_be_bytes([p2, p3]),
            vlans: [id(0, self.ids), id(1, self.ids >> 12), id(2, self.kind)],
            version: if self.kind >> 25 & 1 == 1 { 6 } else { 4 },
            protocol: byte(self.kind >> 16),
            set: byte(self.ids >> 24),
            side: if self.kind >> 24 & 1 == 1 { Side::Second } else { Side::First },
        }
    }

    /// The number of the home, from 0: `cache_hash` in `cache.h`.
    pub(super) const fn home(&self, seed: u64, homes: u32) -> u32 {
        const A: u64 = 0xbf58_476d_1ce4_e5b9;
        const B: u64 = 0x94d0_49bb_1331_11eb;
        let [s0, s1, d0, d1] = self.addresses;
        let mut one = (s1 ^ seed).wrapping_mul(A);
        let mut two = (d1 ^ seed.rotate_left(32)).wrapping_mul(B);
        one = (one ^ one >> 32 ^ s0).wrapping_mul(B);
        two = (two ^ two >> 32 ^ d0).wrapping_mul(A);
        one ^= one >> 29 ^ self.ports as u64 ^ (self.ids as u64) << 32;
        two ^= two >> 29 ^ self.kind as u64;
        one = (one ^ two.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(A);
        one = (one ^ one >> 31).wrapping_mul(B);
        one ^= one >> 32;
        // The product of two halves: its upper half is a half.
        (((one >> 32) * homes as u64) >> 32) as u32
    }
}

/// A time as a line has it.
pub(super) fn time(nanos: u64) -> u32 {
    u32::try_from(nanos >> TIME_SHIFT).unwrap_or(u32::MAX)
}

/// And back, as far as it tells.
pub(super) fn nanos(time: u32) -> u64 {
    u64::from(time) << TIME_SHIFT
}

/// A generation as a line has it: 0 is none, and others are told apart for long enough.
pub(super) const fn stamp(number: u32) -> u32 {
    if number == 0 { 0 } else { (number - 1) % GENERATIONS + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tuples() -> impl Strategy<Value = Tuple> {
        let vlans = (prop::collection::vec(0..4096_u16, 0..=3)).prop_map(|ids| {
            let mut ids = ids.into_iter();
            [ids.next(), ids.next(), ids.next()]
        });
        let ends = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u16>(), any::<u16>());
        let rest = (prop::bool::ANY, any::<u8>(), any::<u8>(), prop::bool::ANY);
        (ends, vlans, rest).prop_map(|(ends, vlans, (is_six, protocol, set, is_second))| Tuple {
            source: ends.0,
            destination: ends.1,
            source_port: ends.2,
            destination_port: ends.3,
            vlans,
            version: if is_six { 6 } else { 4 },
            protocol,
            set,
            side: if is_second { Side::Second } else { Side::First },
        })
    }

    proptest! {
        #[test]
        fn a_key_is_its_tuple(tuple in tuples()) {
            prop_assert_eq!(Key::of(&tuple).tuple(), tuple);
        }
    }

    #[test]
    fn homes_are_spread_whatever_the_keys_have_in_common() {
        const HOMES: u32 = 1 << 16;
        let tuple = Tuple {
            source: [0; 16],
            destination: [0; 16],
            source_port: 0,
            destination_port: 0,
            vlans: [None; 3],
            version: 4,
            protocol: 6,
            set: 0,
            side: Side::First,
        };
        let key = Key::of(&tuple);
        let moved: [fn(Key, u32) -> Key; 4] = [
            |key, n| Key { ports: n, ..key },
            |key, n| Key { ports: n << 16, ..key },
            |key, n| Key { addresses: [0, u64::from(n) << 48, 0, 0], ..key },
            |key, n| Key { addresses: [0, u64::from(n) << 48, 0, u64::from(n) << 48], ..key },
        ];
        for (which, with) in moved.iter().enumerate() {
            let mut load = vec![0_u8; HOMES as usize];
            for number in 0..HOMES / 2 {
                load[with(key, number).home(0x1234_5678_9abc_def0, HOMES) as usize] += 1;
            }
            let most = load.iter().max().unwrap();
            assert!(*most <= 8, "{which}: {most} at one home");
        }
    }

    #[test]
    fn a_stamp_is_none_only_if_it_is_none() {
        assert_eq!(
            [0, 1, 2, GENERATIONS, GENERATIONS + 1, u32::MAX].map(stamp),
            [0, 1, 2, GENERATIONS, 1, (u32::MAX - 1) % GENERATIONS + 1]
        );
    }
}
