//! Pairs of addresses: all that two hosts, or two interfaces, say to each other is one flow.

use super::{Extracted, FlowExtractor, Orientation, PacketView};
use portcullis_wire::LinkType;
use portcullis_wire::decoded::Address;
use std::net::{IpAddr, Ipv6Addr};

/// Two IP addresses, whatever they say to each other, fragments included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpPair;

/// Two IP addresses, the lower one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpPairKey {
    low: Address,
    high: Address,
    version: u8,
}

impl IpPairKey {
    /// The key of the traffic between two addresses. Of two IP versions, the IPv4 address is taken as its IPv6
    /// form.
    #[must_use]
    pub fn between(one: IpAddr, other: IpAddr) -> Self {
        let octets = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let (_, low, high) = Orientation::order(octets(one), octets(other));
        Self { low, high, version: if one.is_ipv4() && other.is_ipv4() { 4 } else { 6 } }
    }

    /// Both addresses, the lower one first.
    #[must_use]
    pub fn addresses(&self) -> (IpAddr, IpAddr) {
        let address = |octets: Address| {
            let v6 = Ipv6Addr::from(octets);
            match v6.to_ipv4_mapped() {
                Some(v4) if self.version == 4 => IpAddr::V4(v4),
                _ => IpAddr::V6(v6),
            }
        };
        (address(self.low), address(self.high))
    }
}

impl FlowExtractor for IpPair {
    type Key = IpPairKey;

    fn extract(&self, packet: &PacketView<'_>) -> Option<Extracted<IpPairKey>> {
        packet.with_decoding(false, |decoded| {
            if decoded.invalid.is_some() || decoded.ip_version == 0 {
                return None;
            }
            let (orientation, low, high) = Orientation::order(decoded.source, decoded.destination);
            let key = IpPairKey { low, high, version: decoded.ip_version };
            Some(Extracted { payload: decoded.payload, ..Extracted::new(key, orientation) })
        })
    }
}

/// Two Ethernet addresses, whatever they say to each other, IP or not. Only of Ethernet frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MacPair;

/// Two Ethernet addresses, the lower one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacPairKey {
    low: [u8; 6],
    high: [u8; 6],
}

impl MacPairKey {
    /// The key of the traffic between two addresses.
    #[must_use]
    pub fn between(one: [u8; 6], other: [u8; 6]) -> Self {
        let (_, low, high) = Orientation::order(one, other);
        Self { low, high }
    }

    /// Both addresses, the lower one first.
    #[must_use]
    pub const fn addresses(&self) -> ([u8; 6], [u8; 6]) {
        (self.low, self.high)
    }
}

impl FlowExtractor for MacPair {
    type Key = MacPairKey;

    fn extract(&self, packet: &PacketView<'_>) -> Option<Extracted<MacPairKey>> {
        let header = packet.frame().first_chunk::<14>()?;
        if packet.link() != LinkType::Ethernet {
            return None;
        }
        let [destination, source] = [0, 6].map(|at| {
            let mut address = [0; 6];
            address.copy_from_slice(&header[at..at + 6]);
            address
        });
        let (orientation, low, high) = Orientation::order(source, destination);
        Some(Extracted::new(MacPairKey { low, high }, orientation))
    }
}
