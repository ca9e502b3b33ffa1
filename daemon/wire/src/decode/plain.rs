//! The way of nearly all packets, in one piece: Ethernet, IPv4 without options, and TCP or UDP with nothing
//! about it to remark. Of what carries another packet, or is nothing of all that, at least the headers before it.
//! Whatever is not exactly that is left to the layers' own modules, which would say the same of what is decoded
//! here.

use super::Decoder;
use super::cursor::Cursor;
use super::link::{IPV4, IPV6};
use crate::checksum::Sum;
use crate::decoded::{
    Address, BadChecksums, DecodeEvents, Decoded, Layer, Layers, Span, Tcp, TcpFlags, Transport, Udp,
    VlanIds, mapped,
};
use crate::link::LinkType;

/// An IPv4 header without options, and one of IPv6.
const IP: usize = 20;
const IP6: usize = 40;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// No operation twice, and the head of a timestamp option (RFC 7323 appendix A).
const TIMESTAMP: u32 = 0x0101_080a;

/// What is around an IPv4 packet: nothing and an Ethernet header, or what carried it.
#[derive(Clone, Copy)]
pub(super) struct Around {
    pub(super) recursion: u8,
    pub(super) depth: u8,
}

/// What of a description is the transport's.
#[derive(Default)]
struct Carried {
    layers: Layers,
    transport: Transport,
    ports: (u16, u16),
    payload: Span,
}

impl Decoder {
    /// Decodes the frame, the IPv4 packet of which begins at `AT` (after an Ethernet header, or at once), into
    /// `out`; `false`, with `out` as it was, where it is not plain.
    #[inline(always)]
    pub(super) fn plain<const AT: usize>(
        &self,
        around: Around,
        skip_transport_checksum: bool,
        frame: &[u8],
        out: &mut Decoded,
    ) -> bool {
        let Some((head, packet)) = ipv4::<AT>(frame) else { return false };
        // Nothing is written before all is known to be plain. Each transport writes by itself: what they have
        // in common would only be moved about until it is known which it is.
        match head[9] {
            TCP => {
                let Some(carried) = tcp::<AT>(packet) else { return false };
                describe(around, Network::of_ipv4::<AT>(head, packet.len()), carried, out);
            }
            UDP => {
                let Some(carried) = self.udp_datagram::<AT>(packet) else { return false };
                describe(around, Network::of_ipv4::<AT>(head, packet.len()), carried, out);
            }
            _ => return false,
        }
        if self.config.validate_checksums {
            let stop = (out.payload.end as usize).saturating_sub(AT);
            out.bad_checksums = checksums(skip_transport_checksum, packet, stop);
        }
        true
    }

    /// Decodes Ethernet and IP headers with nothing about them to remark, and tells what comes after them.
    #[inline(always)]
    pub(super) fn plain_headers<'f>(frame: &'f [u8], out: &mut Decoded) -> Option<Cursor<'f>> {
        let around = Around { recursion: 0, depth: 0 };
        if let Some((head, packet)) = ipv4::<14>(frame) {
            let payload = packet.get(IP..)?;
            describe(around, Network::of_ipv4::<14>(head, packet.len()), Carried::default(), out);
            return Some(Cursor::within(payload, narrow(14 + IP)));
        }
        let (link, packet) = frame.split_first_chunk::<14>()?;
        let head = packet.first_chunk::<IP6>().filter(|head| head[0] >> 4 == 6)?;
        let packet = packet.get(..IP6 + usize::from(u16_at(head, 4)))?;
        if link.last_chunk() != Some(&IPV6.to_be_bytes()) {
            return None;
        }
        let payload = packet.get(IP6..)?;
        describe(around, Network::of_ipv6(head, packet.len())?, Carried::default(), out);
        Some(Cursor::within(payload, narrow(14 + IP6)))
    }

    /// A datagram that is whole and no tunnel's.
    #[inline(always)]
    fn udp_datagram<const AT: usize>(&self, packet: &[u8]) -> Option<Carried> {
        let head = packet.first_chunk::<{ IP + 8 }>()?;
        let length = u16_at(head, IP + 4);
        let end = IP + usize::from(length);
        let ports = (u16_at(head, IP), u16_at(head, IP + 2));
        let tunnel = self.may_be_tunnel(ports.0, ports.1);
        (length >= 8 && end <= packet.len() && !tunnel).then(|| Carried {
            layers: only(Layer::Udp),
            transport: Transport::Udp(Udp { length }),
            ports,
            payload: span(AT + IP + 8, AT + end),
        })
    }
}

/// A packet after a link header of so many bytes: IPv4 by its type, version 4, a header of 20 bytes, and no
/// fragment. What the link appended beyond the IP length is not of the packet.
#[inline(always)]
fn ipv4<const AT: usize>(frame: &[u8]) -> Option<(&[u8; IP], &[u8])> {
    let (link, packet) = frame.split_first_chunk::<AT>()?;
    let head = packet.first_chunk::<IP>()?;
    let is_ipv4 = AT == 0 || link.last_chunk() == Some(&IPV4.to_be_bytes());
    let fragment = u16::from_ne_bytes([head[6], head[7]]) & 0x3fff_u16.to_be();
    if !is_ipv4 || head[0] != 0x45 || fragment != 0 {
        return None;
    }
    Some((head, packet.get(..usize::from(u16_at(head, 2)))?))
}

