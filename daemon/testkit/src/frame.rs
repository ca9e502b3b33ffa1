//! Whole Ethernet frames with right lengths and checksums, for generated traffic.

use std::net::Ipv4Addr;

/// What a frame carries above IPv4.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transport {
    Tcp { sequence: u32, acknowledgement: u32, flags: u8 },
    Udp,
}

/// One direction of a conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) source: Ipv4Addr,
    pub(crate) source_port: u16,
    pub(crate) destination: Ipv4Addr,
    pub(crate) destination_port: u16,
    pub(crate) source_mac: [u8; 6],
    pub(crate) destination_mac: [u8; 6],
}

impl Path {
    pub(crate) fn reversed(self) -> Self {
        Self {
            source: self.destination,
            source_port: self.destination_port,
            destination: self.source,
            destination_port: self.source_port,
            source_mac: self.destination_mac,
            destination_mac: self.source_mac,
        }
    }
}

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const TCP: usize = 20;
const UDP: usize = 8;

/// Makes one frame in `frame`, replacing what is there. `payload` must leave the packet within
/// IPv4's 65,535 bytes; longer is cut.
pub(crate) fn write_frame(frame: &mut Vec<u8>, path: &Path, transport: Transport, payload: &[u8]) {
    let (number, header) = match transport {
        Transport::Tcp { .. } => (6, TCP),
        Transport::Udp => (17, UDP),
    };
    let payload = &payload[..payload.len().min(usize::from(u16::MAX) - IPV4 - header)];
    let segment_length = length(header + payload.len());
    frame.clear();
    frame.extend_from_slice(&path.destination_mac);
    frame.extend_from_slice(&path.source_mac);
    frame.extend_from_slice(&[0x08, 0x00]);
    // Version and header length, no TOS, total length, id 0 with don't-fragment, TTL 64.
    frame.extend_from_slice(&[0x45, 0]);
    frame.extend_from_slice(&length(IPV4 + header + payload.len()).to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0x40, 0, 64, number, 0, 0]);
    frame.extend_from_slice(&path.source.octets());
    frame.extend_from_slice(&path.destination.octets());
    let sum = finish(add(0, &frame[ETHERNET..]));
    frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());

    frame.extend_from_slice(&path.source_port.to_be_bytes());
    frame.extend_from_slice(&path.destination_port.to_be_bytes());
    let checksum_at = match transport {
        Transport::Tcp { sequence, acknowledgement, flags } => {
            frame.extend_from_slice(&sequence.to_be_bytes());
            frame.extend_from_slice(&acknowledgement.to_be_bytes());
            // Five words of header, the flags, a window of 64240, checksum and urgent pointer.
            frame.extend_from_slice(&[0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
            16
        }
        Transport::Udp => {
            frame.extend_from_slice(&segment_length.to_be_bytes());
            frame.extend_from_slice(&[0, 0]);
            6
        }
    };
    frame.extend_from_slice(payload);
    let pseudo_header = u32::from(number) + u32::from(segment_length);
    let addresses = add(pseudo_header, &frame[ETHERNET + 12..ETHERNET + IPV4]);
    let sum = finish(add(addresses, &frame[ETHERNET + IPV4..]));
    // A UDP checksum of zero would mean "none" (RFC 768).
    let sum = if sum == 0 && number == 17 { 0xffff } else { sum };
    let at = ETHERNET + IPV4 + checksum_at;
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// Adds `bytes` as big-endian words to a running Internet checksum (RFC 1071).
fn add(sum: u32, bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let sum = words.iter().fold(sum, |sum, &word| sum + u32::from(u16::from_be_bytes(word)));
    rest.first().map_or(sum, |&last| sum + (u32::from(last) << 8))
}

fn finish(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> Path {
        Path {
            source: Ipv4Addr::new(10, 0, 0, 1),
            source_port: 40_000,
            destination: Ipv4Addr::new(192, 0, 2, 7),
            destination_port: 443,
            source_mac: [2, 0, 0, 0, 0, 1],
            destination_mac: [2, 0, 0, 0, 0, 2],
        }
    }

    #[test]
    fn checksums_verify() {
        let tcp = Transport::Tcp { sequence: 7, acknowledgement: 9, flags: 0x18 };
        for transport in [tcp, Transport::Udp] {
            for size in [0, 1, 2, 3, 1460] {
                let mut frame = Vec::new();
                write_frame(&mut frame, &path(), transport, &vec![0xa5; size]);
                assert_eq!(finish(add(0, &frame[14..34])), 0, "IPv4 header over {size} bytes");
                let segment = &frame[34..];
                let pseudo = u32::from(frame[23]) + u32::from(length(segment.len()));
                let sum = add(add(pseudo, &frame[26..34]), segment);
                assert_eq!(finish(sum), 0, "{transport:?} over {size} bytes");
            }
        }
    }

    #[test]
    fn lengths_match_the_frame() {
        let mut frame = Vec::new();
        write_frame(&mut frame, &path(), Transport::Udp, b"abc");
        assert_eq!(frame.len(), 14 + 20 + 8 + 3);
        assert_eq!(frame[16..18], 31_u16.to_be_bytes());
        assert_eq!(frame[38..40], 11_u16.to_be_bytes());
    }
}
