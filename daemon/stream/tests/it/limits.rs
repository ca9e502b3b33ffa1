//! Memory: what there is, what is refused, what is handed on.

use crate::script::{Rig, check, ids, inline, tell};
use portcullis_flow::Direction;
use portcullis_flow::portable::Reader;
use portcullis_stream::{Fate, SetupError, Share, StreamEvent, StreamSettings, Streams};

const OPEN: &str = "> S 100 ws=7 -> syn_sent
    < SA 300 101 w=65535 ws=7 -> syn_recv
    > A 101 301 -> established
    < A 301 101 w=65535 -> established\n";

#[test]
fn injected_faults() {
    let rig = check(
        &inline(),
        "> S 100 fault=session -> none session-memcap
         > S 100 -> syn_sent
         < SA 300 101 -> syn_recv
         > A 101 301 -> established
         > A 101 301 \"abc\" fault=payload -> established reassembly_insert_memcap memcap
         > A 101 301 \"abc\" -> established pkt_retransmission added \"|abc\"",
    );
    let stats = rig.stats();
    assert_eq!((stats.ssn_memcap_drop, stats.segment_memcap_drop, stats.sessions), (1, 1, 1));
}

#[test]
fn sessions_within_memcap() {
    let settings = StreamSettings { memcap: 4096, ..inline() };
    let mut streams = Streams::new(&settings, Share { workers: 1, seed: 1 }).unwrap();
    let told = tell("> S 100");
    let mut sessions = Vec::new();
    let refused = loop {
        let seen = streams.packet(None, &told.segment());
        match seen.session {
            Some(session) => sessions.push(session),
            None => break seen.fate,
        }
    };
    assert_eq!(refused, Fate::SessionMemcap);
    assert!(sessions.len() > 4 && streams.stats().memuse <= 4096, "{}", sessions.len());
    streams.release(sessions.remove(0));
    assert!(streams.packet(None, &told.segment()).session.is_some());
    assert_eq!(streams.stats().active_sessions, sessions.len() as u64 + 1);
}

/// Every place that was given back is had again, and those that are made ready are used first.
#[test]
fn places_of_sessions_are_used_again() {
    let settings = StreamSettings { memcap: 8192, prealloc_sessions: 4, ..inline() };
    let mut streams = Streams::new(&settings, Share { workers: 1, seed: 1 }).unwrap();
    let told = tell("> S 100");
    let mut fill = || {
        let sessions: Vec<_> =
            std::iter::from_fn(|| streams.packet(None, &told.segment()).session).take(1000).collect();
        sessions.iter().for_each(|session| streams.release(*session));
        (sessions.len() as u64, streams.stats())
    };
    let (most, first) = fill();
    assert!(most > 6);
    assert_eq!((first.ssn_from_cache, first.ssn_from_pool), (4, most - 4));
    let (again, second) = fill();
    assert_eq!((again, second.ssn_from_cache, second.ssn_from_pool), (most, 4 + most, most - 4));
}

#[test]
fn payload_within_memcap() {
    let mut settings = inline();
    settings.reassembly.memcap = 200 << 10;
    settings.reassembly.depth = 0;
    let mut rig = check(&settings, OPEN);
    let mut refused = 0;
    for number in 0..1000_u32 {
        let seen = rig.packet(&tell(&format!("> A {} 301 x=1000", 101 + number * 1000)));
        refused += u64::from(seen.fate == Fate::ReassemblyMemcap);
        assert!(rig.stats().reassembly_memuse <= 200 << 10);
    }
    assert!(refused > 700);
    assert_eq!(rig.stats().segment_memcap_drop, refused);
    rig.streams.release(rig.session.unwrap());
    assert_eq!(rig.stats().reassembly_memuse, 0);
}

/// However little is left of the memory: a segment is kept whole or refused.
#[test]
fn what_is_taken_in_is_there_whole() {
    for (spare, size) in [(0, 1000), (300, 1024), (700, 1500), (1100, 3000), (1300, 100), (2600, 9000)] {
        let mut settings = inline();
        settings.reassembly.memcap = (90 << 10) + spare;
        settings.reassembly.depth = 0;
        let mut rig = check(&settings, OPEN);
        let (mut sent, mut seq) = (Vec::new(), 101_u32);
        loop {
            let mut told = tell(&format!("> A {seq} 301"));
            // Bytes by which each place of the stream is known.
            told.payload = (seq..seq + size).map(|at| (at * 31 % 251).to_le_bytes()[0]).collect();
            if rig.packet(&told).fate == Fate::ReassemblyMemcap {
                break;
            }
            sent.extend_from_slice(&told.payload);
            seq += size;
        }
        let mut kept = Vec::new();
        rig.streams.transcribe(rig.session.unwrap(), Direction::ToServer, 1 << 20, &mut kept);
        assert!(!sent.is_empty() && kept == sent, "{size}, {spare}: {} of {}", kept.len(), sent.len());
    }
}

#[test]
fn what_is_missing_is_noted_where_a_stream_is_shown() {
    let script = format!(
        "{OPEN}> A 101 301 \"abc\" -> established added \"|abc\"
         > A 110 301 \"def\" -> established added \"|def\""
    );
    let rig = check(&inline(), &script);
    let shown = |limit| {
        let mut shown = Vec::new();
        rig.streams.transcribe(rig.session.unwrap(), Direction::ToServer, limit, &mut shown);
        String::from_utf8(shown).unwrap()
    };
    assert_eq!([shown(100), shown(3), shown(2)], ["abc[6 bytes missing]def", "abc", "ab"]);
}

