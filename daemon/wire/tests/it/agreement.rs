//! Where etherparse strictly accepts a packet we say the same of it, and where we accept one,
//! etherparse does, but for the differences that are listed here.

use crate::packets::{apply, damage, whole};
use etherparse::err::packet::SliceError;
use etherparse::err::{Layer as TheirLayer, ipv6_exts};
use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice, ip_number};
use portcullis_wire::decoded::{DecodeEvent, Layer, Transport, mapped};
use portcullis_wire::{Decoded, Decoder, LinkType};
use proptest::collection::vec;
use proptest::prelude::*;

fn check(frame: &[u8]) -> Result<(), TestCaseError> {
    let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, frame);
    match SlicedPacket::from_ethernet(frame) {
        Ok(sliced) => match decoded.invalid {
            Some(event) => prop_assert!(stricter(event, &sliced), "{event:?}: {sliced:?}"),
            None => compare(frame, &decoded, &sliced)?,
        },
        Err(error) => {
            let refused = decoded.invalid.is_some() || decoded.ip_version == 0;
            prop_assert!(refused || laxer(&error, &decoded), "{error:?}: {decoded:?}");
        }
    }
    Ok(())
}

/// May we, for this reason, call invalid what etherparse accepts?
fn stricter(event: DecodeEvent, sliced: &SlicedPacket<'_>) -> bool {
    if walks_differ(sliced) {
        return true;
    }
    let ip_number = sliced.ip_payload().map(|payload| payload.ip_number);
    // Of what it has no decoder for.
    let unknown = [
        "arp.",
        "mpls.",
        "ppp",
        "nsh.",
        "vntag.",
        "etag.",
        "ieee8021ah.",
        "dce.",
        "gre.",
        "erspan.",
        "ipv6.ipv",
    ];
    if unknown.iter().any(|start| event.name().starts_with(start)) {
        return true;
    }
    match event {
        // It lets headers that are no extension be of any length, none included.
        DecodeEvent::Ipv6TruncatedExtension => {
            sliced.ip_payload().is_some_and(|payload| payload.payload.len() < 2)
        }
        // It does not look into options or quoted packets, and has no decoder for these two.
        DecodeEvent::Ipv4OptionInvalidLength
        | DecodeEvent::Icmpv4QuoteTruncated
        | DecodeEvent::Icmpv4QuoteUnknownVersion
        | DecodeEvent::Icmpv6QuoteTruncated
        | DecodeEvent::Icmpv6QuoteUnknownVersion
        | DecodeEvent::SctpTooSmall
        | DecodeEvent::EspTooSmall => true,
        // It takes ICMPv6 in IPv4 as it is.
        DecodeEvent::Ipv4Icmpv6 => ip_number == Some(ip_number::IPV6_ICMP),
        // It takes a length of zero for "to the end of the packet".
        DecodeEvent::UdpLengthInvalid => {
            matches!(&sliced.transport, Some(TransportSlice::Udp(udp)) if udp.length() == 0)
        }
        // It walks any number of headers.
        DecodeEvent::TooManyLayers => true,
        _ => false,
    }
}

/// May we, where etherparse refuses with this error, accept?
fn laxer(error: &SliceError, decoded: &Decoded) -> bool {
    match error {
        // Hop-by-hop options not at the start, and authentication headers shorter than their
        // fixed fields: neither keeps us from finding what follows.
        SliceError::Ipv6Exts(
            ipv6_exts::HeaderError::HopByHopNotAtStart | ipv6_exts::HeaderError::IpAuth(_),
        ) => true,
        SliceError::Len(error) => match error.layer {
            // It walks authentication headers of IPv4, decodes IGMP and demands whole timestamp
            // messages, and looks for ICMPv4 in IPv6.
            TheirLayer::IpAuthHeader
            | TheirLayer::Igmp
            | TheirLayer::Icmpv4Timestamp
            | TheirLayer::Icmpv4TimestampReply => true,
            TheirLayer::Icmpv4 => decoded.ip_version == 6,
            // It reads headers after the fragment header also of fragments that are not the first.
            TheirLayer::Ipv6ExtHeader | TheirLayer::Ipv6FragHeader => decoded.fragment.is_some(),
            _ => false,
        },
        SliceError::Ipv4Exts(_) => true,
        _ => false,
    }
}

/// Do we look for the transport header of this IPv6 packet elsewhere? It takes a length of zero
/// for a jumbogram, and stops at mobility, HIP and shim6 headers.
fn walks_differ(sliced: &SlicedPacket<'_>) -> bool {
    let Some(NetSlice::Ipv6(ipv6)) = &sliced.net else { return false };
    ipv6.header().payload_length() == 0 || matches!(ipv6.payload().ip_number.0, 135 | 139 | 140)
}

