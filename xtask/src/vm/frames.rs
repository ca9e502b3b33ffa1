//! Frames that go through the gate: of every kind and size, each unlike any other, none for the gate itself.

use portcullis_wire::builder::PacketBuilder;

/// Ethernet without VLAN tags: the shortest frame, and the longest at an MTU of 1500.
const SHORTEST: usize = 60;
const LONGEST: usize = 1514;
/// Ethernet addresses of the hosts on both sides: strangers to the cards.
const HOSTS: [[u8; 6]; 2] = [[2, 0xaa, 0, 0, 0, 1], [2, 0xbb, 0, 0, 0, 2]];
/// A protocol that nobody knows (IEEE 802 local experimental).
const EXPERIMENTAL: u16 = 0x88b5;
/// What rules in `configs/rules/vm.rules` look for, and the ports they name.
const FORBIDDEN: (u16, &[u8]) = (7777, b"portcullis-vm-forbidden");
const NOTED: (u16, &[u8]) = (7778, b"portcullis-vm-noted");
/// The host to which nothing may go.
const CONDEMNED: [u8; 4] = [10, 7, 0, 66];

/// What the gate makes of a datagram that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It drops it and writes an alert.
    Forbidden,
    /// It lets it pass and writes an alert.
    Noted,
}

/// The longest frame that there is: two VLAN tags more.
pub(crate) const ANY: usize = LONGEST + 8;
/// The longest frame that the kernel forwards by itself at that MTU: one VLAN tag more.
pub(crate) const KERNEL: usize = LONGEST + 4;

/// The frame of this number that enters at `port`, of at most `longest` bytes; no two are alike, whatever their series.
pub(crate) fn frame(series: u32, port: usize, number: u32, longest: usize) -> Vec<u8> {
    let shape = number % 6;
    let tags = match shape {
        2 | 5 => 4,
        3 => 8,
        _ => 0,
    };
    // Neither 2 nor 3 divides the number of steps, so that every size comes with every shape.
    let length = (SHORTEST + (number.wrapping_mul(37) % 1457) as usize).min(LONGEST).min(longest - tags);
    let head = match shape {
        0 | 5 => 14,
        3 | 4 => 14 + 40 + 8,
        _ => 14 + 20 + 8,
    };
    let payload = payload(series, port, number, length.saturating_sub(head).max(12));
    let ports = (1024 + u16::try_from(number % 97).unwrap_or(0), 9000);
    build(shape, port, ports, &payload, tags + SHORTEST)
}

/// Flows of [`flow_frame`].
pub(crate) const FLOWS: u32 = 48;

