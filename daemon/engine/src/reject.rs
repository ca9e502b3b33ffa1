//! Answers to rejected packets: TCP resets, and ICMP messages that say "administratively prohibited". They
//! go into the outbox as the engine's own, so nobody judges them again. Owns what is answered and with
//! what; never decides that a packet is rejected.
//!
//! An answer comes from the packet's other end, with its VLAN tags and through the port where whom it is
//! for is reached. A packet that must not be answered is only dropped: a reset, an ICMP error or any other
//! ICMP message but an echo, a fragment, a packet with a wrong checksum, in a tunnel, or with an address (of
//! IP or Ethernet) that is no single host's (RFC 1122 §3.2.2, RFC 4443 §2.4 e).

use portcullis_capture::outbox::Origin;
use portcullis_capture::{Outbox, Packet, PortId};
use portcullis_event::RejectTarget;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::{Address, Tcp, TcpFlags, Transport, VLAN_LAYERS};
use portcullis_wire::{Decoded, LinkType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most of a packet that an ICMP error quotes: what makes the error 576 bytes long (RFC 1812 §4.3.2.3), and
/// 1280 in IPv6 (RFC 4443 §2.4 c).
const QUOTE_V4: usize = 576 - 28;
const QUOTE_V6: usize = 1280 - 48;

/// Destination unreachable: communication administratively prohibited (RFC 1812 §5.2.7.1, RFC 4443 §3.1).
const PROHIBITED_V4: (u8, u8) = (3, 13);
const PROHIBITED_V6: (u8, u8) = (1, 1);

/// Shortest Ethernet frame, without its checksum.
const MINIMUM_FRAME: usize = 60;

/// What was sent for one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Answers put into the outbox.
    pub(crate) sent: u64,
    /// Answers for which it had no room.
    pub(crate) refused: u64,
}

/// May the packet be answered, and can it?
pub(crate) fn is_answerable(decoded: &Decoded, packet: &Packet<'_>) -> bool {
    let bad = decoded.bad_checksums;
    decoded.invalid.is_none()
        && decoded.recursion == 0
        && decoded.fragment.is_none()
        && !bad.ipv4
        && !bad.transport
        && match decoded.transport {
            Transport::Tcp(tcp) => !tcp.flags.has(TcpFlags::RST),
            Transport::Udp(_) => true,
            Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => icmp.echo.is_some(),
            Transport::None => false,
        }
        && [&decoded.source, &decoded.destination].into_iter().all(|one| is_host(ip(decoded, one)))
        && Link::of(decoded, packet).is_some()
}

/// Answers a packet that [may be](is_answerable). A message to whom an ICMP packet was for would quote what
/// that one never sent, so there is none.
pub(crate) fn send(to: RejectTarget, decoded: &Decoded, packet: &Packet<'_>, outbox: &mut Outbox) -> Sent {
    let mut sent = Sent::default();
    let Some(link) = Link::of(decoded, packet) else { return sent };
    let mut count = |done: bool| if done { sent.sent += 1 } else { sent.refused += 1 };
    if matches!(to, RejectTarget::ToClient | RejectTarget::Both) {
        count(to_source(&link, decoded, packet, outbox));
    }
    if matches!(to, RejectTarget::ToServer | RejectTarget::Both) {
        match decoded.transport {
            Transport::Tcp(tcp) => count(reset_destination(&link, decoded, &tcp, packet, outbox)),
            Transport::Udp(_) => count(prohibit_destination(&link, decoded, packet, outbox)),
            _ => {}
        }
    }
    sent
}

/// Tells who sent the packet.
fn to_source(link: &Link, decoded: &Decoded, packet: &Packet<'_>, outbox: &mut Outbox) -> bool {
    let network = link.back().ip(ip(decoded, &decoded.destination), ip(decoded, &decoded.source));
    let answer = match decoded.transport {
        Transport::Tcp(tcp) => {
            let has = |flag| u32::from(tcp.flags.has(flag));
            let length = u32::try_from(decoded.payload.len()).unwrap_or(u32::MAX);
            let taken = length.wrapping_add(has(TcpFlags::SYN)).wrapping_add(has(TcpFlags::FIN));
            // RFC 9293 §3.10.7: with the number that the sender waits for, or else 0; it acknowledges all
            // that was sent, so that the answer to a SYN is believed.
            let seq = if tcp.flags.has(TcpFlags::ACK) { tcp.ack } else { 0 };
            network
                .tcp(decoded.destination_port, decoded.source_port)
                .flags(TcpFlags::RST | TcpFlags::ACK)
                .seq(seq)
                .ack(tcp.seq.wrapping_add(taken))
                .window(0)
        }
        _ => {
            let quote = decoded.ip.of(packet.bytes());
            prohibited(network, decoded, quote)
        }
    };
    forge(&link.padded(answer), packet.meta.ingress, outbox)
}

