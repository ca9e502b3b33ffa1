//! What is put into tunnels comes out of them as it was, whatever is around it; and cut or damaged
//! anywhere it makes nothing panic.

use crate::packets::{apply, damage, whole};
use portcullis_wire::config::{DecoderConfig, Ports};
use portcullis_wire::decoded::InnerStart;
use portcullis_wire::{Decoded, Decoder, LinkType, PacketBuilder};
use proptest::collection::vec;
use proptest::prelude::*;

/// Ways to put a frame into another one.
const WAYS: [&str; 12] = [
    "ip in ipv4",
    "ip in ipv6",
    "gre",
    "gre bridged",
    "gre with options",
    "erspan 1",
    "erspan 2",
    "vxlan",
    "geneve",
    "geneve ip",
    "pptp",
    "mpls",
];

fn decoder() -> Decoder {
    Decoder::new(DecoderConfig { erspan_type1: true, max_layers: 255, ..DecoderConfig::default() })
}

/// Does the way keep the Ethernet header of the frame that it carries?
fn keeps_ethernet(way: &str) -> bool {
    !matches!(way, "ip in ipv4" | "ip in ipv6" | "gre" | "gre with options" | "geneve ip" | "pptp" | "mpls")
}

/// A frame around `frame`, which has an Ethernet header and IP right after it.
fn wrap(way: &str, frame: &[u8]) -> Vec<u8> {
    let ethernet = || PacketBuilder::ethernet([2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 4]);
    let v4 = || ethernet().ipv4([192, 0, 2, 1], [192, 0, 2, 2]);
    let packet = &frame[14..];
    let ethertype = [frame[12], frame[13]];
    let protocol = if ethertype == [8, 0] { 4 } else { 41 };
    let gre = |header: &[u8], carried: &[u8]| v4().protocol(47).payload(&[header, carried].concat()).to_vec();
    let is_ip = matches!(ethertype, [8, 0] | [0x86, 0xdd]);
    match way {
        // Labels can only be where a type says so.
        "ip in ipv4" | "ip in ipv6" | "pptp" | "mpls" if !is_ip => wrap("gre", frame),
        "ip in ipv4" => v4().protocol(protocol).payload(packet).to_vec(),
        "ip in ipv6" => ethernet().ipv6([9; 16], [8; 16]).protocol(protocol).payload(packet).to_vec(),
        "gre" => gre(&[&[0, 0], &ethertype[..]].concat(), packet),
        "gre bridged" => gre(&[0, 0, 0x65, 0x58], frame),
        "gre with options" => gre(&[&[0xb0, 0], &ethertype[..], &[1; 12]].concat(), packet),
        "erspan 1" => gre(&[0, 0, 0x88, 0xbe], frame),
        "erspan 2" => gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 1, 0, 0, 0, 0], frame),
        "vxlan" => v4().udp(5, 4789).payload(&[&[8, 0, 0, 0, 0, 0, 7, 0], frame].concat()).to_vec(),
        "geneve" => v4().udp(5, 6081).payload(&[&[0, 0, 0x65, 0x58, 0, 0, 7, 0], frame].concat()).to_vec(),
        "geneve ip" => {
            let header = [&[0, 0], &ethertype[..], &[0, 0, 7, 0]].concat();
            v4().udp(5, 6081).payload(&[&header, packet].concat()).to_vec()
        }
        "pptp" => {
            let kind = if protocol == 4 { [0, 0x21] } else { [0, 0x57] };
            let length = u16::try_from(packet.len() + 2).expect("short").to_be_bytes();
            let header = [&[0x30, 1, 0x88, 0x0b], &length[..], &[0, 7, 0, 0, 0, 1]].concat();
            gre(&header, &[&kind, packet].concat())
        }
        _ => {
            // Told from its first nibble.
            let payload = [&[0, 6, 0x41, 64], packet].concat();
            ethernet().ethertype(0x8847).payload(&payload).to_vec()
        }
    }
}

/// The innermost packet, and how many there are.
fn innermost(frame: &[u8]) -> (Decoded, Vec<u8>, usize) {
    let decoder = decoder();
    let mut decoded = decoder.decode(LinkType::Ethernet, None, false, frame);
    let (mut bytes, mut count) = (frame, 1);
    while let Some(inner) = decoded.inner {
        assert!(inner.span.end as usize <= bytes.len() && count < 300);
        bytes = inner.span.of(bytes);
        decoded = decoder.decode_inner(&decoded, &inner, false, bytes);
        assert!(usize::from(decoded.recursion) == count);
        count += 1;
    }
    (decoded, bytes.to_vec(), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_went_in_comes_out(mut packet in whole(), ways in vec(prop::sample::select(&WAYS[..]), 1..5)) {
        packet.vlans.clear();
        let original = packet.build();
        let frame = ways.iter().fold(original.clone(), |frame, way| wrap(way, &frame));
        let (found, bytes, count) = innermost(&frame);
        // Labels are no packet of their own, unless there are some already.
        let mut carriers = ways.len();
        let mut labelled = false;
        for way in &ways {
            labelled = *way == "mpls" && !labelled;
            carriers -= usize::from(labelled);
        }
        prop_assert_eq!(count, 1 + carriers);
        prop_assert_eq!(found.invalid, None, "{:?}", ways);
        prop_assert_eq!(usize::from(found.recursion), carriers);
        // The frame as it was, but for its Ethernet header where that was taken off.
        let expected = Decoder::default().decode(LinkType::Ethernet, None, false, &original);
        prop_assert_eq!(
            (found.ip_version, found.source, found.destination, found.protocol, found.ttl),
            (expected.ip_version, expected.source, expected.destination, expected.protocol, expected.ttl)
        );
        prop_assert_eq!(found.payload.of(&bytes), expected.payload.of(&original));
        prop_assert_eq!(found.ip.of(&bytes), expected.ip.of(&original));
        prop_assert_eq!((found.source_port, found.destination_port), (expected.source_port, expected.destination_port));
        prop_assert_eq!(found.bad_checksums, expected.bad_checksums);
        if keeps_ethernet(ways[0]) {
            prop_assert_eq!(&bytes, &original);
        }
    }

    /// What goes in at every level is bounded, and never beyond the frame.
    #[test]
    fn damage_is_survived(
        mut packet in whole(),
        ways in vec(prop::sample::select(&WAYS[..]), 1..5),
        damage in damage(),
    ) {
        packet.vlans.clear();
        let mut frame = ways.iter().fold(packet.build(), |frame, way| wrap(way, &frame));
        apply(&mut frame, &damage);
        innermost(&frame);
    }

    /// Any port a tunnel's, any bytes in it.
    #[test]
    fn random_datagrams(payload in vec(any::<u8>(), 0..120), v6: bool) {
        let any = DecoderConfig {
            vxlan: Ports::ANY,
            geneve: Ports::ANY,
            teredo: Ports::ANY,
            ..DecoderConfig::default()
        };
        let raw = PacketBuilder::raw();
        let raw = if v6 { raw.ipv6([1; 16], [2; 16]) } else { raw.ipv4([1; 4], [2; 4]) };
        let frame = raw.udp(1, 2).payload(&payload).to_vec();
        let decoder = Decoder::new(any);
        let outer = decoder.decode(LinkType::Raw, None, false, &frame);
        prop_assert_eq!(outer.invalid, None);
        if let Some(inner) = outer.inner {
            prop_assert!(!matches!(inner.start, InnerStart::Link(LinkType::Raw)));
            let _ = decoder.decode_inner(&outer, &inner, false, inner.span.of(&frame));
        }
    }
}
