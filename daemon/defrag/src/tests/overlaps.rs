//! Fragments that overlap or contradict each other.

use super::*;
use proptest::prelude::*;

const OVERLAP: Option<DefragEvent> = Some(DefragEvent::Overlap);

/// Fragments that overlap in every way, after Novak and Sturges: a letter, where it begins and how
/// much of it there is.
const FRAGMENTS: [(u8, u16, usize); 17] = [
    (b'A', 0, 24),
    (b'B', 32, 16),
    (b'C', 48, 24),
    (b'D', 80, 8),
    (b'E', 104, 16),
    (b'F', 120, 24),
    (b'G', 144, 16),
    (b'H', 160, 16),
    (b'I', 176, 8),
    (b'J', 8, 32),
    (b'K', 48, 24),
    (b'L', 72, 24),
    (b'M', 96, 24),
    (b'N', 128, 8),
    (b'O', 152, 8),
    (b'P', 160, 8),
    (b'Q', 176, 16),
];

/// The model: who owns each byte, decided byte by byte as fragments come.
fn naive(policy: OverlapPolicy, pieces: &[Piece<'_>]) -> Option<Vec<u8>> {
    let mut bytes: Vec<Option<(u8, usize, usize)>> = vec![None; 1 << 16];
    let mut end = None;
    let mut high = 0;
    for piece in pieces {
        let (start, stop) = (usize::from(piece.offset), usize::from(piece.offset) + piece.data.len());
        // Beyond the end, or another end: not of this datagram.
        let wrong = match end {
            Some(end) => stop > end || (!piece.more && stop != end),
            None => !piece.more && high > stop,
        };
        if wrong {
            continue;
        }
        for (place, byte) in (start..).zip(piece.data) {
            let wins = bytes[place].is_none_or(|(_, old_start, old_stop)| match policy {
                OverlapPolicy::First => false,
                OverlapPolicy::Last => true,
                OverlapPolicy::Bsd => start < old_start,
                OverlapPolicy::BsdRight => start >= old_start,
                OverlapPolicy::Linux => start <= old_start,
                OverlapPolicy::Windows => start < old_start && stop > old_stop,
                OverlapPolicy::Solaris => start < old_start && stop >= old_stop,
            });
            if wins {
                bytes[place] = Some((*byte, start, stop));
            }
        }
        high = high.max(stop);
        if !piece.more {
            end = Some(stop);
        }
        if let Some(end) = end
            && let Some(whole) = bytes[..end].iter().map(|byte| byte.map(|(byte, ..)| byte)).collect()
        {
            return Some(whole);
        }
    }
    None
}

#[test]
fn each_policy_by_example() {
    let check = |policy: OverlapPolicy, expected: &str| {
        let letters: Vec<Vec<u8>> =
            FRAGMENTS.iter().map(|(letter, _, count)| vec![*letter; *count]).collect();
        let expected: Vec<u8> = expected.bytes().flat_map(|letter| [letter; 8]).collect();
        // At the begin, and far behind it.
        for before in [0_u16, 9600] {
            let start = vec![b'.'; usize::from(before)];
            let mut pieces = vec![piece(0, true, &start)];
            pieces.retain(|piece| !piece.data.is_empty());
            let places = FRAGMENTS.iter().zip(&letters);
            pieces.extend(
                places.map(|((letter, offset, _), data)| piece(before + *offset, *letter != b'Q', data)),
            );
            let expected = [&start[..], &expected].concat();
            for version in [4, 6] {
                let whole = Rig::with_policy(policy).datagram(version, 1, &pieces).unwrap();
                assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&expected), "{policy:?}");
            }
            assert_eq!(naive(policy, &pieces), Some(expected));
        }
    };
    // A letter for every eight bytes.
    check(OverlapPolicy::First, "AAAJBBCCCLDLMEEFFFGGHHIQ");
    check(OverlapPolicy::Last, "AJJJJBKKKLLLMMMFNFGOPHQQ");
    check(OverlapPolicy::Bsd, "AAAJJBCCCLLLMMMFFFGGHHIQ");
    check(OverlapPolicy::BsdRight, "AJJJBBKKKLDLMEEFNFGOPHQQ");
    check(OverlapPolicy::Linux, "AAAJJBKKKLLLMMMFFFGGPHQQ");
    check(OverlapPolicy::Windows, "AAAJBBCCCLLLMEEFFFGGHHIQ");
    check(OverlapPolicy::Solaris, "AAAJBBCCCLLLMMMFFFGGHHIQ");
}