/// The frame of this number of many flows, in turn, each between two hosts of its own; half of them are of IPv6.
pub(crate) fn flow_frame(series: u32, port: usize, number: u32) -> Vec<u8> {
    let flow = number % FLOWS;
    // Not alike: a hash that is the same in both directions sees no more than where two addresses differ.
    let host = u8::try_from(flow + 1).unwrap_or(u8::MAX);
    let other = u8::try_from((flow * 89 + 7) % 251).unwrap_or(u8::MAX);
    let (host, peer) = if port == 0 { (host, other) } else { (other, host) };
    let (from, to) = if port == 0 { (HOSTS[0], HOSTS[1]) } else { (HOSTS[1], HOSTS[0]) };
    let (near, far) = if port == 0 { (1, 2) } else { (2, 1) };
    let ports = if port == 0 { (5000, 6000) } else { (6000, 5000) };
    let payload = payload(series, port, number, 12 + (number.wrapping_mul(37) % 1400) as usize);
    let ethernet = PacketBuilder::ethernet(from, to).payload(&payload).minimum(SHORTEST);
    if flow.is_multiple_of(2) {
        return ethernet.ipv4([10, 8, near, host], [10, 8, far, peer]).udp(ports.0, ports.1).to_vec();
    }
    let address = |side: u8, host: u8| [0xfd, 8, 0, side, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
    ethernet.ipv6(address(near, host), address(far, peer)).udp(ports.0, ports.1).to_vec()
}

/// The number of a frame that [`flow_frame`] made.
pub(crate) fn flow_number(frame: &[u8]) -> Option<u32> {
    let head = if frame.get(12..14)? == [0x86, 0xdd] { 14 + 40 + 8 } else { 14 + 20 + 8 };
    frame.get(head + 8..head + 12)?.first_chunk().map(|number| u32::from_be_bytes(*number))
}

/// A datagram that a rule is about; some have a VLAN tag.
pub(crate) fn marked(kind: Kind, series: u32, port: usize, number: u32) -> Vec<u8> {
    let (destination, mark) = if kind == Kind::Forbidden { FORBIDDEN } else { NOTED };
    let mut bytes = mark.to_vec();
    bytes.extend(payload(series, port, number, 100));
    let source = 20_000 + u16::try_from(number % 10_000).unwrap_or(0);
    build(1 + number % 2, port, (source, destination), &bytes, SHORTEST)
}

/// A datagram to the host that a rule in `configs/rules/vm.rules` condemns, always of the same flow.
pub(crate) fn condemned(series: u32, number: u32) -> Vec<u8> {
    let bytes = payload(series, 0, number, 100);
    let ethernet = PacketBuilder::ethernet(HOSTS[0], HOSTS[1]).payload(&bytes);
    ethernet.ipv4([10, 7, 0, 1], CONDEMNED).udp(1024, 9000).to_vec()
}

fn build(shape: u32, port: usize, ports: (u16, u16), payload: &[u8], minimum: usize) -> Vec<u8> {
    let (from, to) = if port == 0 { (HOSTS[0], HOSTS[1]) } else { (HOSTS[1], HOSTS[0]) };
    let ethernet = PacketBuilder::ethernet(from, to).payload(payload).minimum(minimum);
    let (near, far) = if port == 0 { (1, 2) } else { (2, 1) };
    let v4 = |builder: PacketBuilder<'_>| {
        let builder = builder.ipv4([10, 7, 0, near], [10, 7, 0, far]).udp(ports.0, ports.1);
        builder.to_vec()
    };
    let v6 = |builder: PacketBuilder<'_>| {
        let address = |host: u8| [0xfd, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
        builder.ipv6(address(near), address(far)).udp(ports.0, ports.1).to_vec()
    };
    match shape {
        0 => ethernet.ethertype(EXPERIMENTAL).to_vec(),
        1 => v4(ethernet),
        2 => v4(ethernet.vlan(100)),
        3 => v6(ethernet.vlan_tag(0x88a8, 200).vlan(300)),
        4 => v6(ethernet),
        // Priority 5 and no VLAN's number, as hosts tag for priority alone.
        _ => ethernet.vlan_tag(0x8100, 0xa000).ethertype(EXPERIMENTAL).to_vec(),
    }
}

/// Bytes that say whose they are, then noise.
fn payload(series: u32, port: usize, number: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    let port = u32::try_from(port).unwrap_or(u32::MAX);
    [series, port, number].iter().for_each(|value| bytes.extend(value.to_be_bytes()));
    let mut state = (u64::from(series) << 34) ^ (u64::from(port) << 33) ^ u64::from(number);
    while bytes.len() < length {
        // Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend(&state.to_be_bytes()[..4]);
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_frames_are_alike_and_all_fit_the_link() {
        let mut seen = HashSet::new();
        let mut longest = [0; 6];
        for series in 0..2 {
            for port in 0..2 {
                for number in 0..9_000_u32 {
                    let frame = frame(series, port, number, ANY);
                    let shape = (number % 6) as usize;
                    longest[shape] = longest[shape].max(frame.len());
                    assert!(frame.len() >= SHORTEST, "{number}");
                    assert!(seen.insert(frame), "{series} {port} {number}");
                }
            }
        }
        assert_eq!(longest, [1514, 1514, 1518, 1522, 1514, 1518]);
        assert!((0..9_000).all(|number| frame(0, 0, number, KERNEL).len() <= KERNEL));
    }

    #[test]
    fn flows_are_told_apart_and_numbered() {
        let mut seen = HashSet::new();
        let mut ends = HashSet::new();
        for number in 0..4 * FLOWS {
            for port in 0..2 {
                let frame = flow_frame(3, port, number);
                assert_eq!(flow_number(&frame), Some(number));
                assert!(frame.len() <= LONGEST, "{number}");
                let addresses = if frame[12] == 0x86 { &frame[22..54] } else { &frame[26..34] };
                ends.insert((port, addresses.to_vec()));
                assert!(seen.insert(frame));
            }
        }
        assert_eq!(ends.len(), 2 * FLOWS as usize);
    }

    #[test]
    fn marked_frames_hold_their_mark_and_differ() {
        let mut seen = HashSet::new();
        for kind in [Kind::Forbidden, Kind::Noted] {
            for number in 0..100 {
                let frame = marked(kind, 1, 0, number);
                let (_, mark) = if kind == Kind::Forbidden { FORBIDDEN } else { NOTED };
                assert!(frame.windows(mark.len()).any(|window| window == mark));
                assert_eq!(frame[12..14] == [0x81, 0], number % 2 == 1);
                assert!(seen.insert(frame));
            }
        }
    }
}
