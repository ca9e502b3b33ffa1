//! The frames a sender sends: UDP over IPv4, one flow after the other.

use std::net::Ipv4Addr;

use anyhow::{Result, bail};

/// The shortest frame that holds the headers: Ethernet, IPv4, UDP.
pub(crate) const SHORTEST: usize = 14 + 20 + 8;
/// Flows beyond this would need source and destination ports that do not exist.
pub(crate) const MOST_FLOWS: u32 = 0x4000 * 0xfff0;

/// One frame, to be given the ports of a flow.
#[derive(Clone, Debug)]
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    /// A frame of `size` bytes (without the FCS), payload included, from one host to the other.
    pub(crate) fn new(size: usize, source: ([u8; 6], Ipv4Addr), target: ([u8; 6], Ipv4Addr)) -> Result<Self> {
        let Some(udp_length) = size.checked_sub(SHORTEST).and_then(|payload| u16::try_from(payload + 8).ok())
        else {
            bail!("a frame has {SHORTEST} to 65535 bytes, not {size}");
        };
        let Some(ip_length) = udp_length.checked_add(20) else {
            bail!("a frame of {size} bytes is too long")
        };
        let mut frame = Vec::with_capacity(size);
        frame.extend(target.0);
        frame.extend(source.0);
        frame.extend([0x08, 0x00, 0x45, 0x00]);
        frame.extend(ip_length.to_be_bytes());
        // No fragment, TTL 64, UDP, checksum to come.
        frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
        frame.extend(source.1.octets());
        frame.extend(target.1.octets());
        let checksum = header_checksum(&frame[14..34]);
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(udp_length.to_be_bytes());
        // No UDP checksum (RFC 768), so that the ports can change under way.
        frame.extend([0, 0]);
        frame.resize(size, b'.');
        Ok(Self(frame))
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

/// The Internet checksum (RFC 1071) of a header of whole words.
fn header_checksum(header: &[u8]) -> u16 {
    let (words, _) = header.as_chunks::<2>();
    let sum: u32 = words.iter().map(|&word| u32::from(u16::from_be_bytes(word))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap_or_default()
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
    use super::*;

    fn frame(size: usize) -> Result<Frame> {
        Frame::new(
            size,
            ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 77, 0, 1)),
            ([2, 0, 0, 0, 0, 2], Ipv4Addr::new(10, 77, 0, 2)),
        )
    }

    #[test]
    fn lengths_and_checksum_are_right() {
        for size in [42, 60, 1514] {
            let frame = frame(size).unwrap();
            let bytes = frame.bytes();
            assert_eq!(bytes.len(), size);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[16], bytes[17]])), size - 14);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[38], bytes[39]])), size - 34);
            assert_eq!(header_checksum(&bytes[14..34]), 0);
        }
    }

    #[test]
    fn sizes_that_hold_no_datagram_are_refused() {
        for size in [0, 41, 65_550, 70_000, usize::MAX] {
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
