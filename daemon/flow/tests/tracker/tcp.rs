//! TCP: states, history, Zeek's conn_state.

use crate::packets::{ACK, CLIENT, Event, FIN, RST, SERVER, SYN, at, names, small, tcp, track, tracker, udp};
use portcullis_flow::tracker::{
    EndReason, FiveTuple, FlowEvent, FlowSide, FlowTracker, History, PacketView, TrackerConfig,
};

/// Who sends, flags, sequence number, acknowledgement number, bytes of data.
type Segment = (char, u8, u32, u32, usize);

fn play(segments: &[Segment]) -> (Vec<Event>, usize) {
    let mut tracker = tracker();
    let mut events = Vec::new();
    for (who, flags, seq, ack, data) in segments {
        let (source, destination) = if *who == 'c' { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let data = vec![b'x'; *data];
        let frame = tcp(source, destination, *flags, *seq, *ack).payload(&data).to_vec();
        events.extend(track(&mut tracker, &frame, 0));
    }
    let live = tracker.flow_count();
    events.extend(tracker.drain());
    (events, live)
}

/// The history and the conn_state with which the segments' one flow ends.
#[track_caller]
fn check(segments: &[Segment], history: &str, conn_state: &str) {
    let (events, _) = play(segments);
    let ends: Vec<(String, &str)> = events
        .iter()
        .filter_map(|event| match event {
            FlowEvent::Ended { history, conn_state, .. } => Some((history.to_string(), conn_state.name())),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(history.to_owned(), conn_state)], "{segments:?}");
}

const HANDSHAKE: [Segment; 3] =
    [('c', SYN, 1000, 0, 0), ('s', SYN | ACK, 5000, 1001, 0), ('c', ACK, 1001, 5001, 0)];

fn after_handshake(more: &[Segment]) -> Vec<Segment> {
    HANDSHAKE.iter().chain(more).copied().collect()
}

#[test]
fn a_handshake_establishes_once() {
    let (events, live) = play(&after_handshake(&[('c', ACK, 1001, 5001, 4), ('s', ACK, 5001, 1005, 0)]));
    assert_eq!(live, 1);
    assert_eq!(
        names(&events),
        [
            "started",
            "Active-SynSent",
            "packet",
            "SynSent-SynReceived",
            "packet",
            "established",
            "packet",
            "packet",
            "packet",
            "drained"
        ]
    );
}

#[test]
fn a_reset_ends_the_flow_after_its_packet() {
    // As it is sent, and as bare as some send it.
    for reset in [('s', RST | ACK, 0, 2, 0), ('s', RST, 0, 0, 0)] {
        let (events, live) = play(&[('c', SYN, 1, 0, 0), reset]);
        assert_eq!(
            (live, &names(&events)[3..]),
            (0, &["SynSent-Reset".into(), "packet".into(), "rst".into()][..])
        );
    }
}

#[test]
fn two_fins_and_their_acknowledgements_end_it() {
    let close = [('c', FIN | ACK, 1001, 5001, 0), ('s', FIN | ACK, 5001, 1002, 0), ('c', ACK, 1002, 5002, 0)];
    let (events, live) = play(&after_handshake(&close));
    let last = names(&events).split_off(7);
    assert_eq!(live, 0);
    assert_eq!(last, ["Established-Closing", "packet", "packet", "Closing-Closed", "packet", "fin"]);
    let (events, live) = play(&after_handshake(&close[..2]));
    assert_eq!(
        (live, names(&events).last().unwrap().as_str()),
        (1, "drained"),
        "not all is acknowledged yet"
    );
}

#[test]
fn a_handshake_whose_last_part_closes_is_established_first() {
    let (events, _) = play(&[HANDSHAKE[0], HANDSHAKE[1], ('c', FIN | ACK, 1001, 5001, 0)]);
    assert_eq!(names(&events)[5..8], ["established", "Established-Closing", "packet"]);
}

#[test]
fn zeeks_letters_and_states() {
    check(&[('c', SYN, 1, 0, 0)], "S", "S0");
    check(&HANDSHAKE[..2], "Sh", "S1");
    check(&HANDSHAKE, "ShA", "S1");
    check(&[('c', SYN, 1, 0, 0), ('s', RST | ACK, 0, 2, 0)], "Sr", "REJ");
    check(&[('c', SYN, 1, 0, 0), ('c', RST, 2, 0, 0)], "SR", "RSTOS0");
    check(&[('c', SYN, 1, 0, 0), ('c', FIN, 2, 0, 0)], "SF", "SH");
    check(&[('s', SYN | ACK, 1, 9, 0), ('s', FIN | ACK, 2, 9, 0)], "^hf", "SHR");
    check(&[('s', SYN | ACK, 1, 9, 0), ('s', RST, 2, 0, 0)], "^hr", "RSTRH");
    check(&[('s', SYN | ACK, 1, 9, 0), ('c', ACK, 9, 2, 0)], "^hA", "S1");
    check(&[('c', ACK, 1, 9, 4), ('s', ACK, 9, 5, 0)], "Da", "OTH");
    let whole = [
        ('c', ACK, 1001, 5001, 10),
        ('s', ACK, 5001, 1011, 20),
        ('c', FIN | ACK, 1011, 5021, 0),
        ('s', FIN | ACK, 5021, 1012, 0),
        ('c', ACK, 1012, 5022, 0),
    ];
    check(&after_handshake(&whole), "ShADdFf", "SF");
    check(&after_handshake(&whole[..3]), "ShADdF", "S2");
    check(&after_handshake(&[('s', FIN | ACK, 5001, 1001, 0)]), "ShAf", "S3");
    check(&after_handshake(&[('c', RST, 1001, 0, 0)]), "ShAR", "RSTO");
    check(&after_handshake(&[('s', RST, 5001, 0, 0)]), "ShAr", "RSTR");
}

#[test]
fn retransmissions_gaps_and_zero_windows() {
    let again: Vec<Segment> = (0..101).map(|_| ('c', ACK, 1001, 5001, 10)).collect();
    check(&after_handshake(&again), "ShADTTT", "S1"); // the 1st, 10th and 100th of a hundred
    // The client acknowledges 30 bytes that were never seen of the server; seen twice, counted once.
    let gap = [('c', ACK, 1001, 5031, 0), ('c', ACK, 1001, 5031, 0)];
    check(&after_handshake(&gap), "ShAg", "S1");
    // Nor is one told of a connection whose beginning was not seen.
    check(&[('c', ACK, 1, 9, 4), ('s', ACK, 9, 500, 0)], "Da", "OTH");
    // Found at the end it is not reliable.
    check(&after_handshake(&[('c', FIN | ACK, 1001, 5031, 0)]), "ShAF", "S2");

    let mut tracker = tracker();
    for (_, flags, seq, ack, _) in HANDSHAKE {
        let client = flags & SYN == 0 || flags == SYN;
        let (source, destination) = if client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        track(&mut tracker, &tcp(source, destination, flags, seq, ack).to_vec(), 0);
    }
    for _ in 0..10 {
        track(&mut tracker, &tcp(SERVER, CLIENT, ACK, 5001, 1001).window(0).to_vec(), 0);
    }
    assert_eq!(tracker.flows().next().unwrap().1.history.as_str(), "ShAaww");
}

#[test]
fn sequence_numbers_may_wrap() {
    let start = u32::MAX - 2;
    check(
        &[
            ('c', SYN, start, 0, 0),
            ('s', SYN | ACK, 7, start.wrapping_add(1), 0),
            ('c', ACK, start.wrapping_add(1), 8, 10),
            ('c', ACK, start.wrapping_add(11), 8, 10),
            ('s', ACK, 8, start.wrapping_add(21), 0),
            ('c', FIN | ACK, start.wrapping_add(21), 8, 0),
            ('s', FIN | ACK, 8, start.wrapping_add(22), 0),
            ('c', ACK, start.wrapping_add(22), 9, 0),
        ],
        "ShDaFfA",
        "SF",
    );
}

#[test]
fn a_syn_ack_comes_from_the_responder() {
    let (events, _) = play(&[('s', SYN | ACK, 5000, 1001, 0), ('c', ACK, 1001, 5001, 0)]);
    let FlowEvent::Started { side, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!(*side, FlowSide::Responder);
    assert_eq!(
        names(&events),
        ["started", "Active-SynReceived", "packet", "established", "packet", "drained"]
    );
}

#[test]
fn bad_checksums_leave_a_letter_and_change_nothing() {
    let extractor = FiveTuple::bidirectional().with_checksums();
    let mut tracker = FlowTracker::<_, ()>::with_config(extractor, TrackerConfig::default()).unwrap();
    let mut broken = tcp(CLIENT, SERVER, RST, 1, 0).payload(b"data").to_vec();
    let last = broken.len() - 1;
    broken[last] ^= 0xff;
    tracker.track(PacketView::new(&tcp(CLIENT, SERVER, SYN, 1, 0).to_vec(), at(0)));
    assert_eq!(names(&tracker.track(PacketView::new(&broken, at(0)))), ["packet"]);
    assert_eq!(tracker.flows().next().unwrap().1.history.as_str(), "SC");
}

#[test]
fn an_end_tells_counts_and_history() {
    let mut tracker = small(1);
    let syn = tcp(CLIENT, SERVER, SYN, 1, 0).to_vec();
    track(&mut tracker, &syn, 0);
    let events = track(&mut tracker, &udp(CLIENT, SERVER, b""), 1);
    let FlowEvent::Ended { reason, stats, history, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!((*reason, history.as_str()), (EndReason::Evicted, "S"));
    assert_eq!((stats.packets_initiator, stats.bytes_initiator), (1, syn.len() as u64));
    assert_eq!(History::default().as_str(), "");
}
