//! GRE, version 0 (RFC 2784, RFC 2890, RFC 1701) and version 1 (RFC 2637), and ERSPAN on it.

use super::cursor::Cursor;
use super::link::{ARP, IPV4, IPV6, MPLS, MPLS_MULTICAST, VLAN, VLAN_8021AD, VLAN_QINQ};
use super::{Job, Step};
use crate::decoded::{DecodeEvent, Encapsulation, Inner, InnerStart, Layer};
use crate::link::LinkType;

const CHECKSUM: u8 = 0x80;
const ROUTING: u8 = 0x40;
const KEY: u8 = 0x20;
const SEQUENCE: u8 = 0x10;
const STRICT_ROUTE: u8 = 0x08;
const RECURSION: u8 = 0x07;
/// In the second byte.
const FLAGS: u8 = 0xf8;
const VERSION: u8 = 0x07;
/// Version 1, in the second byte: an acknowledgement number is there.
const ACKNOWLEDGEMENT: u8 = 0x80;

const PPP: u16 = 0x880b;
/// Transparent Ethernet bridging.
const BRIDGED: u16 = 0x6558;
const ERSPAN: u16 = 0x88be;
const NSH: u16 = 0x894f;

impl Job<'_> {
    pub(super) fn gre(&mut self, packet: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Gre);
        let Some((&[first, second, p0, p1], rest)) = packet.take::<4>() else {
            return Err(DecodeEvent::GreTooSmall);
        };
        let protocol = u16::from_be_bytes([p0, p1]);
        match second & VERSION {
            0 => self.gre_version_0(first, second, protocol, rest),
            1 => self.gre_version_1(first, second, protocol, rest),
            _ => Err(DecodeEvent::GreWrongVersion),
        }
    }

    fn gre_version_0(&mut self, first: u8, second: u8, protocol: u16, rest: Cursor<'_>) -> Step {
        // Bits of RFC 1701 that receivers ignore (RFC 2784 section 2.3): remarked and looked past, for
        // otherwise they would hide what is inside.
        if first & RECURSION != 0 {
            self.note(DecodeEvent::GreVersion0Recursion);
        }
        if second & FLAGS != 0 {
            self.note(DecodeEvent::GreVersion0Flags);
        }
        let checksum = usize::from(first & (CHECKSUM | ROUTING) != 0) * 4;
        let options = checksum + (first & (KEY | SEQUENCE)).count_ones() as usize * 4;
        let Some((_, mut rest)) = rest.split(options) else {
            return Err(DecodeEvent::GreVersion0HeaderTooBig);
        };
        if first & ROUTING != 0 {
            rest = after_routes(rest)?;
        }
        if rest.len() == 0 {
            return Ok(());
        }
        match protocol {
            BRIDGED => self.carries_gre(InnerStart::Link(LinkType::Ethernet), None, rest),
            PPP => self.carries_gre(InnerStart::Link(LinkType::Ppp), None, rest),
            ERSPAN => return self.erspan(first & SEQUENCE != 0, rest),
            IPV4 | IPV6 | ARP | VLAN | VLAN_8021AD | VLAN_QINQ | MPLS | MPLS_MULTICAST | NSH => {
                self.carries_gre(InnerStart::Ethertype(protocol), None, rest);
            }
            _ => {}
        }
        Ok(())
    }

    /// The enhanced header of PPTP, which carries PPP and nothing else.
    fn gre_version_1(&mut self, first: u8, second: u8, protocol: u16, rest: Cursor<'_>) -> Step {
        if first & CHECKSUM != 0 {
            return Err(DecodeEvent::GreVersion1Checksum);
        }
        if first & ROUTING != 0 {
            return Err(DecodeEvent::GreVersion1Routing);
        }
        if first & STRICT_ROUTE != 0 {
            return Err(DecodeEvent::GreVersion1StrictRoute);
        }
        if first & RECURSION != 0 {
            self.note(DecodeEvent::GreVersion1Recursion);
        }
        if second & FLAGS & !ACKNOWLEDGEMENT != 0 {
            self.note(DecodeEvent::GreVersion1Flags);
        }
        if protocol != PPP {
            return Err(DecodeEvent::GreVersion1WrongProtocol);
        }
        if first & KEY == 0 {
            return Err(DecodeEvent::GreVersion1NoKey);
        }
        // The key holds the length of the payload and the number of the call.
        let Some((&[l0, l1, _, _], rest)) = rest.take::<4>() else {
            return Err(DecodeEvent::GreVersion1HeaderTooBig);
        };
        let optional = usize::from(first & SEQUENCE != 0) + usize::from(second & ACKNOWLEDGEMENT != 0);
        let Some((_, rest)) = rest.split(optional * 4) else {
            return Err(DecodeEvent::GreVersion1HeaderTooBig);
        };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let rest = rest.split(length).map_or(rest, |(frame, _)| frame);
        // Without a sequence number it acknowledges only.
        if first & SEQUENCE != 0 && rest.len() != 0 {
            self.carries_gre(InnerStart::Link(LinkType::Ppp), None, rest);
        }
        Ok(())
    }

    /// A mirrored frame: with a header of its own (second type), told by the sequence number that
    /// GRE then has, or without (first type).
    fn erspan(&mut self, sequence: bool, rest: Cursor<'_>) -> Step {
        let ethernet = InnerStart::Link(LinkType::Ethernet);
        if !sequence {
            if self.decoder.config.erspan_type1 {
                self.out.layers.insert(Layer::Erspan);
                self.carries_gre(ethernet, None, rest);
            }
            return Ok(());
        }
        self.out.layers.insert(Layer::Erspan);
        let Some((header, frame)) = rest.take::<8>() else { return Err(DecodeEvent::ErspanHeaderTooSmall) };
        let &[v0, v1, ..] = header;
        if v0 >> 4 != 1 {
            return Err(DecodeEvent::ErspanUnsupportedVersion);
        }
        let vlan = u16::from_be_bytes([v0, v1]) & 0x0fff;
        self.carries_gre(ethernet, Some(vlan).filter(|id| *id != 0), frame);
        Ok(())
    }

    fn carries_gre(&mut self, start: InnerStart, vlan: Option<u16>, rest: Cursor<'_>) {
        let encapsulation = Encapsulation::Gre;
        self.out.inner = Some(Inner { encapsulation, start, vlan, span: rest.span() });
    }
}

