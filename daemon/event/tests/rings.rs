//! The rings, with a producer and a consumer in threads of their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use portcullis_capture::DropReason;
use portcullis_event::ring::{self, ring};
use portcullis_event::{
    Alert, AlertAction, AlertRecord, Class, Common, Counters, DropRecord, DroppedPacket, Ether, MAX_RECORD,
    NetflowRecord, Record, RecordConsumer, Refused, RingCounts, RingMode, StatsRecord, TextList, TtlRange,
};
use portcullis_wire::Timestamp;
use std::thread;

/// A record with a number to know it by, and of a length that depends on it.
fn numbered(number: u64) -> Record<'static> {
    const MACS: &[[u8; 6]] = &[[7; 6]; 50];
    let some = usize::try_from(number).unwrap() % (MACS.len() + 1);
    let common = Common {
        flow_id: Some(number),
        ether: Ether { source: &MACS[..some], destination: &[] },
        ..Common::default()
    };
    Record::Netflow(NetflowRecord {
        common,
        pkts: number,
        bytes: 0,
        start: Timestamp::ZERO,
        end: Timestamp::ZERO,
        ttl: TtlRange::default(),
        tcp_flags: None,
    })
}

/// Everything that is in the ring until its producer goes, as numbers.
fn read_all(mut consumer: RecordConsumer) -> Vec<u64> {
    let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
    loop {
        let finished = consumer.is_finished();
        while consumer.pop(&mut bytes) {
            let record = Record::decode(&bytes).unwrap();
            let Record::Netflow(netflow) = &record else { panic!("another kind") };
            assert_eq!(record, numbered(netflow.pkts));
            numbers.push(netflow.pkts);
        }
        if finished {
            return numbers;
        }
        thread::yield_now();
    }
}

/// The same, some at a time.
fn drain_all(mut consumer: RecordConsumer, limit: usize) -> Vec<u64> {
    let (mut scratch, mut numbers) = (Vec::new(), Vec::new());
    loop {
        let finished = consumer.is_finished();
        while consumer.drain(limit, &mut scratch, |bytes| {
            let record = Record::decode(bytes).unwrap();
            let Record::Netflow(netflow) = &record else { panic!("another kind") };
            assert_eq!(record, numbered(netflow.pkts));
            numbers.push(netflow.pkts);
        }) == limit
        {}
        if finished {
            return numbers;
        }
        thread::yield_now();
    }
}

const RECORDS: u64 = 30_000;

#[test]
fn records_that_are_taken_many_at_a_time_are_the_same() {
    for limit in [1, 7, 10_000] {
        let (mut producer, consumer) = ring(0, RingMode::Lossless);
        let reader = thread::spawn(move || drain_all(consumer, limit));
        for number in 0..RECORDS {
            assert_eq!(producer.push(&numbered(number)), Ok(()));
        }
        drop(producer);
        assert_eq!(reader.join().unwrap(), (0..RECORDS).collect::<Vec<_>>());
    }
}

#[test]
fn lossless_loses_nothing_and_keeps_the_order() {
    let (mut producer, consumer) = ring(0, RingMode::Lossless);
    let reader = thread::spawn(move || read_all(consumer));
    for number in 0..RECORDS {
        assert_eq!(producer.push(&numbered(number)), Ok(()));
    }
    assert_eq!(producer.counts(), RingCounts { pushed: RECORDS, refused: 0, truncated: 0 });
    drop(producer);
    assert_eq!(reader.join().unwrap(), (0..RECORDS).collect::<Vec<_>>());
}

#[test]
fn live_refuses_whole_records_and_counts_each() {
    let (mut producer, consumer) = ring(0, RingMode::Live);
    // Nobody reads yet, so the ring fills up and refuses.
    let mut taken: Vec<u64> = (0..2000).filter(|n| producer.push(&numbered(*n)).is_ok()).collect();
    let counts = producer.counts();
    assert_eq!(counts.pushed, u64::try_from(taken.len()).unwrap());
    assert_eq!(counts.pushed + counts.refused, 2000);
    assert!(counts.refused > 0);
    assert_eq!(producer.push(&Record::Stats(StatsRecord::default())), Err(Refused::Full));

    let reader = thread::spawn(move || read_all(consumer));
    taken.extend((2000..RECORDS).filter(|n| producer.push(&numbered(*n)).is_ok()));
    let counts = producer.counts();
    drop(producer);
    assert_eq!(counts.pushed, u64::try_from(taken.len()).unwrap());
    assert_eq!(counts.pushed + counts.refused, RECORDS + 1);
    assert_eq!(reader.join().unwrap(), taken);
}

