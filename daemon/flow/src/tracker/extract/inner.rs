//! The five-tuple inside tunnels.

use super::{Extracted, FiveTuple, FiveTupleKey, FlowExtractor, PacketView};
use portcullis_wire::{Decoded, Decoder, DecoderConfig, LinkType, Span};

/// Most tunnels in each other that are followed; what is deeper belongs to the flow that far out.
const DEPTH: usize = 4;

const IPV4_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;
const UDP: u8 = 17;
/// IANA's port for VXLAN (RFC 7348).
const VXLAN: u16 = 4789;

/// The five-tuple of the innermost packet: IP in IP (RFC 2003, RFC 4213), GRE (RFC 2784, RFC 2890) and VXLAN are
/// followed as long as what they carry can be decoded. What was decoded before comes first, whatever it had
/// unwrapped. A packet without a tunnel has its own five-tuple. Both directions are one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InnerTuple;

impl FlowExtractor for InnerTuple {
    type Key = FiveTupleKey;

    fn extract(&self, packet: &PacketView<'_>) -> Option<Extracted<FiveTupleKey>> {
        let tuple = FiveTuple::bidirectional();
        let decoder = Decoder::new(DecoderConfig { validate_checksums: tuple.checksums() });
        let mut found = packet.with_decoding(tuple.checksums(), |decoded| *decoded);
        let mut offset = 0;
        for _ in 0..DEPTH {
            let Some((link, span)) = carried(&found, &packet.frame()[offset as usize..]) else { break };
            let start = offset + span.start;
            let inner = Span { start, end: offset + span.end };
            let next = decoder.decode(link, None, true, inner.of(packet.frame()));
            if next.invalid.is_some() || next.ip_version == 0 {
                break;
            }
            (found, offset) = (next, start);
        }
        tuple.of(&found, offset)
    }
}

/// What a tunnel packet carries, and where.
fn carried(decoded: &Decoded, bytes: &[u8]) -> Option<(LinkType, Span)> {
    if decoded.invalid.is_some() || decoded.ip_version == 0 || decoded.fragment.is_some() {
        return None;
    }
    match decoded.protocol {
        IPV4_IN_IP | IPV6_IN_IP => Some((LinkType::Raw, decoded.ip_payload)),
        GRE => {
            let (link, header) = gre(decoded.ip_payload.of(bytes))?;
            Some((link, Span { start: decoded.ip_payload.start + header, ..decoded.ip_payload }))
        }
        UDP if decoded.destination_port == VXLAN => {
            let header = decoded.payload.of(bytes).first_chunk::<8>()?;
            // The flag that says there is a network identifier (RFC 7348 §5).
            (header[0] & 0x08 != 0)
                .then(|| (LinkType::Ethernet, Span { start: decoded.payload.start + 8, ..decoded.payload }))
        }
        _ => None,
    }
}

/// What a GRE packet of version 0 carries, and the length of its header.
fn gre(packet: &[u8]) -> Option<(LinkType, u32)> {
    let [flags, version, high, low] = *packet.first_chunk::<4>()?;
    if version & 7 != 0 {
        return None;
    }
    let link = match u16::from_be_bytes([high, low]) {
        0x0800 | 0x86dd => LinkType::Raw,
        0x6558 => LinkType::Ethernet,
        _ => return None,
    };
    // Checksum, key and sequence number are four bytes each.
    let options = (flags & 0xb0).count_ones();
    Some((link, 4 + 4 * options))
}
