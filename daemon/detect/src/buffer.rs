//! The parts of a packet that contents can look at.

use portcullis_wire::decoded::Transport;

use crate::input::Input;

/// A part of a packet. A rule's contents look at the payload until a sticky buffer is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Buffer {
    /// The transport's payload: the only one that the prefilter searches.
    #[default]
    Payload,
    /// `ipv4.hdr`: with its options.
    Ipv4Header,
    /// `ipv6.hdr`: with the extension headers.
    Ipv6Header,
    /// `tcp.hdr`: with its options.
    TcpHeader,
    /// `udp.hdr`
    UdpHeader,
    /// `icmpv4.hdr`: what all messages have, and four bytes of their own.
    Icmpv4Header,
    /// `icmpv6.hdr`: the same.
    Icmpv6Header,
}

/// Bytes of a UDP header, and of what counts as an ICMP message's.
const SHORT_HEADER: usize = 8;

impl Buffer {
    /// Its bytes in a packet; `None` where the packet has no such part.
    pub(crate) fn of<'a>(self, input: &Input<'a>) -> Option<&'a [u8]> {
        let packet = input.decoded;
        let transport = packet.ip_payload.of(input.frame);
        match (self, packet.transport) {
            (Self::Payload, _) => Some(input.payload),
            (Self::Ipv4Header, _) if packet.ip_version == 4 => network_header(input),
            (Self::Ipv6Header, _) if packet.ip_version == 6 => network_header(input),
            (Self::TcpHeader, Transport::Tcp(_)) => {
                let words = transport.get(12)? >> 4;
                transport.get(..usize::from(words) * 4)
            }
            (Self::UdpHeader, Transport::Udp(_))
            | (Self::Icmpv4Header, Transport::Icmpv4(_))
            | (Self::Icmpv6Header, Transport::Icmpv6(_)) => transport.get(..SHORT_HEADER),
            _ => None,
        }
    }
}

fn network_header<'a>(input: &Input<'a>) -> Option<&'a [u8]> {
    let packet = input.decoded;
    input.frame.get(packet.ip.start as usize..packet.ip_payload.start as usize)
}
