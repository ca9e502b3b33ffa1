//! Whatever is in a record, its line is one valid JSON object with the keys it must have.

#[path = "../../event/tests/parts/mod.rs"]
mod parts;

use jiff::tz::TimeZone;
use parts::parts;
use portcullis_eve::{DropFlows, EveOptions, EventTypes, Formatter};
use portcullis_event::Record;
use proptest::prelude::*;
use serde_json::Value;

/// Options made of bits.
fn options(bits: u32) -> EveOptions {
    let bit = |index: u32| bits >> index & 1 == 1;
    let mut options = EveOptions {
        types: EventTypes { alert: true, drop: true, flow: true, netflow: true, stats: true },
        interfaces: vec!["eth\"0\"".to_owned(), "eth1".to_owned()],
        metadata: bit(0),
        ethernet: bit(1),
        compress_ipv6: bit(2),
        flow_exception_policy: bit(3),
        ..EveOptions::default()
    };
    options.alert.payload = bit(4);
    options.alert.payload_printable = bit(5);
    options.alert.payload_length = bit(6);
    options.alert.packet = bit(7);
    options.alert.rule_raw = bit(8);
    options.alert.rule_reference = bit(9);
    options.alert.verdict = bit(10);
    options.alert.set_metadata(bit(11));
    options.drop.alerts = bit(12);
    options.drop.verdict = bit(13);
    options.drop.flows = DropFlows::All;
    options
}

proptest! {
    #[test]
    fn a_line_is_an_object_with_its_keys(parts in parts(100), bits in any::<u32>()) {
        let mut formatter = Formatter::with_time_zone(options(bits), TimeZone::UTC);
        for record in parts.records() {
            let (kind, keys): (_, &[&str]) = match &record {
                Record::Alert(_) => ("alert", &["action", "gid", "signature_id", "rev", "signature"]),
                Record::Drop(_) => ("drop", &["reason"]),
                Record::Flow(_) => ("flow", &["pkts_toserver", "start", "end", "age", "state", "reason", "alerted"]),
                Record::Netflow(_) => ("netflow", &["pkts", "bytes", "start", "end", "age", "min_ttl", "max_ttl"]),
                Record::Stats(_) => ("stats", &["uptime", "flow", "decoder"]),
                Record::Listed(listed) if listed.dropped => ("drop", &["reason"]),
                Record::Listed(_) => ("list", &["name", "action"]),
                Record::Blind(_) => ("blind", &["queue", "start", "end", "pkts", "pkts_passed"]),
            };
            let mut out = Vec::new();
            prop_assert!(formatter.format(&record, &mut out));
            let (end, line) = out.split_last().unwrap();
            prop_assert_eq!(*end, b'\n');
            prop_assert!(!line.contains(&b'\n'), "one line");
            let event: Value = serde_json::from_slice(line).unwrap();
            prop_assert_eq!(&event["event_type"], kind);
            prop_assert!(event["timestamp"].is_string());
            for key in keys {
                prop_assert!(event[kind].get(key).is_some(), "{} lacks {}", kind, key);
            }
            prop_assert!(has_no_null(&event));
        }
    }

    #[test]
    fn keys_come_once(parts in parts(20), bits in any::<u32>()) {
        let mut formatter = Formatter::with_time_zone(options(bits), TimeZone::UTC);
        for record in parts.records() {
            let mut out = Vec::new();
            prop_assert!(formatter.format(&record, &mut out));
            // A repeated key would be lost here, and with it some of the text.
            let event: Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(serde_json::to_vec(&event).unwrap().len() + 1, out.len());
        }
    }
}

/// What is not there has no key: Suricata never prints null.
fn has_no_null(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().all(has_no_null),
        Value::Object(fields) => fields.values().all(has_no_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
