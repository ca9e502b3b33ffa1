//! The frames a sender sends: UDP over IPv4, one flow after the other.

use std::net::Ipv4Addr;

use anyhow::{Result, bail};
use portcullis_wire::builder::PacketBuilder;

/// The shortest frame that holds the headers: Ethernet, IPv4, UDP.
pub(crate) const SHORTEST: usize = 14 + 20 + 8;
/// The longest: IPv4 can state a length of 65,535 bytes.
const LONGEST: usize = 14 + 65_535;
/// Flows beyond this would need source and destination ports that do not exist.
pub(crate) const MOST_FLOWS: u32 = 0x4000 * 0xfff0;

/// One frame, to be given the ports of a flow.
#[derive(Clone, Debug)]
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    /// A frame of `size` bytes (without the FCS), payload included, from one host to the other.
    pub(crate) fn new(size: usize, source: ([u8; 6], Ipv4Addr), target: ([u8; 6], Ipv4Addr)) -> Result<Self> {
        let payload = match size.checked_sub(SHORTEST) {
            Some(length) if size <= LONGEST => vec![b'.'; length],
            _ => bail!("a frame has {SHORTEST} to {LONGEST} bytes, not {size}"),
        };
        let frame = PacketBuilder::ethernet(source.0, target.0)
            .ipv4(source.1, target.1)
            .dont_fragment()
            .udp(0, 0)
            // No checksum (RFC 768), so that the ports can change under way.
            .no_udp_checksum()
            .payload(&payload);
        Ok(Self(frame.to_vec()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The frame with the ports of flow number `flow`; the same numbering as the BPF sender's.
    pub(crate) fn for_flow(&mut self, flow: u32) -> &[u8] {
        let [_, _, high, low] = (10_000 + (flow & 0x3fff)).to_be_bytes();
        self.0[34..36].copy_from_slice(&[high, low]);
        let [_, _, high, low] = (7 + (flow >> 14)).to_be_bytes();
        self.0[36..38].copy_from_slice(&[high, low]);
        &self.0
    }
}

/// Reads a hardware address like `02:00:00:00:00:01`; for clap.
pub(crate) fn parse_hardware_address(text: &str) -> Result<[u8; 6], String> {
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|part| if part.len() == 2 { u8::from_str_radix(part, 16).ok() } else { None })
        .collect();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| format!("`{text}` is not six pairs of hexadecimal digits with colons between"))
}

#[cfg(test)]
mod tests {
    use portcullis_wire::LinkType;
    use portcullis_wire::decode::Decoder;
    use portcullis_wire::decoded::BadChecksums;

    use super::*;

    fn frame(size: usize) -> Result<Frame> {
        Frame::new(
            size,
            ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 77, 0, 1)),
            ([2, 0, 0, 0, 0, 2], Ipv4Addr::new(10, 77, 0, 2)),
        )
    }

    #[test]
    fn frames_have_the_size_asked_for_and_decode() {
        for size in [SHORTEST, 60, 1514, LONGEST] {
            let frame = frame(size).unwrap();
            assert_eq!(frame.bytes().len(), size);
            let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, frame.bytes());
            assert_eq!(decoded.invalid, None, "{size}");
            assert_eq!(decoded.bad_checksums, BadChecksums::default(), "{size}");
            assert_eq!(decoded.payload.of(frame.bytes()).len(), size - SHORTEST);
        }
    }

    #[test]
    fn sizes_that_hold_no_datagram_are_refused() {
        for size in [0, SHORTEST - 1, LONGEST + 1, usize::MAX] {
            assert!(frame(size).is_err(), "{size}");
        }
    }

    #[test]
    fn flows_have_ports_of_their_own() {
        let mut frame = frame(60).unwrap();
        let mut ports = |flow| frame.for_flow(flow)[34..38].to_vec();
        assert_eq!(ports(0), [0x27, 0x10, 0, 7]);
        assert_eq!(ports(0x3fff), [0x67, 0x0f, 0, 7]);
        assert_eq!(ports(0x4000), [0x27, 0x10, 0, 8]);
        assert_eq!(ports(MOST_FLOWS - 1)[2..], [0xff, 0xf6]);
    }

    #[test]
    fn hardware_addresses() {
        assert_eq!(parse_hardware_address("02:0a:00:FF:00:01"), Ok([2, 10, 0, 255, 0, 1]));
        for wrong in ["", "02:0a", "02:0a:00:ff:00:01:02", "2:a:0:ff:0:1", "02:0a:00:fg:00:01"] {
            assert!(parse_hardware_address(wrong).is_err(), "{wrong}");
        }
    }
}
