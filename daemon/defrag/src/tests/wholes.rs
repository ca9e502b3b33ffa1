//! Datagrams put together, and what becomes of their headers.

use super::*;
use portcullis_wire::decoded::{TcpFlags, Transport};
use proptest::prelude::*;

/// Cuts `data` into fragments of `step` bytes.
fn cut(data: &[u8], step: u16) -> Vec<Piece<'_>> {
    let starts = (0_u16..).map(|number| number * step);
    let count = data.len().div_ceil(usize::from(step));
    let mut pieces: Vec<Piece<'_>> =
        starts.zip(data.chunks(usize::from(step))).map(|(offset, data)| piece(offset, true, data)).collect();
    pieces[count - 1].more = false;
    pieces
}

#[test]
fn fragments_in_any_order() {
    let payload = data(5000);
    for version in [4, 6] {
        for step in [8, 504, 512, 520, 1480] {
            let pieces = cut(&payload, step);
            let reversed: Vec<_> = pieces.iter().rev().copied().collect();
            for (id, order) in (1..).zip([&pieces, &reversed]) {
                let mut rig = Rig::inline();
                assert_eq!(rig.datagram(version, id, order).as_deref(), Some(&payload[..]), "{step}");
                let stats = rig.defrag.stats();
                let (fragments, wholes) = match version {
                    4 => (stats.ipv4_fragments, stats.ipv4_reassembled),
                    _ => (stats.ipv6_fragments, stats.ipv6_reassembled),
                };
                assert_eq!((fragments, wholes), (order.len() as u64, 1));
            }
        }
    }
}

#[test]
fn the_largest_datagrams() {
    let payload = data(65_535 - 20);
    assert_eq!(Rig::inline().datagram(4, 1, &cut(&payload, 1480)), Some(payload));
    let payload = data(65_535);
    assert_eq!(Rig::inline().datagram(6, 1, &cut(&payload, 1448)), Some(payload));
}

#[test]
fn nothing_is_kept_of_a_finished_datagram() {
    let mut rig = Rig::new(&small());
    let before = rig.defrag.stats().memuse;
    let payload = data(3000);
    for version in [4, 6] {
        assert!(rig.datagram(version, 1, &cut(&payload, 1000)).is_some());
        assert_eq!(rig.defrag.stats().memuse, before);
    }
    // Inline what it was is kept in mind for a while.
    let mut rig = Rig::inline();
    assert!(rig.datagram(6, 1, &cut(&payload, 1000)).is_some());
    assert!(rig.defrag.fragments == 0 && rig.defrag.stats().memuse > rig.defrag.fixed as u64);
    rig.wait(60);
    rig.defrag.sweep(rig.now, 64);
    assert_eq!(rig.defrag.stats().memuse, rig.defrag.fixed as u64);
}

#[test]
fn datagrams_do_not_mix() {
    let (one, two) = (data(64), vec![9; 64]);
    let mut rig = Rig::inline();
    let (first, second) = (cut(&one, 32), cut(&two, 32));
    assert_eq!(rig.give(&frame(4, 1, first[0])), TAKEN);
    assert_eq!(rig.give(&frame(4, 2, second[0])), TAKEN);
    assert_eq!(rig.give(&frame(6, 1, second[0])), TAKEN);
    let Result::Whole(whole) = rig.give(&frame(4, 1, first[1])).result else { panic!("not whole") };
    assert_eq!(&whole[20..], one);
    let Result::Whole(whole) = rig.give(&frame(4, 2, second[1])).result else { panic!("not whole") };
    assert_eq!(&whole[20..], two);
}

