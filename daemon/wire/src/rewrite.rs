//! Making a packet right again whose payload was changed in place.

use crate::checksum::Sum;
use crate::decoded::{Decoded, Transport};

/// Where a TCP header has its checksum (RFC 9293 §3.1).
const TCP_CHECKSUM: usize = 16;

/// Writes the checksum of the TCP segment that `decoded` found in `frame`, over its bytes as they are now.
/// `false`, with nothing changed, where there is no whole segment.
///
/// A checksum that covers the segment from outside of a tunnel stays right if it was, for segment and
/// pseudo header together always have the same sum (RFC 1071 §2).
pub fn tcp_checksum(frame: &mut [u8], decoded: &Decoded) -> bool {
    if !matches!(decoded.transport, Transport::Tcp(_)) {
        return false;
    }
    let (start, end) = (decoded.ip_payload.start as usize, decoded.ip_payload.end as usize);
    let Some(segment) = frame.get_mut(start..end) else { return false };
    let length = segment.len();
    let Some(field) = segment.get_mut(TCP_CHECKSUM..TCP_CHECKSUM + 2) else { return false };
    field.fill(0);
    let sum =
        Sum::default().add_pseudo_header(&decoded.source, &decoded.destination, decoded.protocol, length);
    let checksum = sum.add(segment).checksum();
    if let Some(field) = segment.get_mut(TCP_CHECKSUM..TCP_CHECKSUM + 2) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DecoderConfig;
    use crate::builder::PacketBuilder;
    use crate::decode::Decoder;
    use crate::link::LinkType;

    fn decode(frame: &[u8]) -> Decoded {
        let mut decoded = Decoded::default();
        let config = DecoderConfig { validate_checksums: true, ..DecoderConfig::default() };
        Decoder::new(config).decode_into(LinkType::Ethernet, None, false, frame, &mut decoded);
        decoded
    }

    #[test]
    fn a_changed_payload_gets_its_checksum() {
        for payload in [&b"odd"[..], b"even", b"", &[0xff; 1460]] {
            let ethernet = || PacketBuilder::ethernet([2; 6], [4; 6]);
            for frame in [
                ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(1, 2).payload(payload).to_vec(),
                ethernet().ipv6([1; 16], [2; 16]).tcp(1, 2).payload(payload).to_vec(),
            ] {
                let mut changed = frame.clone();
                let decoded = decode(&frame);
                for byte in &mut changed[decoded.payload.start as usize..decoded.payload.end as usize] {
                    *byte ^= 0x5a;
                }
                assert_eq!(decode(&changed).bad_checksums.transport, !payload.is_empty());
                assert!(tcp_checksum(&mut changed, &decoded));
                assert!(!decode(&changed).bad_checksums.transport);
            }
        }
    }

    #[test]
    fn what_is_no_segment_stays() {
        let mut frame = PacketBuilder::ethernet([2; 6], [4; 6]).ipv4([1; 4], [2; 4]).udp(1, 2).to_vec();
        let before = frame.clone();
        let decoded = decode(&frame);
        assert!(!tcp_checksum(&mut frame, &decoded));
        assert_eq!(frame, before);
    }
}