#[test]
fn other_syns_are_forgotten_with_their_session() {
    let mut streams = Streams::new(&inline(), Share { workers: 1, seed: 1 }).unwrap();
    let (one, other) = (tell("> S 100"), tell("> S 200"));
    // More than there is room for at the same time.
    for _ in 0..5000 {
        let session = streams.packet(None, &one.segment()).session;
        assert_eq!(streams.packet(session, &other.segment()).fate, Fate::Valid);
        streams.release(session.unwrap());
    }
}

#[test]
fn each_event_is_counted_once() {
    let far = "> A 9000 301 \"x\" -> established est_packet_out_of_window invalid\n";
    let mut rig =
        check(&inline(), &format!("{}{far}{far}", OPEN.replace(" ws=7", "").replace(" w=65535", "")));
    rig.streams.note_invalid_checksum();
    let stats = rig.stats();
    let told: Vec<_> = stats.events.iter().filter(|count| **count > 0).collect();
    assert_eq!((told, stats.invalid_checksum), (vec![&2], 1));
    assert_eq!(stats.events[StreamEvent::EstablishedOutOfWindow as usize], 2);
}

#[test]
fn stretches_with_gaps_between() {
    let mut settings = inline();
    settings.reassembly.max_regions = 3;
    let mut rig = check(&settings, OPEN);
    let at = |place: u32| tell(&format!("> A {} 301 \"x\"", 101 + place * 200_000));
    for place in [0, 2, 1] {
        assert_eq!(rig.packet(&at(place)).fate, Fate::Valid);
    }
    assert_eq!(rig.packet(&at(4)).fate, Fate::Invalid);
    assert_eq!(rig.packet(&at(2)).fate, Fate::Valid);
    let summary = rig.streams.summary(rig.session.unwrap()).unwrap();
    assert_eq!(summary.to_server.max_regions, 3);
    assert_eq!(rig.stats().insert_data_normal_fail, 1);
}

#[test]
fn shares_that_hold_nothing_are_refused() {
    let refuse = |settings: &StreamSettings, workers, setting: &str| {
        let error = Streams::new(settings, Share { workers, seed: 1 }).unwrap_err();
        assert!(matches!(error, SetupError::MemcapTooSmall { .. }) && error.to_string().starts_with(setting));
    };
    refuse(&StreamSettings { memcap: 100, ..ids() }, 1, "stream.memcap of 100 bytes");
    let mut settings = ids();
    settings.reassembly.memcap = 150 << 10;
    assert!(Streams::new(&settings, Share { workers: 1, seed: 1 }).is_ok());
    refuse(&settings, 2, "stream.reassembly.memcap of 153600 bytes");
}

#[test]
fn chunk_sizes_vary_by_start() {
    let mut settings = inline();
    settings.reassembly.randomize_chunk_range = 10;
    let waiting = |seed| {
        let settings = StreamSettings { inline: false, ..settings.clone() };
        let streams = Streams::new(&settings, Share { workers: 1, seed }).unwrap();
        let mut rig = Rig { streams, session: None };
        rig.run(OPEN);
        for length in 1.. {
            let seq = 100 + length;
            let _ = rig.packet(&tell(&format!("> A {seq} 301 \"x\"")));
            let _ = rig.packet(&tell(&format!("< A 301 {} w=65535", seq + 1)));
            if rig.streams.window(rig.session.unwrap(), Direction::ToServer, &[]).is_some() {
                return length;
            }
        }
        unreachable!("a chunk comes")
    };
    let sizes: Vec<u32> = (1..6).map(waiting).collect();
    assert!(sizes.iter().all(|size| (2304..=2816).contains(size)), "{sizes:?}");
    assert!(sizes.iter().any(|size| *size != sizes[0]), "{sizes:?}");
}

#[test]
fn a_session_handed_over_goes_on() {
    let mut old = check(
        &inline(),
        &format!(
            "{OPEN}> A 101 301 \"GET /ev\" -> established added \"|GET /ev\"
             < A 301 108 w=65535 -> established
             > A 120 301 \"later\" -> established added \"|later\""
        ),
    );
    let mut bytes = Vec::new();
    assert!(old.streams.export(old.session.unwrap(), &|_| 0, &mut bytes));
    let mut new = Rig::new(&inline());
    let mut reader = Reader::new(&bytes);
    new.session = new.streams.import(&|_| 0, &mut reader).ok();
    assert!(reader.is_empty());
    new.run(
        "> A 108 301 \"il\" -> established pkt_retransmission added \"GET /ev|il\"
         > A 105 301 \"/XX\" -> established est_pkt_before_last_ack pkt_spurious_retransmission reassembly_overlap_different_data added conflict \"GET |/evil\"
         > FA 125 301 -> close_wait
         < FA 301 110 -> last_ack",
    );
    // The old one is as it was.
    old.run("> A 108 301 \"il\" -> established pkt_retransmission added \"GET /ev|il\"");
}

#[test]
fn matches_are_remembered_until_the_window_has_passed() {
    let mut rig = check(&inline(), &format!("{OPEN}> A 101 301 \"abc\" -> established added \"|abc\""));
    let session = rig.session.unwrap();
    rig.streams.note_match(session, Direction::ToServer, 7, 3);
    let ask = |rig: &Rig, rule, offset, new_from| {
        rig.streams.matches(session, Direction::ToServer).ask_from(rule, offset, new_from)
    };
    assert_eq!(ask(&rig, 7, 0, 3), 3);
    assert_eq!(ask(&rig, 8, 0, 3), 0);
    // What is before it is new, so it is asked again.
    assert_eq!(ask(&rig, 7, 0, 2), 0);
    for rule in 10..13 {
        rig.streams.note_match(session, Direction::ToServer, rule, 3);
    }
    assert_eq!(ask(&rig, 7, 0, 3), 0);
    assert_eq!(ask(&rig, 10, 0, 3), 3);
}
