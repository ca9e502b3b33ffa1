//! The five-tuple inside tunnels.

use super::{Extracted, FiveTuple, FiveTupleKey, FlowExtractor, PacketView};
use portcullis_wire::{Decoder, DecoderConfig, Span};

/// Most tunnels in each other that are followed; what is deeper belongs to the flow that far out.
const DEPTH: usize = 4;

/// The five-tuple of the innermost packet: every tunnel that the decoder knows is followed, as long as
/// what it carries can be decoded. What was decoded before comes first, whatever it had unwrapped. A packet
/// without a tunnel has its own five-tuple. Both directions are one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InnerTuple;

impl FlowExtractor for InnerTuple {
    type Key = FiveTupleKey;

    fn extract(&self, packet: &PacketView<'_>) -> Option<Extracted<FiveTupleKey>> {
        let tuple = FiveTuple::bidirectional();
        let config = DecoderConfig { validate_checksums: tuple.checksums(), ..DecoderConfig::default() };
        let decoder = Decoder::new(config);
        let mut found = packet.with_decoding(tuple.checksums(), |decoded| *decoded);
        let mut bytes = Span { start: 0, end: u32::try_from(packet.frame().len()).unwrap_or(u32::MAX) };
        for _ in 0..DEPTH {
            let Some(inner) = found.inner else { break };
            let within = Span { start: bytes.start + inner.span.start, end: bytes.start + inner.span.end };
            let next = decoder.decode_inner(&found, &inner, true, within.of(packet.frame()));
            if next.invalid.is_some() || next.ip_version == 0 {
                break;
            }
            (found, bytes) = (next, within);
        }
        tuple.of(&found, bytes.start)
    }
}
