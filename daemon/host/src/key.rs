//! What an entry of the table is about.

use portcullis_wire::decoded::Address;

/// The name of a bit, as rules give it. It follows from the name alone, so that bits outlive a change of
/// rules; whoever makes names must see that two he uses are not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitName(u64);

impl BitName {
    /// The bit called `name` (64-bit FNV-1a over its bytes).
    #[must_use]
    pub fn named(name: &[u8]) -> Self {
        let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(hash)
    }
}

/// For whom an entry counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody together (`by_rule`).
    All,
    /// One address (`by_src`, `by_dst`, `ip_src`, `ip_dst`); whether it was source or destination makes no
    /// difference.
    Host {
        /// 4 or 6: a mapped address in an IPv6 packet is another host than the IPv4 address.
        version: u8,
        /// The address.
        address: Address,
    },
    /// Two addresses, whichever is the source (`by_both`, `ip_pair`).
    Pair {
        /// 4 or 6.
        version: u8,
        /// One address and the other.
        addresses: [Address; 2],
    },
    /// One flow, by its id (`by_flow`).
    Flow(u64),
}

/// The family of counts (1) becomes that of single ports (5), which no other key has.
const PORT_FAMILY: u64 = 4;

/// What an entry is about. Keys that differ in anything have entries of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    words: [u64; 6],
}

impl Key {
    /// Matches of the rule `gid`:`sid` as `kind` counts them (a number that tells apart several counts of
    /// one rule), for `who`, of `tenant`.
    #[must_use]
    pub fn matches(gid: u32, sid: u32, kind: u8, who: Who, tenant: u16) -> Self {
        Self::new(1, kind, u64::from(gid) << 32 | u64::from(sid), who, tenant)
    }

    /// The bit `name` of `who`, of `tenant`.
    #[must_use]
    pub fn bit(name: BitName, who: Who, tenant: u16) -> Self {
        Self::new(2, 0, name.0, who, tenant)
    }

    /// The one value `port` of what these matches have, for [`HostTable::count_distinct`].
    ///
    /// [`HostTable::count_distinct`]: crate::HostTable::count_distinct
    pub(crate) fn with_port(&self, port: u16) -> Self {
        let [what, rest @ ..] = self.words;
        let [subject, a, b, c, d] = rest;
        Self { words: [what | u64::from(port) << 48 | PORT_FAMILY, subject, a, b, c, d] }
    }

    fn new(family: u8, kind: u8, subject: u64, who: Who, tenant: u16) -> Self {
        let [mut one, mut other] = [Address::default(); 2];
        let (track, version) = match who {
            Who::All => (0, 0),
            Who::Host { version, address } => {
                one = address;
                (1, version)
            }
            Who::Pair { version, addresses: [a, b] } => {
                (one, other) = (a.min(b), a.max(b));
                (2, version)
            }
            Who::Flow(id) => {
                one = u128::from(id).to_be_bytes();
                (3, 0)
            }
        };
        let [tenant_high, tenant_low] = tenant.to_be_bytes();
        let what = u64::from_be_bytes([0, 0, tenant_high, tenant_low, version, track, kind, family]);
        let [a, b] = halves(one);
        let [c, d] = halves(other);
        Self { words: [what, subject, a, b, c, d] }
    }

    /// The key as numbers, for hashing.
    pub(crate) const fn words(&self) -> &[u64; 6] {
        &self.words
    }
}

fn halves(address: Address) -> [u64; 2] {
    let number = u128::from_be_bytes(address);
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
    let low = number as u64;
    [(number >> 64) as u64, low]
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::decoded::mapped;

    #[test]
    fn keys_differ_in_every_part_and_pairs_have_no_order() {
        let (a, b) = (mapped([10, 0, 0, 1]), mapped([10, 0, 0, 2]));
        let pair = |addresses| Who::Pair { version: 4, addresses };
        let host = |version, address| Who::Host { version, address };
        assert_eq!(Key::matches(1, 2, 0, pair([a, b]), 0), Key::matches(1, 2, 0, pair([b, a]), 0));
        let name = BitName::named(b"one");
        let keys = [
            Key::matches(1, 2, 0, pair([a, b]), 0),
            Key::matches(1, 2, 0, pair([a, a]), 0),
            Key::matches(1, 2, 0, host(4, a), 0),
            Key::matches(1, 2, 0, host(6, a), 0),
            Key::matches(1, 2, 0, host(4, b), 0),
            Key::matches(1, 2, 0, host(4, a), 1),
            Key::matches(1, 2, 1, host(4, a), 0),
            Key::matches(2, 1, 0, host(4, a), 0),
            Key::matches(1, 2, 0, Who::All, 0),
            Key::matches(1, 2, 0, Who::Flow(7), 0),
            Key::matches(1, 2, 0, host(4, a), 0).with_port(0),
            Key::matches(1, 2, 0, host(4, a), 0).with_port(1),
            Key::bit(name, host(4, a), 0),
            Key::bit(BitName::named(b"two"), host(4, a), 0),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(keys.iter().skip(index + 1).all(|other| other != key), "{key:?}");
        }
    }
}
