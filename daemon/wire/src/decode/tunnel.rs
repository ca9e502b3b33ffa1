//! Packets within IP, and within UDP: VXLAN (RFC 7348), Geneve (RFC 8926), Teredo (RFC 4380).

use super::cursor::Cursor;
use super::link::{ARP, IPV4, IPV6, MPLS, MPLS_MULTICAST, VLAN, VLAN_8021AD, VLAN_QINQ};
use super::{Job, Step};
use crate::decoded::{DecodeEvent, Decoded, Encapsulation, Inner, InnerStart, Layer};
use crate::link::LinkType;

/// Transparent Ethernet bridging.
const BRIDGED: u16 = 0x6558;

/// The flag of VXLAN that says there is a network identifier.
const VXLAN_VALID: u8 = 0x08;

/// What IPv6 says before IPv4 or IPv6 that cannot be it.
struct Faults {
    small: DecodeEvent,
    version: DecodeEvent,
}

const IPV4_FAULTS: Faults =
    Faults { small: DecodeEvent::Ipv4InIpv6TooSmall, version: DecodeEvent::Ipv4InIpv6WrongVersion };
const IPV6_FAULTS: Faults =
    Faults { small: DecodeEvent::Ipv6InIpv6TooSmall, version: DecodeEvent::Ipv6InIpv6WrongVersion };

impl Job<'_> {
    pub(super) fn ipv4_in_ip(&mut self, packet: Cursor<'_>) -> Step {
        if self.out.ip_version == 4 {
            self.out.layers.insert(Layer::Ipv4InIpv4);
            self.carries(Encapsulation::Ipv4, InnerStart::Ethertype(IPV4), packet);
            return Ok(());
        }
        self.out.layers.insert(Layer::Ipv4InIpv6);
        check::<20>(packet, 4, &IPV4_FAULTS)?;
        self.carries(Encapsulation::Ipv6, InnerStart::Ethertype(IPV4), packet);
        Ok(())
    }

    pub(super) fn ipv6_in_ip(&mut self, packet: Cursor<'_>) -> Step {
        if self.out.ip_version == 4 {
            self.out.layers.insert(Layer::Ipv6InIpv4);
            self.carries(Encapsulation::Ipv4, InnerStart::Ethertype(IPV6), packet);
            return Ok(());
        }
        self.out.layers.insert(Layer::Ipv6InIpv6);
        check::<40>(packet, 6, &IPV6_FAULTS)?;
        self.carries(Encapsulation::Ipv6, InnerStart::Ethertype(IPV6), packet);
        Ok(())
    }

    /// A UDP datagram with a port that may be a tunnel's. What does not have the form of one is
    /// what it is: UDP.
    #[inline(never)]
    pub(super) fn udp_tunnel(&mut self, payload: Cursor<'_>) {
        let config = &self.decoder.config;
        let (source, destination) = (self.out.source_port, self.out.destination_port);
        if config.teredo.contains(source) || config.teredo.contains(destination) {
            self.teredo(payload);
        }
        // The other port is made of the inner packet and tells nothing.
        if self.out.inner.is_none() && config.geneve.contains(destination) {
            self.geneve(payload);
        }
        if self.out.inner.is_none() && config.vxlan.contains(destination) {
            self.vxlan(payload);
        }
    }

    fn vxlan(&mut self, payload: Cursor<'_>) {
        let Some((header, frame)) = payload.take::<8>() else { return };
        let Some(ethernet) = frame.peek::<14>() else { return };
        if header[0] & VXLAN_VALID == 0 {
            return;
        }
        self.out.layers.insert(Layer::Vxlan);
        if !is_network(u16::from_be_bytes([ethernet[12], ethernet[13]])) {
            return self.note(DecodeEvent::VxlanUnknownPayload);
        }
        self.carries(Encapsulation::Vxlan, InnerStart::Link(LinkType::Ethernet), frame);
    }

    fn geneve(&mut self, payload: Cursor<'_>) {
        let Some((&[version, _, p0, p1, ..], rest)) = payload.take::<8>() else { return };
        let options = usize::from(version & 0x3f) * 4;
        let Some((_, packet)) = rest.split(options).filter(|_| version >> 6 == 0) else { return };
        if packet.len() == 0 {
            return;
        }
        self.out.layers.insert(Layer::Geneve);
        let start = match u16::from_be_bytes([p0, p1]) {
            BRIDGED => InnerStart::Link(LinkType::Ethernet),
            known if is_network(known) => InnerStart::Ethertype(known),
            _ => return self.note(DecodeEvent::GeneveUnknownPayload),
        };
        self.carries(Encapsulation::Geneve, start, packet);
    }

    /// An IPv6 packet after optional authentication and origin. Nothing in the header tells it
    /// from other UDP, so it has to be sound through and through.
    fn teredo(&mut self, payload: Cursor<'_>) {
        let mut rest = payload;
        if let Some((&[0, 1, id, authentication], after)) = rest.take::<4>() {
            // The two, a nonce, and a byte of confirmation.
            let length = usize::from(id) + usize::from(authentication) + 9;
            let Some((_, after)) = after.split(length) else { return };
            rest = after;
        }
        if let Some(([0, 0, ..], after)) = rest.take::<8>() {
            rest = after;
        }
        let Some(&[first, _, _, _, l0, l1, ..]) = rest.peek::<40>() else { return };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if first >> 4 != 6 || rest.len() != 40 + length {
            return;
        }
        let (encapsulation, start) = (Encapsulation::Teredo, InnerStart::Ethertype(IPV6));
        let inner = Inner { encapsulation, start, vlan: None, span: rest.span() };
        let outer = Decoded { depth: self.out.depth, ..Decoded::default() };
        if self.out.depth < self.decoder.config.max_layers
            && self
                .decoder
                .without_tunnels()
                .decode_inner(&outer, &inner, true, rest.rest())
                .invalid
                .is_some()
        {
            return;
        }
        self.out.layers.insert(Layer::Teredo);
        self.out.inner = Some(inner);
    }

    fn carries(&mut self, encapsulation: Encapsulation, start: InnerStart, packet: Cursor<'_>) {
        self.out.inner = Some(Inner { encapsulation, start, vlan: None, span: packet.span() });
    }
}