#[test]
fn the_whole_has_the_header_of_its_first_fragment() {
    let mut rig = Rig::new(&small());
    let first = PacketBuilder::ethernet([2; 6], [4; 6])
        .vlan(5)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
        .ip_id(9)
        .ttl(33)
        .tos(0x20)
        .ip_options(&[148, 4, 0, 0])
        .protocol(17)
        .fragment(0, true)
        .payload(&[0x11; 16])
        .minimum(80)
        .to_vec();
    let last = PacketBuilder::ethernet([6; 6], [8; 6])
        .vlan(5)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
        .ip_id(9)
        .ttl(44)
        .protocol(17)
        .fragment(16, false)
        .payload(&[0x22; 3])
        .minimum(60)
        .to_vec();
    let decode = |frame: &[u8]| Decoder::default().decode(LinkType::Ethernet, None, false, frame);
    let taken = rig.defrag.insert(&decode(&last), &last, 0, rig.now);
    assert!(matches!(taken.outcome, Outcome::Taken(_)));
    let Outcome::Complete(ticket) = rig.defrag.insert(&decode(&first), &first, 0, rig.now).outcome else {
        panic!("not whole")
    };
    let whole = rig.defrag.assemble(&ticket, &mut rig.buffer).unwrap();
    assert_eq!(whole.ip_start, 18);
    let expected = PacketBuilder::ethernet([2; 6], [4; 6])
        .vlan(5)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
        .ip_id(9)
        .ttl(33)
        .tos(0x20)
        .ip_options(&[148, 4, 0, 0])
        .protocol(17)
        .payload(&[[0x11; 16].as_slice(), &[0x22; 3]].concat())
        .to_vec();
    assert_eq!(whole.frame, expected);
    assert!(rig.defrag.assemble(&ticket, &mut [0; 30]).is_none(), "too small a buffer");
    rig.defrag.conclude(ticket, true);
}

#[test]
fn ipv6_without_its_fragment_header() {
    let builder = || {
        PacketBuilder::raw()
            .ipv6([0x20; 16], [0x30; 16])
            .flow_label(77)
            .extension(0, &[1, 4, 0, 0, 0, 0])
            .extension(60, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    };
    let whole = builder().tcp(1000, 80).flags(TcpFlags::ACK).payload(&data(100)).to_vec();
    let segment = &whole[40 + 24..];
    let mut rig = Rig::inline();
    let part = |offset: u16, more: bool, data: &[u8], protocol: u8| {
        builder().ip_id(3).protocol(protocol).fragment(offset, more).payload(data).to_vec()
    };
    // Only the first fragment says what is in it (RFC 8200 section 4.5).
    assert_eq!(rig.give(&part(64, false, &segment[64..], 17)), TAKEN);
    let Result::Whole(made) = rig.give(&part(0, true, &segment[..64], 6)).result else { panic!("not whole") };
    assert_eq!(made, whole);
    let decoded = decode(&made);
    assert!(matches!(decoded.transport, Transport::Tcp(_)) && !decoded.bad_checksums.transport);
}

#[test]
fn extensions_that_do_not_fit_are_left_out() {
    let options = [0; 600];
    let part = |offset: u16, more: bool| {
        let builder = PacketBuilder::raw().ipv6([0x20; 16], [0x30; 16]).extension(60, &options).ip_id(3);
        builder.protocol(17).fragment(offset, more).payload(&[5; 8]).to_vec()
    };
    let mut rig = Rig::inline();
    assert_eq!(rig.give(&part(0, true)), TAKEN);
    let Result::Whole(made) = rig.give(&part(8, false)).result else { panic!("not whole") };
    let plain = PacketBuilder::raw().ipv6([0x20; 16], [0x30; 16]).protocol(17).payload(&[5; 16]).to_vec();
    assert_eq!(made, plain);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any cut in any order gives the datagram back, when and only when the last one has come.
    #[test]
    fn any_cut_in_any_order(
        version in prop::sample::select(vec![4_u8, 6]),
        length in 9_usize..4000,
        cuts in prop::collection::vec(1_u16..500, 1..20),
        seed in any::<u64>(),
    ) {
        let payload = data(length);
        let mut starts: Vec<u16> = cuts.iter().map(|cut| cut * 8).filter(|cut| usize::from(*cut) < length).collect();
        starts.push(0);
        starts.sort_unstable();
        starts.dedup();
        let ends = starts.iter().skip(1).map(|end| usize::from(*end)).chain([length]);
        let mut pieces: Vec<Piece<'_>> = starts
            .iter()
            .zip(ends)
            .map(|(start, end)| piece(*start, end != length, &payload[usize::from(*start)..end]))
            .collect();
        prop_assume!(pieces.len() > 1);
        // A shuffle.
        let mut state = seed | 1;
        for place in (1..pieces.len()).rev() {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            pieces.swap(place, usize::try_from(state >> 33).unwrap() % (place + 1));
        }
        let mut rig = Rig::inline();
        for early in &pieces[..pieces.len() - 1] {
            prop_assert_eq!(rig.give(&frame(version, 1, *early)), TAKEN);
        }
        prop_assert_eq!(rig.datagram(version, 1, &pieces[pieces.len() - 1..]), Some(payload));
    }
}
