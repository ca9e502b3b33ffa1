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
/// Below this the type field of Ethernet is a length (IEEE 802.3 clause 3.2.6).
const FIRST_ETHERTYPE: u16 = 0x0600;

impl Job<'_> {
    #[inline]
    pub(super) fn link_layer(&mut self, link: LinkType, frame: Cursor<'_>) -> Step {
        match link {
            LinkType::Ethernet => self.ethernet(frame),
            LinkType::Raw => self.raw(frame),
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

    #[inline]
    fn ethernet(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Ethernet);
        let Some((header, rest)) = frame.take::<14>() else { return Err(DecodeEvent::EthernetTooSmall) };
        self.network(u16::from_be_bytes([header[12], header[13]]), rest)
    }

    /// What an EtherType announces, VLAN tags first.
    #[inline]
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

    fn sll(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Sll);
        let Some((header, rest)) = frame.take::<16>() else { return Err(DecodeEvent::SllTooSmall) };
        self.network(u16::from_be_bytes([header[14], header[15]]), rest)
    }

    fn sll2(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Sll2);
        let Some((header, rest)) = frame.take::<20>() else { return Err(DecodeEvent::Sll2TooSmall) };
        self.network(u16::from_be_bytes([header[0], header[1]]), rest)
    }

    fn chdlc(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Chdlc);
        let Some((header, rest)) = frame.take::<4>() else { return Err(DecodeEvent::ChdlcTooSmall) };
        self.network(u16::from_be_bytes([header[2], header[3]]), rest)
    }
}