/// May the packet be an IP packet of this version, with a header of `N` bytes?
fn check<const N: usize>(packet: Cursor<'_>, version: u8, faults: &Faults) -> Step {
    let Some(header) = packet.peek::<N>() else { return Err(faults.small) };
    if header[0] >> 4 == version { Ok(()) } else { Err(faults.version) }
}

/// Does an EtherType announce what is looked into?
const fn is_network(ethertype: u16) -> bool {
    matches!(
        ethertype,
        IPV4 | IPV6 | ARP | VLAN | VLAN_8021AD | VLAN_QINQ | MPLS | MPLS_MULTICAST | 0x8863 | 0x8864 | 0x894f
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, ethernet, events, layers, tcp_v6, udp};
    use super::*;
    use crate::config::{DecoderConfig, Ports};
    use crate::decode::Decoder;

    /// A datagram to `port` with this payload.
    fn datagram(port: u16, payload: &[u8]) -> Vec<u8> {
        ethernet().ipv4([192, 0, 2, 1], [192, 0, 2, 2]).udp(40_000, port).payload(payload).to_vec()
    }

    /// The inner packet, decoded.
    fn inner(frame: &[u8]) -> Option<(Encapsulation, Vec<u8>, Decoded)> {
        let outer = decode(frame);
        assert_eq!(outer.invalid, None);
        let inner = outer.inner?;
        let bytes = inner.span.of(frame);
        Some((
            inner.encapsulation,
            bytes.to_vec(),
            Decoder::default().decode_inner(&outer, &inner, false, bytes),
        ))
    }

    fn check(frame: &[u8], encapsulation: Encapsulation, packet: &[u8], expected: &[&str]) {
        let (found, bytes, decoded) = inner(frame).expect("there is a packet within");
        assert_eq!((found, &bytes[..]), (encapsulation, packet));
        assert_eq!((decoded.invalid, decoded.recursion, decoded.depth), (None, 1, 1));
        assert_eq!((layers(&decoded), decoded.payload.of(packet)), (expected.to_vec(), &b"data"[..]));
        assert!(!decoded.bad_checksums.transport && decoded.events.is_empty());
    }

    #[test]
    fn ip_in_ip() {
        let v4 = udp().payload(b"data").to_vec()[14..].to_vec();
        let v6 = tcp_v6().payload(b"data").to_vec()[14..].to_vec();
        let outer_v4 =
            |protocol, packet| ethernet().ipv4([1; 4], [2; 4]).protocol(protocol).payload(packet).to_vec();
        let outer_v6 =
            |protocol, packet| ethernet().ipv6([1; 16], [2; 16]).protocol(protocol).payload(packet).to_vec();
        let (four, six) = (["ipv4", "udp"], ["ipv6", "tcp"]);
        check(&outer_v4(4, &v4), Encapsulation::Ipv4, &v4, &four);
        check(&outer_v4(41, &v6), Encapsulation::Ipv4, &v6, &six);
        check(&outer_v6(4, &v4), Encapsulation::Ipv6, &v4, &four);
        check(&outer_v6(41, &v6), Encapsulation::Ipv6, &v6, &six);
        for (frame, layer) in [
            (outer_v4(4, &v4), Layer::Ipv4InIpv4),
            (outer_v4(41, &v6), Layer::Ipv6InIpv4),
            (outer_v6(4, &v4), Layer::Ipv4InIpv6),
            (outer_v6(41, &v6), Layer::Ipv6InIpv6),
        ] {
            assert!(decode(&frame).layers.contains(layer));
        }
        let options = ethernet().ipv6([1; 16], [2; 16]).extension(60, &[5, 2, 0, 0, 0, 0]);
        check(&options.protocol(4).payload(&v4).to_vec(), Encapsulation::Ipv6, &v4, &four);
        let fragment = ethernet().ipv4([1; 4], [2; 4]).protocol(4).fragment(0, true).payload(&v4).to_vec();
        assert_eq!(decode(&fragment).inner, None);
    }

    #[test]
    fn ip_in_ipv6_gone_wrong() {
        let check = |protocol: u8, length: usize, first: u8, event: DecodeEvent| {
            let payload = [&[first], &[0].repeat(length)[1..]].concat();
            let decoded =
                decode(&ethernet().ipv6([1; 16], [2; 16]).protocol(protocol).payload(&payload).to_vec());
            assert_eq!((decoded.invalid, decoded.inner), (Some(event), None));
        };
        for length in 1..20 {
            check(4, length, 0x45, DecodeEvent::Ipv4InIpv6TooSmall);
        }
        for length in 1..40 {
            check(41, length, 0x60, DecodeEvent::Ipv6InIpv6TooSmall);
        }
        check(4, 20, 0x60, DecodeEvent::Ipv4InIpv6WrongVersion);
        check(41, 40, 0x45, DecodeEvent::Ipv6InIpv6WrongVersion);
        // In IPv4 it is the inner packet that is wrong.
        let frame = ethernet().ipv4([1; 4], [2; 4]).protocol(4).payload(&[0x65; 20]).to_vec();
        assert_eq!(inner(&frame).unwrap().2.invalid, Some(DecodeEvent::Ipv4WrongVersion));
    }

    #[test]
    fn vxlan() {
        let packet = udp().payload(b"data").to_vec();
        let vxlan = |flags: u8, packet: &[u8]| [&[flags, 0, 0, 0, 0, 0, 1, 0], packet].concat();
        check(
            &datagram(4789, &vxlan(8, &packet)),
            Encapsulation::Vxlan,
            &packet,
            &["ethernet", "ipv4", "udp"],
        );
        let is_plain = |port: u16, payload: &[u8], remarks: &[&str]| {
            let frame = datagram(port, payload);
            assert_eq!((inner(&frame).is_none(), events(&decode(&frame))), (true, remarks.to_vec()));
            assert_eq!(decode(&frame).payload.of(&frame), payload);
        };
        is_plain(4788, &vxlan(8, &packet), &[]);
        is_plain(4789, &vxlan(0, &packet), &[]);
        for length in 0..22 {
            is_plain(4789, &vxlan(8, &packet)[..length], &[]);
        }
        let unknown = vxlan(8, &ethernet().ethertype(0x88cc).payload(&[0; 46]).to_vec());
        is_plain(4789, &unknown, &["vxlan.unknown_payload_type"]);
    }

    #[test]
    fn geneve() {
        let packet = udp().payload(b"data").to_vec();
        let geneve = |first: u8, protocol: u16, options: usize, packet: &[u8]| {
            let [p0, p1] = protocol.to_be_bytes();
            [&[first, 0, p0, p1, 0, 0, 1, 0], &[0].repeat(options)[..], packet].concat()
        };
        let ethernet_layers = ["ethernet", "ipv4", "udp"];
        check(
            &datagram(6081, &geneve(0, 0x6558, 0, &packet)),
            Encapsulation::Geneve,
            &packet,
            &ethernet_layers,
        );
        check(
            &datagram(6081, &geneve(2, 0x6558, 8, &packet)),
            Encapsulation::Geneve,
            &packet,
            &ethernet_layers,
        );
        check(
            &datagram(6081, &geneve(0, 0x0800, 0, &packet[14..])),
            Encapsulation::Geneve,
            &packet[14..],
            &ethernet_layers[1..],
        );
        let is_plain = |payload: &[u8], remarks: &[&str]| {
            let frame = datagram(6081, payload);
            assert_eq!((inner(&frame).is_none(), events(&decode(&frame))), (true, remarks.to_vec()));
        };
        is_plain(&geneve(0x40, 0x6558, 0, &packet), &[]);
        is_plain(&geneve(0, 0x1234, 0, &packet), &["geneve.unknown_payload_type"]);
        is_plain(&geneve(63, 0x6558, 0, &packet), &[]);
        for length in 0..9 {
            is_plain(&geneve(0, 0x6558, 0, &packet)[..length], &[]);
        }
    }

    #[test]
    fn teredo() {
        let packet = tcp_v6().payload(b"data").to_vec()[14..].to_vec();
        let origin = [0, 0, 1, 2, 3, 4, 5, 6];
        let authentication = [0, 1, 1, 2, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let six = ["ipv6", "tcp"];
        for headers in [&[][..], &origin, &authentication, &[&authentication[..], &origin].concat()] {
            let frame = datagram(3544, &[headers, &packet].concat());
            check(&frame, Encapsulation::Teredo, &packet, &six);
        }
        let reverse = ethernet().ipv4([1; 4], [2; 4]).udp(3544, 9).payload(&packet).to_vec();
        check(&reverse, Encapsulation::Teredo, &packet, &six);
        let is_plain = |payload: &[u8]| {
            let decoded = decode(&datagram(3544, payload));
            assert_eq!((decoded.inner, decoded.events.is_empty()), (None, true), "{payload:02x?}");
            assert!(!decoded.layers.contains(Layer::Teredo));
        };
        for length in 0..packet.len() {
            is_plain(&packet[..length]);
            is_plain(&[&authentication, &packet[..]].concat()[..length]);
        }
        is_plain(&[&packet[..], &[0]].concat());
        // The TCP header within is not one.
        let mut broken = packet.clone();
        broken[40 + 12] = 0;
        is_plain(&broken);
    }

    #[test]
    fn ports_are_as_configured() {
        let packet = udp().payload(b"data").to_vec();
        let frame = datagram(9999, &[&[8, 0, 0, 0, 0, 0, 1, 0], &packet[..]].concat());
        let with = |vxlan: Ports| {
            let decoder = Decoder::new(DecoderConfig { vxlan, ..DecoderConfig::default() });
            decoder.decode(LinkType::Ethernet, None, false, &frame).inner.is_some()
        };
        assert!(with(Ports::new(&[1, 9999]).unwrap()) && with(Ports::ANY));
        assert!(!with(Ports::new(&[4789]).unwrap()) && !with(Ports::NONE));
    }

    #[test]
    fn depth_goes_along() {
        // IPv4 in IPv4 in IPv4, and so on.
        let mut packet = udp().payload(b"data").to_vec()[14..].to_vec();
        for _ in 0..20 {
            packet = crate::PacketBuilder::raw().ipv4([1; 4], [2; 4]).protocol(4).payload(&packet).to_vec();
        }
        let decoder = Decoder::default();
        let mut decoded = decoder.decode(LinkType::Raw, None, false, &packet);
        let mut bytes = &packet[..];
        let mut packets = 1;
        while let Some(inner) = decoded.inner {
            bytes = inner.span.of(bytes);
            decoded = decoder.decode_inner(&decoded, &inner, false, bytes);
            packets += 1;
        }
        assert_eq!((packets, decoded.invalid), (18, Some(DecodeEvent::TooManyLayers)));
        assert_eq!(layers(&decoded), ["too_many_layers"]);
    }
}
