//! The same traffic leaves the same records, whichever way it came.

use crate::gate::{Gate, Place, eventually, lab};
use crate::ports::{af_packet, af_xdp};
use portcullis_testkit::{Lab, RawSocket, Traffic};
use serde_json::Value;

/// Alerts on each session, and drops what UDP asks for.
pub(crate) const RULES: &str = concat!(
    "alert tcp any any -> any any (msg:\"begins\"; flags:S; sid:1;)\n",
    "drop udp any any -> any any (msg:\"asks\"; flow:to_server; dsize:>0; sid:2;)\n",
);

pub(crate) const TRAFFIC: Traffic = Traffic::new(300, 30);

/// What tells records of the same traffic apart: when, and from where.
const PASSING: [&str; 7] = ["timestamp", "flow_id", "start", "end", "age", "in_iface", "pcap_cnt"];

/// The records of all kinds that are about traffic, without what differs each time, in an order of their own.
pub(crate) fn lasting(place: &Place) -> Vec<String> {
    let kinds = ["alert", "drop", "flow"];
    let mut records: Vec<Value> = kinds.iter().flat_map(|kind| place.records(kind)).collect();
    records.iter_mut().for_each(strip);
    let mut lines: Vec<String> = records.iter().map(Value::to_string).collect();
    lines.sort_unstable();
    lines
}

fn strip(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|name, _| !PASSING.contains(&name.as_str()));
        fields.values_mut().for_each(strip);
    }
}

/// Sends the traffic through a gate with these settings, and gives its records.
fn records(settings: &str) -> Vec<String> {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, settings, RULES);
    let client = RawSocket::open(&lab.client, Lab::CLIENT_PORT).unwrap();
    TRAFFIC.for_each(|_, frame| client.send(frame)).unwrap();
    eventually("all is judged", || gate.counter("decoder.pkts") == TRAFFIC.packets);
    gate.end(&lab);
    lasting(&place)
}

#[test]
fn all_roads_lead_to_the_same_records() {
    let expected = records("");
    assert!(expected.iter().any(|record| record.contains("\"drop\"")), "{expected:#?}");
    assert!(expected.len() > 40, "{expected:#?}");
    for settings in [af_packet(), af_xdp()] {
        let found = records(&settings);
        assert_eq!(found, expected, "{settings}");
    }
}