/// The example of Shankar and Paxson, in units of eight bytes.
#[test]
fn the_example_of_active_mapping() {
    let check = |policy: OverlapPolicy, expected: &str| {
        let one = |letter: u8, count: usize| vec![letter; count * 8];
        let letters = [one(b'1', 3), one(b'2', 2), one(b'3', 3), one(b'4', 4), one(b'5', 3), one(b'6', 3)];
        let offsets = [0, 4, 6, 1, 6, 9];
        let pieces: Vec<Piece<'_>> = offsets
            .iter()
            .zip(&letters)
            .map(|(offset, data)| piece(offset * 8, *offset != 9, data))
            .collect();
        let whole = Rig::with_policy(policy).datagram(4, 1, &pieces).unwrap();
        let units: String = whole.chunks(8).map(|unit| char::from(unit[0])).collect();
        assert_eq!(units, expected, "{policy:?}");
    };
    check(OverlapPolicy::Bsd, "111442333666");
    check(OverlapPolicy::BsdRight, "144422555666");
    check(OverlapPolicy::Linux, "111442555666");
    check(OverlapPolicy::First, "111422333666");
    check(OverlapPolicy::Last, "144442555666");
}

#[test]
fn an_overlap_is_told() {
    let mut rig = Rig::with_policy(OverlapPolicy::First);
    assert_eq!(rig.give(&frame(6, 1, piece(0, true, &data(400)))), TAKEN);
    assert_eq!(rig.give(&frame(6, 1, piece(400, true, &data(400)))), TAKEN);
    let again = rig.give(&frame(6, 1, piece(400, true, &data(400))));
    assert_eq!(again, Came { result: Result::Taken, event: OVERLAP });
    let Came { result: Result::Whole(_), event: None } =
        rig.give(&frame(6, 1, piece(800, false, &data(400))))
    else {
        panic!("not whole")
    };
}

/// Which first fragment counts also decides whose header the datagram has.
#[test]
fn the_header_is_that_of_the_fragment_that_counts() {
    let check = |policy: OverlapPolicy, expected: u8| {
        let mut rig = Rig::with_policy(policy);
        let first =
            |ttl: u8| of(4, PacketBuilder::raw()).ttl(ttl).fragment(0, true).payload(&[ttl; 8]).to_vec();
        assert_eq!(rig.give(&first(11)), TAKEN);
        assert_eq!(rig.give(&first(22)).event, OVERLAP);
        let Result::Whole(whole) = rig.give(&frame(4, 0, piece(8, false, &[1]))).result else {
            panic!("not whole")
        };
        assert_eq!((whole[8], whole[20]), (expected, expected), "{policy:?}");
    };
    check(OverlapPolicy::First, 11);
    check(OverlapPolicy::Last, 22);
}

/// Inline, by the second of two fragments: what becomes of it, and then of one that would complete the
/// datagram without it.
#[test]
fn inline_overlaps_are_refused() {
    let bytes = data(64);
    let check = |second: Piece<'_>, result: &Result| {
        for version in [4, 6] {
            let mut rig = Rig::inline();
            assert_eq!(rig.give(&frame(version, 1, piece(16, true, &bytes[16..48]))), TAKEN);
            assert_eq!(rig.give(&frame(version, 1, second)), Came { result: result.clone(), event: OVERLAP });
            assert_eq!(rig.defrag.stats().overlaps_refused, u64::from(*result != Result::Duplicate));
            let left = [piece(48, false, &bytes[48..]), piece(0, true, &bytes[..16])];
            let whole = rig.datagram(version, 1, &left);
            // Of IPv6 the whole datagram is gone (RFC 5722).
            let is_gone = version == 6 && *result != Result::Duplicate;
            assert_eq!(whole, (!is_gone).then(|| bytes.clone()), "{second:?}");
        }
    };
    let overlap = Result::Refused(Refusal::Overlap);
    check(piece(16, true, &bytes[16..48]), &Result::Duplicate);
    check(piece(24, true, &bytes[24..40]), &Result::Duplicate);
    // Other bytes, or only a part of it the same.
    check(piece(16, true, &bytes[..32]), &overlap);
    check(piece(40, true, &bytes[40..56]), &overlap);
    check(piece(8, true, &bytes[8..24]), &overlap);
    check(piece(0, true, &bytes[..64]), &overlap);
    // The same bytes, but said to be the last: teardrop.
    check(piece(24, false, &bytes[24..40]), &overlap);
    // The same bytes, but now said to be the last of all: something new.
    check(piece(32, false, &bytes[32..48]), &overlap);
}

