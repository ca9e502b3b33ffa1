//! Where things are in a frame; the same as `bpf/frame.h`.

use std::net::Ipv4Addr;

use super::HEADER;

pub(super) const IP_AT: usize = 14;
pub(super) const L4_AT: usize = 34;
pub(super) const UDP_PAYLOAD_AT: usize = 42;
pub(super) const TCP_PAYLOAD_AT: usize = 54;
/// What a stamp begins with.
pub(super) const MAGIC: u16 = 0x5043;

/// The sender's hardware address, and the receiver's.
const SOURCE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const TARGET: [u8; 6] = [2, 0, 0, 0, 0, 2];

const UDP: u8 = 17;
const TCP: u8 = 6;

/// What frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Datagrams.
    Udp,
    /// Data of an open connection.
    Tcp,
    /// A SYN, and nothing will follow.
    Syn,
    /// A SYN, and data will follow: with a window scale, so that much data may be on the way.
    Opening,
}

impl Layout {
    pub(super) const fn protocol(self) -> u8 {
        if matches!(self, Self::Udp) { UDP } else { TCP }
    }

    /// Where the payload after number and time begins.
    pub(super) const fn stamped(self) -> usize {
        if matches!(self, Self::Udp) { UDP_PAYLOAD_AT + 16 } else { TCP_PAYLOAD_AT + 6 }
    }

    /// Bytes of the datagram in a frame of this length.
    pub(super) const fn ip_length(self, frame: usize) -> usize {
        match self {
            Self::Udp | Self::Tcp => frame - IP_AT,
            Self::Syn => TCP_PAYLOAD_AT - IP_AT,
            Self::Opening => TCP_PAYLOAD_AT + 4 - IP_AT,
        }
    }

    /// What the BPF programs call it.
    pub(crate) const fn mode(self) -> u32 {
        match self {
            Self::Udp => 0,
            Self::Tcp | Self::Opening => 1,
            Self::Syn => 2,
        }
    }
}

/// What the BPF programs call frames of a capture.
pub(crate) const TRAILER_MODE: u32 = 3;

/// The header that all frames begin with: all but lengths, ports, source, identification, sequence number, checksums.
pub(super) fn header(layout: Layout, mark: u16, target: Ipv4Addr) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &TARGET);
    put(6, &SOURCE);
    put(12, &[8, 0]);
    put(IP_AT, &[0x45]);
    // May not be fragmented; lives 64 hops.
    put(IP_AT + 6, &[0x40, 0, 64, layout.protocol()]);
    put(IP_AT + 16, &target.octets());
    if layout != Layout::Udp {
        let (acknowledged, words, flags): (u32, u8, u8) = match layout {
            Layout::Udp | Layout::Tcp => (2, 5, 0x18),
            Layout::Syn => (0, 5, 0x02),
            Layout::Opening => (0, 6, 0x02),
        };
        put(L4_AT + 8, &acknowledged.to_be_bytes());
        put(L4_AT + 12, &[words << 4, flags]);
        put(L4_AT + 14, &mark.to_be_bytes());
    }
    header
}
