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
        if is_extension(next) {
            return self.ipv6_extensions(next, payload);
        }
        self.transport(next, payload)
    }

    #[cold]
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
