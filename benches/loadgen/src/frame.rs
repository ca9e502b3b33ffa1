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
pub(crate) struct Frame {
    bytes: Vec<u8>,
    /// The UDP checksum that is right while both ports are zero; `None` where frames have none.
    checksum: Option<u16>,
}

impl Frame {
    /// A frame of `size` bytes (without the FCS), payload included, from one host to the other.
    pub(crate) fn new(
        size: usize,
        source: ([u8; 6], Ipv4Addr),
        target: ([u8; 6], Ipv4Addr),
        checksum: bool,
    ) -> Result<Self> {
        let payload = match size.checked_sub(SHORTEST) {
            Some(length) if size <= LONGEST => vec![b'.'; length],
            _ => bail!("a frame has {SHORTEST} to {LONGEST} bytes, not {size}"),
        };
        let frame = PacketBuilder::ethernet(source.0, target.0)
            .ipv4(source.1, target.1)
            .dont_fragment()
            .udp(0, 0)
            .payload(&payload);
        if checksum {
            let bytes = frame.to_vec();
            let checksum = Some(u16::from_be_bytes([bytes[40], bytes[41]]));
            return Ok(Self { bytes, checksum });
        }
        Ok(Self { bytes: frame.no_udp_checksum().to_vec(), checksum: None })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The UDP checksum that is right while both ports are zero.
    pub(crate) const fn checksum_without_ports(&self) -> Option<u16> {
        self.checksum
    }

    /// The frame with the ports of flow number `flow`; the same numbering as the BPF sender's.
    pub(crate) fn for_flow(&mut self, flow: u32) -> &[u8] {
        let (source, target) = (10_000 + (flow & 0x3fff), 7 + (flow >> 14));
        let [_, _, high, low] = source.to_be_bytes();
        self.bytes[34..36].copy_from_slice(&[high, low]);
        let [_, _, high, low] = target.to_be_bytes();
        self.bytes[36..38].copy_from_slice(&[high, low]);
        if let Some(checksum) = self.checksum {
            self.bytes[40..42].copy_from_slice(&with_ports(checksum, source + target).to_be_bytes());
        }
        &self.bytes
    }
}

/// A UDP checksum after ports that were zero became ones of this sum (RFC 1624).
fn with_ports(checksum: u16, ports: u32) -> u16 {
    let mut sum = u32::from(!checksum) + ports;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    match u16::try_from(sum) {
        // Zero would say that there is none (RFC 768).
        Ok(sum) if sum != u16::MAX => !sum,
        _ => u16::MAX,
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
        made(size, false)
    }

    fn made(size: usize, checksum: bool) -> Result<Frame> {
        Frame::new(
            size,
            ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 77, 0, 1)),
            ([2, 0, 0, 0, 0, 2], Ipv4Addr::new(10, 77, 0, 2)),
            checksum,
        )
    }

    #[test]
    fn checksums_are_right_for_every_flow() {
        let decoder = Decoder::default();
        for size in [SHORTEST, 60, 61] {
            let mut frame = made(size, true).unwrap();
            for flow in (0..200_000).chain([MOST_FLOWS - 1]) {
                let bytes = frame.for_flow(flow);
                let decoded = decoder.decode(LinkType::Ethernet, None, false, bytes);
                assert_eq!(decoded.bad_checksums, BadChecksums::default(), "{size} {flow}");
                assert_ne!(bytes[40..42], [0, 0], "{size} {flow}");
            }
        }
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
