//! Packets that keep links and addresses alive: neighbour discovery, multicast listeners, address
//! configuration, and what never leaves its link. Networks fall apart without them, long before anybody
//! could put up with it, so a want of memory for flows is no reason to drop them. Rules still are.

use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Address, Transport};

/// Is it one of them? ARP, and IGMP with all else that has no flow, never gets to ask.
pub(super) fn is_control(decoded: &Decoded) -> bool {
    let local = if decoded.ip_version == 6 { is_link_local_v6 } else { is_link_local_v4 };
    local(&decoded.source) || local(&decoded.destination) || is_configuration(decoded)
}

/// RFC 3927 (169.254.0.0/16) and RFC 5771 §4 (224.0.0.0/24).
fn is_link_local_v4(address: &Address) -> bool {
    let [.., a, b, c, _] = *address;
    matches!((a, b, c), (169, 254, _) | (224, 0, 0))
}

/// RFC 4291 §2.4 (fe80::/10) and §2.7 (multicast of interface and link scope).
fn is_link_local_v6(address: &Address) -> bool {
    let [a, b, ..] = *address;
    a == 0xfe && b & 0xc0 == 0x80 || a == 0xff && matches!(b & 0x0f, 1 | 2)
}

/// DHCP (RFC 2131 §4.1), DHCPv6 (RFC 8415 §7.2), and the messages of neighbour and listener discovery and
/// their kin (RFC 4861, 2710, 3810, 3971, 4286), which have global addresses, too.
fn is_configuration(decoded: &Decoded) -> bool {
    let ports = [decoded.source_port, decoded.destination_port];
    match decoded.transport {
        Transport::Udp(_) if decoded.ip_version == 6 => ports.iter().all(|port| matches!(port, 546 | 547)),
        Transport::Udp(_) => ports.iter().all(|port| matches!(port, 67 | 68)),
        Transport::Icmpv6(icmp) => matches!(icmp.kind, 130..=137 | 143 | 148 | 149 | 151..=153),
        _ => false,
    }
}
