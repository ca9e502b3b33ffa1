//! Bounds: memory, trackers, fragments, time; and fragments that are wrong by themselves.

use super::*;
use crate::{DefragStats, SetupError};

const IGNORED: Option<DefragEvent> = Some(DefragEvent::Ignored);
const TOO_LARGE: Option<DefragEvent> = Some(DefragEvent::TooLarge);

#[test]
fn fragments_that_no_receiver_takes() {
    let check = |version: u8, piece: Piece<'_>, event: Option<DefragEvent>| {
        for mut rig in [Rig::inline(), Rig::new(&small())] {
            assert_eq!(rig.give(&frame(version, 1, piece)), refused(Refusal::Malformed, event), "{piece:?}");
            assert_eq!(rig.defrag.stats().malformed, 1);
            assert_eq!(rig.defrag.stats().memuse, rig.defrag.fixed as u64);
        }
    };
    for version in [4, 6] {
        check(version, piece(0, true, &[]), None);
        check(version, piece(8, false, &[]), None);
        check(version, piece(0, true, &[1; 7]), None);
        // The ping of death.
        check(version, piece(65_528, false, &[1; 400]), TOO_LARGE);
        check(version, piece(65_528, false, &[1; 8]), TOO_LARGE);
    }
    // Of IPv4 the header counts.
    check(4, piece(65_512, false, &[1; 4]), TOO_LARGE);
    let mut rig = Rig::inline();
    assert_eq!(rig.give(&frame(6, 1, piece(65_512, false, &[1; 23]))), TAKEN);
    assert_eq!(rig.give(&frame(4, 1, piece(65_512, false, &[1; 3]))), TAKEN);
}

#[test]
fn what_is_no_fragment_is_refused() {
    let whole = of(4, PacketBuilder::raw()).payload(&[1; 8]).to_vec();
    assert_eq!(Rig::inline().give(&whole), refused(Refusal::Malformed, None));
    // RFC 6946: an atomic fragment is a whole packet to the decoder.
    let atomic = frame(6, 1, piece(0, false, &[1; 8]));
    assert_eq!(decode(&atomic).fragment, None);
}

#[test]
fn a_wrong_header_checksum() {
    let mut bytes = frame(4, 1, piece(0, true, &[1; 8]));
    bytes[8] ^= 1;
    for mut rig in [Rig::inline(), Rig::new(&small())] {
        assert_eq!(rig.give(&bytes), refused(Refusal::Malformed, None));
    }
}

/// Some hosts take an uneven fragment for what it has in whole units.
#[test]
fn uneven_fragments() {
    let mut rig = Rig::new(&small());
    let bytes = data(20);
    let pieces = [piece(0, true, &bytes[..15]), piece(8, false, &bytes[8..])];
    assert_eq!(rig.datagram(4, 1, &pieces), Some(bytes.clone()));
    assert_eq!(rig.datagram(6, 1, &pieces), None);
    assert_eq!(Rig::inline().datagram(4, 1, &pieces), None);
}

/// The first fragment comes last, with options that make the whole too large.
#[test]
fn too_large_only_as_a_whole() {
    let last = frame(4, 1, piece(65_504, false, &[1; 11]));
    let middle = data(65_504);
    let first = of(4, PacketBuilder::raw()).ip_id(1).ip_options(&[1, 1, 1, 1]).fragment(0, true);
    let first = first.payload(&middle[..1000]).to_vec();
    let settings = DefragSettings { inline: true, ..small() };
    for (inline, mut rig) in [(true, Rig::new(&settings)), (false, Rig::new(&small()))] {
        assert_eq!(rig.give(&last), TAKEN);
        for offset in (1000_u16..65_504).step_by(1000) {
            let end = usize::from(offset.saturating_add(1000).min(65_504));
            assert_eq!(rig.give(&frame(4, 1, piece(offset, true, &middle[usize::from(offset)..end]))), TAKEN);
        }
        assert_eq!(rig.give(&first), refused(Refusal::Malformed, TOO_LARGE));
        let next = rig.give(&first);
        assert_eq!(next, if inline { refused(Refusal::Late, None) } else { TAKEN });
    }
}

#[test]
fn time_is_up() {
    let mut rig = Rig::inline();
    let (first, last) = (frame(4, 1, piece(0, true, &[1; 8])), frame(4, 1, piece(8, false, &[1; 8])));
    assert_eq!(rig.give(&first), TAKEN);
    rig.wait(59);
    assert_eq!(rig.give(&frame(4, 1, piece(16, true, &[1; 8]))), TAKEN);
    // Every fragment prolongs it.
    rig.wait(59);
    assert_eq!(rig.give(&last).result, Result::Refused(Refusal::Overlap));
    rig.wait(1);
    assert_eq!(rig.give(&last), TAKEN);
    assert_eq!(rig.defrag.stats().wrk_tracker_timeout, 1);
    rig.wait(60);
    rig.defrag.sweep(rig.now, 63);
    let before = rig.defrag.stats();
    assert!(before.mgr_tracker_timeout <= 1);
    rig.defrag.sweep(rig.now, 1_000_000);
    let stats = rig.defrag.stats();
    assert_eq!((stats.mgr_tracker_timeout, stats.memuse), (1, rig.defrag.fixed as u64));
    assert_eq!((rig.defrag.fragments, rig.give(&last)), (0, TAKEN));
}