#[test]
fn ends_that_contradict() {
    let bytes = data(64);
    let check = |first: Piece<'_>, second: Piece<'_>, outcome: &Result| {
        for mut rig in [Rig::inline(), Rig::with_policy(OverlapPolicy::Last)] {
            assert_eq!(rig.give(&frame(4, 1, first)), TAKEN);
            assert_eq!(&rig.give(&frame(4, 1, second)).result, outcome, "{first:?} {second:?}");
        }
    };
    let refused = Result::Refused(Refusal::Overlap);
    // Data behind the end, and another end.
    check(piece(32, false, &bytes[..16]), piece(48, true, &bytes[..8]), &refused);
    check(piece(32, false, &bytes[..16]), piece(32, false, &bytes[..15]), &refused);
    check(piece(32, false, &bytes[..16]), piece(48, false, &bytes[..8]), &refused);
    check(piece(32, false, &bytes[..13]), piece(32, true, &bytes[..16]), &refused);
    // An end before data that is there.
    check(piece(32, true, &bytes[..16]), piece(24, false, &bytes[..16]), &refused);
    check(piece(32, true, &bytes[..16]), piece(48, false, &bytes[..1]), &Result::Taken);
}

/// Of a datagram that was dropped nothing goes out, until it would be forgotten.
#[test]
fn a_condemned_datagram_stays_so() {
    for version in [4, 6] {
        let mut rig = Rig::inline();
        let (first, last) =
            (frame(version, 1, piece(0, true, &[1; 8])), frame(version, 1, piece(8, false, &[2; 8])));
        assert_eq!(rig.give(&first), TAKEN);
        assert!(matches!(rig.judge(&last, false).result, Result::Whole(_)));
        for again in [&last, &first, &last] {
            rig.wait(59);
            assert_eq!(rig.give(again), refused(Refusal::Late, None));
        }
        assert_eq!((rig.defrag.stats().late, rig.defrag.fragments), (3, 0));
        rig.wait(60);
        assert_eq!(rig.give(&first), TAKEN);
        // Other datagrams are not concerned.
        assert_eq!(rig.give(&frame(version, 2, piece(0, true, &[1; 8]))), TAKEN);
    }
}

/// A fragment that was taken in but dropped for another reason condemns its datagram, too.
#[test]
fn a_fragment_that_did_not_go_out_condemns() {
    let mut rig = Rig::inline();
    let Outcome::Taken(ticket) = rig.insert(&frame(4, 1, piece(0, true, &[1; 8]))).outcome else {
        panic!("not taken")
    };
    rig.defrag.conclude(ticket, false);
    assert_eq!(rig.give(&frame(4, 1, piece(8, false, &[1; 8]))), refused(Refusal::Late, None));
    // Where nothing can be dropped, it is not listened to.
    let mut rig = Rig::new(&small());
    let Outcome::Taken(ticket) = rig.insert(&frame(4, 1, piece(0, true, &[1; 8]))).outcome else {
        panic!("not taken")
    };
    rig.defrag.conclude(ticket, false);
    assert!(matches!(rig.give(&frame(4, 1, piece(8, false, &[1; 8]))).result, Result::Whole(_)));
}

