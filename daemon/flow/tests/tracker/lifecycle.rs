//! Flows begin, are counted, are asked about.

use crate::packets::{CLIENT, SERVER, at, check_sums, names, tcp, track, tracker, udp};
use portcullis_flow::tracker::{
    EndReason, FiveTuple, FlowEvent, FlowSide, FlowTracker, L4Proto, PacketView, TrackerConfig, TrackerError,
};
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn a_first_udp_packet_starts_a_flow() {
    let mut tracker = tracker();
    let events = track(&mut tracker, &udp(CLIENT, (2, 53), b"query"), 0);
    assert_eq!(names(&events), ["started", "packet"]);
    let FlowEvent::Started { side, l4, ts, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!((*side, *l4, *ts), (FlowSide::Initiator, Some(L4Proto::Udp), at(0)));
    assert_eq!((tracker.flow_count(), tracker.stats().flows_created), (1, 1));
}

#[test]
fn a_second_packet_starts_nothing() {
    let mut tracker = tracker();
    let frame = udp(CLIENT, (2, 53), b"query");
    track(&mut tracker, &frame, 0);
    assert_eq!(names(&track(&mut tracker, &frame, 1)), ["packet"]);
}

#[test]
fn the_way_back_is_the_responders() {
    let mut tracker = tracker();
    // Also where the initiator is the higher endpoint.
    for (client, server) in [(CLIENT, SERVER), (SERVER, (9, 9))] {
        track(&mut tracker, &udp(client, server, b"a"), 0);
        let events = track(&mut tracker, &udp(server, client, b"b"), 1);
        let FlowEvent::Packet { side, .. } = &events[0] else { panic!("{events:?}") };
        assert_eq!((events.len(), *side), (1, FlowSide::Responder));
    }
}

#[test]
fn each_side_is_counted_apart() {
    let mut tracker = tracker();
    let (there, back) = (udp(CLIENT, SERVER, b"x"), udp(SERVER, CLIENT, b"yy"));
    for (secs, frame) in [&there, &back, &there].into_iter().enumerate() {
        track(&mut tracker, frame, secs as u64);
    }
    let (key, entry) = tracker.flows().next().unwrap();
    let stats = &entry.stats;
    assert_eq!((stats.packets_initiator, stats.packets_responder), (2, 1));
    assert_eq!((stats.bytes_initiator, stats.bytes_responder), (2 * there.len() as u64, back.len() as u64));
    assert_eq!((stats.payload_initiator, stats.payload_responder), (2, 2));
    assert_eq!((stats.started, stats.last_seen), (at(0), at(2)));
    assert_eq!((entry.history.as_str(), entry.conn_state().name()), ("Dd", "SF"));
    assert_eq!(tracker.snapshot_stats(key).as_ref(), Some(stats));
    assert_eq!(tracker.snapshot_history(key), Some(entry.history));
    assert_eq!(tracker.all_flow_stats().collect::<Vec<_>>(), [(key, stats)]);
}

#[test]
fn a_late_packet_does_not_turn_back_the_clock() {
    let mut tracker = tracker();
    for secs in [10, 5] {
        track(&mut tracker, &udp(CLIENT, SERVER, b""), secs);
    }
    assert_eq!(tracker.flows().next().unwrap().1.stats.last_seen, at(10));
    assert!(tracker.sweep(at(69)).is_empty());
}

#[test]
fn what_was_cut_by_the_capture_counts_as_on_the_wire() {
    let mut tracker = tracker();
    let events = tracker.track(PacketView::new(&udp(CLIENT, SERVER, b""), at(0)).with_wire_length(1500));
    assert!(matches!(events[1], FlowEvent::Packet { len: 1500, .. }));
    assert_eq!(tracker.flows().next().unwrap().1.stats.bytes_initiator, 1500);
}

#[test]
fn what_cannot_be_decoded_is_counted_and_no_more() {
    let mut tracker = tracker();
    for (count, frame) in [&[0u8; 4][..], &[], &[0xff; 60]].into_iter().enumerate() {
        assert!(track(&mut tracker, frame, 0).is_empty());
        assert_eq!(tracker.stats().packets_unmatched, count as u64 + 1);
    }
    assert_eq!((tracker.flow_count(), tracker.stats().packets), (0, 0));
}

#[test]
fn the_users_state_is_made_for_each_flow_and_comes_back_at_its_end() {
    let made = std::sync::Arc::new(AtomicU32::new(42));
    let count = std::sync::Arc::clone(&made);
    let mut tracker = FlowTracker::<_, Vec<u32>>::with_state(FiveTuple::bidirectional(), move |key| {
        assert!(key.either_port(7));
        vec![count.fetch_add(1, Ordering::Relaxed)]
    })
    .unwrap();
    for port in [1, 2, 1] {
        tracker.track(PacketView::new(&udp((1, port), (2, 7), b""), at(0)));
    }
    let key = *tracker.flows().next().unwrap().0;
    assert_eq!(tracker.get(&key).unwrap().user, [42]);
    tracker.get_mut(&key).unwrap().user.push(7);
    let users: Vec<Vec<u32>> = tracker
        .sweep(at(60))
        .into_iter()
        .map(|event| match event {
            FlowEvent::Ended { user, .. } => user,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(users.contains(&vec![42, 7]) && users.contains(&vec![43]) && users.len() == 2, "{users:?}");
    assert_eq!(made.load(Ordering::Relaxed), 44);
}

#[test]
fn a_payload_is_shown_once_with_its_flow_and_sequence_number() {
    let mut tracker = tracker();
    let mut seen = Vec::new();
    let frames = [
        tcp(CLIENT, SERVER, 0x02, 99, 0).to_vec(),
        tcp(CLIENT, SERVER, 0x18, 100, 1).payload(b"hello").minimum(80).to_vec(),
        tcp(SERVER, CLIENT, 0x18, 500, 1).payload(b"world!").to_vec(),
        udp(CLIENT, SERVER, b"not TCP"),
    ];
    for frame in &frames {
        let packet = PacketView::new(frame, at(0));
        tracker.track_with_payload(packet, |key, side, seq, payload| {
            seen.push((*key, side, seq, payload.to_vec()));
        });
    }
    let shown: Vec<_> = seen.iter().map(|(_, side, seq, payload)| (*side, *seq, &payload[..])).collect();
    assert_eq!(
        shown,
        [(FlowSide::Initiator, 100, &b"hello"[..]), (FlowSide::Responder, 500, &b"world!"[..])]
    );
    assert!(tracker.get(&seen[0].0).is_some() && seen[0].0 == seen[1].0);
}

#[test]
fn draining_reports_all_flows_the_longest_unseen_first() {
    let mut tracker = tracker();
    for port in [1, 2, 3, 1] {
        track(&mut tracker, &udp((1, port), SERVER, b""), 0);
    }
    let ports: Vec<u16> = tracker
        .drain()
        .iter()
        .map(|event| {
            assert!(matches!(event, FlowEvent::Ended { reason: EndReason::Drained, .. }));
            event.key().a().port()
        })
        .collect();
    assert_eq!(ports, [2, 3, 1]);
    check_sums(&tracker);
    assert_eq!(tracker.into_extractor(), FiveTuple::bidirectional());
}

#[test]
fn settings_out_of_range_are_refused() {
    let make = |max_flows| {
        let mut config = TrackerConfig::default();
        config.max_flows = max_flows;
        FlowTracker::<_, ()>::with_config(FiveTuple::bidirectional(), config).map(drop)
    };
    for max_flows in [0, (1 << 31) + 1, usize::MAX] {
        assert_eq!(make(max_flows), Err(TrackerError::MaxFlows(max_flows)));
    }
    assert_eq!(make(1), Ok(()));
    let error = TrackerError::MaxFlows(0).to_string();
    assert_eq!(error, "max_flows is 0, must be 1 to 2147483648");
}
