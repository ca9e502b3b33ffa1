//! IPv4 (RFC 791).

use super::cursor::Cursor;
use super::{Job, Step, options};
use crate::checksum::Sum;
use crate::decoded::{DecodeEvent, Fragment, Layer, mapped};

const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

impl Job<'_> {
    #[inline(always)]
    pub(super) fn ipv4(&mut self, packet: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Ipv4);
        let Some(header) = packet.peek::<20>() else { return Err(DecodeEvent::Ipv4TooSmall) };
        let &[version, tos, l0, l1, id0, id1, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
            header;
        if version >> 4 != 4 {
            return Err(DecodeEvent::Ipv4WrongVersion);
        }
        let header_length = usize::from(version & 0x0f) * 4;
        if header_length < 20 {
            return Err(DecodeEvent::Ipv4HeaderTooSmall);
        }
        let total_length = usize::from(u16::from_be_bytes([l0, l1]));
        if total_length < header_length {
            return Err(DecodeEvent::Ipv4LengthBelowHeader);
        }
        // What the link appended beyond the IP length is not of the packet.
        let Some((whole, _)) = packet.split(total_length) else { return Err(DecodeEvent::Ipv4Truncated) };
        let Some((header, payload)) = whole.split(header_length) else {
            return Err(DecodeEvent::Ipv4LengthBelowHeader);
        };
        let Some((_, options)) = header.take::<20>() else { return Err(DecodeEvent::Ipv4HeaderTooSmall) };

        let out = &mut *self.out;
        out.ip_version = 4;
        out.source = mapped([s0, s1, s2, s3]);
        out.destination = mapped([d0, d1, d2, d3]);
        out.protocol = protocol;
        out.ttl = ttl;
        out.tos = tos;
        out.ip_id = u16::from_be_bytes([id0, id1]);
        out.ip = whole.span();
        out.ip_options = options.span();
        out.ip_payload = payload.span();
        if self.ip_checksum {
            out.bad_checksums.ipv4 = !Sum::default().add(header.rest()).is_valid();
        }
        if options.len() != 0 {
            options::ipv4(options.rest(), &mut self.out.events);
        }
        let fragment = u16::from_be_bytes([f0, f1]);
        if fragment & (MORE_FRAGMENTS | OFFSET) != 0 {
            let fragment = Fragment {
                id: u32::from(self.out.ip_id),
                offset: u32::from(fragment & OFFSET) * 8,
                more: fragment & MORE_FRAGMENTS != 0,
            };
            if fragment.is_beyond_packet(payload.len()) {
                self.note(DecodeEvent::Ipv4FragmentTooLarge);
            }
            self.out.fragment = Some(fragment);
            return Ok(());
        }
        self.transport(protocol, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, events, patched, udp};
    use super::*;
    use crate::decoded::{Span, Transport};

    #[test]
    fn header_faults() {
        let check = |offset: usize, bytes: &[u8], event: DecodeEvent| {
            let decoded = decode(&patched(udp().payload(b"payload"), 14 + offset, bytes));
            assert_eq!(decoded.invalid, Some(event));
            assert_eq!((decoded.ip_version, decoded.transport), (0, Transport::None));
            assert!(decoded.layers.contains(Layer::Ipv4));
        };
        check(0, &[0x65], DecodeEvent::Ipv4WrongVersion);
        check(0, &[0x44], DecodeEvent::Ipv4HeaderTooSmall);
        check(2, &[0, 19], DecodeEvent::Ipv4LengthBelowHeader);
        check(2, &[0, 36], DecodeEvent::Ipv4Truncated);
        // A header of 60 bytes in a packet of 35.
        check(0, &[0x4f], DecodeEvent::Ipv4LengthBelowHeader);
        let decoded = decode(&udp().to_vec()[..14 + 19]);
        assert_eq!(decoded.invalid, Some(DecodeEvent::Ipv4TooSmall));
    }

    #[test]
    fn ethernet_padding_is_not_payload() {
        let frame = udp().payload(b"abc").minimum(60).to_vec();
        let decoded = decode(&frame);
        assert_eq!(frame.len(), 60);
        assert_eq!(decoded.payload.of(&frame), b"abc");
        assert_eq!(decoded.ip, Span { start: 14, end: 14 + 20 + 8 + 3 });
    }

    #[test]
    fn options() {
        let check = |options: &[u8], expected: &[&str]| {
            let options = &[&[1; 4], options].concat()[if options.is_empty() { 4 } else { 0 }..];
            let frame = udp().ip_options(options).payload(b"x").to_vec();
            let decoded = decode(&frame);
            assert_eq!(decoded.invalid, None, "{options:?}: the header says where the packet goes on");
            assert_eq!(events(&decoded), expected);
            assert_eq!(decoded.ip_options.len(), options.len().next_multiple_of(4));
            assert_eq!(decoded.destination_port, 53);
        };
        check(&[], &[]);
        check(&[148, 4, 0, 0], &[]);
        check(&[1, 1, 1, 0], &[]);
        // After the end of options there is no option.
        check(&[0, 7, 99, 1], &[]);
        check(&[1, 1, 1, 7], &["ipv4.opt_eol_required"]);
        check(&[7, 1, 1, 1], &["ipv4.opt_invalid_len"]);
        check(&[7, 0, 1, 1], &["ipv4.opt_invalid_len"]);
        check(&[1, 7, 4, 0], &["ipv4.opt_invalid_len"]);
        check(&[148, 4, 0, 0, 1, 1, 1, 1], &["ipv4.opt_pad_required"]);
    }

    #[test]
    fn fragments() {
        let check = |offset: u16, more: bool, expected: Option<Fragment>| {
            let frame = udp().ip_id(0x1234).fragment(offset, more).payload(b"12345678").to_vec();
            let decoded = decode(&frame);
            assert_eq!((decoded.invalid, decoded.fragment), (None, expected));
            assert_eq!(decoded.protocol, 17);
            assert_eq!(decoded.ip_payload.len(), 16);
            assert_eq!(decoded.transport == Transport::None, expected.is_some());
            assert_eq!(decoded.source_port == 0, expected.is_some());
            assert!(!decoded.bad_checksums.ipv4);
        };
        check(0, true, Some(Fragment { id: 0x1234, offset: 0, more: true }));
        check(8, true, Some(Fragment { id: 0x1234, offset: 8, more: true }));
        check(65_528, false, Some(Fragment { id: 0x1234, offset: 65_528, more: false }));
        check(0, false, None);
        let beyond = decode(&udp().fragment(65_520, false).payload(b"12345678").to_vec());
        assert_eq!(events(&beyond), ["ipv4.frag_pkt_too_large"]);
        let whole = decode(&udp().dont_fragment().to_vec());
        assert_eq!((whole.fragment, whole.source_port), (None, 1000));
    }

    #[test]
    fn icmpv6_is_not_for_ipv4() {
        let decoded = decode(&udp().protocol(58).payload(&[128, 0, 0, 0, 0, 0, 0, 0]).to_vec());
        assert_eq!(decoded.invalid, Some(DecodeEvent::Ipv4Icmpv6));
    }
}
