//! Headers: that of the first fragment kept, and made that of the whole datagram.

use crate::blocks::{BLOCK, Blocks};
use crate::tracker::Tracker;
use portcullis_wire::Decoded;

/// An IPv4 header without options.
const IPV4_HEADER: usize = 20;
/// An IPv6 header without extensions.
const IPV6_HEADER: usize = 40;
/// The fragment header of IPv6 (RFC 8200 section 4.5).
const FRAGMENT_HEADER: usize = 8;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// The largest packet that an IP header can state; of IPv6 without the 40 bytes of its header.
const MOST: usize = 65_535;

/// Length of the header that a datagram would have whose first fragment is this one, as far as its own
/// length field counts it.
pub(crate) fn counted_header(decoded: &Decoded) -> usize {
    let length = usize::try_from(decoded.ip_payload.start.saturating_sub(decoded.ip.start)).unwrap_or(0);
    if decoded.ip_version == 4 { length } else { length.saturating_sub(IPV6_HEADER + FRAGMENT_HEADER) }
}

/// Is a datagram with so long a header (see [`counted_header`]) and so much data more than IP can carry?
pub(crate) const fn is_too_large(counted_header: usize, end: u32) -> bool {
    counted_header + end as usize > MOST
}

/// Keeps link and IP header of the datagram's first fragment in the block, as they will be in the whole
/// datagram but for its length. Extension headers before a fragment header that do not fit are left
/// out: each fragment has them, and they were looked at there.
pub(crate) fn keep_header(
    blocks: &mut Blocks,
    block: u32,
    tracker: &mut Tracker,
    decoded: &Decoded,
    frame: &[u8],
) {
    let (link, ip) = frame.split_at_checked(decoded.ip.start as usize).unwrap_or((&[], frame));
    let whole = decoded.ip_payload.start.saturating_sub(decoded.ip.start) as usize;
    let place = blocks.data_mut(block);
    let link = if link.len() + IPV6_HEADER + IPV4_HEADER > BLOCK { &[] } else { link };
    let Some((link_place, ip_place)) = place.split_at_mut_checked(link.len()) else { return };
    link_place.copy_from_slice(link);
    let length = if decoded.ip_version == 4 {
        keep_ipv4(ip_place, ip.get(..whole).unwrap_or(&[]))
    } else {
        let kept = whole.saturating_sub(FRAGMENT_HEADER);
        keep_ipv6(ip_place, ip.get(..kept).unwrap_or(&[]), decoded.protocol)
    };
    tracker.link_length = u16::try_from(link.len()).unwrap_or(0);
    tracker.header_length = u16::try_from(length).unwrap_or(0);
}

fn keep_ipv4(place: &mut [u8], header: &[u8]) -> usize {
    let Some(place) = place.get_mut(..header.len()) else { return 0 };
    place.copy_from_slice(header);
    // Neither flags nor offset: it is whole. The checksum is made with the length.
    if let Some(fields) = place.get_mut(6..8) {
        fields.fill(0);
    }
    header.len()
}

fn keep_ipv6(place: &mut [u8], header: &[u8], protocol: u8) -> usize {
    let next = next_header_field(header).filter(|_| header.len() <= place.len());
    let (header, next) = match next {
        Some(next) => (header, next),
        None => (header.get(..IPV6_HEADER).unwrap_or(&[]), 6),
    };
    let Some(place) = place.get_mut(..header.len()) else { return 0 };
    place.copy_from_slice(header);
    if let Some(field) = place.get_mut(next) {
        *field = protocol;
    }
    header.len()
}

/// Where in an IPv6 header with extensions the field is that says what follows all of it.
fn next_header_field(header: &[u8]) -> Option<usize> {
    let (mut field, mut at) = (6, IPV6_HEADER);
    while at < header.len() {
        let length = usize::from(*header.get(at + 1)?);
        let length = match *header.get(field)? {
            FRAGMENT => FRAGMENT_HEADER,
            AUTHENTICATION => (length + 2) * 4,
            _ => (length + 1) * 8,
        };
        (field, at) = (at, at + length);
    }
    (at == header.len()).then_some(field)
}

/// Puts the datagram together at the start of `buffer`; returns its length, link header included, and
/// that of the link header. `None` where the buffer is too small or no first fragment was kept.
pub(crate) fn assemble(tracker: &Tracker, blocks: &Blocks, buffer: &mut [u8]) -> Option<(usize, usize)> {
    let (link, header) = (usize::from(tracker.link_length), usize::from(tracker.header_length));
    let data = tracker.end as usize;
    let length = link + header + data;
    let (headers, body) = buffer.get_mut(..length)?.split_at_mut_checked(link + header)?;
    headers.copy_from_slice(blocks.data(tracker.header).get(..link + header)?);
    for (place, target) in body.chunks_mut(BLOCK).enumerate() {
        let block = blocks.entry(tracker.directory, place);
        target.copy_from_slice(blocks.data(block).get(..target.len())?);
    }
    let ip = headers.get_mut(link..)?;
    if tracker.key.is_ipv6() {
        let payload = u16::try_from(header.checked_sub(IPV6_HEADER)? + data).ok()?;
        ip.get_mut(4..6)?.copy_from_slice(&payload.to_be_bytes());
    } else {
        let total = u16::try_from(header + data).ok()?;
        ip.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
        ip.get_mut(10..12)?.fill(0);
        let checksum = checksum(ip);
        ip.get_mut(10..12)?.copy_from_slice(&checksum.to_be_bytes());
    }
    Some((length, link))
}

/// The checksum of an IPv4 header (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let (words, _) = header.as_chunks::<2>();
    let mut sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_next_header_field() {
        let check = |extensions: &[u8], first: u8, expected: Option<usize>| {
            let mut header = vec![0; IPV6_HEADER];
            header[6] = first;
            header.extend(extensions);
            assert_eq!(next_header_field(&header), expected, "{extensions:?}");
        };
        check(&[], 44, Some(6));
        check(&[44, 0, 1, 4, 0, 0, 0, 0], 0, Some(40));
        check(&[60, 0, 0, 0, 0, 0, 0, 0, 44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0, Some(48));
        // Authentication counts in fours, a fragment header is eight whatever its second byte.
        check(&[44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 51, Some(40));
        check(&[44, 9, 0, 0, 0, 0, 0, 1], 44, Some(40));
        // The lengths do not add up.
        check(&[44, 1, 0, 0, 0, 0, 0, 0], 0, None);
        check(&[44], 0, None);
    }

    #[test]
    fn checksums() {
        // RFC 1071 section 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[]), 0xffff);
    }
}
