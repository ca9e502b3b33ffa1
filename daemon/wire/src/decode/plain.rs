//! The way of nearly all packets, in one piece: Ethernet, IPv4 without options, and TCP or UDP with nothing
//! about it to remark. Whatever is not exactly that is left to the layers' own modules, which would say the
//! same of what is decoded here.

use super::Decoder;
use crate::checksum::Sum;
use crate::decoded::{
    BadChecksums, DecodeEvents, Decoded, Layer, Layers, Span, Tcp, TcpFlags, Transport, Udp, VlanIds, mapped,
};
use crate::link::LinkType;

/// Ethernet and IPv4 headers.
const HEADERS: usize = 34;
const TCP: u8 = 6;
const UDP: u8 = 17;

impl Decoder {
    /// Decodes the frame into `out`; `false`, with `out` as it was, where it is not plain.
    #[inline]
    pub(super) fn plain(&self, skip_transport_checksum: bool, frame: &[u8], out: &mut Decoded) -> bool {
        // Eight bytes of transport header are what all that is plain has.
        let Some(head) = frame.first_chunk::<{ HEADERS + 8 }>() else { return false };
        // IPv4 by its type, version 4, a header of 20 bytes, and no fragment.
        if (head[12], head[13], head[14]) != (0x08, 0x00, 0x45) || u16_at(head, 20) & 0x3fff != 0 {
            return false;
        }
        let end = 14 + usize::from(u16_at(head, 16));
        // What the link appended beyond the IP length is not of the packet.
        let Some(packet) = frame.get(..end) else { return false };
        // Where the payload begins and ends; nothing is written before all is known to be plain.
        let payload = match head[23] {
            TCP => tcp_payload(packet),
            UDP => self.udp_payload(packet),
            _ => None,
        };
        let Some((start, stop)) = payload else { return false };
        let span = |start: usize, end: usize| Span { start: narrow(start), end: narrow(end) };
        let &[.., s0, s1, s2, s3, d0, d1, d2, d3, _, _, _, _, _, _, _, _] = head;
        let tcp = packet.first_chunk::<{ HEADERS + 20 }>().filter(|_| head[23] == TCP);
        // Every field by name: a default would first clear all of the description, of which a plain packet
        // has little.
        *out = Decoded {
            invalid: None,
            events: DecodeEvents::default(),
            layers: if tcp.is_some() { layers(Layer::Tcp) } else { layers(Layer::Udp) },
            link: LinkType::Ethernet,
            ethertype: 0x0800,
            vlans: VlanIds::default(),
            ip_version: 4,
            source: mapped([s0, s1, s2, s3]),
            destination: mapped([d0, d1, d2, d3]),
            protocol: head[23],
            ttl: head[22],
            tos: head[15],
            ip_id: u16_at(head, 18),
            flow_label: 0,
            fragment: None,
            source_port: u16_at(head, HEADERS),
            destination_port: u16_at(head, HEADERS + 2),
            spi: 0,
            transport: match tcp {
                Some(head) => Transport::Tcp(Tcp {
                    seq: u32_at(head, 38),
                    ack: u32_at(head, 42),
                    window: u16_at(head, 48),
                    urgent: u16_at(head, 52),
                    flags: TcpFlags(head[47]),
                    reserved: head[46] & 0x0f,
                    options: span(HEADERS + 20, start),
                }),
                None => Transport::Udp(Udp { length: u16_at(head, HEADERS + 4) }),
            },
            ip: span(14, end),
            ip_options: span(HEADERS, HEADERS),
            ip_payload: span(HEADERS, end),
            payload: span(start, stop),
            bad_checksums: BadChecksums::default(),
            recursion: 0,
            depth: 0,
            inner: None,
        };
        if self.config.validate_checksums {
            out.bad_checksums = checksums(skip_transport_checksum, packet, stop);
        }
        true
    }

    /// The payload of a datagram that is whole and no tunnel's.
    #[inline(always)]
    fn udp_payload(&self, packet: &[u8]) -> Option<(usize, usize)> {
        let head = packet.first_chunk::<{ HEADERS + 8 }>()?;
        let length = usize::from(u16_at(head, HEADERS + 4));
        let tunnel = self.may_be_tunnel(u16_at(head, HEADERS), u16_at(head, HEADERS + 2));
        (length >= 8 && HEADERS + length <= packet.len() && !tunnel)
            .then_some((HEADERS + 8, HEADERS + length))
    }
}

/// The payload of a segment with at most a timestamp for options.
#[inline(always)]
fn tcp_payload(packet: &[u8]) -> Option<(usize, usize)> {
    let start = match packet.first_chunk::<{ HEADERS + 20 }>()?[46] >> 4 {
        5 => HEADERS + 20,
        8 => match packet.first_chunk::<{ HEADERS + 32 }>() {
            Some([.., 1, 1, 8, 10, _, _, _, _, _, _, _, _]) => HEADERS + 32,
            _ => return None,
        },
        _ => return None,
    };
    Some((start, packet.len()))
}

/// Ethernet, IPv4 and this one.
const fn layers(transport: Layer) -> Layers {
    let mut layers = Layers::EMPTY;
    layers.insert(Layer::Ethernet);
    layers.insert(Layer::Ipv4);
    layers.insert(transport);
    layers
}

/// What is wrong with the checksums of a packet, the transport's data ending at `stop`.
#[inline(never)]
fn checksums(skip_transport: bool, packet: &[u8], stop: usize) -> BadChecksums {
    let Some((headers, body)) = packet.split_at_checked(HEADERS) else { return BadChecksums::default() };
    let ip = headers.get(14..).unwrap_or(&[]);
    let ipv4 = !Sum::default().add(ip).is_valid();
    if skip_transport {
        return BadChecksums { ipv4, transport: false };
    }
    let protocol = ip.get(9).copied().unwrap_or(0);
    // A datagram's own length is what its checksum covers; zero is "none".
    let body = body.get(..stop - HEADERS).unwrap_or(body);
    let none = protocol == UDP && body.get(6..8) == Some(&[0, 0]);
    let pseudo = Sum::default().add(ip.get(12..20).unwrap_or(&[]));
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let sum = pseudo.add_u16(u16::from(protocol)).add_u16(length).add(body);
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
                plain = decoder.plain(skip, frame, &mut here);
                decoder.in_layers(LinkType::Ethernet, None, skip, frame, &mut there);
                assert!(!plain || here == there, "{here:?}\n{there:?}");
            }
        }
        plain
    }

    fn tcp<'a>(options: &'a [u8]) -> PacketBuilder<'a> {
        let frame =
            PacketBuilder::ethernet([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(40_000, 80);
        frame.flags(0x18).seq(7).ack(9).window(11).urgent(13).tcp_options(options).payload(b"data")
    }

    const TIMESTAMP: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

    #[test]
    fn what_is_plain() {
        for (frame, plain) in [
            (tcp(&[]), true),
            (tcp(&TIMESTAMP), true),
            (tcp(&TIMESTAMP).minimum(200), true),
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
        for frame in [tcp(&TIMESTAMP).to_vec(), udp().payload(b"data").to_vec()] {
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
            let tcp = tcp(if timestamp { &TIMESTAMP } else { &[] });
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
