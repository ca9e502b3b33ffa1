//! Link headers and VLAN tags, down to the network layer.

use super::cursor::Cursor;
use super::{Job, Step};
use crate::decoded::{DecodeEvent, Layer, VLAN_LAYERS};
use crate::link::LinkType;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const VLAN_8021AD: u16 = 0x88a8;
const VLAN_QINQ: u16 = 0x9100;
/// Cisco's data centre Ethernet (FabricPath): a tag of two bytes, then a frame.
const DCE: u16 = 0x8903;
/// Below this the type field of Ethernet is a length (IEEE 802.3 clause 3.2.6).
const FIRST_ETHERTYPE: u16 = 0x0600;

impl Job<'_> {
    #[inline]
    pub(super) fn link_layer(&mut self, link: LinkType, frame: Cursor<'_>) -> Step {
        match link {
            LinkType::Ethernet => self.ethernet(frame),
            LinkType::Raw | LinkType::Ipv4 | LinkType::Ipv6 => self.raw(frame),
            LinkType::Null => self.null(frame),
            LinkType::Ppp => self.ppp(frame),
            LinkType::LinuxSll => self.sll(frame),
            LinkType::LinuxSll2 => self.sll2(frame),
            LinkType::CiscoHdlc => self.chdlc(frame),
            LinkType::Other(_) => Err(DecodeEvent::UnknownLinkType),
        }
    }

    /// Remembers a tag, of which there are fewer than [`VLAN_LAYERS`] yet.
    pub(super) fn vlan_tag(&mut self, tci: u16) {
        let layer = match self.out.vlans.as_slice().len() {
            0 => Layer::Vlan,
            1 => Layer::VlanQinq,
            _ => Layer::VlanQinqinq,
        };
        self.out.layers.insert(layer);
        self.out.vlans.push(tci);
    }

    #[inline(always)]
    fn ethernet(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Ethernet);
        let Some((header, rest)) = frame.take::<14>() else { return Err(DecodeEvent::EthernetTooSmall) };
        // By far the most frequent of all ways through the decoder: kept free of calls.
        if let [.., 0x08, 0x00] = header {
            self.out.ethertype = IPV4;
            return self.ipv4(rest);
        }
        self.network(u16::from_be_bytes([header[12], header[13]]), rest)
    }

    /// What an EtherType announces, VLAN tags first.
    #[inline(never)]
    fn network(&mut self, ethertype: u16, rest: Cursor<'_>) -> Step {
        match ethertype {
            IPV4 => {
                self.out.ethertype = IPV4;
                self.ipv4(rest)
            }
            IPV6 => {
                self.out.ethertype = IPV6;
                self.ipv6(rest)
            }
            VLAN | VLAN_8021AD | VLAN_QINQ => self.vlan(ethertype, rest),
            DCE => self.dce(rest),
            ARP => {
                self.out.ethertype = ARP;
                self.out.layers.insert(Layer::Arp);
                Ok(())
            }
            other => {
                self.unknown(other);
                Ok(())
            }
        }
    }

    /// An EtherType (or a length in its place) without a decoder: no IP, and no error.
    #[cold]
    fn unknown(&mut self, ethertype: u16) {
        self.out.ethertype = if ethertype < FIRST_ETHERTYPE { 0 } else { ethertype };
        self.out.layers.insert(Layer::UnknownEthertype);
        self.note(DecodeEvent::EthernetUnknownEthertype);
        if !self.out.vlans.as_slice().is_empty() {
            self.note(DecodeEvent::VlanUnknownType);
        }
    }

    /// The inner frame may have VLAN tags, which are limited, but is not another of these: so nesting is
    /// bounded. Its Ethernet header is not counted again.
    #[cold]
    fn dce(&mut self, frame: Cursor<'_>) -> Step {
        let Some((_tag, frame)) = frame.take::<2>() else { return Err(DecodeEvent::DceTooSmall) };
        let Some((header, rest)) = frame.take::<14>() else { return Err(DecodeEvent::EthernetTooSmall) };
        match u16::from_be_bytes([header[12], header[13]]) {
            DCE => Err(DecodeEvent::TooManyLayers),
            ethertype => self.network(ethertype, rest),
        }
    }

    fn vlan(&mut self, mut ethertype: u16, mut rest: Cursor<'_>) -> Step {
        while let VLAN | VLAN_8021AD | VLAN_QINQ = ethertype {
            if self.out.vlans.as_slice().len() == VLAN_LAYERS {
                // Not invalid in Suricata either: such a frame just has no network layer.
                self.out.ethertype = ethertype;
                self.note(DecodeEvent::VlanTooManyLayers);
                return Ok(());
            }
            let Some((tag, inner)) = rest.take::<4>() else { return Err(DecodeEvent::VlanTooSmall) };
            self.vlan_tag(u16::from_be_bytes([tag[0], tag[1]]));
            ethertype = u16::from_be_bytes([tag[2], tag[3]]);
            rest = inner;
        }
        self.network(ethertype, rest)
    }

    #[inline(never)]
    fn raw(&mut self, packet: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Raw);
        let Some(header) = packet.peek::<20>() else { return Err(DecodeEvent::Ipv4TooSmall) };
        match header[0] >> 4 {
            4 => self.network(IPV4, packet),
            6 => self.network(IPV6, packet),
            _ => {
                self.note(DecodeEvent::RawInvalidVersion);
                Ok(())
            }
        }
    }

    /// Four bytes of address family in the byte order of the capturing host (null) or of the
    /// network (loop); no family is the same in both.
    #[inline(never)]
    fn null(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Null);
        let Some((family, rest)) = frame.take::<4>() else { return Err(DecodeEvent::NullTooSmall) };
        let little = u32::from_le_bytes(*family);
        match little.min(little.swap_bytes()) {
            2 => self.network(IPV4, rest),
            // Linux, Windows, NetBSD and OpenBSD, Solaris, FreeBSD, Darwin.
            10 | 23 | 24 | 26 | 28 | 30 => self.network(IPV6, rest),
            _ => {
                self.note(DecodeEvent::NullUnsupportedType);
                Ok(())
            }
        }
    }

    /// PPP in HDLC-like framing (RFC 1662), address and control optional, and the protocol in
    /// one byte where it was compressed (RFC 1661 section 6.5).
    #[inline(never)]
    fn ppp(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Ppp);
        let frame = match frame.take::<2>() {
            Some(([0xff, 0x03], rest)) => rest,
            _ => frame,
        };
        let Some((&[first], rest)) = frame.take::<1>() else { return Err(DecodeEvent::PppTooSmall) };
        let (protocol, rest) = if first & 1 == 1 {
            (u16::from(first), rest)
        } else {
            let Some((&[second], rest)) = rest.take::<1>() else { return Err(DecodeEvent::PppTooSmall) };
            (u16::from_be_bytes([first, second]), rest)
        };
        match protocol {
            0x0021 => self.network(IPV4, rest),
            0x0057 => self.network(IPV6, rest),
            // RFC 1661 section 2: the low byte of a protocol number is odd.
            valid if valid & 1 == 1 => {
                self.note(DecodeEvent::PppUnsupportedProtocol);
                Ok(())
            }
            _ => Err(DecodeEvent::PppWrongType),
        }
    }

    #[inline(never)]
    fn sll(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Sll);
        let Some((header, rest)) = frame.take::<16>() else { return Err(DecodeEvent::SllTooSmall) };
        self.network(u16::from_be_bytes([header[14], header[15]]), rest)
    }

    #[inline(never)]
    fn sll2(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Sll2);
        let Some((header, rest)) = frame.take::<20>() else { return Err(DecodeEvent::Sll2TooSmall) };
        self.network(u16::from_be_bytes([header[0], header[1]]), rest)
    }

    #[inline(never)]
    fn chdlc(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Chdlc);
        let Some((header, rest)) = frame.take::<4>() else { return Err(DecodeEvent::ChdlcTooSmall) };
        self.network(u16::from_be_bytes([header[2], header[3]]), rest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, ethernet, events, tcp_v6, udp};
    use super::*;
    use crate::builder::PacketBuilder;
    use crate::decode::Decoder;
    use crate::decoded::Decoded;

    fn layers(decoded: &Decoded) -> Vec<&'static str> {
        decoded.layers.iter().map(Layer::name).collect()
    }

    #[test]
    fn runts_are_invalid() {
        for length in 0..14 {
            let decoded = decode(&[0; 14][..length]);
            assert_eq!(decoded.invalid, Some(DecodeEvent::EthernetTooSmall), "{length}");
            assert_eq!(layers(&decoded), ["ethernet"]);
        }
        assert_eq!(decode(&[0; 14]).invalid, None);
    }

    #[test]
    fn ethertypes() {
        let check = |ethertype: u16, expected: u16, expected_layers: &[&str], expected_events: &[&str]| {
            let decoded = decode(&ethernet().ethertype(ethertype).payload(&[0; 46]).to_vec());
            assert_eq!(decoded.invalid, None, "{ethertype:#x}");
            assert_eq!(decoded.ip_version, 0);
            assert_eq!(decoded.ethertype, expected);
            assert_eq!(layers(&decoded), expected_layers, "{ethertype:#x}");
            assert_eq!(events(&decoded), expected_events, "{ethertype:#x}");
        };
        check(0x0806, 0x0806, &["ethernet", "arp"], &[]);
        // LLDP; a length, as of spanning tree; the largest length; the first type.
        let unknown = ["ethernet.unknown_ethertype"];
        check(0x88cc, 0x88cc, &["ethernet", "unknown_ethertype"], &unknown);
        check(38, 0, &["ethernet", "unknown_ethertype"], &unknown);
        check(0x05ff, 0, &["ethernet", "unknown_ethertype"], &unknown);
        check(0x0600, 0x0600, &["ethernet", "unknown_ethertype"], &unknown);
    }

    #[test]
    fn vlan_tags() {
        let check = |tags: &[(u16, u16)], outer: Option<u16>, ids: &[u16], expected: &[&str]| {
            let frame = tags.iter().fold(udp(), |frame, &(tpid, tci)| frame.vlan_tag(tpid, tci));
            let decoded = Decoder::default().decode(LinkType::Ethernet, outer, false, &frame.to_vec());
            assert_eq!(decoded.vlans.as_slice(), ids);
            assert_eq!(layers(&decoded), [&["ethernet"], expected, &["ipv4", "udp"]].concat());
            assert_eq!((decoded.invalid, decoded.destination_port), (None, 53));
            assert!(decoded.events.is_empty());
        };
        check(&[], None, &[], &[]);
        check(&[(0x8100, 0xe007)], None, &[7], &["vlan"]);
        check(&[(0x88a8, 4095), (0x8100, 0)], None, &[4095, 0], &["vlan", "vlan_qinq"]);
        let three = ["vlan", "vlan_qinq", "vlan_qinqinq"];
        check(&[(0x9100, 1), (0x9100, 2), (0x8100, 3)], None, &[1, 2, 3], &three);
        check(&[(0x8100, 2), (0x8100, 3)], Some(0x2001), &[1, 2, 3], &three);
    }

    #[test]
    fn vlan_tags_gone_wrong() {
        let three = || udp().vlan(1).vlan(2).vlan(3);
        let decoded = Decoder::default().decode(LinkType::Ethernet, Some(9), false, &three().to_vec());
        assert_eq!((decoded.invalid, decoded.ip_version, decoded.ethertype), (None, 0, 0x8100));
        assert_eq!(decoded.vlans.as_slice(), [9, 1, 2]);
        assert_eq!(events(&decoded), ["vlan.too_many_layers"]);

        let frame = three().to_vec();
        for length in [14, 17, 18, 21, 25] {
            assert_eq!(decode(&frame[..length]).invalid, Some(DecodeEvent::VlanTooSmall), "{length}");
        }

        let decoded = decode(&ethernet().vlan(5).ethertype(0x88cc).payload(&[0; 40]).to_vec());
        assert_eq!((decoded.invalid, decoded.ethertype), (None, 0x88cc));
        assert_eq!(events(&decoded), ["ethernet.unknown_ethertype", "vlan.unknown_type"]);
    }

    #[test]
    fn data_centre_ethernet() {
        let inner = tcp_v6().payload(b"data").to_vec();
        let outer = |inner: &[u8]| ethernet().ethertype(DCE).payload(&[&[0, 0x20], inner].concat()).to_vec();
        let frame = outer(&inner);
        let decoded = decode(&frame);
        assert_eq!((decoded.invalid, decoded.ethertype), (None, IPV6));
        assert_eq!(layers(&decoded), ["ethernet", "ipv6", "tcp"]);
        assert_eq!(decoded.payload.of(&frame), b"data");
        assert_eq!(decode(&outer(&frame)).invalid, Some(DecodeEvent::TooManyLayers));
        assert_eq!(decode(&frame[..15]).invalid, Some(DecodeEvent::DceTooSmall));
        assert_eq!(decode(&frame[..29]).invalid, Some(DecodeEvent::EthernetTooSmall));
    }

    #[test]
    fn other_links() {
        let v4 = PacketBuilder::raw().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2).to_vec();
        let v6 = PacketBuilder::raw().ipv6([1; 16], [2; 16]).udp(1, 2).to_vec();
        let check = |link: LinkType, layer: Layer, header: &[u8], version: u8| {
            let packet = if version == 4 { &v4 } else { &v6 };
            let frame = [header, packet].concat();
            let decoded = Decoder::default().decode(link, None, false, &frame);
            assert_eq!((decoded.invalid, decoded.ip_version), (None, version), "{link:?} {header:?}");
            assert_eq!((decoded.source_port, decoded.destination_port), (1, 2));
            assert!(decoded.layers.contains(layer) && !decoded.layers.contains(Layer::Ethernet));
            assert_eq!(decoded.link, link);
        };
        check(LinkType::Raw, Layer::Raw, &[], 4);
        check(LinkType::Raw, Layer::Raw, &[], 6);
        check(LinkType::Ipv4, Layer::Raw, &[], 4);
        check(LinkType::Ipv6, Layer::Raw, &[], 6);
        check(LinkType::Null, Layer::Null, &[2, 0, 0, 0], 4);
        check(LinkType::Null, Layer::Null, &[0, 0, 0, 2], 4);
        for family in [10, 23, 24, 26, 28, 30] {
            check(LinkType::Null, Layer::Null, &[family, 0, 0, 0], 6);
            check(LinkType::Null, Layer::Null, &[0, 0, 0, family], 6);
        }
        check(LinkType::Ppp, Layer::Ppp, &[0xff, 0x03, 0x00, 0x21], 4);
        check(LinkType::Ppp, Layer::Ppp, &[0x00, 0x57], 6);
        check(LinkType::Ppp, Layer::Ppp, &[0x21], 4);
        check(LinkType::CiscoHdlc, Layer::Chdlc, &[0x0f, 0, 0x86, 0xdd], 6);
        check(LinkType::LinuxSll, Layer::Sll, &[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0], 4);
        let sll2 = [&[0x86, 0xdd][..], &[0; 18]].concat();
        check(LinkType::LinuxSll2, Layer::Sll2, &sll2, 6);
    }

    #[test]
    fn other_links_gone_wrong() {
        let check = |link: LinkType, frame: &[u8], invalid: bool, event: &str| {
            let decoded = Decoder::default().decode(link, None, false, frame);
            assert_eq!(decoded.invalid.is_some(), invalid, "{link:?} {frame:?}");
            assert_eq!(events(&decoded), [event]);
        };
        check(LinkType::Raw, &[0x45; 19], true, "ipv4.pkt_too_small");
        check(LinkType::Raw, &[0x50; 40], false, "ipraw.invalid_ip_version");
        check(LinkType::Null, &[2, 0, 0], true, "ltnull.pkt_too_small");
        check(LinkType::Null, &[7, 0, 0, 0, 0], false, "ltnull.unsupported_type");
        check(LinkType::Ppp, &[], true, "ppp.pkt_too_small");
        check(LinkType::Ppp, &[0xff, 0x03, 0x00], true, "ppp.pkt_too_small");
        check(LinkType::Ppp, &[0xc0, 0x21, 1, 1], false, "ppp.unsup_proto");
        check(LinkType::Ppp, &[0x00, 0x22, 1, 1], true, "ppp.wrong_type");
        check(LinkType::LinuxSll, &[0; 15], true, "sll.pkt_too_small");
        check(LinkType::LinuxSll2, &[0; 19], true, "sll2.pkt_too_small");
        check(LinkType::CiscoHdlc, &[0; 3], true, "chdlc.pkt_too_small");
        check(LinkType::Other(147), &[0; 64], true, "unknown_link_type");
    }
}