/// Over the source routes of RFC 1701: family, offset, length, addresses; the last is empty.
fn after_routes(mut rest: Cursor<'_>) -> Result<Cursor<'_>, DecodeEvent> {
    loop {
        let Some((&[f0, f1, _, length], entry)) = rest.take::<4>() else {
            return Err(DecodeEvent::GreVersion0MalformedRoute);
        };
        let Some((_, after)) = entry.split(usize::from(length)) else {
            return Err(DecodeEvent::GreVersion0MalformedRoute);
        };
        if [f0, f1, length] == [0, 0, 0] {
            return Ok(after);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ethernet, events};
    use super::*;
    use crate::config::DecoderConfig;
    use crate::decode::Decoder;
    use crate::decoded::Decoded;

    fn decode(header: &[u8], body: &[u8]) -> (Decoded, Vec<u8>) {
        let payload = [header, body].concat();
        let frame = ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).protocol(47).payload(&payload).to_vec();
        let decoder = Decoder::new(DecoderConfig { erspan_type1: true, ..DecoderConfig::default() });
        (decoder.decode(LinkType::Ethernet, None, false, &frame), frame)
    }

    #[test]
    fn what_is_carried() {
        let check = |header: &[u8], start: Option<InnerStart>, vlan: Option<u16>, remarks: &[&str]| {
            let (decoded, frame) = decode(header, b"body");
            assert_eq!((decoded.invalid, events(&decoded)), (None, remarks.to_vec()), "{header:02x?}");
            assert!(decoded.layers.contains(Layer::Gre));
            let found = decoded.inner.map(|inner| (inner.start, inner.vlan));
            assert_eq!(found, start.map(|start| (start, vlan)), "{header:02x?}");
            if let Some(inner) = decoded.inner {
                assert_eq!(inner.span.of(&frame), b"body", "{header:02x?}");
                assert_eq!(inner.encapsulation, Encapsulation::Gre);
            }
        };
        let v4 = Some(InnerStart::Ethertype(0x0800));
        let ethernet = Some(InnerStart::Link(LinkType::Ethernet));
        let ppp = Some(InnerStart::Link(LinkType::Ppp));
        check(&[0, 0, 8, 0], v4, None, &[]);
        check(&[0, 0, 0x86, 0xdd], Some(InnerStart::Ethertype(0x86dd)), None, &[]);
        check(&[0x80, 0, 8, 0, 1, 2, 0, 0], v4, None, &[]);
        check(&[0x20, 0, 8, 0, 1, 2, 3, 4], v4, None, &[]);
        check(&[0xb0, 0, 8, 0, 1, 2, 0, 0, 1, 2, 3, 4, 1, 2, 3, 4], v4, None, &[]);
        check(&[0x40, 0, 8, 0, 1, 2, 0, 0, 8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0], v4, None, &[]);
        check(&[0x07, 0, 8, 0], v4, None, &["gre.version0_recur"]);
        check(&[0, 0x08, 8, 0], v4, None, &["gre.version0_flags"]);
        check(&[0, 0, 0x65, 0x58], ethernet, None, &[]);
        check(&[0, 0, 0x88, 0x0b], ppp, None, &[]);
        check(&[0, 0, 0x12, 0x34], None, None, &[]);
        check(&[0, 0, 0x88, 0xbe], ethernet, None, &[]);
        check(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 9, 0x13, 0xf3, 0, 1, 0, 0, 0, 0], ethernet, Some(0x3f3), &[]);
        check(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 9, 0x10, 0, 0, 1, 0, 0, 0, 0], ethernet, None, &[]);
        check(&[0x30, 1, 0x88, 0x0b, 0, 4, 0, 7, 0, 0, 0, 9], ppp, None, &[]);
        check(&[0x30, 0x81, 0x88, 0x0b, 0, 4, 0, 7, 0, 0, 0, 9, 0, 0, 0, 8], ppp, None, &[]);
        check(&[0x20, 1, 0x88, 0x0b, 0, 0, 0, 7], None, None, &[]);
        check(&[0x31, 1, 0x88, 0x0b, 0, 4, 0, 7, 0, 0, 0, 9], ppp, None, &["gre.version1_recur"]);
        check(&[0x30, 9, 0x88, 0x0b, 0, 4, 0, 7, 0, 0, 0, 9], ppp, None, &["gre.version1_flags"]);
    }

    #[test]
    fn headers_gone_wrong() {
        let check = |header: &[u8], event: DecodeEvent| {
            let (decoded, _) = decode(header, &[]);
            assert_eq!((decoded.invalid, decoded.inner), (Some(event), None), "{header:02x?}");
        };
        check(&[0, 2, 8, 0], DecodeEvent::GreWrongVersion);
        check(&[0, 7, 8, 0], DecodeEvent::GreWrongVersion);
        check(&[0x40, 0, 8, 0, 0, 0, 0, 0, 8, 0, 0, 4, 1, 2, 3], DecodeEvent::GreVersion0MalformedRoute);
        check(&[0x40, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0], DecodeEvent::GreVersion0MalformedRoute);
        check(&[0xb0, 1, 0x88, 0x0b], DecodeEvent::GreVersion1Checksum);
        check(&[0x70, 1, 0x88, 0x0b], DecodeEvent::GreVersion1Routing);
        check(&[0x38, 1, 0x88, 0x0b], DecodeEvent::GreVersion1StrictRoute);
        check(&[0x30, 1, 8, 0], DecodeEvent::GreVersion1WrongProtocol);
        check(&[0x10, 1, 0x88, 0x0b], DecodeEvent::GreVersion1NoKey);
        check(
            &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 9, 0x20, 0, 0, 1, 0, 0, 0, 0],
            DecodeEvent::ErspanUnsupportedVersion,
        );
    }

    #[test]
    fn cut_headers() {
        let check = |header: &[u8], events: &[(usize, DecodeEvent)]| {
            for length in 0..header.len() {
                let (decoded, _) = decode(&header[..length], &[]);
                let expected = events.iter().find(|(below, _)| length < *below).map(|(_, event)| *event);
                assert_eq!(decoded.invalid, expected, "{length} of {header:02x?}");
            }
        };
        let small = (4, DecodeEvent::GreTooSmall);
        let full = [0xb0, 0, 8, 0, 1, 2, 0, 0, 1, 2, 3, 4, 1, 2, 3, 4];
        check(&full, &[small, (16, DecodeEvent::GreVersion0HeaderTooBig)]);
        let pptp = [0x30, 0x81, 0x88, 0x0b, 0, 4, 0, 7, 0, 0, 0, 9, 0, 0, 0, 8];
        check(&pptp, &[small, (16, DecodeEvent::GreVersion1HeaderTooBig)]);
        let erspan = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 9, 0x13, 0xf3, 0, 1, 0, 0, 0, 0];
        let too_big = (8, DecodeEvent::GreVersion0HeaderTooBig);
        for length in 0..erspan.len() {
            let (decoded, _) = decode(&erspan[..length], &[]);
            let expected = match length {
                0..4 => Some(small.1),
                4..8 => Some(too_big.1),
                // Nothing at all is mirrored.
                8 => None,
                _ => Some(DecodeEvent::ErspanHeaderTooSmall),
            };
            assert_eq!(decoded.invalid, expected, "{length}");
        }
    }
}