#[test]
fn a_lossless_producer_does_not_wait_for_a_reader_that_is_gone() {
    let (mut producer, consumer) = ring(0, RingMode::Lossless);
    let waiting = thread::spawn(move || {
        let mut number = 0;
        while producer.push(&numbered(number)).is_ok() {
            number += 1;
        }
        (number, producer.push(&numbered(0)), producer.counts())
    });
    drop(consumer);
    let (pushed, error, counts) = waiting.join().unwrap();
    assert_eq!(error, Err(Refused::Gone));
    assert_eq!(counts, RingCounts { pushed, refused: 2, truncated: 0 });
}

#[test]
fn a_live_producer_counts_as_refused_what_nobody_will_read() {
    let (mut producer, consumer) = ring(0, RingMode::Live);
    assert_eq!(producer.push(&numbered(1)), Ok(()));
    drop(consumer);
    assert_eq!(producer.push(&numbered(2)), Err(Refused::Gone));
    assert_eq!(producer.counts(), RingCounts { pushed: 1, refused: 1, truncated: 0 });
}

#[test]
fn a_full_ring_of_one_class_leaves_the_other_free() {
    let (mut reporter, [mut evidence, _flow]) = ring::rings(0, 0, RingMode::Live);
    while reporter.push(&numbered(1)).is_ok() {}
    assert_eq!(reporter.counts(Class::Flow).refused, 1);
    let dropped = Record::Drop(DropRecord {
        common: Common::default(),
        direction: None,
        packet: DroppedPacket::default(),
        reason: DropReason::Rules,
        alert: None,
        verdict: None,
        repeated: false,
        truncated: false,
    });
    assert_eq!(reporter.push(&dropped), Ok(()));
    assert_eq!(reporter.counts(Class::Evidence), RingCounts { pushed: 1, refused: 0, truncated: 0 });
    let mut bytes = Vec::new();
    assert!(evidence.pop(&mut bytes));
    assert_eq!(Record::decode(&bytes), Ok(dropped));
    assert!(!evidence.pop(&mut bytes));
    let mut counters = Counters::default();
    counters.set_log(&reporter);
    assert_eq!((counters.log_evidence_pushed, counters.log_flow_refused), (1, 1));
}

#[test]
fn the_mode_can_change_before_the_end() {
    let (mut reporter, [_evidence, flow]) = ring::rings(0, 0, RingMode::Live);
    while reporter.push(&numbered(1)).is_ok() {}
    reporter.set_mode(RingMode::Lossless);
    let reader = thread::spawn(move || read_all(flow).len());
    assert_eq!(reporter.push(&numbered(2)), Ok(()));
    let pushed = reporter.counts(Class::Flow).pushed;
    drop(reporter);
    assert_eq!(u64::try_from(reader.join().unwrap()).unwrap(), pushed);
}

#[test]
fn the_largest_record_fits_into_the_smallest_ring() {
    let (mut producer, mut consumer) = ring(1, RingMode::Live);
    let payload = vec![1; 2 * MAX_RECORD];
    let record = Record::Alert(AlertRecord {
        common: Common::default(),
        alert: alert(),
        direction: None,
        flow: None,
        payload: Some(&payload),
        payload_length: 0,
        stream: false,
        packet: None,
        linktype: 1,
        verdict: None,
        truncated: false,
    });
    for _ in 0..3 {
        assert_eq!(producer.push(&record), Ok(()));
        let mut bytes = Vec::new();
        assert!(consumer.pop(&mut bytes));
        assert_eq!(bytes.len(), MAX_RECORD);
    }
    assert_eq!(producer.counts(), RingCounts { pushed: 3, refused: 0, truncated: 3 });
}

fn alert() -> Alert<'static> {
    Alert {
        action: AlertAction::Allowed,
        would: None,
        gid: 1,
        sid: 1,
        rev: 1,
        signature: b"",
        category: b"",
        severity: 3,
        target: None,
        references: TextList::default(),
        metadata: TextList::default(),
        rule: b"",
    }
}

#[test]
fn a_reader_that_sleeps_is_woken_by_the_next_record() {
    let (mut producer, mut consumer) = ring(1 << 16, RingMode::Live);
    let (asleep, is_asleep) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        for _ in 0..3 {
            consumer.set_alarm();
            asleep.send(()).unwrap();
            while consumer.is_empty() {
                thread::park();
            }
            consumer.unset_alarm();
            assert!(consumer.pop(&mut bytes));
        }
    });
    for number in 0..3 {
        is_asleep.recv().unwrap();
        producer.push(&numbered(number)).unwrap();
    }
    reader.join().unwrap();
}
