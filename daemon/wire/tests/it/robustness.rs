//! No bytes can make the decoder panic, or point outside the frame.

use crate::packets::{apply, damage, whole};
use portcullis_wire::decoded::{DecodeEvent, Span, Transport};
use portcullis_wire::{Decoded, Decoder, LinkType};
use proptest::collection::vec;
use proptest::prelude::*;

const LINKS: [LinkType; 8] = [
    LinkType::Ethernet,
    LinkType::Null,
    LinkType::Ppp,
    LinkType::Raw,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::CiscoHdlc,
    LinkType::Other(147),
];

/// What must hold for any frame.
fn check(frame: &[u8], decoded: &Decoded) -> Result<(), TestCaseError> {
    let within = |inner: Span, outer: Span| {
        inner.start <= inner.end && outer.start <= inner.start && inner.end <= outer.end
    };
    let all = Span { start: 0, end: u32::try_from(frame.len()).expect("small") };
    prop_assert!(within(decoded.ip, all), "{decoded:?}");
    prop_assert!(within(decoded.ip_options, decoded.ip), "{decoded:?}");
    prop_assert!(within(decoded.ip_payload, decoded.ip), "{decoded:?}");
    let empty = decoded.payload == Span::default();
    prop_assert!(empty || within(decoded.payload, decoded.ip_payload), "{decoded:?}");
    if let Transport::Tcp(tcp) = decoded.transport {
        prop_assert!(within(tcp.options, decoded.ip_payload), "{decoded:?}");
        prop_assert_eq!(tcp.options.end, decoded.payload.start);
    }
    if let Some(event) = decoded.invalid {
        prop_assert!(decoded.events.contains(event));
        prop_assert_eq!(decoded.transport, Transport::None);
    }
    if decoded.fragment.is_some() {
        prop_assert_eq!(decoded.transport, Transport::None);
        prop_assert_eq!((decoded.source_port, decoded.destination_port), (0, 0));
    }
    let has_addresses = decoded.source != [0; 16] || decoded.destination != [0; 16];
    prop_assert!(decoded.ip_version != 0 || !has_addresses);
    Ok(())
}

fn check_all(frame: &[u8], outer_vlan: Option<u16>) -> Result<(), TestCaseError> {
    for link in LINKS {
        check(frame, &Decoder::default().decode(link, outer_vlan, false, frame))?;
    }
    Ok(())
}

/// Starts that lead the random bytes after them past the link header.
fn beginning() -> impl Strategy<Value = Vec<u8>> {
    let ethernet = |ethertype: [u8; 2]| [&[0; 12][..], &ethertype].concat();
    let v6 =
        move |next: u8| [&ethernet([0x86, 0xdd])[..], &[0x60, 0, 0, 0, 0, 64, next, 9], &[3; 32]].concat();
    prop_oneof![
        Just(vec![]),
        Just([ethernet([8, 0]), vec![0x45, 0, 0, 60]].concat()),
        Just([ethernet([8, 0]), vec![0x4f, 0, 0, 80]].concat()),
        Just(ethernet([0x81, 0])),
        prop::sample::select(vec![0u8, 6, 17, 43, 44, 50, 51, 58, 60, 135]).prop_map(v6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(start in beginning(), rest in vec(any::<u8>(), 0..160), vlan: Option<u16>) {
        check_all(&[start, rest].concat(), vlan)?;
    }

    #[test]
    fn damaged_packets(packet in whole(), damage in damage()) {
        let mut frame = packet.build();
        apply(&mut frame, &damage);
        check_all(&frame, None)?;
    }

    /// A capture that was cut short anywhere within the packet is invalid, in each case.
    #[test]
    fn truncated_packets(packet in whole(), cut: prop::sample::Index) {
        let mut frame = packet.build();
        frame.truncate(cut.index(frame.len() - packet.padding));
        let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, &frame);
        check(&frame, &decoded)?;
        prop_assert!(decoded.invalid.is_some(), "{decoded:?}");
        if frame.len() < 14 {
            prop_assert_eq!(decoded.invalid, Some(DecodeEvent::EthernetTooSmall));
        }
    }
}
