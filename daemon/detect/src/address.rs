//! Sets of IP addresses, as rule headers name them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use portcullis_wire::Address;

use crate::interval::IntervalSet;
use crate::space::Space;

/// A set of addresses; the two versions are apart, so a mapped address in an IPv6 packet is not taken
/// for the IPv4 address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AddressSet {
    v4: IntervalSet<u32>,
    v6: IntervalSet<u128>,
}

impl AddressSet {
    /// Its IPv4 addresses.
    pub(crate) fn v4(&self) -> &IntervalSet<u32> {
        &self.v4
    }

    /// Its IPv6 addresses.
    pub(crate) fn v6(&self) -> &IntervalSet<u128> {
        &self.v6
    }

    /// How much it names, in IPv4 addresses; an IPv6 network of /32 counts as one.
    pub(crate) fn breadth(&self) -> u64 {
        let v4 = self.v4.spans().iter().map(|&(first, last)| u64::from(last - first) + 1);
        let v6 = self
            .v6
            .spans()
            .iter()
            .map(|&(first, last)| u64::try_from((last - first) >> 96).unwrap_or(u64::MAX));
        v4.chain(v6).fold(0, u64::saturating_add)
    }

    pub(crate) fn is_any(&self) -> bool {
        self.v4.is_full() && self.v6.is_full()
    }

    /// Is `address`, of a packet of `version` (4 or 6), in the set?
    #[inline]
    pub(crate) fn contains(&self, version: u8, address: &Address) -> bool {
        let number = u128::from_be_bytes(*address);
        if version == 4 {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the low 32 bits of a mapped address are IPv4's"
            )]
            let number = number as u32;
            self.v4.contains(number)
        } else {
            self.v6.contains(number)
        }
    }

    fn range(first: IpAddr, last: IpAddr) -> Option<Self> {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => Some(Self {
                v4: IntervalSet::span(first.to_bits(), last.to_bits()),
                v6: IntervalSet::empty(),
            }),
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => Some(Self {
                v4: IntervalSet::empty(),
                v6: IntervalSet::span(first.to_bits(), last.to_bits()),
            }),
            _ => None,
        }
    }
}

impl Space for AddressSet {
    const KIND: &'static str = "address";

    fn none() -> Self {
        Self { v4: IntervalSet::empty(), v6: IntervalSet::empty() }
    }

    fn all() -> Self {
        Self { v4: IntervalSet::full(), v6: IntervalSet::full() }
    }

    fn is_none(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    fn union(self, other: &Self) -> Self {
        Self { v4: self.v4.union(&other.v4), v6: self.v6.union(&other.v6) }
    }

    fn minus(&self, other: &Self) -> Self {
        Self { v4: self.v4.minus(&other.v4), v6: self.v6.minus(&other.v6) }
    }

    fn single(text: &str) -> Result<Self, String> {
        let fault = || format!("`{text}` is not an address, a network or a range of addresses");
        if let Ok(address) = text.parse::<IpAddr>() {
            return Self::range(address, address).ok_or_else(fault);
        }
        if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (first.trim().parse(), last.trim().parse());
            let (Ok(first), Ok(last)) = (first, last) else { return Err(fault()) };
            return Self::range(first, last)
                .ok_or_else(|| format!("the range `{text}` does not ascend within one IP version"));
        }
        let network = network(text).ok_or_else(fault)?;
        match network {
            IpNet::V4(net) => Self::range(IpAddr::V4(net.network()), IpAddr::V4(net.broadcast())),
            IpNet::V6(net) => Self::range(IpAddr::V6(net.network()), IpAddr::V6(net.broadcast())),
        }
        .ok_or_else(fault)
    }
}

