use super::*;
use portcullis_trial::Place;
use portcullis_wire::LinkType;
use portcullis_wire::decode::Decoder;
use portcullis_wire::decoded::BadChecksums;
use std::collections::HashSet;

fn trial() -> Trial {
    Trial::between(Place::here("a"), Place::here("b"))
}

fn frame(maker: &Maker, number: u32, now: u64) -> Vec<u8> {
    let Class { bytes, payload_sum } = maker.class(number);
    let mut frame = bytes.clone();
    maker.finish(&mut frame, *payload_sum, number, now, number.wrapping_mul(77));
    frame
}

fn check(trial: &Trial, layout: Layout) {
    let maker = Maker::new(trial, layout, 0x8abc);
    let decoder = Decoder::default();
    for number in (0..40_000).chain([u32::MAX - 1, u32::MAX]) {
        let bytes = frame(&maker, number, u64::from(number) * 1_000_003);
        let decoded = decoder.decode(LinkType::Ethernet, None, false, &bytes);
        assert_eq!(decoded.invalid, None, "{trial:?} {layout:?} {number}");
        assert_eq!(decoded.bad_checksums, BadChecksums::default(), "{trial:?} {layout:?} {number}");
        if layout == Layout::Udp {
            assert_ne!(bytes[40..42], [0, 0], "{number}");
        }
    }
}

#[test]
fn frames_decode_and_their_checksums_are_right() {
    for (size, layout) in [
        (Size::Bytes(60), Layout::Udp),
        (Size::Bytes(61), Layout::Udp),
        (Size::Imix, Layout::Udp),
        (Size::Bytes(60), Layout::Tcp),
        (Size::Bytes(1507), Layout::Tcp),
        (Size::Imix, Layout::Tcp),
        (Size::Bytes(60), Layout::Syn),
    ] {
        check(&Trial { size, sources: 3, churn: 0.3, flows: 1000, ..trial() }, layout);
    }
}

#[test]
fn without_churn_flows_take_turns() {
    let maker = Maker::new(&Trial { flows: 7, seed: 0, ..trial() }, Layout::Udp, 0x8000);
    let flows: Vec<u32> = (0..21).map(|number| maker.flow(number)).collect();
    let turn: Vec<u32> = (0..7).collect();
    assert_eq!(flows, turn.repeat(3));
}

#[test]
fn churn_is_how_many_packets_begin_a_flow() {
    for (churn, expected) in [(1.0, 70_000..=70_000), (0.5, 34_000..=36_000), (0.01, 690..=720)] {
        let maker = Maker::new(&Trial { flows: 16, churn, ..trial() }, Layout::Udp, 0x8000);
        let flows: HashSet<u32> = (0..70_000).map(|number| maker.flow(number)).collect();
        assert!(expected.contains(&flows.len()), "{churn}: {}", flows.len());
    }
}

#[test]
fn seeds_begin_with_other_flows_and_payload() {
    let made = |seed| {
        frame(&Maker::new(&Trial { seed, size: Size::Bytes(200), ..trial() }, Layout::Udp, 0x8000), 0, 0)
    };
    assert_eq!(made(5), made(5));
    assert_ne!(made(5)[34..38], made(6)[34..38]);
    assert_ne!(made(5)[58..], made(6)[58..]);
}

#[test]
fn imix_has_the_lengths_it_must_have() {
    let maker = Maker::new(&Trial { size: Size::Imix, ..trial() }, Layout::Udp, 0x8000);
    let mut lengths: Vec<usize> = (0..12).map(|number| maker.class(number).bytes.len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [vec![60; 7], vec![590; 4], vec![1514]].concat());
    assert_eq!(maker.longest().len(), 1514);
}

#[test]
fn flows_have_ports_and_sources_of_their_own() {
    let maker = Maker::new(&Trial { flows: 1 << 16, sources: 3, seed: 0, ..trial() }, Layout::Udp, 0x8000);
    let tuples: HashSet<Vec<u8>> =
        (0..1 << 16).map(|number| frame(&maker, number, 0)[26..38].to_vec()).collect();
    assert_eq!(tuples.len(), 1 << 16);
    let addresses: HashSet<&[u8]> = tuples.iter().map(|tuple| &tuple[..4]).collect();
    assert_eq!(addresses.len(), 3);
    assert_eq!(frame(&maker, 0x4000, 0)[34..38], [0x27, 0x10, 0, 8]);
}
