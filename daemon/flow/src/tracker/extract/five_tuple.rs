//! The five-tuple: protocol, addresses, ports.

use super::{Extracted, FlowExtractor, L4Proto, Orientation, PacketView};
use portcullis_wire::decoded::{Address, Transport};
use portcullis_wire::{Decoded, Span};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Protocol, addresses and ports; 0 for ports where the protocol has none. A packet that is invalid, not of
/// IP, or a fragment has no five-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FiveTuple {
    bidirectional: bool,
    checksums: bool,
}

impl FiveTuple {
    /// Both directions are one flow.
    #[must_use]
    pub const fn bidirectional() -> Self {
        Self { bidirectional: true, checksums: false }
    }

    /// Each direction is a flow of its own; all its packets are the initiator's.
    #[must_use]
    pub const fn unidirectional() -> Self {
        Self { bidirectional: false, checksums: false }
    }

    /// Looks at checksums, which costs a pass over each packet's bytes: a wrong one gives the history its `c`.
    #[must_use]
    pub const fn with_checksums(mut self) -> Self {
        self.checksums = true;
        self
    }

    pub(super) const fn checksums(self) -> bool {
        self.checksums
    }

    /// From what was decoded; `offset` is where in the frame the decoded bytes begin.
    pub(super) fn of(self, decoded: &Decoded, offset: u32) -> Option<Extracted<FiveTupleKey>> {
        if decoded.invalid.is_some() || decoded.ip_version == 0 {
            return None;
        }
        if decoded.fragment.is_some_and(|fragment| fragment.offset != 0 || fragment.more) {
            return None;
        }
        let source = Endpoint { address: decoded.source, port: decoded.source_port };
        let destination = Endpoint { address: decoded.destination, port: decoded.destination_port };
        let (orientation, a, b) = if self.bidirectional {
            Orientation::order(source, destination)
        } else {
            (Orientation::Forward, source, destination)
        };
        let l4 = L4Proto::from_number(decoded.protocol);
        let tcp = match decoded.transport {
            Transport::Tcp(tcp) => Some(tcp),
            _ => None,
        };
        Some(Extracted {
            key: FiveTupleKey::pack(l4, decoded.ip_version, a, b),
            orientation,
            l4: Some(l4),
            tcp,
            payload: Span { start: decoded.payload.start + offset, end: decoded.payload.end + offset },
            bad_checksum: decoded.bad_checksums.ipv4 || decoded.bad_checksums.transport,
        })
    }
}

impl FlowExtractor for FiveTuple {
    type Key = FiveTupleKey;

    fn extract(&self, packet: &PacketView<'_>) -> Option<Extracted<FiveTupleKey>> {
        packet.with_decoding(self.checksums, |decoded| self.of(decoded, 0))
    }
}

/// Protocol and two endpoints, `a` the lower one where both directions are one flow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FiveTupleKey {
    /// Addresses, `a`'s first; then both ports, IP version and protocol.
    words: [u64; 5],
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    address: Address,
    port: u16,
}

impl FiveTupleKey {
    /// The key of both directions between two endpoints. Of two IP versions, the IPv4 address is taken as its
    /// IPv6 form.
    #[must_use]
    pub fn between(protocol: L4Proto, one: SocketAddr, other: SocketAddr) -> Self {
        let (_, a, b) = Orientation::order(endpoint(one), endpoint(other));
        Self::pack(protocol, version(one, other), a, b)
    }

    /// The key of one direction.
    #[must_use]
    pub fn directed(protocol: L4Proto, source: SocketAddr, destination: SocketAddr) -> Self {
        Self::pack(protocol, version(source, destination), endpoint(source), endpoint(destination))
    }

    /// The transport protocol.
    #[must_use]
    pub const fn protocol(&self) -> L4Proto {
        L4Proto::from_number(self.words[4].to_le_bytes()[0])
    }

    /// The first endpoint: the lower one, or the source where each direction is a flow.
    #[must_use]
    pub fn a(&self) -> SocketAddr {
        self.endpoint(0, 6)
    }

    /// The second endpoint.
    #[must_use]
    pub fn b(&self) -> SocketAddr {
        self.endpoint(2, 4)
    }

    /// Does one of the endpoints have this port?
    #[must_use]
    pub fn either_port(&self, port: u16) -> bool {
        self.a().port() == port || self.b().port() == port
    }

    fn pack(protocol: L4Proto, ip_version: u8, a: Endpoint, b: Endpoint) -> Self {
        let [[ah, al], [bh, bl]] = [a, b].map(|end| {
            let (halves, _) = end.address.as_chunks::<8>();
            [u64::from_be_bytes(halves[0]), u64::from_be_bytes(halves[1])]
        });
        let ports = u64::from(a.port) << 48 | u64::from(b.port) << 32;
        let rest = u64::from(ip_version) << 8 | u64::from(protocol.number());
        Self { words: [ah, al, bh, bl, ports | rest] }
    }

    /// The endpoint whose address begins at a word and whose port at a byte of the last one.
    fn endpoint(&self, word: usize, byte: usize) -> SocketAddr {
        let whole = u128::from(self.words[word]) << 64 | u128::from(self.words[word + 1]);
        let v6 = Ipv6Addr::from(whole);
        let rest = self.words[4].to_le_bytes();
        let address = match v6.to_ipv4_mapped() {
            Some(v4) if rest[1] == 4 => IpAddr::V4(v4),
            _ => IpAddr::V6(v6),
        };
        SocketAddr::new(address, u16::from_le_bytes([rest[byte], rest[byte + 1]]))
    }
}

impl fmt::Debug for FiveTupleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {}", self.protocol(), self.a(), self.b())
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    let octets = match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    Endpoint { address: octets, port: address.port() }
}

const fn version(one: SocketAddr, other: SocketAddr) -> u8 {
    if one.is_ipv4() && other.is_ipv4() { 4 } else { 6 }
}