#[test]
fn timeouts_by_network() {
    let host = Network::new(4, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2], 32).unwrap();
    let timeouts = NetworkMap::new(vec![(host, Duration::from_secs(10))]);
    let mut rig = Rig::new(&DefragSettings { timeouts, inline: true, ..small() });
    for (version, timeouts) in [(4, 1), (6, 1)] {
        assert_eq!(rig.give(&frame(version, 1, piece(0, true, &[1; 8]))), TAKEN);
        rig.wait(10);
        let result = rig.give(&frame(version, 1, piece(0, true, &[2; 8]))).result;
        assert_eq!(result == Result::Taken, version == 4);
        assert_eq!(rig.defrag.stats().wrk_tracker_timeout, timeouts);
    }
}

/// Fills all trackers; returns the settings that made so few.
fn crowded(inline: bool) -> Rig {
    let mut rig = Rig::new(&DefragSettings { trackers: 4, inline, ..small() });
    for id in 0..4 {
        assert_eq!(rig.give(&frame(4, id, piece(0, true, &[1; 8]))), TAKEN);
    }
    rig
}

#[test]
fn all_trackers_in_use() {
    let another = frame(4, 9, piece(0, true, &[1; 8]));
    // Inline no datagram is given up whose fragments wait at the receiver.
    let mut rig = crowded(true);
    assert_eq!(rig.give(&another), refused(Refusal::Trackers, IGNORED));
    let stats = rig.defrag.stats();
    assert_eq!((stats.max_trackers_reached, stats.tracker_hard_reuse), (1, 0));
    // Nor one that was dropped.
    let _ = rig.judge(&frame(4, 3, piece(8, false, &[1; 8])), false);
    assert_eq!(rig.give(&another), refused(Refusal::Trackers, IGNORED));
    rig.wait(60);
    assert_eq!((rig.give(&another), rig.defrag.stats().wrk_tracker_timeout), (TAKEN, 1));

    let mut rig = crowded(false);
    assert_eq!((rig.give(&another), rig.defrag.stats().tracker_hard_reuse), (TAKEN, 1));
    // It was the oldest.
    assert!(matches!(rig.give(&frame(4, 1, piece(8, false, &[1; 8]))).result, Result::Whole(_)));
    assert_eq!(rig.give(&frame(4, 0, piece(8, false, &[1; 8]))), TAKEN);

    let mut rig = Rig::new(&DefragSettings { trackers: 4, inline: true, ..small() });
    assert!(rig.datagram(6, 1, &[piece(0, true, &[1; 8]), piece(8, false, &[1; 8])]).is_some());
    for id in 0..4 {
        assert_eq!(rig.give(&frame(4, id, piece(0, true, &[1; 8]))), TAKEN);
    }
    let stats = rig.defrag.stats();
    assert_eq!((stats.tracker_soft_reuse, stats.max_trackers_reached), (1, 0));
}

#[test]
fn as_many_fragments_as_may_be() {
    let mut rig = Rig::new(&DefragSettings { max_frags: 2, inline: true, ..small() });
    assert_eq!(rig.give(&frame(4, 1, piece(0, true, &[1; 8]))), TAKEN);
    assert_eq!(rig.give(&frame(4, 1, piece(8, true, &[1; 8]))), TAKEN);
    assert_eq!(rig.give(&frame(4, 1, piece(16, false, &[1; 8]))), refused(Refusal::Fragments, IGNORED));
    assert_eq!(rig.give(&frame(4, 2, piece(16, false, &[1; 8]))), refused(Refusal::Fragments, IGNORED));
    assert_eq!(rig.defrag.stats().max_frags_reached, 2);
    rig.wait(60);
    assert_eq!(rig.give(&frame(4, 1, piece(16, false, &[1; 8]))), TAKEN);
    assert!(rig.defrag.table.find(&crate::key::DatagramKey::default()).is_none());
}

/// Fragments that never make a datagram, until the memory is used up, and far on: memory stays where
/// it was, and every one is either taken or counted.
fn flood(settings: &DefragSettings, fragments: u32, per_datagram: u32) -> (u64, DefragStats) {
    let mut rig = Rig::new(settings);
    let bytes = data(1024);
    let mut taken = 0;
    for number in 0..fragments {
        let (id, place) = (number / per_datagram, number % per_datagram);
        let offset = u16::try_from(place * 1032 % 60_000 / 8 * 8).unwrap();
        let came = rig.give(&frame(6, id, piece(offset, true, &bytes)));
        match came.result {
            Result::Taken => taken += 1,
            Result::Refused(refusal) => assert!(refusal.is_exhaustion()),
            other => panic!("{other:?}"),
        }
        assert!(rig.defrag.stats().memuse <= settings.memcap);
    }
    (taken, rig.defrag.stats())
}

