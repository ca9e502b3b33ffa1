use crate::line;
use crate::samples::{AT, stamp};
use portcullis_eve::EveOptions;
use portcullis_event::{Counters, Record, RuleCounts, StatsRecord};

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
