//! From a packet to a key: the extractor trait, what an extractor sees and what it tells.

mod five_tuple;
mod inner;
mod pairs;

pub use five_tuple::{FiveTuple, FiveTupleKey};
pub use inner::InnerTuple;
pub use pairs::{IpPair, IpPairKey, MacPair, MacPairKey};

use crate::key::protocol;
use portcullis_wire::decoded::Tcp;
use portcullis_wire::{Decoded, Decoder, DecoderConfig, LinkType, Span, Timestamp};
use std::hash::Hash;

/// Says which flow a packet belongs to. The five here are [`FiveTuple`], [`IpPair`], [`MacPair`],
/// [`InnerTuple`] and [`from_fn`]; a program may bring its own.
pub trait FlowExtractor {
    /// What all packets of a flow have in common. Hash it in few large pieces: it is hashed for
    /// most packets.
    type Key: Clone + Eq + Hash;

    /// The packet's key and what else the tracker needs; `None` where the packet has no flow.
    fn extract(&self, packet: &PacketView<'_>) -> Option<Extracted<Self::Key>>;
}

/// What an extractor found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extracted<K> {
    /// The flow.
    pub key: K,
    /// Which of the two ways through the flow the packet goes.
    pub orientation: Orientation,
    /// The transport protocol; `None` where the key stands for more than one. Chooses idle timeout, history
    /// and `conn_state`.
    pub l4: Option<L4Proto>,
    /// The TCP header, where the flow is a TCP connection.
    pub tcp: Option<Tcp>,
    /// The transport's payload, as a range of the frame.
    pub payload: Span,
    /// Was a checksum found wrong? Such a packet is counted and leaves its letter in the history, and changes
    /// no state.
    pub bad_checksum: bool,
}

impl<K> Extracted<K> {
    /// A packet of which only the key and its way are known.
    pub fn new(key: K, orientation: Orientation) -> Self {
        Self { key, orientation, l4: None, tcp: None, payload: Span::default(), bad_checksum: false }
    }
}

/// One of the two ways through a flow; which of them is the initiator's shows the flow's first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Orientation {
    /// From the key's first endpoint to its second.
    Forward,
    /// From its second to its first.
    Reverse,
}

impl Orientation {
    pub(super) const fn opposite(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }

    /// By which of two endpoints is the sender: of both directions the same two endpoints in the same order.
    fn order<T: Ord>(source: T, destination: T) -> (Self, T, T) {
        if source > destination {
            (Self::Reverse, destination, source)
        } else {
            (Self::Forward, source, destination)
        }
    }
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum L4Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP for IPv4.
    Icmp,
    /// ICMP for IPv6.
    IcmpV6,
    /// SCTP.
    Sctp,
    /// Any other, by its IANA number.
    Other(u8),
}

impl L4Proto {
    /// By its IANA number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            protocol::TCP => Self::Tcp,
            protocol::UDP => Self::Udp,
            protocol::ICMP => Self::Icmp,
            protocol::ICMPV6 => Self::IcmpV6,
            protocol::SCTP => Self::Sctp,
            other => Self::Other(other),
        }
    }

    /// Its IANA number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => protocol::TCP,
            Self::Udp => protocol::UDP,
            Self::Icmp => protocol::ICMP,
            Self::IcmpV6 => protocol::ICMPV6,
            Self::Sctp => protocol::SCTP,
            Self::Other(number) => number,
        }
    }
}

/// A packet as it was captured.
#[derive(Clone, Copy, Debug)]
pub struct PacketView<'a> {
    frame: &'a [u8],
    timestamp: Timestamp,
    link: LinkType,
    wire_length: usize,
    decoded: Option<&'a Decoded>,
}

impl<'a> PacketView<'a> {
    /// An Ethernet frame, captured whole.
    #[must_use]
    pub const fn new(frame: &'a [u8], timestamp: Timestamp) -> Self {
        Self { frame, timestamp, link: LinkType::Ethernet, wire_length: frame.len(), decoded: None }
    }

    /// Says that the frame begins with another header.
    #[must_use]
    pub const fn with_link(mut self, link: LinkType) -> Self {
        self.link = link;
        self
    }

    /// Says how long the frame was before it was cut by the capture; this is what is counted.
    #[must_use]
    pub const fn with_wire_length(mut self, wire_length: usize) -> Self {
        self.wire_length = wire_length;
        self
    }

    /// Brings what decoding this frame gave, so that it is not decoded again.
    #[must_use]
    pub const fn with_decoded(mut self, decoded: &'a Decoded) -> Self {
        self.decoded = Some(decoded);
        self
    }

    /// The bytes.
    #[must_use]
    pub const fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// When it was captured.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// What its first header is.
    #[must_use]
    pub const fn link(&self) -> LinkType {
        self.link
    }

    /// Its length on the wire, in bytes.
    #[must_use]
    pub const fn wire_length(&self) -> usize {
        self.wire_length
    }

    /// Shows what decoding gives: what was brought, else the frame is decoded now, with or without a look at its
    /// checksums.
    #[inline]
    pub fn with_decoding<R>(&self, checksums: bool, read: impl FnOnce(&Decoded) -> R) -> R {
        match self.decoded {
            Some(decoded) => read(decoded),
            None => {
                let decoder =
                    Decoder::new(DecoderConfig { validate_checksums: checksums, ..DecoderConfig::default() });
                read(&decoder.decode(self.link, None, false, self.frame))
            }
        }
    }
}

/// An extractor made of a function.
#[derive(Clone, Copy, Debug)]
pub struct FromFn<F>(F);

/// An extractor made of a function; see [`FlowExtractor::extract`] for what it must tell.
pub const fn from_fn<K, F>(function: F) -> FromFn<F>
where
    K: Clone + Eq + Hash,
    F: Fn(&PacketView<'_>) -> Option<Extracted<K>>,
{
    FromFn(function)
}

impl<K, F> FlowExtractor for FromFn<F>
where
    K: Clone + Eq + Hash,
    F: Fn(&PacketView<'_>) -> Option<Extracted<K>>,
{
    type Key = K;

    fn extract(&self, packet: &PacketView<'_>) -> Option<Extracted<K>> {
        (self.0)(packet)
    }
}
