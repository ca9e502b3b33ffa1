//! What decoding found in a frame: offsets into it and plain values, small enough to keep for a
//! whole burst.

use crate::link::LinkType;

pub use crate::events::{DecodeEvent, DecodeEvents};
pub use crate::layers::{Layer, Layers};

/// A range of a frame's bytes: `start..end`, both at most the frame's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Bytes in the range.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Is there nothing in it?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The bytes of `frame` in this range; empty where the range is not within it.
    #[must_use]
    pub fn of(self, frame: &[u8]) -> &[u8] {
        frame.get(self.start as usize..self.end as usize).unwrap_or(&[])
    }
}

/// An IP address; IPv4 is held in its mapped form (`::ffff:a.b.c.d`), so one comparison serves
/// both. Which of the two it is stands in [`Decoded::ip_version`]: a mapped address in an IPv6
/// packet has the same bytes.
pub type Address = [u8; 16];

/// An IPv4 address as an [`Address`].
#[must_use]
#[inline]
pub const fn mapped(octets: [u8; 4]) -> Address {
    // As a number, so that it is written as two words.
    ((u32::from_le_bytes(octets) as u128) << 96 | 0xffff_0000 << 64).to_le_bytes()
}

/// Most VLAN tags that are read, as in Suricata.
pub const VLAN_LAYERS: usize = 3;

/// The VLAN ids of a frame, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VlanIds {
    ids: [u16; VLAN_LAYERS],
    count: u8,
}

impl VlanIds {
    /// Adds an inner tag; `false` when there are [`VLAN_LAYERS`] already.
    pub fn push(&mut self, id: u16) -> bool {
        let Some(slot) = self.ids.get_mut(usize::from(self.count)) else { return false };
        *slot = id & 0x0fff;
        self.count += 1;
        true
    }

    /// The ids, outermost first; 0 to 3 of them, each 0 to 4095.
    #[must_use]
    pub fn as_slice(&self) -> &[u16] {
        self.ids.get(..usize::from(self.count)).unwrap_or(&[])
    }

    /// The three ids as they enter a flow key: absent tags are 0.
    #[must_use]
    pub const fn raw(&self) -> [u16; VLAN_LAYERS] {
        self.ids
    }
}

/// The transport header that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// None that we know, or the packet is a fragment.
    #[default]
    None,
    /// TCP with a valid header.
    Tcp(Tcp),
    /// UDP with a valid header.
    Udp(Udp),
    /// ICMP for IPv4.
    Icmpv4(Icmp),
    /// ICMP for IPv6.
    Icmpv6(Icmp),
}

/// The fields of a TCP header that the engine reads (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number; meaningful with [`TcpFlags::ACK`].
    pub ack: u32,
    /// Window as sent, unscaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// The control bits.
    pub flags: TcpFlags,
    /// The four reserved bits, shifted down: 0 to 15.
    pub reserved: u8,
    /// Where the options are.
    pub options: Span,
}

/// The control bits of a TCP header, as on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number is meaningful.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is meaningful.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECN: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;

    /// Are all bits of `mask` set?
    #[must_use]
    pub const fn has(self, mask: u8) -> bool {
        self.0 & mask == mask
    }
}

/// The UDP header's own length field (RFC 768).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Udp {
    /// Length as the header states it, in bytes, header included.
    pub length: u16,
}

/// An ICMP header (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier and sequence number; only of messages that have them.
    pub echo: Option<(u16, u16)>,
    /// The packet that an error message quotes, as far as its tuple could be read.
    pub quoted: Option<Quoted>,
}

/// The tuple of the packet that an ICMP error quotes, in the quoted packet's own direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Source of the quoted packet.
    pub source: Address,
    /// Destination of the quoted packet.
    pub destination: Address,
    /// Its protocol.
    pub protocol: u8,
    /// Its source port (or 0).
    pub source_port: u16,
    /// Its destination port (or 0).
    pub destination_port: u16,
}

/// What makes an IP packet a fragment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// Identification field: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Offset in bytes, a multiple of 8.
    pub offset: u32,
    /// Do more fragments follow?
    pub more: bool,
}

impl Fragment {
    /// Would a packet be larger than an IP packet can be, for `length` bytes of this fragment's data?
    pub(crate) const fn is_beyond_packet(self, length: usize) -> bool {
        self.offset as usize + length > u16::MAX as usize
    }
}

