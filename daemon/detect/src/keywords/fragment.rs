//! The field of the IPv4 header about fragments, for the keywords on it.

use crate::input::Input;

/// The header's field of flags and offset.
pub(super) fn field(input: &Input<'_>) -> Option<u16> {
    let packet = input.decoded;
    let header = packet.ip.of(input.frame);
    match (packet.ip_version, header.get(6..8)) {
        (4, Some(&[high, low])) => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}