/// `address/length` or `address/mask`; bits beyond the mask mean nothing.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(network) = text.parse() {
        return Some(network);
    }
    let (address, mask) = text.split_once('/')?;
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            IpNet::with_netmask(IpAddr::V4(address), IpAddr::V4(mask.parse::<Ipv4Addr>().ok()?)).ok()
        }
        IpAddr::V6(address) => {
            IpNet::with_netmask(IpAddr::V6(address), IpAddr::V6(mask.parse::<Ipv6Addr>().ok()?)).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::space::parse;

    fn variables() -> BTreeMap<String, String> {
        [
            ("HOME_NET", "[192.168.0.0/16,10.0.0.0/8]"),
            ("EXTERNAL_NET", "!$HOME_NET"),
            ("LOOP", "[$LOOP]"),
            ("BAD", "[1.2.3.4,nonsense]"),
            ("NESTED_BAD", "$BAD"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    fn holds(set: &AddressSet, address: &str) -> bool {
        match address.parse().unwrap() {
            IpAddr::V4(address) => set.contains(4, &address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => set.contains(6, &address.octets()),
        }
    }

    #[test]
    fn groups_name_addresses() {
        let check = |text: &str, inside: &[&str], outside: &[&str]| {
            let named = parse::<AddressSet>(text, 0, &variables()).unwrap();
            for address in inside {
                assert!(holds(&named.set, address), "{text} should hold {address}");
            }
            for address in outside {
                assert!(!holds(&named.set, address), "{text} should not hold {address}");
            }
            assert_eq!(named.negated, text.contains('!') || text.contains("$EXT"), "{text}");
        };
        check("any", &["1.2.3.4", "::1"], &[]);
        check("1.2.3.4", &["1.2.3.4"], &["1.2.3.5", "::ffff:1.2.3.4", "::1"]);
        check("!1.2.3.4", &["1.2.3.5", "::1"], &["1.2.3.4"]);
        check("10.1.2.3/8", &["10.0.0.0", "10.255.255.255"], &["11.0.0.0", "9.255.255.255"]);
        check("10.1.0.0/255.255.0.0", &["10.1.255.1"], &["10.2.0.0"]);
        check("10.0.0.5-10.0.0.7", &["10.0.0.5", "10.0.0.7"], &["10.0.0.4", "10.0.0.8"]);
        check("2001:db8::/32", &["2001:db8:1::"], &["2001:db9::", "1.2.3.4"]);
        check("[1.1.1.1, 2.2.2.0/24]", &["1.1.1.1", "2.2.2.9"], &["1.1.1.2"]);
        check("[10.0.0.0/8,!10.1.0.0/16]", &["10.2.0.0"], &["10.1.0.1", "1.1.1.1"]);
        check("[!10.0.0.0/8,!::1]", &["11.0.0.0", "::2"], &["10.1.0.1", "::1"]);
        check("[10.0.0.0/8,![10.1.0.0/16,!10.1.9.0/24]]", &["10.1.9.1", "10.2.0.0"], &["10.1.8.1"]);
        check("$HOME_NET", &["10.9.9.9", "192.168.1.1"], &["8.8.8.8", "::1"]);
        check("$EXTERNAL_NET", &["8.8.8.8", "::1"], &["10.9.9.9"]);
        check("[$EXTERNAL_NET,10.0.0.1,!8.8.8.8]", &["10.0.0.1", "9.9.9.9"], &["8.8.8.8", "10.0.0.2"]);
        check("!!1.2.3.4", &["1.2.3.4"], &["1.2.3.5"]);
        check("0.0.0.0/0", &["1.2.3.4"], &["::1"]);
    }

    #[test]
    fn faults_are_placed() {
        let check = |text: &str, at: usize, reason: &str| {
            let fault = parse::<AddressSet>(text, 100, &variables()).unwrap_err();
            assert_eq!((fault.at, fault.reason.as_str()), (100 + at, reason), "{text}");
        };
        check("[1.1.1.1,2.2.2]", 9, "`2.2.2` is not an address, a network or a range of addresses");
        check("1.1.1.1/33", 0, "`1.1.1.1/33` is not an address, a network or a range of addresses");
        check("2.2.2.2-1.1.1.1", 0, "the range `2.2.2.2-1.1.1.1` does not ascend within one IP version");
        check("[1.1.1.1", 0, "`[` is not closed");
        check("[1.1.1.1,]", 9, "expected an address");
        check("[1.1.1.1]]", 9, "`]` after the end of the address group");
        check("!any", 0, "no address is left");
        check("[1.1.1.1,!1.1.1.1]", 0, "no address is left in the group");
        check("[1.1.1.1,$NOWHERE]", 9, "address variable `$NOWHERE` is not defined");
        check("$LOOP", 0, "groups or variables nested more than 32 deep");
        let inner = "in `$BAD`, `[1.2.3.4,nonsense]`: \
                     `nonsense` is not an address, a network or a range of addresses";
        check("$BAD", 0, inner);
        check("[1.1.1.1,$NESTED_BAD]", 9, inner);
    }
}