/// A fragment that reached us but perhaps not the receiver must not be put in by another later.
#[test]
fn a_datagram_in_doubt_is_kept_in_mind() {
    let check = |version: u8, first_ttl: u8, dont_fragment: bool, tos: u8, is_kept: bool| {
        let part = |ttl: u8, offset: u16, more: bool, data: &[u8]| {
            let builder = of(version, PacketBuilder::raw()).ip_id(1).ttl(ttl).fragment(offset, more);
            let builder = if dont_fragment { builder.dont_fragment() } else { builder };
            builder.tos(if offset == 0 { tos } else { 0 }).payload(data).to_vec()
        };
        let mut rig = Rig::inline();
        assert_eq!(rig.give(&part(first_ttl, 0, true, &[1; 8])), TAKEN);
        assert!(matches!(rig.give(&part(64, 8, false, &[2; 8])).result, Result::Whole(_)));
        let replaced = rig.give(&part(64, 0, true, &[3; 8]));
        assert_eq!(replaced, refused(Refusal::Late, None));
        // What says the same again is no replacement.
        assert_eq!(rig.give(&part(64, 8, false, &[2; 8])).result, Result::Duplicate);
        assert_eq!(rig.give(&part(64, 8, true, &[2; 8])).result, Result::Duplicate);
        assert_eq!(rig.give(&part(64, 8, false, &[2; 7])), refused(Refusal::Late, None));
        rig.wait(2);
        let replaced = rig.give(&part(64, 0, true, &[3; 8]));
        assert_eq!(replaced == refused(Refusal::Late, None), is_kept, "{version} {first_ttl}");
        // Nothing prolongs it.
        rig.wait(58);
        let again = rig.give(&part(64, 0, true, &[3; 8]));
        assert_eq!(again == TAKEN, is_kept);
    };
    check(4, 64, false, 0, false);
    check(4, 3, false, 0, true);
    check(4, 64, true, 0, true);
    check(4, 64, false, 3, true);
    // Identifications of IPv6 do not come again for a long time.
    check(6, 64, false, 0, true);
}

fn pieces(longest: u16) -> impl Strategy<Value = Vec<(u16, u16, bool, u8)>> {
    // Not one that is a whole datagram by itself.
    let whole = |(start, _, more, _): &(u16, u16, bool, u8)| *start > 0 || *more;
    let unit = (0..longest, 1_u16..20, prop::bool::weighted(0.9), any::<u8>());
    prop::collection::vec(unit.prop_filter("no fragment", whole), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Every policy against the byte map, with fragments at random that end anywhere.
    #[test]
    fn policies_are_as_the_model(
        random in pieces(90),
        policy in prop::sample::select(OverlapPolicy::ALL.to_vec()),
        version in prop::sample::select(vec![4_u8, 6]),
        odd in 0_usize..8,
    ) {
        let fragments: Vec<(u16, bool, Vec<u8>)> = random
            .iter()
            .map(|(start, units, more, salt)| {
                let length = usize::from(*units) * 8 - if *more { 0 } else { odd };
                (start * 8, *more, (0..length).map(|at| u8::try_from(at % 256).unwrap() ^ salt).collect())
            })
            .collect();
        let pieces: Vec<Piece<'_>> =
            fragments.iter().map(|(offset, more, data)| piece(*offset, *more, data)).collect();
        let mut rig = Rig::with_policy(policy);
        // Only the first datagram: what comes behind it begins another.
        let expected = naive(policy, &pieces);
        let upto = (1..=pieces.len()).find(|count| naive(policy, &pieces[..*count]).is_some());
        let made = rig.datagram(version, 1, &pieces[..upto.unwrap_or(pieces.len())]);
        prop_assert_eq!(made, expected);
    }

    /// Inline, whatever goes out makes one and the same datagram under every policy, and that is the one
    /// that was judged.
    #[test]
    fn inline_all_receivers_agree(random in pieces(12), version in prop::sample::select(vec![4_u8, 6])) {
        let fragments: Vec<(u16, bool, Vec<u8>)> = random
            .iter()
            .map(|(start, units, more, salt)| (start * 8, *more, vec![salt % 3; usize::from(*units % 6 + 1) * 8]))
            .collect();
        let mut rig = Rig::inline();
        let mut out: Vec<Piece<'_>> = Vec::new();
        let mut judged = None;
        for (offset, more, data) in &fragments {
            let piece = piece(*offset, *more, data);
            match rig.give(&frame(version, 1, piece)).result {
                Result::Taken | Result::Duplicate => out.push(piece),
                Result::Whole(packet) => {
                    judged = Some(decode(&packet).ip_payload.of(&packet).to_vec());
                    out.push(piece);
                    break;
                }
                Result::Refused(_) => {}
            }
        }
        for policy in OverlapPolicy::ALL {
            prop_assert_eq!(naive(policy, &out), judged.clone());
            let reversed: Vec<_> = out.iter().rev().copied().collect();
            prop_assert_eq!(naive(policy, &reversed), judged.clone());
        }
    }
}
