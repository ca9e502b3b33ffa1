//! Tags between a link header and what it carries: VLAN, and those that hold a frame of their own.

use super::cursor::Cursor;
use super::link::{VLAN, VLAN_8021AD, VLAN_QINQ};
use super::{Job, Step};
use crate::decoded::{DecodeEvent, Layer, VLAN_LAYERS};

impl Job<'_> {
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

    pub(super) fn vlan(&mut self, mut ethertype: u16, mut rest: Cursor<'_>) -> Step {
        while let VLAN | VLAN_8021AD | VLAN_QINQ = ethertype {
            if self.out.vlans.as_slice().len() == VLAN_LAYERS {
                // Not invalid in Suricata either: such a frame just has no network layer.
                self.out.ethertype = ethertype;
                self.note(DecodeEvent::VlanTooManyLayers);
                return Ok(());
            }
            self.descend()?;
            let Some((tag, inner)) = rest.take::<4>() else { return Err(DecodeEvent::VlanTooSmall) };
            self.vlan_tag(u16::from_be_bytes([tag[0], tag[1]]));
            ethertype = u16::from_be_bytes([tag[2], tag[3]]);
            rest = inner;
        }
        self.network(ethertype, rest)
    }

    /// A tag of two bytes, then a whole frame; its Ethernet header is not counted again.
    pub(super) fn dce(&mut self, frame: Cursor<'_>) -> Step {
        self.descend()?;
        let Some((_tag, frame)) = frame.take::<2>() else { return Err(DecodeEvent::DceTooSmall) };
        let Some((header, rest)) = frame.take::<14>() else { return Err(DecodeEvent::EthernetTooSmall) };
        self.network(u16::from_be_bytes([header[12], header[13]]), rest)
    }

    /// IEEE 802.1BR: six bytes of tag, then the type of what follows.
    pub(super) fn etag(&mut self, rest: Cursor<'_>) -> Step {
        self.descend()?;
        self.out.layers.insert(Layer::Etag);
        let Some((tag, rest)) = rest.take::<8>() else { return Err(DecodeEvent::EtagTooSmall) };
        self.tagged(u16::from_be_bytes([tag[6], tag[7]]), DecodeEvent::EtagUnknownType, rest)
    }

    /// Cisco's VN-Tag: four bytes of tag, then the type of what follows.
    pub(super) fn vntag(&mut self, rest: Cursor<'_>) -> Step {
        self.descend()?;
        self.out.layers.insert(Layer::Vntag);
        let Some((tag, rest)) = rest.take::<6>() else { return Err(DecodeEvent::VntagTooSmall) };
        self.tagged(u16::from_be_bytes([tag[4], tag[5]]), DecodeEvent::VntagUnknownType, rest)
    }

    /// The I-TAG of provider backbone bridging: flags and service, customer addresses, type.
    pub(super) fn ieee8021ah(&mut self, rest: Cursor<'_>) -> Step {
        self.descend()?;
        self.out.layers.insert(Layer::Ieee8021ah);
        let Some((tag, rest)) = rest.take::<18>() else { return Err(DecodeEvent::Ieee8021ahTooSmall) };
        self.network(u16::from_be_bytes([tag[16], tag[17]]), rest)
    }

    /// What a tag announces; remarked where there is no decoder for it.
    fn tagged(&mut self, ethertype: u16, unknown: DecodeEvent, rest: Cursor<'_>) -> Step {
        let before = self.out.layers.contains(Layer::UnknownEthertype);
        let decoded = self.network(ethertype, rest);
        if !before && self.out.layers.contains(Layer::UnknownEthertype) {
            self.note(unknown);
        }
        decoded
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::IPV6;
    use super::super::tests::{decode, ethernet, events, layers, tcp_v6, udp};
    use crate::decode::{Decoder, DecoderConfig};
    use crate::decoded::DecodeEvent;
    use crate::link::LinkType;

    const DCE: u16 = 0x8903;

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
        assert_eq!(decode(&outer(&frame)).ip_version, 6);
        assert_eq!(decode(&frame[..15]).invalid, Some(DecodeEvent::DceTooSmall));
        assert_eq!(decode(&frame[..29]).invalid, Some(DecodeEvent::EthernetTooSmall));
    }

    /// Tags of fixed length, cut at every place within them.
    #[test]
    fn tags_with_a_type_of_their_own() {
        let check = |ethertype: u16, tag: usize, layer: &str, small: DecodeEvent, unknown: &[&str]| {
            let frame = |inner: u16, body: &[u8]| {
                let payload = [&[0x11].repeat(tag - 2), &inner.to_be_bytes()[..], body].concat();
                ethernet().ethertype(ethertype).payload(&payload).to_vec()
            };
            let good = frame(0x0800, &udp().payload(b"data").to_vec()[14..]);
            let decoded = decode(&good);
            assert_eq!((decoded.invalid, decoded.destination_port), (None, 53), "{layer}");
            assert_eq!(layers(&decoded), ["ethernet", "ipv4", "udp", layer]);
            assert_eq!(decoded.payload.of(&good), b"data");
            assert!(decoded.events.is_empty());
            for length in 14..14 + tag {
                assert_eq!(decode(&good[..length]).invalid, Some(small), "{layer} {length}");
            }
            let decoded = decode(&frame(0x88cc, &[0; 40]));
            assert_eq!(decoded.invalid, None);
            assert_eq!(events(&decoded), unknown, "{layer}");
        };
        let unknown = "ethernet.unknown_ethertype";
        check(0x893f, 8, "etag", DecodeEvent::EtagTooSmall, &[unknown, "etag.unknown_type"]);
        check(0x8926, 6, "vntag", DecodeEvent::VntagTooSmall, &[unknown, "vntag.unknown_type"]);
        check(0x88e7, 18, "ieee8021ah", DecodeEvent::Ieee8021ahTooSmall, &[unknown]);
    }

    #[test]
    fn layers_are_bounded() {
        let check = |max_layers: u8, tags: usize, invalid: bool| {
            let mut frame = ethernet().to_vec();
            frame.truncate(12);
            for _ in 0..tags {
                frame.extend([0x89, 0x26, 0, 0, 0, 0]);
            }
            frame.extend(&udp().to_vec()[12..]);
            let decoder = Decoder::new(DecoderConfig { max_layers, ..DecoderConfig::default() });
            let decoded = decoder.decode(LinkType::Ethernet, None, false, &frame);
            let expected = invalid.then_some(DecodeEvent::TooManyLayers);
            assert_eq!(
                (decoded.invalid, usize::from(decoded.depth)),
                (expected, tags.min(max_layers.into()))
            );
            assert_eq!(layers(&decoded).contains(&"too_many_layers"), invalid);
        };
        check(16, 0, false);
        check(16, 16, false);
        check(16, 17, true);
        check(1, 1, false);
        check(1, 2, true);
        check(255, 255, false);
        check(255, 300, true);
    }
}