fn compare(frame: &[u8], decoded: &Decoded, sliced: &SlicedPacket<'_>) -> Result<(), TestCaseError> {
    let mut vlans = vec![];
    for link in &sliced.link_exts {
        match link {
            LinkExtSlice::Vlan(vlan) => vlans.push(vlan.vlan_identifier().value()),
            // MACsec, which we leave alone.
            LinkExtSlice::Macsec(_) => return Ok(()),
        }
    }
    prop_assert_eq!(decoded.vlans.as_slice(), vlans);
    match &sliced.net {
        None | Some(NetSlice::Arp(_)) => {
            // It does not look behind these.
            let looked_into =
                [Layer::Mpls, Layer::Pppoe, Layer::Nsh, Layer::Vntag, Layer::Etag, Layer::Ieee8021ah]
                    .into_iter()
                    .any(|layer| decoded.layers.contains(layer));
            prop_assert!(decoded.ip_version == 0 || looked_into || decoded.ethertype == 0x8903);
            return Ok(());
        }
        Some(NetSlice::Ipv4(ipv4)) => {
            let header = ipv4.header();
            prop_assert_eq!(decoded.ip_version, 4);
            prop_assert_eq!(decoded.source, mapped(header.source()));
            prop_assert_eq!(decoded.destination, mapped(header.destination()));
            prop_assert_eq!(decoded.ttl, header.ttl());
            prop_assert_eq!(decoded.ip_id, header.identification());
            prop_assert_eq!(decoded.ip_options.of(frame), header.options());
            prop_assert_eq!(decoded.fragment.is_some(), ipv4.is_payload_fragmented());
            let stored = header.header_checksum();
            let right = header.to_header().calc_header_checksum() == stored;
            // All ones and zero are the same number, and it is strict about which is stored; the
            // reserved bit (RFC 791 section 3.1) is not in its header.
            let ambiguous = matches!(stored, 0 | 0xffff) || header.slice()[6] & 0x80 != 0;
            prop_assert!(ambiguous || decoded.bad_checksums.ipv4 != right);
        }
        Some(NetSlice::Ipv6(ipv6)) => {
            let header = ipv6.header();
            prop_assert_eq!(decoded.ip_version, 6);
            prop_assert_eq!(decoded.source, header.source());
            prop_assert_eq!(decoded.destination, header.destination());
            prop_assert_eq!(decoded.ttl, header.hop_limit());
            prop_assert_eq!(decoded.flow_label, header.flow_label().value());
            if walks_differ(sliced) {
                return Ok(());
            }
            prop_assert_eq!(decoded.fragment.is_some(), ipv6.is_payload_fragmented());
        }
    }
    if decoded.fragment.is_some() {
        prop_assert!(sliced.transport.is_none());
        return Ok(());
    }
    let Some(payload) = sliced.ip_payload() else { return Ok(()) };
    // An authentication header of IPv4 is to us, as to Suricata, a protocol of its own.
    if decoded.ip_version == 4 && decoded.protocol == 51 {
        return Ok(());
    }
    prop_assert_eq!(decoded.protocol, payload.ip_number.0);
    prop_assert_eq!(decoded.ip_payload.of(frame), payload.payload);
    compare_transport(frame, decoded, sliced)?;
    // A stored checksum of zero or all ones has two readings, and it does not follow routing
    // headers to the last destination.
    let ambiguous = matches!(stored_checksum(sliced), None | Some(0 | 0xffff));
    let routed = decoded.ip_version == 6 && !decoded.ip_options.is_empty();
    if decoded.transport != Transport::None && !ambiguous && !routed {
        prop_assert_eq!(decoded.bad_checksums.transport, !checksum_is_right(sliced));
    }
    Ok(())
}

fn stored_checksum(sliced: &SlicedPacket<'_>) -> Option<u16> {
    match sliced.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => Some(tcp.checksum()),
        TransportSlice::Udp(udp) => Some(udp.checksum()),
        TransportSlice::Icmpv4(icmp) => Some(icmp.checksum()),
        TransportSlice::Icmpv6(icmp) => Some(icmp.checksum()),
        TransportSlice::Igmp(_) => None,
    }
}

fn compare_transport(
    frame: &[u8],
    decoded: &Decoded,
    sliced: &SlicedPacket<'_>,
) -> Result<(), TestCaseError> {
    let ports = (decoded.source_port, decoded.destination_port);
    match (&sliced.transport, decoded.transport) {
        (Some(TransportSlice::Tcp(tcp)), Transport::Tcp(ours)) => {
            prop_assert_eq!(ports, (tcp.source_port(), tcp.destination_port()));
            prop_assert_eq!((ours.seq, ours.ack), (tcp.sequence_number(), tcp.acknowledgment_number()));
            prop_assert_eq!((ours.window, ours.urgent), (tcp.window_size(), tcp.urgent_pointer()));
            prop_assert_eq!(ours.options.of(frame), tcp.options());
            prop_assert_eq!(decoded.payload.of(frame), tcp.payload());
        }
        (Some(TransportSlice::Udp(udp)), Transport::Udp(ours)) => {
            prop_assert_eq!(ports, (udp.source_port(), udp.destination_port()));
            prop_assert_eq!(ours.length, udp.length());
            prop_assert_eq!(decoded.payload.of(frame), udp.payload());
        }
        (Some(TransportSlice::Icmpv4(icmp)), Transport::Icmpv4(ours)) => {
            prop_assert_eq!((ours.kind, ours.code), (icmp.type_u8(), icmp.code_u8()));
            prop_assert_eq!(decoded.payload.of(frame), &icmp.slice()[8..]);
        }
        (Some(TransportSlice::Icmpv6(icmp)), Transport::Icmpv6(ours)) => {
            prop_assert_eq!((ours.kind, ours.code), (icmp.type_u8(), icmp.code_u8()));
            prop_assert_eq!(decoded.payload.of(frame), icmp.payload());
        }
        // No decoder here, or ICMPv4 in IPv6.
        (None | Some(TransportSlice::Igmp(_)), Transport::None) => {}
        (Some(TransportSlice::Icmpv4(_)), Transport::None) => prop_assert_eq!(decoded.ip_version, 6),
        (theirs, ours) => prop_assert!(false, "{theirs:?} is to us {ours:?}"),
    }
    Ok(())
}

