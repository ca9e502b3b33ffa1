//! Encoding and decoding give back what went in; what does not fit is cut where it may be.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod parts;

use parts::{Parts, parts};
use portcullis_event::{
    AlertRecord, Class, Common, DecodeError, FlowRecord, MAX_RECORD, PolicyTargets, Record, TextList,
    TextListBuf,
};
use portcullis_wire::decoded::VlanIds;
use proptest::prelude::*;

fn encoded(record: &Record<'_>) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let truncated = record.encode(&mut bytes);
    assert!(bytes.len() <= MAX_RECORD, "{} bytes", bytes.len());
    (bytes, truncated)
}

proptest! {
    #[test]
    fn records_come_back_whole(parts in parts(200)) {
        for record in parts.records() {
            let (bytes, truncated) = encoded(&record);
            prop_assert!(!truncated);
            prop_assert_eq!(Record::decode(&bytes), Ok(record));
        }
    }

    /// What is plain is shorter, and comes back whole as well.
    #[test]
    fn plain_flows_come_back_whole(parts in parts(0), unusual in 0..20_u8) {
        let given = parts.flow_record();
        let mut record = FlowRecord {
            bypassed: given.bypassed.filter(|_| unusual == 1),
            bypass: given.bypass.filter(|_| unusual == 2),
            elephant_toserver: given.elephant_toserver && unusual == 3,
            elephant_toclient: given.elephant_toclient && unusual == 4,
            action: given.action.filter(|_| unusual == 5),
            ..given
        };
        if unusual != 6 {
            record.exception_policies = PolicyTargets::default();
        }
        record.common = Common {
            flow_id: if unusual == 7 { given.common.flow_id } else { Some(given.common.flow_id.unwrap_or(1)) },
            parent_id: given.common.parent_id.filter(|_| unusual == 8),
            pcap_cnt: given.common.pcap_cnt.filter(|_| unusual == 9),
            icmp: given.common.icmp.filter(|_| unusual == 10),
            response_icmp: given.common.response_icmp.filter(|_| unusual == 11),
            spi: given.common.spi.filter(|_| unusual == 12),
            pkt_src: given.common.pkt_src.filter(|_| unusual == 13),
            tunnel: given.common.tunnel.filter(|_| unusual == 14),
            ..given.common
        };
        if unusual != 15 {
            record.common.vlans = VlanIds::default();
        }
        if unusual != 16 {
            record.common.ether.source = &[];
        }
        if unusual != 17 {
            record.common.ether.destination = &[];
        }
        if unusual != 18 {
            record.common.flowbits = TextList::default();
        }
        let (bytes, truncated) = encoded(&Record::Flow(record));
        prop_assert!(!truncated);
        if unusual == 0 {
            prop_assert_eq!(bytes.len(), 120);
        }
        prop_assert_eq!(Record::decode(&bytes), Ok(Record::Flow(record)));
    }

    #[test]
    fn records_can_stand_behind_each_other(parts in parts(200)) {
        let mut bytes = Vec::new();
        for record in parts.records() {
            let start = bytes.len();
            record.encode(&mut bytes);
            prop_assert_eq!(Record::decode(&bytes[start..]), Ok(record));
        }
    }

    #[test]
    fn a_cut_or_prolonged_record_is_none(parts in parts(20), cut in any::<prop::sample::Index>()) {
        for record in parts.records() {
            let (mut bytes, _) = encoded(&record);
            let length = cut.index(bytes.len());
            prop_assert!(Record::decode(&bytes[..length]).is_err());
            bytes.push(0);
            prop_assert_eq!(Record::decode(&bytes), Err(DecodeError::TooLong(1)));
        }
    }

    #[test]
    fn any_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0u8..9) {
        let mut framed = u32::try_from(bytes.len() + 2).unwrap().to_le_bytes().to_vec();
        framed.extend([kind, 0]);
        framed.extend(&bytes);
        if let Ok(record) = Record::decode(&framed) {
            let again = encoded(&record).0;
            prop_assert_eq!(Record::decode(&again), Ok(record));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn only_payload_and_packet_are_cut(parts in parts(250_000)) {
        let record = parts.alert_record();
        let (bytes, truncated) = encoded(&Record::Alert(record));
        let Record::Alert(read) = Record::decode(&bytes).unwrap() else { panic!("another kind") };
        prop_assert_eq!(read.truncated, truncated);
        let whole = |record: &AlertRecord<'_>| {
            record.payload.map_or(0, <[u8]>::len) + record.packet.map_or(0, <[u8]>::len)
        };
        prop_assert_eq!(truncated, whole(&read) < whole(&record));
        for (kept, given) in [(read.payload, record.payload), (read.packet, record.packet)] {
            prop_assert_eq!(kept.is_some(), given.is_some());
            let (kept, given) = (kept.unwrap_or_default(), given.unwrap_or_default());
            prop_assert!(given.starts_with(kept));
            // Neither displaces the other: what was cut kept its half of the room.
            prop_assert!(kept.len() == given.len() || kept.len() > 90_000, "{} of {}", kept.len(), given.len());
        }
        if truncated {
            prop_assert_eq!(bytes.len(), MAX_RECORD);
        }
        let fields = |record| AlertRecord { payload: None, packet: None, truncated: false, ..record };
        prop_assert_eq!(fields(read), fields(record));
    }
}

#[test]
fn the_longest_packet_and_its_payload_come_back_whole() {
    let (packet, payload) = (vec![1; 65_535 + 64], vec![2; 65_535]);
    let parts = sample();
    let record = AlertRecord { packet: Some(&packet), payload: Some(&payload), ..parts.alert_record() };
    let (bytes, truncated) = encoded(&Record::Alert(record));
    assert!(!truncated);
    assert_eq!(Record::decode(&bytes), Ok(Record::Alert(record)));
}

#[test]
fn overlong_strings_leave_room_and_are_flagged() {
    let long = vec![b'x'; 70_000];
    let many: TextListBuf = std::iter::repeat_n(&long[..100], 1000).collect();
    let parts = sample();
    let mut record = parts.alert_record();
    record.alert.signature = &long;
    record.alert.category = &long;
    record.alert.rule = &long;
    record.alert.references = many.as_list();
    record.alert.metadata = many.as_list();
    record.common.flowbits = many.as_list();
    record.payload = Some(&long);
    record.packet = Some(&long);
    let (bytes, truncated) = encoded(&Record::Alert(record));
    assert!(truncated);
    let Record::Alert(read) = Record::decode(&bytes).unwrap() else { panic!("another kind") };
    assert!(read.truncated);
    assert_eq!(read.alert.signature.len(), 4096);
    assert_eq!(read.alert.metadata.iter().count() % 2, 0);
    assert!(read.alert.metadata.pairs().all(|(key, value)| key == &long[..100] && value == &long[..100]));
    assert!(read.payload.unwrap().len() > 8000);
    assert!(read.packet.unwrap().len() > 8000);
    assert_eq!(read.alert.sid, record.alert.sid);
}

#[test]
fn evidence_is_kept_apart_from_flows() {
    let classes = sample().records().map(|record| record.class());
    let [alert, drop, rest @ .., listed] = classes;
    assert_eq!(
        (alert, drop, listed, rest),
        (Class::Evidence, Class::Evidence, Class::Evidence, [Class::Flow; 4])
    );
}

/// Some parts, the same every time.
fn sample() -> Parts {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    parts(10).new_tree(&mut TestRunner::deterministic()).unwrap().current()
}
