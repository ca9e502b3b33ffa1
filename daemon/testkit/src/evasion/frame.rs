//! Places and checksums in a plain frame: Ethernet, IP without extension headers, TCP.

/// Where the IP header of a frame without tags is.
pub(super) const IP: usize = 14;

/// Which checksums are made right after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// None.
    Nothing,
    /// That of the IP header.
    Ip,
    /// That of TCP, and of the IP header.
    All,
}

/// Is it IPv6, by the type in the Ethernet header?
pub(super) fn is_v6(frame: &[u8]) -> bool {
    frame[12..14] == [0x86, 0xdd]
}

/// Where TCP begins.
pub(super) fn tcp(frame: &[u8]) -> usize {
    if is_v6(frame) { IP + 40 } else { IP + usize::from(frame[IP] & 0x0f) * 4 }
}

/// Makes checksums right, as far as their places are in the frame.
pub(super) fn repair(frame: &mut [u8], which: Repair) {
    if which == Repair::Nothing {
        return;
    }
    if !is_v6(frame) {
        let end = tcp(frame).clamp(IP + 20, frame.len());
        frame[IP + 10..IP + 12].fill(0);
        let sum = !sum(&[&frame[IP..end]]);
        frame[IP + 10..IP + 12].copy_from_slice(&sum.to_be_bytes());
    }
    let at = tcp(frame);
    if which == Repair::All && frame.len() >= at + 20 {
        frame[at + 16..at + 18].fill(0);
        let addresses = if is_v6(frame) { &frame[IP + 8..IP + 40] } else { &frame[IP + 12..IP + 20] };
        let length = u16::try_from(frame.len() - at).unwrap_or(u16::MAX);
        let sum = !sum(&[addresses, &[0, 6], &length.to_be_bytes(), &frame[at..]]);
        frame[at + 16..at + 18].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The sum of these bytes, each part but the last of an even length (RFC 1071); 0xffff where a checksum among
/// them is right.
pub(super) fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u64 =
        words.map(|word| u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(0)
}
