//! Link headers, down to what their types announce.

use super::cursor::Cursor;
use super::{Job, Step};
use crate::decoded::{DecodeEvent, Layer};
use crate::link::LinkType;

pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV6: u16 = 0x86dd;
pub(super) const VLAN: u16 = 0x8100;
pub(super) const VLAN_8021AD: u16 = 0x88a8;
pub(super) const VLAN_QINQ: u16 = 0x9100;
pub(super) const MPLS: u16 = 0x8847;
pub(super) const MPLS_MULTICAST: u16 = 0x8848;
const PPPOE_DISCOVERY: u16 = 0x8863;
const PPPOE_SESSION: u16 = 0x8864;
/// Provider backbone bridging (IEEE 802.1ah).
const IEEE8021AH: u16 = 0x88e7;
/// IEEE 802.1BR.
const ETAG: u16 = 0x893f;
/// Cisco's virtual NIC tag.
const VNTAG: u16 = 0x8926;
const NSH: u16 = 0x894f;
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

    #[inline(always)]
    pub(super) fn ethernet(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Ethernet);
        let Some((header, rest)) = frame.take::<14>() else { return Err(DecodeEvent::EthernetTooSmall) };
        // By far the most frequent of all ways through the decoder: kept free of calls.
        if let [.., 0x08, 0x00] = header {
            self.out.ethertype = IPV4;
            return self.ipv4(rest);
        }
        self.network(u16::from_be_bytes([header[12], header[13]]), rest)
    }

    /// What an EtherType announces.
    #[inline(never)]
    pub(super) fn network(&mut self, ethertype: u16, rest: Cursor<'_>) -> Step {
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
            ARP => {
                self.out.ethertype = ARP;
                self.arp(rest)
            }
            other => self.rarer(other, rest),
        }
    }

    #[cold]
    fn rarer(&mut self, ethertype: u16, rest: Cursor<'_>) -> Step {
        match ethertype {
            MPLS | MPLS_MULTICAST => self.mpls(ethertype, rest),
            PPPOE_DISCOVERY => {
                self.out.ethertype = ethertype;
                self.pppoe_discovery(rest)
            }
            PPPOE_SESSION => self.pppoe_session(rest),
            DCE => self.dce(rest),
            ETAG => self.etag(rest),
            VNTAG => self.vntag(rest),
            IEEE8021AH => self.ieee8021ah(rest),
            NSH => self.nsh(rest),
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
    use super::super::tests::{decode, ethernet, events, layers};
    use super::*;
    use crate::builder::PacketBuilder;
    use crate::decode::Decoder;

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
        // LLDP; a length, as of spanning tree; the largest length; the first type.
        let unknown = ["ethernet.unknown_ethertype"];
        check(0x88cc, 0x88cc, &["ethernet", "unknown_ethertype"], &unknown);
        check(38, 0, &["ethernet", "unknown_ethertype"], &unknown);
        check(0x05ff, 0, &["ethernet", "unknown_ethertype"], &unknown);
        check(0x0600, 0x0600, &["ethernet", "unknown_ethertype"], &unknown);
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
        check(LinkType::Ppp, &[0x00, 0x2b, 1, 1], false, "ppp.unsup_proto");
        check(LinkType::Ppp, &[0x00, 0x22, 1, 1], true, "ppp.wrong_type");
        check(LinkType::LinuxSll, &[0; 15], true, "sll.pkt_too_small");
        check(LinkType::LinuxSll2, &[0; 19], true, "sll2.pkt_too_small");
        check(LinkType::CiscoHdlc, &[0; 3], true, "chdlc.pkt_too_small");
        check(LinkType::Other(147), &[0; 64], true, "unknown_link_type");
    }
}