/// Does etherparse, too, find the checksum of the transport layer right?
fn checksum_is_right(sliced: &SlicedPacket<'_>) -> bool {
    let Some(transport) = &sliced.transport else { return true };
    match &sliced.net {
        Some(NetSlice::Ipv4(ipv4)) => {
            let header = ipv4.header().to_header();
            match transport {
                TransportSlice::Tcp(tcp) => {
                    let right = tcp.calc_checksum_ipv4(header.source, header.destination);
                    right == Ok(tcp.checksum())
                }
                TransportSlice::Udp(udp) => {
                    let right = udp.to_header().calc_checksum_ipv4(&header, udp.payload());
                    right == Ok(udp.checksum())
                }
                TransportSlice::Icmpv4(icmp) => {
                    icmp.icmp_type().calc_checksum(icmp.payload()) == icmp.checksum()
                }
                _ => false,
            }
        }
        Some(NetSlice::Ipv6(ipv6)) => {
            let header = ipv6.header().to_header();
            match transport {
                TransportSlice::Tcp(tcp) => {
                    let right = tcp.calc_checksum_ipv6(header.source, header.destination);
                    right == Ok(tcp.checksum())
                }
                TransportSlice::Udp(udp) => {
                    let right = udp.to_header().calc_checksum_ipv6(&header, udp.payload());
                    right == Ok(udp.checksum())
                }
                TransportSlice::Icmpv6(icmp) => icmp.is_checksum_valid(header.source, header.destination),
                _ => false,
            }
        }
        _ => false,
    }
}

/// A packet by etherparse's own builder.
fn foreign(v6: bool, kind: u8, vlans: u8, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let id = |value| etherparse::VlanId::try_new(value).expect("12 bits");
    let link = etherparse::PacketBuilder::ethernet2([1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]);
    let ip = if v6 {
        let header = etherparse::Ipv6Header {
            source: [0x20; 16],
            destination: [0x30; 16],
            hop_limit: 9,
            ..Default::default()
        };
        etherparse::IpHeaders::Ipv6(header, etherparse::Ipv6Extensions::default())
    } else {
        let header = etherparse::Ipv4Header {
            source: [10, 1, 2, 3],
            destination: [10, 4, 5, 6],
            time_to_live: 9,
            ..Default::default()
        };
        etherparse::IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default())
    };
    let network = match vlans {
        0 => link.ip(ip),
        1 => link.single_vlan(id(17)).ip(ip),
        _ => link.double_vlan(id(17), id(4095)).ip(ip),
    };
    let mut frame = vec![];
    let written = match (kind, v6) {
        (0, _) => network.tcp(ports.0, ports.1, 7, 1024).psh().ack(9).write(&mut frame, payload),
        (1, _) => network.udp(ports.0, ports.1).write(&mut frame, payload),
        (_, false) => network.icmpv4_echo_request(ports.0, ports.1).write(&mut frame, payload),
        (_, true) => network.icmpv6_echo_request(ports.0, ports.1).write(&mut frame, payload),
    };
    written.expect("the payload is short");
    frame
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn on_our_packets(packet in whole()) {
        let frame = packet.build();
        check(&frame)?;
        let sliced = SlicedPacket::from_ethernet(&frame).expect("a good packet");
        prop_assert!(checksum_is_right(&sliced));
    }

    #[test]
    fn on_its_packets(
        v6: bool,
        kind in 0u8..3,
        vlans in 0u8..3,
        ports: (u16, u16),
        payload in vec(any::<u8>(), 0..100),
    ) {
        let frame = foreign(v6, kind, vlans, ports, &payload);
        let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, &frame);
        prop_assert_eq!(decoded.invalid, None);
        prop_assert_eq!(decoded.bad_checksums, Default::default());
        prop_assert_eq!(decoded.payload.of(&frame), &payload);
        check(&frame)?;
    }

    #[test]
    fn on_damaged_packets(packet in whole(), damage in damage()) {
        let mut frame = packet.build();
        apply(&mut frame, &damage);
        check(&frame)?;
    }
}
