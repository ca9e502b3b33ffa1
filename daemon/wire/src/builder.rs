//! A packet builder for tests, generated captures and forged packets (such as TCP resets):
//! right lengths and checksums, no allocation but in the `to_…` conveniences.
//!
//! ```
//! use portcullis_wire::builder::PacketBuilder;
//! use portcullis_wire::decoded::TcpFlags;
//!
//! let frame = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
//!     .vlan(7)
//!     .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
//!     .tcp(40_000, 80)
//!     .flags(TcpFlags::PSH | TcpFlags::ACK)
//!     .payload(b"GET / HTTP/1.1\r\n\r\n")
//!     .to_vec();
//! assert_eq!(frame.len(), 14 + 4 + 20 + 20 + 18);
//! ```

mod emit;

use crate::decoded::{TcpFlags, VLAN_LAYERS};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most IPv6 extension headers that a builder takes.
pub const EXTENSIONS: usize = 4;

/// Describes one packet, layer by layer; [`write_to`](Self::write_to) makes its bytes.
///
/// A setting of a layer that the packet does not have is without effect. Of several settings of
/// the same thing the last one counts.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct PacketBuilder<'a> {
    link: Option<Ethernet>,
    vlans: [(u16, u16); VLAN_LAYERS],
    vlan_count: usize,
    ethertype: Option<u16>,
    network: Network,
    ttl: u8,
    tos: u8,
    id: u32,
    flow_label: u32,
    dont_fragment: bool,
    fragment: Option<(u16, bool)>,
    ip_options: &'a [u8],
    extensions: [(u8, &'a [u8]); EXTENSIONS],
    extension_count: usize,
    transport: Transport,
    tcp_options: &'a [u8],
    payload: &'a [u8],
    minimum: usize,
}

#[derive(Clone, Copy, Debug)]
struct Ethernet {
    source: [u8; 6],
    destination: [u8; 6],
}

#[derive(Clone, Copy, Debug)]
enum Network {
    None,
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

#[derive(Clone, Copy, Debug)]
enum Transport {
    /// The payload is all there is after IP, with this protocol number.
    Protocol(u8),
    Tcp(Tcp),
    Udp {
        source: u16,
        destination: u16,
        checksum: bool,
    },
    Icmp {
        kind: u8,
        code: u8,
        rest: [u8; 4],
    },
    /// An echo request or reply: the type depends on the IP version.
    Echo {
        reply: bool,
        id: u16,
        seq: u16,
    },
}

#[derive(Clone, Copy, Debug)]
struct Tcp {
    source: u16,
    destination: u16,
    seq: u32,
    ack: u32,
    flags: u8,
    window: u16,
    urgent: u16,
}

impl<'a> PacketBuilder<'a> {
    const EMPTY: Self = Self {
        link: None,
        vlans: [(0, 0); VLAN_LAYERS],
        vlan_count: 0,
        ethertype: None,
        network: Network::None,
        ttl: 64,
        tos: 0,
        id: 0,
        flow_label: 0,
        dont_fragment: false,
        fragment: None,
        ip_options: &[],
        extensions: [(0, &[]); EXTENSIONS],
        extension_count: 0,
        transport: Transport::Protocol(59),
        tcp_options: &[],
        payload: &[],
        minimum: 0,
    };

    /// A frame with an Ethernet II header.
    pub const fn ethernet(source: [u8; 6], destination: [u8; 6]) -> Self {
        let mut builder = Self::EMPTY;
        builder.link = Some(Ethernet { source, destination });
        builder
    }

    /// A packet without link header: link type raw.
    pub const fn raw() -> Self {
        Self::EMPTY
    }

    /// Adds an inner 802.1Q tag; a fourth is ignored. `id` is 0 to 4095.
    pub const fn vlan(self, id: u16) -> Self {
        self.vlan_tag(0x8100, id & 0x0fff)
    }

    /// Adds an inner tag of any type (TPID) with its whole tag control information; a fourth is
    /// ignored.
    pub const fn vlan_tag(mut self, tpid: u16, tci: u16) -> Self {
        if self.vlan_count < VLAN_LAYERS {
            self.vlans[self.vlan_count] = (tpid, tci);
            self.vlan_count += 1;
        }
        self
    }

    /// Says what follows the link header; needed only where that is not IP (the payload then is
    /// all that follows), or to lie about it.
    pub const fn ethertype(mut self, ethertype: u16) -> Self {
        self.ethertype = Some(ethertype);
        self
    }

    /// An IPv4 header.
    pub fn ipv4(mut self, source: impl Into<Ipv4Addr>, destination: impl Into<Ipv4Addr>) -> Self {
        self.network = Network::V4(source.into(), destination.into());
        self
    }

    /// An IPv6 header.
    pub fn ipv6(mut self, source: impl Into<Ipv6Addr>, destination: impl Into<Ipv6Addr>) -> Self {
        self.network = Network::V6(source.into(), destination.into());
        self
    }

    /// An IP header of the addresses' version; of two versions, IPv6 with the other one mapped.
    pub const fn ip(mut self, source: IpAddr, destination: IpAddr) -> Self {
        self.network = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Network::V4(source, destination),
            (source, destination) => Network::V6(as_v6(source), as_v6(destination)),
        };
        self
    }

    /// Time to live or hop limit; else 64.
    pub const fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// Type of service or traffic class; else 0.
    pub const fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// Identification: of IPv4 (16 bits) and of the fragment header of IPv6; else 0.
    pub const fn ip_id(mut self, id: u32) -> Self {
        self.id = id;
        self
    }

    /// IPv6 flow label, 20 bits; else 0.
    pub const fn flow_label(mut self, label: u32) -> Self {
        self.flow_label = label & 0x000f_ffff;
        self
    }

    /// Sets the "don't fragment" bit of IPv4.
    pub const fn dont_fragment(mut self) -> Self {
        self.dont_fragment = true;
        self
    }

    /// Makes the packet a fragment: `offset` in bytes, a multiple of 8 (what is more is cut
    /// off). With a transport layer, its header is in this fragment and its checksum covers
    /// what is in it; [`to_fragments`](Self::to_fragments) cuts a whole packet instead.
    pub const fn fragment(mut self, offset: u16, more: bool) -> Self {
        self.fragment = Some((offset & 0xfff8, more));
        self
    }

    /// IPv4 options, padded to a multiple of 4; at most 40 bytes.
    pub const fn ip_options(mut self, options: &'a [u8]) -> Self {
        self.ip_options = options;
        self
    }

    /// Adds an IPv6 extension header after those before: its protocol number and its bytes from
    /// the third on, padded to a multiple of 8 in all (of 4 for authentication, 51). A fragment
    /// header comes after all of them. At most [`EXTENSIONS`], others are ignored.
    pub const fn extension(mut self, protocol: u8, body: &'a [u8]) -> Self {
        if self.extension_count < EXTENSIONS {
            self.extensions[self.extension_count] = (protocol, body);
            self.extension_count += 1;
        }
        self
    }

    /// TCP, a SYN unless [`flags`](Self::flags) says otherwise.
    pub const fn tcp(mut self, source: u16, destination: u16) -> Self {
        self.transport = Transport::Tcp(Tcp {
            source,
            destination,
            seq: 0,
            ack: 0,
            flags: TcpFlags::SYN,
            window: 65_535,
            urgent: 0,
        });
        self
    }

    /// The control bits of TCP, from the constants of [`TcpFlags`].
    pub const fn flags(mut self, flags: u8) -> Self {
        if let Transport::Tcp(tcp) = &mut self.transport {
            tcp.flags = flags;
        }
        self
    }

    /// TCP sequence number; else 0.
    pub const fn seq(mut self, seq: u32) -> Self {
        if let Transport::Tcp(tcp) = &mut self.transport {
            tcp.seq = seq;
        }
        self
    }

    /// TCP acknowledgement number; else 0. Does not set the flag.
    pub const fn ack(mut self, ack: u32) -> Self {
        if let Transport::Tcp(tcp) = &mut self.transport {
            tcp.ack = ack;
        }
        self
    }

    /// TCP window; else 65,535.
    pub const fn window(mut self, window: u16) -> Self {
        if let Transport::Tcp(tcp) = &mut self.transport {
            tcp.window = window;
        }
        self
    }

    /// TCP urgent pointer; else 0. Does not set the flag.
    pub const fn urgent(mut self, urgent: u16) -> Self {
        if let Transport::Tcp(tcp) = &mut self.transport {
            tcp.urgent = urgent;
        }
        self
    }

    /// TCP options, padded to a multiple of 4; at most 40 bytes.
    pub const fn tcp_options(mut self, options: &'a [u8]) -> Self {
        self.tcp_options = options;
        self
    }

    /// UDP.
    pub const fn udp(mut self, source: u16, destination: u16) -> Self {
        self.transport = Transport::Udp { source, destination, checksum: true };
        self
    }

    /// Leaves the UDP checksum zero: "none" in IPv4.
    pub const fn no_udp_checksum(mut self) -> Self {
        if let Transport::Udp { checksum, .. } = &mut self.transport {
            *checksum = false;
        }
        self
    }

    /// ICMP of the IP header's version: an echo request; the payload is its data.
    pub const fn echo_request(mut self, id: u16, seq: u16) -> Self {
        self.transport = Transport::Echo { reply: false, id, seq };
        self
    }

    /// ICMP of the IP header's version: an echo reply; the payload is its data.
    pub const fn echo_reply(mut self, id: u16, seq: u16) -> Self {
        self.transport = Transport::Echo { reply: true, id, seq };
        self
    }

    /// ICMP of the IP header's version: any message; `rest` are the header's bytes 4 to 7.
    pub const fn icmp(mut self, kind: u8, code: u8, rest: [u8; 4]) -> Self {
        self.transport = Transport::Icmp { kind, code, rest };
        self
    }

    /// ICMP of the IP header's version: an error message that quotes `packet`, an IP packet or
    /// the beginning of one. (The quote is the payload.)
    pub const fn icmp_error(self, kind: u8, code: u8, packet: &'a [u8]) -> Self {
        self.icmp(kind, code, [0; 4]).payload(packet)
    }

    /// No transport header of ours: the payload follows IP as it is, under this number.
    pub const fn protocol(mut self, protocol: u8) -> Self {
        self.transport = Transport::Protocol(protocol);
        self
    }

    /// What comes after the last header.
    pub const fn payload(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }

    /// Pads the frame with zeros after the IP packet to at least `length` bytes in all, as
    /// Ethernet does to 60.
    pub const fn minimum(mut self, length: usize) -> Self {
        self.minimum = length;
        self
    }
}

/// An address as one of IPv6, mapped where it is of IPv4.
const fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
