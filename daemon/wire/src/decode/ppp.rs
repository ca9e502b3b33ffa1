//! PPP (RFC 1661), alone and over Ethernet (RFC 2516).

use super::cursor::Cursor;
use super::link::{IPV4, IPV6, MPLS, MPLS_MULTICAST};
use super::{Job, Step};
use crate::decoded::{DecodeEvent, Layer};

impl Job<'_> {
    /// PPP in HDLC-like framing (RFC 1662), address and control optional.
    #[inline(never)]
    pub(super) fn ppp(&mut self, frame: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Ppp);
        let frame = match frame.take::<2>() {
            Some(([0xff, 0x03], rest)) => rest,
            _ => frame,
        };
        self.ppp_protocol(frame, DecodeEvent::PppTooSmall)
    }

    /// The protocol field, in one byte where it was compressed (RFC 1661 section 6.5), and what it
    /// announces; `short` is said of a frame that ends within the field.
    fn ppp_protocol(&mut self, frame: Cursor<'_>, short: DecodeEvent) -> Step {
        let Some((&[first], rest)) = frame.take::<1>() else { return Err(short) };
        let (protocol, rest) = if first & 1 == 1 {
            (u16::from(first), rest)
        } else {
            let Some((&[second], rest)) = rest.take::<1>() else { return Err(short) };
            (u16::from_be_bytes([first, second]), rest)
        };
        match protocol {
            0x0021 if rest.len() < 20 => Err(DecodeEvent::PppIpv4TooSmall),
            0x0021 => self.network(IPV4, rest),
            0x0057 if rest.len() < 40 => Err(DecodeEvent::PppIpv6TooSmall),
            0x0057 => self.network(IPV6, rest),
            // An IP packet whose protocol is the number of a connection (RFC 1144 section 3.2.2).
            0x002f if rest.len() < 20 => Err(DecodeEvent::PppVjTooSmall),
            0x002f => self.network(IPV4, rest),
            0x0281 => self.network(MPLS, rest),
            0x0283 => self.network(MPLS_MULTICAST, rest),
            // RFC 1661 section 2: the low byte of a protocol number is odd, and those from 8000 on
            // control the link and the network layers.
            control if control & 0x8001 == 0x8001 => Ok(()),
            valid if valid & 1 == 1 => {
                self.note(DecodeEvent::PppUnsupportedProtocol);
                Ok(())
            }
            _ => Err(DecodeEvent::PppWrongType),
        }
    }

    /// Between host and access concentrator, before there is a session.
    pub(super) fn pppoe_discovery(&mut self, packet: Cursor<'_>) -> Step {
        self.descend()?;
        self.out.layers.insert(Layer::Pppoe);
        let Some((header, rest)) = packet.take::<6>() else { return Err(DecodeEvent::PppoeTooSmall) };
        let &[_, code, _, _, l0, l1] = header;
        // Initiation, offer, request, confirmation, termination.
        if !matches!(code, 0x09 | 0x07 | 0x19 | 0x65 | 0xa7) {
            return Err(DecodeEvent::PppoeWrongCode);
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some((mut tags, _)) = rest.split(length) else { return Err(DecodeEvent::PppoeMalformedTags) };
        while tags.len() != 0 {
            let Some((&[_, _, l0, l1], rest)) = tags.take::<4>() else {
                return Err(DecodeEvent::PppoeMalformedTags);
            };
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let Some((_, rest)) = rest.split(length) else { return Err(DecodeEvent::PppoeMalformedTags) };
            tags = rest;
        }
        Ok(())
    }

    pub(super) fn pppoe_session(&mut self, packet: Cursor<'_>) -> Step {
        self.descend()?;
        self.out.layers.insert(Layer::Pppoe);
        let Some((header, rest)) = packet.take::<6>() else { return Err(DecodeEvent::PppoeTooSmall) };
        let &[_, code, _, _, l0, l1] = header;
        if code != 0 {
            return Err(DecodeEvent::PppoeWrongCode);
        }
        // Padding follows what is shorter than a frame may be; what is cut shows further down.
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let rest = rest.split(length).map_or(rest, |(frame, _)| frame);
        self.ppp_protocol(rest, DecodeEvent::PppoeTooSmall)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, ethernet, events, layers};
    use crate::builder::PacketBuilder;
    use crate::decoded::DecodeEvent;

    fn session(code: u8, length: usize, ppp: &[u8]) -> Vec<u8> {
        let length = u16::try_from(length).unwrap().to_be_bytes();
        let payload = [&[0x11, code, 0, 7], &length[..], ppp].concat();
        ethernet().ethertype(0x8864).payload(&payload).to_vec()
    }

    #[test]
    fn sessions() {
        let v4 = PacketBuilder::raw().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2).payload(b"data").to_vec();
        let v6 = PacketBuilder::raw().ipv6([1; 16], [2; 16]).udp(1, 2).payload(b"data").to_vec();
        for (protocol, packet, name) in [(&[0x00, 0x21][..], &v4, "ipv4"), (&[0x57], &v6, "ipv6")] {
            let ppp = [protocol, packet].concat();
            let frame = session(0, ppp.len(), &[&ppp[..], &[0; 9]].concat());
            let decoded = decode(&frame);
            assert_eq!((decoded.invalid, decoded.destination_port), (None, 2));
            assert_eq!(layers(&decoded), ["ethernet", name, "udp", "pppoe"]);
            assert_eq!(decoded.payload.of(&frame), b"data");
        }
    }

    #[test]
    fn sessions_gone_wrong() {
        let check = |frame: &[u8], invalid: Option<DecodeEvent>, expected: &[&str]| {
            let decoded = decode(frame);
            assert_eq!((decoded.invalid, events(&decoded)), (invalid, expected.to_vec()), "{frame:02x?}");
        };
        let wrong = |event: DecodeEvent| (Some(event), event.name());
        let good = session(0, 3, &[0xc0, 0x21, 1]);
        check(&good, None, &[]);
        check(&session(0, 4, &[0x80, 0x57, 1, 1]), None, &[]);
        check(&session(0, 4, &[0x00, 0x2b, 1, 1]), None, &["ppp.unsup_proto"]);
        for length in 14..21 {
            let (invalid, name) = wrong(DecodeEvent::PppoeTooSmall);
            check(&good[..length], invalid, &[name]);
        }
        for (frame, event) in [
            (session(9, 3, &[0xc0, 0x21, 1]), DecodeEvent::PppoeWrongCode),
            (session(0, 0, &[0xc0, 0x21, 1]), DecodeEvent::PppoeTooSmall),
            (session(0, 21, &[[0x21].as_slice(), &[0x45; 19]].concat()), DecodeEvent::PppIpv4TooSmall),
            (session(0, 40, &[[0x57].as_slice(), &[0x60; 39]].concat()), DecodeEvent::PppIpv6TooSmall),
            (session(0, 20, &[[0x2f].as_slice(), &[0x45; 19]].concat()), DecodeEvent::PppVjTooSmall),
            (session(0, 3, &[0x00, 0x22, 1]), DecodeEvent::PppWrongType),
        ] {
            let (invalid, name) = wrong(event);
            check(&frame, invalid, &[name]);
        }
    }

    #[test]
    fn discovery() {
        let check = |code: u8, length: u16, tags: &[u8], invalid: Option<DecodeEvent>| {
            let payload = [&[0x11, code, 0, 0], &length.to_be_bytes()[..], tags].concat();
            let decoded = decode(&ethernet().ethertype(0x8863).payload(&payload).to_vec());
            assert_eq!((decoded.invalid, decoded.ethertype), (invalid, 0x8863), "{code} {length} {tags:?}");
            assert_eq!(layers(&decoded), ["ethernet", "pppoe"]);
        };
        let malformed = Some(DecodeEvent::PppoeMalformedTags);
        for code in [0x09, 0x07, 0x19, 0x65, 0xa7] {
            check(code, 8, &[1, 1, 0, 0, 1, 3, 0, 0, 0, 0], None);
        }
        check(0x08, 0, &[], Some(DecodeEvent::PppoeWrongCode));
        check(0x09, 0, &[], None);
        check(0x09, 9, &[1, 1, 0, 0, 1, 3, 0, 0], malformed);
        check(0x09, 7, &[1, 1, 0, 0, 1, 3, 0], malformed);
        check(0x09, 6, &[1, 1, 0, 3, 1, 3], malformed);
        check(0x09, 7, &[1, 1, 0, 3, 1, 3, 9], None);
        for length in 14..20 {
            let frame = ethernet().ethertype(0x8863).payload(&[0x11, 9, 0, 0, 0, 0]).to_vec();
            assert_eq!(decode(&frame[..length]).invalid, Some(DecodeEvent::PppoeTooSmall));
        }
    }
}
