//! What the builder wrote, the decoder reads.

use crate::packets::{Packet, Transport as Described, whole};
use portcullis_wire::decoded::{BadChecksums, Fragment, Transport, mapped};
use portcullis_wire::{Decoded, Decoder, LinkType, PacketBuilder};
use proptest::prelude::*;

fn decode(frame: &[u8]) -> Decoded {
    Decoder::default().decode(LinkType::Ethernet, None, false, frame)
}

fn check_network(packet: &Packet, decoded: &Decoded) -> Result<(), TestCaseError> {
    prop_assert_eq!(decoded.invalid, None);
    let ids: Vec<u16> = packet.vlans.iter().map(|(_, tci)| tci & 0x0fff).collect();
    prop_assert_eq!(decoded.vlans.as_slice(), ids);
    let (version, source, destination) = if packet.v6 {
        (6, packet.source, packet.destination)
    } else {
        (4, mapped(packet.v4_source()), mapped(packet.v4_destination()))
    };
    prop_assert_eq!(decoded.ip_version, version);
    prop_assert_eq!(decoded.source, source);
    prop_assert_eq!(decoded.destination, destination);
    prop_assert_eq!((decoded.ttl, decoded.tos), (packet.ttl, packet.tos));
    prop_assert_eq!(decoded.ip_id, if packet.v6 { 0 } else { packet.id });
    prop_assert_eq!(decoded.flow_label, if packet.v6 { packet.flow_label } else { 0 });
    Ok(())
}

fn check_transport(packet: &Packet, decoded: &Decoded, frame: &[u8]) -> Result<(), TestCaseError> {
    let ports = (decoded.source_port, decoded.destination_port);
    match (&packet.transport, decoded.transport) {
        (
            Described::Tcp { ports: described, seq, ack, flags, window, urgent, options },
            Transport::Tcp(tcp),
        ) => {
            prop_assert_eq!(ports, *described);
            prop_assert_eq!((tcp.seq, tcp.ack, tcp.window, tcp.urgent), (*seq, *ack, *window, *urgent));
            prop_assert_eq!(tcp.flags.0, *flags);
            prop_assert_eq!(tcp.options.len(), options.next_multiple_of(4));
        }
        (Described::Udp { ports: described, .. }, Transport::Udp(udp)) => {
            prop_assert_eq!(ports, *described);
            prop_assert_eq!(usize::from(udp.length), 8 + packet.payload.len());
        }
        (Described::Echo { reply, id, seq }, Transport::Icmpv4(icmp)) if !packet.v6 => {
            prop_assert_eq!((icmp.kind, icmp.code), (if *reply { 0 } else { 8 }, 0));
            prop_assert_eq!(icmp.echo, Some((*id, *seq)));
        }
        (Described::Echo { reply, id, seq }, Transport::Icmpv6(icmp)) if packet.v6 => {
            prop_assert_eq!((icmp.kind, icmp.code), (if *reply { 129 } else { 128 }, 0));
            prop_assert_eq!(icmp.echo, Some((*id, *seq)));
        }
        (Described::Other(protocol), Transport::None) => {
            prop_assert_eq!(decoded.protocol, *protocol);
            prop_assert_eq!(decoded.ip_payload.of(frame), &packet.payload);
            return Ok(());
        }
        (described, found) => {
            prop_assert!(false, "{described:?} became {found:?}");
        }
    }
    prop_assert_eq!(decoded.payload.of(frame), &packet.payload);
    Ok(())
}