/// Resets the connection at whom the packet was for, as its sender would have.
fn reset_destination(
    link: &Link,
    decoded: &Decoded,
    tcp: &Tcp,
    packet: &Packet<'_>,
    outbox: &mut Outbox,
) -> bool {
    let acknowledges = tcp.flags.0 & TcpFlags::ACK;
    let answer = link
        .onward()
        .ip(ip(decoded, &decoded.source), ip(decoded, &decoded.destination))
        .tcp(decoded.source_port, decoded.destination_port)
        .flags(TcpFlags::RST | acknowledges)
        .seq(tcp.seq)
        .ack(if acknowledges == 0 { 0 } else { tcp.ack })
        .window(0);
    forge(&link.padded(answer), packet.meta.ingress.peer(), outbox)
}

/// Tells whom a datagram was for that its answers are prohibited: a host looks only at errors that quote
/// what it might have sent.
fn prohibit_destination(link: &Link, decoded: &Decoded, packet: &Packet<'_>, outbox: &mut Outbox) -> bool {
    let (source, destination) = (ip(decoded, &decoded.source), ip(decoded, &decoded.destination));
    let mut quote = [0; 48];
    let reply =
        PacketBuilder::raw().ip(destination, source).udp(decoded.destination_port, decoded.source_port);
    let Some(length) = reply.write_to(&mut quote) else { return false };
    let quote = quote.get(..length).unwrap_or_default();
    let answer = prohibited(link.onward().ip(source, destination), decoded, quote);
    forge(&link.padded(answer), packet.meta.ingress.peer(), outbox)
}

fn prohibited<'a>(network: PacketBuilder<'a>, decoded: &Decoded, quote: &'a [u8]) -> PacketBuilder<'a> {
    let ((kind, code), most) =
        if decoded.ip_version == 6 { (PROHIBITED_V6, QUOTE_V6) } else { (PROHIBITED_V4, QUOTE_V4) };
    network.icmp_error(kind, code, quote.get(..most).unwrap_or(quote))
}

fn forge(answer: &PacketBuilder<'_>, egress: PortId, outbox: &mut Outbox) -> bool {
    let room = outbox.forge(answer.length(), egress, Origin::Engine);
    // What fits in the room fits in its header fields.
    room.is_some_and(|room| answer.write_to(room).is_some())
}

/// An address in its own version's form.
fn ip(decoded: &Decoded, address: &Address) -> IpAddr {
    let [.., a, b, c, d] = *address;
    match decoded.ip_version {
        6 => IpAddr::V6(Ipv6Addr::from(*address)),
        _ => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
    }
}

/// Can it be the address of one host?
const fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_multicast() && !v6.is_unspecified(),
    }
}

/// What comes before the IP header of a packet.
struct Link {
    /// Source and destination; none without Ethernet.
    macs: Option<([u8; 6], [u8; 6])>,
    tags: [(u16, u16); VLAN_LAYERS],
    count: usize,
}

impl Link {
    /// `None` where there is something that an answer would need and we do not write.
    fn of(decoded: &Decoded, packet: &Packet<'_>) -> Option<Self> {
        let mut link = Self { macs: None, tags: [(0, 0); VLAN_LAYERS], count: 0 };
        let frame = packet.bytes();
        match decoded.link {
            LinkType::Raw | LinkType::Ipv4 | LinkType::Ipv6 => {
                return (decoded.ip.start == 0).then_some(link);
            }
            LinkType::Ethernet => {}
            _ => return None,
        }
        let (destination, rest) = frame.split_first_chunk::<6>()?;
        let (source, mut rest) = rest.split_first_chunk::<6>()?;
        if (destination[0] | source[0]) & 1 != 0 {
            return None;
        }
        link.macs = Some((*source, *destination));
        if let Some(tci) = packet.meta.vlan {
            link.push(0x8100, tci)?;
        }
        let mut at = 12;
        while let Some(([a, b, c, d], inner)) = rest.split_first_chunk::<4>()
            && let tpid @ (0x8100 | 0x88a8 | 0x9100) = u16::from_be_bytes([*a, *b])
        {
            link.push(tpid, u16::from_be_bytes([*c, *d]))?;
            (rest, at) = (inner, at + 4);
        }
        // Then two bytes that say IP, and IP.
        (decoded.ip.start == at + 2).then_some(link)
    }

    fn push(&mut self, tpid: u16, tci: u16) -> Option<()> {
        *self.tags.get_mut(self.count)? = (tpid, tci);
        self.count += 1;
        Some(())
    }

    /// To where the packet came from.
    fn back<'a>(&self) -> PacketBuilder<'a> {
        self.headers(self.macs.map(|(source, destination)| (destination, source)))
    }

    /// To where it would have gone.
    fn onward<'a>(&self) -> PacketBuilder<'a> {
        self.headers(self.macs)
    }

    fn headers<'a>(&self, macs: Option<([u8; 6], [u8; 6])>) -> PacketBuilder<'a> {
        let Some((source, destination)) = macs else { return PacketBuilder::raw() };
        let tags = self.tags.iter().take(self.count);
        tags.fold(PacketBuilder::ethernet(source, destination), |link, (tpid, tci)| {
            link.vlan_tag(*tpid, *tci)
        })
    }

    fn padded<'a>(&self, answer: PacketBuilder<'a>) -> PacketBuilder<'a> {
        if self.macs.is_some() { answer.minimum(MINIMUM_FRAME) } else { answer }
    }
}

#[cfg(test)]
mod tests;