/// A segment with at most a timestamp for options.
#[inline(always)]
fn tcp<const AT: usize>(packet: &[u8]) -> Option<Carried> {
    let head = packet.first_chunk::<{ IP + 20 }>()?;
    let start = match head[IP + 12] >> 4 {
        5 => IP + 20,
        8 => {
            let options = packet.first_chunk::<{ IP + 32 }>()?;
            if u32_at(options, IP + 20) != TIMESTAMP {
                return None;
            }
            IP + 32
        }
        _ => return None,
    };
    Some(Carried {
        layers: only(Layer::Tcp),
        ports: (u16_at(head, IP), u16_at(head, IP + 2)),
        transport: Transport::Tcp(Tcp {
            seq: u32_at(head, IP + 4),
            ack: u32_at(head, IP + 8),
            window: u16_at(head, IP + 14),
            urgent: u16_at(head, IP + 18),
            flags: TcpFlags(head[IP + 13]),
            reserved: head[IP + 12] & 0x0f,
            options: span(AT + IP + 20, AT + start),
        }),
        payload: span(AT + start, AT + packet.len()),
    })
}

/// What IP headers say.
struct Network {
    layer: Layer,
    ethertype: u16,
    version: u8,
    source: Address,
    destination: Address,
    protocol: u8,
    ttl: u8,
    tos: u8,
    id: u16,
    flow_label: u32,
    /// Where the packet, and its payload, begin, and where both end.
    begin: usize,
    body: usize,
    end: usize,
}

impl Network {
    #[inline(always)]
    fn of_ipv4<const AT: usize>(head: &[u8; IP], length: usize) -> Self {
        let &[.., s0, s1, s2, s3, d0, d1, d2, d3] = head;
        Self {
            layer: Layer::Ipv4,
            ethertype: IPV4,
            version: 4,
            source: mapped([s0, s1, s2, s3]),
            destination: mapped([d0, d1, d2, d3]),
            protocol: head[9],
            ttl: head[8],
            tos: head[1],
            id: u16_at(head, 4),
            flow_label: 0,
            begin: AT,
            body: AT + IP,
            end: AT + length,
        }
    }

    #[inline(always)]
    fn of_ipv6(head: &[u8; IP6], length: usize) -> Option<Self> {
        let (fields, addresses) = head.split_first_chunk::<8>()?;
        let &[v0, v1, v2, v3, _, _, protocol, ttl] = fields;
        Some(Self {
            layer: Layer::Ipv6,
            ethertype: IPV6,
            version: 6,
            source: *addresses.first_chunk()?,
            destination: *addresses.last_chunk()?,
            protocol,
            ttl,
            tos: v0 << 4 | v1 >> 4,
            id: 0,
            flow_label: u32::from_be_bytes([0, v1 & 0x0f, v2, v3]),
            begin: 14,
            body: 14 + IP6,
            end: 14 + length,
        })
    }
}

/// Every field by name: a default would first clear all of the description, of which a plain packet has little.
#[inline(always)]
fn describe(around: Around, network: Network, carried: Carried, out: &mut Decoded) {
    let mut layers = carried.layers;
    if network.begin > 0 {
        layers.insert(Layer::Ethernet);
    }
    layers.insert(network.layer);
    let Network { begin, body, end, .. } = network;
    *out = Decoded {
        events: DecodeEvents::default(),
        vlans: VlanIds::default(),
        flow_label: network.flow_label,
        spi: 0,
        bad_checksums: BadChecksums::default(),
        recursion: around.recursion,
        depth: around.depth,
        ethertype: network.ethertype,
        link: if begin > 0 { LinkType::Ethernet } else { LinkType::Raw },
        ip_version: network.version,
        layers,
        source: network.source,
        destination: network.destination,
        ip_options: span(body, body),
        ip: span(begin, end),
        ip_payload: span(body, end),
        payload: carried.payload,
        source_port: carried.ports.0,
        destination_port: carried.ports.1,
        ip_id: network.id,
        protocol: network.protocol,
        ttl: network.ttl,
        tos: network.tos,
        invalid: None,
        transport: carried.transport,
        fragment: None,
        inner: None,
    };
}

/// What is wrong with the checksums of a packet, the transport's data ending at `stop`.
#[inline(never)]
fn checksums(skip_transport: bool, packet: &[u8], stop: usize) -> BadChecksums {
    let Some((ip, body)) = packet.split_first_chunk::<IP>() else { return BadChecksums::default() };
    let ipv4 = !Sum::default().add(ip).is_valid();
    if skip_transport {
        return BadChecksums { ipv4, transport: false };
    }
    // A datagram's own length is what its checksum covers; zero is "none".
    let body = body.get(..stop.saturating_sub(IP)).unwrap_or(body);
    let none = ip[9] == UDP && body.get(6..8) == Some(&[0, 0]);
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *ip;
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let pseudo = Sum::default().add(&[s0, s1, s2, s3, d0, d1, d2, d3]);
    let sum = pseudo.add_u16(u16::from(ip[9])).add_u16(length).add(body);
    BadChecksums { ipv4, transport: !none && !sum.is_valid() }
}

