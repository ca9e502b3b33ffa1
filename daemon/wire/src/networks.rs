//! Values by network: the most specific network that an address is in decides. Built at start,
//! only read afterwards.

use crate::decoded::Address;

/// An IP network: addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: u128,
    prefix: u8,
    ip_version: u8,
}

impl Network {
    /// The network of `address` (IPv4 in its mapped form) and the others that share its first
    /// `prefix` bits: 0 to 32 for `ip_version` 4, 0 to 128 for 6. `None` where the prefix is longer
    /// than an address or the version is neither. Bits behind the prefix are ignored, and of an IPv4
    /// address those before its last four bytes.
    #[must_use]
    pub const fn new(ip_version: u8, address: Address, prefix: u8) -> Option<Self> {
        let bits = u128::from_be_bytes(address);
        let (bits, prefix) = match ip_version {
            4 if prefix <= 32 => (bits & u32::MAX as u128 | 0xffff << 32, prefix + 96),
            6 if prefix <= 128 => (bits, prefix),
            _ => return None,
        };
        Some(Self { first: bits & mask(prefix), prefix, ip_version })
    }
}

/// A value for each of some networks.
#[derive(Clone, Debug)]
pub struct NetworkMap<T> {
    /// By version, longest prefix first, then by address.
    entries: Vec<(Network, T)>,
}

impl<T> Default for NetworkMap<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> NetworkMap<T> {
    /// The values of these networks. Where a network is there twice, its first value counts.
    #[must_use]
    pub fn new(mut entries: Vec<(Network, T)>) -> Self {
        entries.sort_by_key(|(network, _)| {
            (network.ip_version, std::cmp::Reverse(network.prefix), network.first)
        });
        entries.dedup_by_key(|(network, _)| *network);
        Self { entries }
    }

    /// The value of the smallest network that holds `address`. The cost is a search by halves for
    /// each prefix length that occurs.
    #[must_use]
    pub fn of(&self, ip_version: u8, address: &Address) -> Option<&T> {
        let address = u128::from_be_bytes(*address);
        let of_version = self.entries.partition_point(|(network, _)| network.ip_version < ip_version);
        let mut left = self.entries.get(of_version..)?;
        loop {
            let (next, _) = left.first().filter(|(network, _)| network.ip_version == ip_version)?;
            let prefix = next.prefix;
            let ahead = left
                .partition_point(|(network, _)| network.ip_version == ip_version && network.prefix == prefix);
            let (same, shorter) = left.split_at(ahead);
            let wanted = address & mask(prefix);
            if let Ok(found) = same.binary_search_by_key(&wanted, |(network, _)| network.first) {
                return same.get(found).map(|(_, value)| value);
            }
            left = shorter;
        }
    }

    /// Is there no network at all?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The first `prefix` bits of an address.
const fn mask(prefix: u8) -> u128 {
    match prefix {
        0 => 0,
        1..=128 => u128::MAX << (128 - prefix),
        _ => u128::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoded::mapped;
    use std::net::Ipv6Addr;

    fn v4(octets: [u8; 4], prefix: u8) -> Network {
        Network::new(4, mapped(octets), prefix).unwrap()
    }

    fn v6(address: &str, prefix: u8) -> Network {
        Network::new(6, address.parse::<Ipv6Addr>().unwrap().octets(), prefix).unwrap()
    }

    #[test]
    fn the_most_specific_network_decides() {
        let map = NetworkMap::new(vec![
            (v4([0, 0, 0, 0], 0), "all"),
            (v4([10, 0, 0, 0], 8), "ten"),
            (v4([10, 1, 2, 3], 32), "host"),
            (v4([10, 1, 99, 99], 16), "ten-one"),
            (v4([10, 1, 0, 0], 16), "again"),
            (v6("2001:db8::", 32), "six"),
            (v6("2001:db8::7", 128), "seven"),
        ]);
        let check = |version, address: Address, expected: Option<&str>| {
            assert_eq!(map.of(version, &address).copied(), expected, "{address:?}");
        };
        check(4, mapped([10, 1, 2, 3]), Some("host"));
        check(4, mapped([10, 1, 2, 4]), Some("ten-one"));
        check(4, mapped([10, 2, 0, 0]), Some("ten"));
        check(4, mapped([192, 168, 0, 1]), Some("all"));
        let six = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        check(6, six("2001:db8::7"), Some("seven"));
        check(6, six("2001:db8::8"), Some("six"));
        check(6, six("2001:db9::8"), None);
        // An IPv4 address in an IPv6 packet is none of IPv4.
        check(6, mapped([10, 1, 2, 3]), None);
        check(0, mapped([10, 1, 2, 3]), None);
        assert!(!map.is_empty() && NetworkMap::<u8>::default().is_empty());
        assert_eq!(NetworkMap::<u8>::default().of(4, &mapped([1, 2, 3, 4])), None);
    }

    #[test]
    fn prefixes_end_with_the_address() {
        assert!(Network::new(4, mapped([1, 2, 3, 4]), 33).is_none());
        assert!(Network::new(6, [0; 16], 129).is_none());
        assert!(Network::new(5, [0; 16], 1).is_none());
        assert_eq!(v4([1, 2, 3, 4], 24), v4([1, 2, 3, 99], 24));
        assert_eq!(Network::new(4, [0; 16], 0), Some(v4([0; 4], 0)));
    }
}
