use crate::line;
use crate::samples::{AT, stamp};
use portcullis_capture::PortId;
use portcullis_eve::{EveOptions, EventTypes};
use portcullis_event::{BlindRecord, Counters, Record, RuleCounts, StatsRecord};
use portcullis_wire::Timestamp;
use std::time::Duration;

#[test]
fn statistics_are_a_tree() {
    let counters = Counters {
        flow_total: 3,
        flow_end_state_new: 2,
        ips_drop_reason_flow_drop: 9,
        detect_alert: 4,
        ..Counters::default()
    };
    let rules = RuleCounts { last_reload: stamp(AT), loaded: 7, failed: 1, skipped: 2 };
    let record =
        StatsRecord { timestamp: stamp(AT), uptime: 8, counters: Box::new(counters), rules: Some(rules) };
    let text = line(EveOptions::default(), &Record::Stats(record.clone()));
    assert!(text.starts_with(concat!(
        r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","event_type":"stats","#,
        r#""stats":{"uptime":8,"capture":{"kernel_packets":0,"#
    )));
    assert!(text.contains(concat!(
        r#""detect":{"engines":[{"id":0,"last_reload":"2026-11-21T09:57:47.426097+0000","#,
        r#""rules_loaded":7,"rules_failed":1,"rules_skipped":2}],"alert":4,"#
    )));
    let tree: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(leaves(&tree["stats"], String::new()), expected_leaves(&record));
    assert_eq!(tree["stats"]["flow"]["end"]["state"]["new"], 2);
    assert_eq!(tree["stats"]["flow"]["total"], 3);
    assert_eq!(tree["stats"]["ips"]["drop_reason"]["flow_drop"], 9);
}

#[test]
fn a_blind_window_is_always_told() {
    let start = stamp(AT);
    let record = BlindRecord {
        timestamp: start.after(Duration::from_secs(2)),
        port: PortId(1),
        queue: 3,
        start,
        end: Timestamp::from_nanos(start.as_nanos() + 60_000_000),
        packets: 9,
        passed: 8,
    };
    let options = EveOptions {
        types: EventTypes::NONE,
        interfaces: vec!["gate0".to_owned(), "gate1".to_owned()],
        ..EveOptions::default()
    };
    assert_eq!(
        line(options, &Record::Blind(record)),
        concat!(
            r#"{"timestamp":"2026-11-21T09:57:49.426097+0000","in_iface":"gate1","event_type":"blind","#,
            r#""blind":{"queue":3,"start":"2026-11-21T09:57:47.426097+0000","#,
            r#""end":"2026-11-21T09:57:47.486097+0000","pkts":9,"pkts_passed":8}}"#,
            "\n"
        )
    );
}

/// Every number below a value, by its dotted path.
fn leaves(value: &serde_json::Value, path: String) -> Vec<(String, u64)> {
    match value {
        serde_json::Value::Object(map) => {
            let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            let mut all: Vec<_> = map.iter().flat_map(|(key, value)| leaves(value, below(key))).collect();
            all.sort();
            all
        }
        serde_json::Value::Number(number) => vec![(path, number.as_u64().unwrap())],
        _ => Vec::new(),
    }
}

fn expected_leaves(record: &StatsRecord) -> Vec<(String, u64)> {
    let mut all: Vec<_> = record.counters.iter().map(|(name, value)| (name.to_owned(), value)).collect();
    all.push(("uptime".to_owned(), record.uptime));
    all.sort();
    all
}