#[inline]
const fn u16_at<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
const fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

const fn only(layer: Layer) -> Layers {
    let mut layers = Layers::EMPTY;
    layers.insert(layer);
    layers
}

#[inline]
const fn span(start: usize, end: usize) -> Span {
    Span { start: narrow(start), end: narrow(end) }
}

/// A place in a frame, which has at most 64 KiB here: an IPv4 packet and its Ethernet header.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "lengths are of 16 bits, and a few bytes more")]
const fn narrow(place: usize) -> u32 {
    place as u32
}

#[cfg(test)]
mod tests {
    use super::super::tests::{tcp_v6, udp};
    use super::*;
    use crate::builder::PacketBuilder;
    use crate::config::DecoderConfig;
    use crate::decoded::{Encapsulation, Inner, InnerStart};
    use proptest::prelude::*;

    /// Is the frame plain? If so, it is described as the layers' modules would describe it.
    fn check(frame: &[u8]) -> bool {
        let mut plain = false;
        for validate_checksums in [false, true] {
            for skip in [false, true] {
                let decoder = Decoder::new(DecoderConfig { validate_checksums, ..DecoderConfig::default() });
                let (mut here, mut there) = (Decoded::default(), Decoded::default());
                // Whatever was in its place before.
                here.events.insert(crate::decoded::DecodeEvent::TcpTooSmall);
                plain = decoder.plain::<14>(Around { recursion: 0, depth: 0 }, skip, frame, &mut here);
                decoder.layer_by_layer(LinkType::Ethernet, None, skip, frame, &mut there);
                assert!(!plain || here == there, "{here:?}\n{there:?}");
                decoder.decode_into(LinkType::Ethernet, None, skip, frame, &mut here);
                assert_eq!(here, there);
                inner(&decoder, skip, frame);
            }
        }
        plain
    }

    /// The frame, and the packet in it, as what a tunnel carries.
    fn inner(decoder: &Decoder, skip: bool, frame: &[u8]) {
        let outer = Decoded { recursion: 2, depth: 3, ..Decoded::default() };
        for (start, from) in
            [(InnerStart::Link(LinkType::Ethernet), 0), (InnerStart::Ethertype(0x0800), 14.min(frame.len()))]
        {
            let bytes = &frame[from..];
            let span = span(0, bytes.len());
            let inner = Inner { encapsulation: Encapsulation::Gre, start, vlan: None, span };
            let here = decoder.decode_inner(&outer, &inner, skip, bytes);
            let mut there = Decoded::default();
            decoder.inner_in_layers(&outer, &inner, skip, bytes, &mut there);
            assert_eq!(here, there);
            assert_eq!(here.recursion, 3);
        }
    }

    fn tcp<'a>(options: &'a [u8]) -> PacketBuilder<'a> {
        let frame =
            PacketBuilder::ethernet([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(40_000, 80);
        frame.flags(0x18).seq(7).ack(9).window(11).urgent(13).tcp_options(options).payload(b"data")
    }

    const STAMPED: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

    #[test]
    fn what_is_plain() {
        for (frame, plain) in [
            (tcp(&[]), true),
            (tcp(&STAMPED), true),
            (tcp(&STAMPED).minimum(200), true),
            (tcp(&[2, 4, 5, 180]), false),
            (tcp(&[]).fragment(8, false), false),
            (tcp(&[]).dont_fragment(), true),
            (tcp(&[]).vlan(1), false),
            (tcp(&[]).ip_options(&[1]), false),
            (udp().payload(b"data"), true),
            (udp().no_udp_checksum(), true),
            (udp().udp(1, 4789), false),
            (udp().echo_request(1, 2), false),
            (tcp_v6(), false),
        ] {
            assert_eq!(check(&frame.to_vec()), plain, "{frame:?}");
        }
    }

    #[test]
    fn what_is_cut_is_not() {
        for frame in [tcp(&STAMPED).to_vec(), udp().payload(b"data").to_vec()] {
            for length in 0..frame.len() {
                assert!(!check(&frame[..length]), "{length}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn what_is_damaged_is_described_alike(
            udp_frame: bool,
            timestamp: bool,
            changes in prop::collection::vec((0_usize..80, any::<u8>()), 0..3),
            cut in 0_usize..160,
        ) {
            let tcp = tcp(if timestamp { &STAMPED } else { &[] });
            let mut frame = if udp_frame { udp().payload(b"data").to_vec() } else { tcp.to_vec() };
            for (place, value) in changes {
                let last = frame.len() - 1;
                frame[place.min(last)] = value;
            }
            frame.truncate(cut.max(1));
            check(&frame);
        }
    }
}