proptest! {
    #[test]
    fn whole_packets(packet in whole()) {
        let frame = packet.build();
        let decoded = decode(&frame);
        check_network(&packet, &decoded)?;
        check_transport(&packet, &decoded, &frame)?;
        prop_assert_eq!(decoded.bad_checksums, BadChecksums::default());
        prop_assert_eq!(decoded.fragment, None);
        prop_assert_eq!(decoded.ip.end as usize + packet.padding, frame.len());
    }

    /// A place that was used before is as good as a new one.
    #[test]
    fn decoding_into_a_used_place(first in whole(), second in whole()) {
        let decoder = Decoder::default();
        let mut out = decode(&first.build());
        decoder.decode_into(LinkType::Ethernet, Some(9), true, &second.build(), &mut out);
        prop_assert_eq!(out, decoder.decode(LinkType::Ethernet, Some(9), true, &second.build()));
    }

    /// A bit that is flipped in what a checksum covers is noticed, and only when asked.
    #[test]
    fn flipped_bits(packet in whole(), place: prop::sample::Index, bit in 0u8..8) {
        let mut frame = packet.build();
        let covered = match packet.transport {
            Described::Other(_) => None,
            _ => Some(decode(&frame).payload),
        };
        prop_assume!(covered.is_some_and(|span| !span.is_empty()));
        let covered = covered.unwrap_or_default();
        frame[covered.start as usize + place.index(covered.len())] ^= 1 << bit;
        prop_assert!(decode(&frame).bad_checksums.transport);
        prop_assert!(!decode(&frame).bad_checksums.ipv4);
        let skipped = Decoder::default().decode(LinkType::Ethernet, None, true, &frame);
        prop_assert_eq!(skipped.bad_checksums, BadChecksums::default());
    }

    /// The fragments of a packet carry its bytes, each in its place, and no transport.
    #[test]
    fn fragments(packet in whole(), size in 8usize..100) {
        let whole = packet.build();
        let body = decode(&whole).ip_payload;
        let body = body.of(&whole);
        prop_assume!(!body.is_empty());
        let builder = PacketBuilder::raw().ip_id(77).protocol(decode(&whole).protocol).payload(body);
        let builder = if packet.v6 {
            builder.ipv6(packet.source, packet.destination).extension(60, &[1, 4, 0, 0, 0, 0])
        } else {
            builder.ipv4(packet.v4_source(), packet.v4_destination()).ip_options(&[1, 1, 1])
        };
        let mut assembled = vec![];
        let fragments = builder.to_fragments(size);
        for (number, frame) in fragments.iter().enumerate() {
            let decoded = Decoder::default().decode(LinkType::Raw, None, false, frame);
            prop_assert_eq!(decoded.invalid, None);
            prop_assert_eq!(decoded.bad_checksums, BadChecksums::default());
            let more = number + 1 < fragments.len();
            if number > 0 || more {
                let offset = u32::try_from(assembled.len()).expect("small");
                prop_assert_eq!(decoded.fragment, Some(Fragment { id: 77, offset, more }));
                prop_assert_eq!(decoded.transport, Transport::None);
                prop_assert_eq!((decoded.source_port, decoded.destination_port), (0, 0));
            }
            assembled.extend_from_slice(decoded.ip_payload.of(frame));
        }
        prop_assert_eq!(assembled, body);
    }

    /// A buffer that is too short is refused, one that is longer is left alone behind.
    #[test]
    fn buffers(packet in whole(), short: prop::sample::Index) {
        let frame = packet.build();
        let builder = PacketBuilder::raw().ipv4([1, 2, 3, 4], [5, 6, 7, 8]).udp(1, 2).payload(&frame);
        let mut buffer = vec![0xee; builder.length() + 5];
        prop_assert_eq!(builder.write_to(&mut buffer), Some(builder.length()));
        prop_assert_eq!(&buffer[builder.length()..], &[0xee; 5]);
        prop_assert_eq!(builder.write_to(&mut buffer[..short.index(builder.length())]), None);
    }
}

#[test]
fn what_no_header_field_can_state_is_refused() {
    let long = vec![0; 65_536];
    let refused = |builder: PacketBuilder<'_>| {
        assert_eq!(builder.write_to(&mut vec![0; 70_000]), None, "{:?}", builder.length());
    };
    let v4 = PacketBuilder::raw().ipv4([1, 2, 3, 4], [5, 6, 7, 8]);
    let v6 = PacketBuilder::raw().ipv6([1; 16], [2; 16]);
    refused(v4.protocol(47).payload(&long[..65_516]));
    refused(v6.protocol(47).payload(&long));
    refused(v6.udp(1, 2).payload(&long[..65_528]));
    refused(v4.ip_options(&[1; 41]));
    refused(v4.tcp(1, 2).tcp_options(&[1; 41]));
    refused(v6.extension(60, &long[..2047]));
    assert_eq!(v4.protocol(47).payload(&long[..65_515]).to_vec().len(), 65_535);
}
