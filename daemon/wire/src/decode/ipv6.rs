//! IPv6 (RFC 8200).

use super::cursor::Cursor;
use super::extensions::{Chain, is_extension};
use super::{Job, Step};
use crate::decoded::{DecodeEvent, Layer, Span};

impl Job<'_> {
    #[inline]
    pub(super) fn ipv6(&mut self, packet: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Ipv6);
        let Some((header, rest)) = packet.take::<40>() else { return Err(DecodeEvent::Ipv6TooSmall) };
        let &[v0, v1, v2, v3, l0, l1, next, hop_limit, ref addresses @ ..] = header;
        if v0 >> 4 != 6 {
            return Err(DecodeEvent::Ipv6WrongVersion);
        }
        // A length of zero is taken at its word, as in Suricata: jumbograms are not supported.
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some((payload, _)) = rest.split(length) else { return Err(DecodeEvent::Ipv6Truncated) };
        let Some((whole, _)) = packet.split(40 + length) else { return Err(DecodeEvent::Ipv6Truncated) };
        let (Some(source), Some(destination)) = (addresses.first_chunk::<16>(), addresses.last_chunk::<16>())
        else {
            return Err(DecodeEvent::Ipv6TooSmall);
        };

        let out = &mut *self.out;
        out.ip_version = 6;
        out.source = *source;
        out.destination = *destination;
        out.protocol = next;
        out.ttl = hop_limit;
        out.tos = v0 << 4 | v1 >> 4;
        out.flow_label = u32::from_be_bytes([0, v1 & 0x0f, v2, v3]);
        out.ip = whole.span();
        out.ip_payload = payload.span();
        out.ip_options = Span { end: out.ip_payload.start, ..out.ip_payload };
        self.after_ipv6(next, payload)
    }

    /// What comes after the header, which is described already.
    #[inline]
    pub(super) fn after_ipv6(&mut self, next: u8, payload: Cursor<'_>) -> Step {
        if is_extension(next) {
            return self.ipv6_extensions(next, payload);
        }
        self.transport(next, payload)
    }

    #[inline(never)]
    fn ipv6_extensions(&mut self, next: u8, payload: Cursor<'_>) -> Step {
        let mut chain = Chain::new(next, payload);
        let walked = chain.walk(&mut self.out.events);
        let out = &mut *self.out;
        out.protocol = chain.protocol;
        out.ip_payload = chain.body.span();
        out.ip_options.end = out.ip_payload.start;
        walked?;
        if chain.fragment.is_some() {
            out.fragment = chain.fragment;
            return Ok(());
        }
        if chain.ends_too_early() {
            return Err(DecodeEvent::Ipv6TruncatedExtension);
        }
        // The checksum of a packet on its way through a routing header is made with the address
        // it will have in the end (RFC 8200 section 8.1).
        let on_the_way = out.destination;
        match chain.destination {
            Some(Some(last)) => out.destination = last,
            Some(None) => self.transport_checksum = false,
            None => {}
        }
        let decoded = self.transport(chain.protocol, chain.body);
        self.out.destination = on_the_way;
        decoded
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, ethernet, events, patched, tcp_v6};
    use super::*;
    use crate::builder::PacketBuilder;
    use crate::decoded::{Fragment, Transport};

    /// A header with a router alert, which is as good for destinations to Suricata.
    const PLAIN: &[u8] = &[5, 2, 0, 0, 0, 0];

    #[test]
    fn header_faults() {
        let check = |offset: usize, bytes: &[u8], event: DecodeEvent| {
            let decoded = decode(&patched(tcp_v6(), 14 + offset, bytes));
            assert_eq!((decoded.invalid, decoded.ip_version), (Some(event), 0));
            assert!(decoded.layers.contains(Layer::Ipv6));
        };
        check(0, &[0x45], DecodeEvent::Ipv6WrongVersion);
        check(4, &[0, 21], DecodeEvent::Ipv6Truncated);
        let decoded = decode(&tcp_v6().to_vec()[..14 + 39]);
        assert_eq!(decoded.invalid, Some(DecodeEvent::Ipv6TooSmall));
        let decoded = decode(&patched(tcp_v6(), 14 + 4, &[0, 19]));
        assert_eq!((decoded.invalid, decoded.ip_version), (Some(DecodeEvent::TcpTooSmall), 6));
    }

    #[test]
    fn extension_headers() {
        let check = |chain: &[(u8, &[u8])], length: usize, expected: &[&str]| {
            let frame = chain.iter().fold(tcp_v6(), |frame, &(kind, body)| frame.extension(kind, body));
            let frame = frame.payload(b"data").minimum(120).to_vec();
            let decoded = decode(&frame);
            assert_eq!((decoded.invalid, decoded.protocol), (None, 6), "{chain:?}");
            assert_eq!((decoded.destination_port, decoded.payload.of(&frame)), (80, &b"data"[..]));
            assert_eq!(decoded.ip_options.len(), length);
            assert_eq!(events(&decoded), expected);
            assert!(!decoded.bad_checksums.transport);
        };
        check(&[], 0, &[]);
        check(&[(0, PLAIN)], 8, &[]);
        check(&[(60, &[0; 14])], 16, &["ipv6.dstopts_only_padding"]);
        check(&[(0, PLAIN), (60, PLAIN), (43, &[4, 0, 0, 0, 0, 0]), (60, PLAIN)], 32, &[]);
        check(&[(51, &[0; 14])], 16, &[]);
        check(&[(135, PLAIN), (139, PLAIN), (140, PLAIN)], 24, &[]);
        check(&[(0, PLAIN), (0, PLAIN)], 16, &["ipv6.exthdr_dupl_hh"]);
        check(&[(60, PLAIN), (60, PLAIN), (60, PLAIN)], 24, &["ipv6.exthdr_dupl_dh"]);
        check(&[(51, &[0; 14]), (51, &[0; 14])], 32, &["ipv6.exthdr_dupl_ah"]);
        check(&[(43, &[0; 6]), (43, &[0; 6])], 16, &["ipv6.exthdr_dupl_rh", "ipv6.rh_type_0"]);
    }

    #[test]
    fn ends_of_the_chain() {
        let check = |protocol: u8, payload: &[u8], expected: &[&str]| {
            let frame = ethernet().ipv6([1; 16], [2; 16]).extension(60, PLAIN).protocol(protocol);
            let decoded = decode(&frame.payload(payload).to_vec());
            assert_eq!((decoded.invalid, decoded.protocol), (None, protocol));
            assert_eq!(events(&decoded), expected);
            assert_eq!(decoded.transport, Transport::None);
        };
        check(59, &[], &[]);
        check(59, &[1], &["ipv6.data_after_none_header"]);
        check(50, &[0, 0, 0, 9, 0, 0, 0, 1], &[]);
        check(1, &[8, 0, 0, 0, 0, 0, 0, 0], &["ipv6.icmpv4"]);
        check(200, &[1, 2], &["ipv6.unknown_next_header"]);
        let short = |protocol: u8, length: usize| {
            let frame = ethernet().ipv6([1; 16], [2; 16]).extension(60, PLAIN).protocol(protocol);
            decode(&frame.payload(&[0].repeat(length)).to_vec()).invalid
        };
        let cut = Some(DecodeEvent::Ipv6TruncatedExtension);
        assert_eq!((short(200, 0), short(58, 1)), (cut, cut));
        assert_eq!((short(200, 2), short(59, 1)), (None, None));
    }

    #[test]
    fn truncated_and_endless_chains() {
        let frame = tcp_v6().extension(60, PLAIN).payload(&[0; 8]).to_vec();
        // The extension claims 2048 bytes.
        let mut long = frame.clone();
        long[14 + 40 + 1] = 255;
        assert_eq!(decode(&long).invalid, Some(DecodeEvent::Ipv6TruncatedExtension));
        // The packet ends within the two bytes that every extension has.
        for length in [0, 1, 7] {
            let mut short = frame.clone();
            short[14 + 5] = length;
            assert_eq!(decode(&short).invalid, Some(DecodeEvent::Ipv6TruncatedExtension), "{length}");
        }
        let chain = |count: usize| {
            let headers = [60, 0, 1, 4, 0, 0, 0, 0].repeat(count - 1);
            let last = [59, 0, 1, 4, 0, 0, 0, 0];
            let frame = ethernet().ipv6([1; 16], [2; 16]).protocol(60);
            decode(&frame.payload(&[&headers[..], &last].concat()).to_vec())
        };
        assert_eq!((chain(16).invalid, chain(16).protocol), (None, 59));
        assert_eq!(chain(17).invalid, Some(DecodeEvent::TooManyLayers));
    }

    #[test]
    fn fragments() {
        let v6 = || ethernet().ipv6([1; 16], [2; 16]).ip_id(0x1234_5678).udp(5, 6);
        let check = |frame: PacketBuilder<'_>, expected: Option<Fragment>, remarks: &[&str]| {
            let decoded = decode(&frame.to_vec());
            assert_eq!((decoded.invalid, decoded.fragment), (None, expected));
            assert_eq!(events(&decoded), remarks);
            assert_eq!(decoded.protocol, 17);
            assert_eq!(decoded.source_port, if expected.is_some() { 0 } else { 5 });
            assert_eq!(decoded.ip_payload.len(), 8 + 8);
        };
        let some = |offset, more| Some(Fragment { id: 0x1234_5678, offset, more });
        let data = b"12345678";
        check(v6().payload(data).fragment(0, true), some(0, true), &[]);
        check(v6().payload(data).fragment(1456, false), some(1456, false), &[]);
        check(v6().payload(data).extension(0, PLAIN).fragment(8, true), some(8, true), &[]);
        // Atomic: a whole packet.
        check(v6().payload(data).fragment(0, false), None, &["ipv6.exthdr_useless_fh"]);
        let uneven = decode(&v6().payload(b"123").fragment(0, true).to_vec());
        assert_eq!(events(&uneven), ["ipv6.frag_invalid_length"]);
        // Fragments end at 65,535 at most.
        check(v6().payload(data).fragment(65_512, true), some(65_512, true), &[]);
        let beyond = v6().payload(data).fragment(65_520, false);
        check(beyond, some(65_520, false), &["ipv6.frag_pkt_too_large"]);
        let reserved = decode(&patched(v6().fragment(8, false), 14 + 40 + 1, &[1]));
        assert_eq!(events(&reserved), ["ipv6.fh_non_zero_reserved_field"]);
        // An atomic header does not hide the one of a fragment after it.
        let header = [44, 0, 0, 0, 0, 0, 0, 1, 17, 0, 0, 9, 0, 0, 0, 2];
        let twice = ethernet().ipv6([1; 16], [2; 16]).protocol(44).payload(&header);
        let decoded = decode(&twice.to_vec());
        assert_eq!(decoded.fragment, Some(Fragment { id: 2, offset: 8, more: true }));
        assert_eq!(events(&decoded), ["ipv6.exthdr_dupl_fh", "ipv6.exthdr_useless_fh"]);
    }

    /// The checksum is made with the last destination, wherever the packet is on its way.
    #[test]
    fn routed_packets() {
        let check = |kind: u8, segments: &[[u8; 16]], bad: bool| {
            let body = [&[kind, 1, 0, 0, 0, 0][..], &segments.concat()].concat();
            let mut frame = ethernet().ipv6([1; 16], [9; 16]).extension(43, &body).tcp(1, 2).to_vec();
            frame[14 + 24..14 + 40].fill(7);
            let decoded = decode(&frame);
            assert_eq!((decoded.invalid, decoded.destination), (None, [7; 16]));
            assert_eq!(decoded.bad_checksums.transport, bad, "{kind} {segments:?}");
        };
        check(0, &[[8; 16], [9; 16]], false);
        check(2, &[[9; 16]], false);
        check(4, &[[9; 16], [8; 16]], false);
        check(4, &[[8; 16], [9; 16]], true);
        // Nobody knows the last destination of this one.
        check(253, &[[8; 16]], false);
    }
}
