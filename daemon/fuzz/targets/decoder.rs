//! A byte that chooses the link type and the ports, then a frame: it is decoded with all that it carries, every
//! place that is told is within it, every chain of packets ends, and a place used before tells the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_wire::decoded::{Span, Transport};
use portcullis_wire::{Decoded, Decoder, DecoderConfig, LinkType, Ports};

/// Capture-file numbers: Ethernet, null, PPP, raw, cooked, cooked 2, HDLC, unknown.
const LINKS: [u32; 8] = [1, 0, 9, 101, 113, 276, 104, 147];

fuzz_target!(|data: &[u8]| {
    let [choice, frame @ ..] = data else { return };
    let link = LinkType::from_number(LINKS[usize::from(choice & 7)]);
    let ports = if choice & 8 != 0 { Ports::ANY } else { DecoderConfig::default().vxlan };
    let config = DecoderConfig {
        vxlan: ports,
        teredo: if choice & 16 != 0 { ports } else { Ports::NONE },
        erspan_type1: true,
        ..DecoderConfig::default()
    };
    let decoder = Decoder::new(config);
    let vlan = (choice & 32 != 0).then_some(7);
    let mut decoded = decoder.decode(link, vlan, false, frame);
    let mut again = decoded;
    decoder.decode_into(link, vlan, false, frame, &mut again);
    assert_eq!(decoded, again);
    let mut bytes = frame;
    check(&decoded, bytes);
    let mut packets = 1;
    while let Some(inner) = decoded.inner {
        assert!(decoded.invalid.is_none() && packets <= usize::from(config.max_layers));
        bytes = inner.span.of(bytes);
        decoded = decoder.decode_inner(&decoded, &inner, false, bytes);
        assert_eq!(usize::from(decoded.recursion), packets);
        check(&decoded, bytes);
        packets += 1;
    }
});

fn check(decoded: &Decoded, bytes: &[u8]) {
    let within = |inner: Span, outer: Span| {
        inner.start <= inner.end && outer.start <= inner.start && inner.end <= outer.end
    };
    let all = Span { start: 0, end: u32::try_from(bytes.len()).expect("fuzzers make short inputs") };
    assert!(within(decoded.ip, all) && within(decoded.ip_options, decoded.ip));
    assert!(within(decoded.ip_payload, decoded.ip));
    assert!(decoded.payload == Span::default() || within(decoded.payload, decoded.ip_payload));
    assert!(decoded.inner.is_none_or(|inner| within(inner.span, decoded.ip_payload)));
    assert!(decoded.invalid.is_none_or(|event| decoded.events.contains(event)));
    if decoded.invalid.is_some() || decoded.fragment.is_some() {
        assert_eq!((decoded.transport, decoded.inner), (Transport::None, None));
    }
}
