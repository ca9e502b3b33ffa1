//! A network: an address with the number of its bits that count.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The number behind an address: `u32` for IPv4, `u128` for IPv6, most significant byte first on the wire.
pub trait Word: Copy + Ord + Eq + fmt::Debug + std::hash::Hash {
    /// Bits of an address.
    const BITS: u8;
    /// The shortest network that a list may hold unless it is forced: a shorter one is a mistake.
    const SHORTEST: u8;
    /// The number with every bit set.
    const MAX: Self;

    /// The mask of a network whose first `length` bits count; more than [`BITS`](Self::BITS) means all.
    fn mask(length: u8) -> Self;
    /// Bit by bit.
    #[must_use]
    fn and(self, other: Self) -> Self;
    /// Bit by bit.
    #[must_use]
    fn or(self, other: Self) -> Self;
    /// Every bit the other way.
    #[must_use]
    fn not(self) -> Self;
    /// The next number; `None` after the last.
    fn next(self) -> Option<Self>;
    /// How many of the lowest bits are 0.
    fn trailing_zeros(self) -> u8;
    /// The address.
    fn address(self) -> IpAddr;
}

macro_rules! word {
    ($number:ty, $shortest:literal, $address:ty) => {
        impl Word for $number {
            #[expect(clippy::cast_possible_truncation, reason = "32 or 128")]
            const BITS: u8 = <$number>::BITS as u8;
            const SHORTEST: u8 = $shortest;
            const MAX: Self = <$number>::MAX;

            fn mask(length: u8) -> Self {
                let rest = u32::from(<Self as Word>::BITS.saturating_sub(length));
                <$number>::MAX.checked_shl(rest).unwrap_or(0)
            }

            fn and(self, other: Self) -> Self {
                self & other
            }

            fn or(self, other: Self) -> Self {
                self | other
            }

            fn not(self) -> Self {
                !self
            }

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn trailing_zeros(self) -> u8 {
                u8::try_from(<$number>::trailing_zeros(self)).unwrap_or(<Self as Word>::BITS)
            }

            fn address(self) -> IpAddr {
                <$address>::from(self).into()
            }
        }
    };
}
word!(u32, 8, Ipv4Addr);
word!(u128, 16, Ipv6Addr);

/// A network; an address is one of which all bits count. Ordered by its first address, the larger network first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net<W> {
    first: W,
    length: u8,
}

impl<W: Word> Net<W> {
    /// The network of the first `length` bits of `first`; `None` where other bits are set, or there are not so many.
    pub fn new(first: W, length: u8) -> Option<Self> {
        let fits = length <= W::BITS && first.and(W::mask(length)) == first;
        fits.then_some(Self { first, length })
    }

    /// The network around `address` of which `length` bits count (all, where that is more than there are).
    #[must_use]
    pub fn around(address: W, length: u8) -> Self {
        let length = length.min(W::BITS);
        Self { first: address.and(W::mask(length)), length }
    }

    /// A single address.
    #[must_use]
    pub const fn single(address: W) -> Self {
        Self { first: address, length: W::BITS }
    }

    /// Its first address.
    #[must_use]
    pub const fn first(self) -> W {
        self.first
    }

    /// Its last address.
    #[must_use]
    pub fn last(self) -> W {
        self.first.or(W::mask(self.length).not())
    }

    /// How many bits count.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// Is `other` within it, or the same?
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.length <= other.length && other.first.and(W::mask(self.length)) == self.first
    }

    /// Do they share an address?
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

impl<W: Word> fmt::Display for Net<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.first.address();
        if self.length == W::BITS { write!(f, "{address}") } else { write!(f, "{address}/{}", self.length) }
    }
}

/// Networks of both families, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nets {
    /// Those of IPv4.
    pub v4: Vec<Net<u32>>,
    /// Those of IPv6.
    pub v6: Vec<Net<u128>>,
}

impl Nets {
    /// Adds the network around an address. One of IPv4 that is written as IPv6 (RFC 4291, 2.5.5.2) counts as IPv4.
    pub fn add(&mut self, address: IpAddr, length: u8) {
        match address {
            IpAddr::V4(address) => self.v4.push(Net::around(address.into(), length)),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(inner) if length >= 96 => self.v4.push(Net::around(inner.into(), length - 96)),
                _ => self.v6.push(Net::around(address.into(), length)),
            },
        }
    }
}

/// What makes a network of IPv4 nobody's on the far side of a gate; `None` for the others.
#[must_use]
pub(crate) fn special_v4(net: Net<u32>) -> Option<&'static str> {
    const NETS: [([u8; 4], u8, &str); 10] = [
        ([0, 0, 0, 0], 8, "this network (RFC 791)"),
        ([10, 0, 0, 0], 8, PRIVATE_V4),
        ([100, 64, 0, 0], 10, "shared by carriers (RFC 6598)"),
        ([127, 0, 0, 0], 8, "loopback"),
        ([169, 254, 0, 0], 16, "link-local"),
        ([172, 16, 0, 0], 12, PRIVATE_V4),
        ([192, 168, 0, 0], 16, PRIVATE_V4),
        ([224, 0, 0, 0], 4, "multicast"),
        ([255, 255, 255, 255], 32, "broadcast"),
        ([240, 0, 0, 0], 4, "reserved (RFC 1112)"),
    ];
    let meets = |(first, length, _): &&([u8; 4], u8, &str)| {
        net.meets(Net::around(u32::from_be_bytes(*first), *length))
    };
    NETS.iter().find(meets).map(|(.., name)| *name)
}