#[test]
fn a_flood_stays_within_memory() {
    for inline in [true, false] {
        let settings = DefragSettings { memcap: 600_000, inline, trackers: 1000, ..small() };
        let (taken, stats) = flood(&settings, 5000, 10);
        assert_eq!(taken + stats.memcap_reached + stats.max_trackers_reached, 5000);
        assert!(stats.memcap_reached > 3000 && taken > 150, "{taken} {stats:?}");
    }
}

#[test]
fn memory_comes_back_with_time() {
    let settings = DefragSettings { memcap: 400_000, inline: true, ..small() };
    let mut rig = Rig::new(&settings);
    let bytes = data(30_000);
    let mut id = 0;
    while rig.give(&frame(4, id, piece(0, true, &bytes))) == TAKEN {
        id += 1;
    }
    assert!(rig.defrag.stats().memcap_reached == 1 && id > 2);
    assert_eq!(rig.give(&frame(4, id, piece(0, true, &bytes))), refused(Refusal::Memory, IGNORED));
    rig.wait(60);
    assert_eq!(rig.give(&frame(4, id, piece(0, true, &bytes))), TAKEN);
    assert!(rig.defrag.stats().wrk_tracker_timeout >= 1);
}

#[test]
fn settings_that_cannot_be() {
    let check = |settings: &DefragSettings, workers: u8| Defragmenter::new(settings, workers, 1).err();
    assert_eq!(check(&DefragSettings { trackers: 0, ..small() }, 1), Some(SetupError::Nothing));
    assert_eq!(check(&DefragSettings { max_frags: 0, ..small() }, 1), Some(SetupError::Nothing));
    let Some(SetupError::Memcap { share, least }) = check(&small(), 255) else { panic!("enough memory") };
    assert_eq!(share, (1 << 20) / 255);
    // What is said to be enough is, for the largest datagram.
    let settings = DefragSettings { memcap: least, ..small() };
    let mut rig = Rig::new(&settings);
    let bytes = data(65_000);
    assert!(rig.datagram(4, 1, &[piece(0, true, &bytes), piece(65_000, false, &[1; 500])]).is_some());
    assert!(check(&DefragSettings { memcap: least - 1, ..small() }, 1).is_some());
    assert!(check(&DefragSettings::default(), 8).is_none());
}

#[test]
fn nothing_is_allocated_after_start() {
    for inline in [true, false] {
        let mut rig = Rig::new(&DefragSettings { inline, memcap: 300_000, ..small() });
        let bytes = data(2000);
        let frames: Vec<Vec<u8>> = (0..600)
            .map(|number| {
                let (id, place) = (number / 3, u16::try_from(number % 3).unwrap());
                frame(if id % 2 == 0 { 4 } else { 6 }, id, piece(place * 1000, place != 2, &bytes[..1000]))
            })
            .collect();
        let decoded: Vec<Decoded> = frames.iter().map(|frame| decode(frame)).collect();
        let mut wholes = 0;
        let info = allocation_counter::measure(|| {
            for (number, (frame, decoded)) in frames.iter().zip(&decoded).enumerate() {
                match rig.defrag.insert(decoded, frame, 0, rig.now).outcome {
                    Outcome::Complete(ticket) => {
                        wholes += usize::from(rig.defrag.assemble(&ticket, &mut rig.buffer).is_some());
                        rig.defrag.conclude(ticket, number % 2 == 0);
                    }
                    Outcome::Taken(ticket) | Outcome::Duplicate(ticket) => {
                        rig.defrag.conclude(ticket, number % 5 != 0);
                    }
                    Outcome::Refused(_) => {}
                }
                rig.defrag.sweep(rig.now, 4);
            }
        });
        assert_eq!(info.count_total, 0);
        assert!(wholes > 20, "{wholes}");
    }
}

/// What finished datagrams hold is given up before anything is refused.
#[test]
fn finished_datagrams_make_room() {
    let mut rig = Rig::new(&DefragSettings { memcap: 400_000, inline: true, ..small() });
    let bytes = data(30_000);
    for id in 0..30 {
        let pieces = [piece(0, true, &bytes), piece(30_000, false, &[1; 8])];
        assert!(rig.datagram(6, id, &pieces).is_some());
    }
    let stats = rig.defrag.stats();
    assert_eq!((stats.memcap_reached, stats.max_trackers_reached, stats.ipv6_reassembled), (0, 0, 30));
}