/// A packet within the packet: what an encapsulation carries. It is a packet of its own, made by
/// [`Decoder::decode_inner`](crate::Decoder::decode_inner).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// What it came out of.
    pub encapsulation: Encapsulation,
    /// What its first byte is.
    pub start: InnerStart,
    /// A VLAN tag (TCI) that the encapsulation has in place of the packet.
    pub vlan: Option<u16>,
    /// Where it is.
    pub span: Span,
}

/// What carries a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// GRE, ERSPAN included.
    Gre,
    /// IPv4, with nothing between.
    Ipv4,
    /// IPv6, with nothing but extension headers between.
    Ipv6,
    /// Teredo.
    Teredo,
    /// Geneve.
    Geneve,
    /// VXLAN.
    Vxlan,
}

/// What an inner packet starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InnerStart {
    /// A link header.
    Link(LinkType),
    /// What this EtherType announces.
    Ethertype(u16),
}

impl InnerStart {
    /// The link type that fits best: raw, where there is no link header.
    #[must_use]
    pub const fn link(self) -> LinkType {
        match self {
            Self::Link(link) => link,
            Self::Ethertype(_) => LinkType::Raw,
        }
    }
}

/// The checksums that were found wrong, of those that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BadChecksums {
    /// The IPv4 header's.
    pub ipv4: bool,
    /// That of TCP, UDP or ICMP.
    pub transport: bool,
}

/// One frame, decoded.
///
/// The order of the fields is theirs in memory: what is zero, or always the same, of a plain packet stands together, so
/// that it is written in few words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Decoded {
    /// Everything wrong or remarkable that was met, `invalid` included.
    pub events: DecodeEvents,
    /// VLAN ids, outermost first.
    pub vlans: VlanIds,
    /// IPv6 flow label, 20 bits; 0 for IPv4.
    pub flow_label: u32,
    /// The security parameters index of ESP; else 0.
    pub spi: u32,
    /// Wrong checksums, where the decoder was asked to look.
    pub bad_checksums: BadChecksums,
    /// Encapsulations that were removed to get here: 0 for a packet as received.
    pub recursion: u8,
    /// Headers and tags that were decoded beyond a link and a network header, those of the packets
    /// around this one included; `decoder.max-layers` bounds it.
    pub depth: u8,
    /// EtherType (or PPP and cooked equivalents mapped to it) of what follows link header and
    /// VLAN tags; 0 where there is none, as in IEEE 802.3 frames with a length.
    pub ethertype: u16,
    /// The link type the frame was decoded as.
    pub link: LinkType,
    /// 4, 6, or 0 when there is no IP header.
    pub ip_version: u8,
    /// The layers that were met, for the `decoder.*` counters.
    pub layers: Layers,
    /// Source address; see [`Address`].
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// IPv4: the header's options. IPv6: the extension headers, up to the transport header or
    /// the fragment's data. Empty where there are none.
    pub ip_options: Span,
    /// The IP packet: header to the end its own length states (at most what was captured).
    pub ip: Span,
    /// The transport header and what follows, to the end of the IP packet; of a fragment, its
    /// data.
    pub ip_payload: Span,
    /// The payload of TCP, UDP (as long as its own length field says), SCTP, ESP and ICMP (after
    /// the first eight bytes); empty for any other protocol and for fragments.
    pub payload: Span,
    /// Source port of TCP, UDP, SCTP; else 0.
    pub source_port: u16,
    /// Destination port of TCP, UDP, SCTP; else 0.
    pub destination_port: u16,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    /// The protocol after any IPv6 extension headers (IANA protocol numbers).
    pub protocol: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class, all eight bits.
    pub tos: u8,
    /// Set when the frame could not be decoded as far as it claims: what follows is then only
    /// what was read before. An invalid packet has no flow.
    pub invalid: Option<DecodeEvent>,
    /// The transport header.
    pub transport: Transport,
    /// Set when the packet is a fragment, the first one included: then there is no transport
    /// and the ports are 0. An IPv6 atomic fragment (RFC 6946), being a whole packet, is decoded
    /// through and not counted as a fragment.
    pub fragment: Option<Fragment>,
    /// The packet that this one carries, to be judged by itself. The payload of this one is then
    /// that packet and its header, and is inspected there and not here.
    pub inner: Option<Inner>,
}