/// The same for IPv6.
#[must_use]
pub(crate) fn special_v6(net: Net<u128>) -> Option<&'static str> {
    const NETS: [(u128, u8, &str); 6] = [
        (1, 128, "loopback"),
        (0xffff << 32, 96, "IPv4 in IPv6"),
        (0, 128, "unspecified"),
        (0xfc00 << 112, 7, "private (RFC 4193)"),
        (0xfe80 << 112, 10, "link-local"),
        (0xff00 << 112, 8, "multicast"),
    ];
    let meets = |(first, length, _): &&(u128, u8, &str)| net.meets(Net::around(*first, *length));
    NETS.iter().find(meets).map(|(.., name)| *name)
}

const PRIVATE_V4: &str = "private (RFC 1918)";

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(text: &str) -> Net<u32> {
        let (address, length) = text.split_once('/').unwrap_or((text, "32"));
        Net::around(address.parse::<Ipv4Addr>().unwrap().into(), length.parse().unwrap())
    }

    fn v6(text: &str) -> Net<u128> {
        let (address, length) = text.split_once('/').unwrap_or((text, "128"));
        Net::around(address.parse::<Ipv6Addr>().unwrap().into(), length.parse().unwrap())
    }

    #[test]
    fn a_network_covers_what_is_in_it() {
        let check = |one: &str, other: &str, covers: bool, meets: bool| {
            assert_eq!(
                (v4(one).covers(v4(other)), v4(one).meets(v4(other))),
                (covers, meets),
                "{one} {other}"
            );
        };
        check("198.51.100.0/24", "198.51.100.7", true, true);
        check("198.51.100.7", "198.51.100.0/24", false, true);
        check("198.51.100.0/24", "198.51.101.0/24", false, false);
        check("0.0.0.0/0", "255.255.255.255", true, true);
        check("198.51.100.7", "198.51.100.7", true, true);
        assert!(v6("2001:db8::/32").covers(v6("2001:db8:ffff::1")));
        assert_eq!(v4("198.51.100.0/24").last(), v4("198.51.100.255").first());
        assert_eq!(v6("::/0").last(), u128::MAX);
    }

    #[test]
    fn bits_beyond_the_length_make_no_network() {
        assert_eq!(Net::new(0xc633_6401_u32, 24), None);
        assert_eq!(Net::new(0xc633_6400_u32, 24), Some(v4("198.51.100.0/24")));
        assert_eq!(Net::new(0_u32, 33), None);
        assert_eq!(Net::new(1_u128, 0), None);
        assert_eq!(Net::new(0_u128, 0), Some(v6("::/0")));
    }

    #[test]
    fn special_networks_have_a_name() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(special_v4(v4(text)), expected, "{text}");
        check("10.1.2.3", Some(PRIVATE_V4));
        check("172.31.0.0/16", Some(PRIVATE_V4));
        check("172.32.0.0/16", None);
        check("192.0.0.0/8", Some(PRIVATE_V4));
        check("127.0.0.1", Some("loopback"));
        check("169.254.1.0/24", Some("link-local"));
        check("239.255.255.250", Some("multicast"));
        check("255.255.255.255", Some("broadcast"));
        check("9.255.255.255", None);
        check("198.51.100.7", None);
        let check = |text: &str, expected: Option<&str>| assert_eq!(special_v6(v6(text)), expected, "{text}");
        check("::1", Some("loopback"));
        check("::", Some("unspecified"));
        check("::ffff:1.2.3.4", Some("IPv4 in IPv6"));
        check("fd00::/64", Some("private (RFC 4193)"));
        check("fe80::1", Some("link-local"));
        check("ff02::1", Some("multicast"));
        check("2001:db8::1", None);
    }

    #[test]
    fn networks_are_written_as_they_are_read() {
        assert_eq!(v4("198.51.100.7").to_string(), "198.51.100.7");
        assert_eq!(v4("198.51.100.0/24").to_string(), "198.51.100.0/24");
        assert_eq!(v6("2001:db8::/32").to_string(), "2001:db8::/32");
    }

    #[test]
    fn addresses_of_both_families_find_their_place() {
        let mut nets = Nets::default();
        nets.add("198.51.100.7".parse().unwrap(), 24);
        nets.add("2001:db8::1".parse().unwrap(), 128);
        nets.add("::ffff:192.0.2.1".parse().unwrap(), 128);
        assert_eq!(nets.v4, [v4("198.51.100.0/24"), v4("192.0.2.1")]);
        assert_eq!(nets.v6, [v6("2001:db8::1")]);
    }
}
