//! State about hosts: beyond packets, flows and sets of rules.

use crate::rig::{CLIENT, Rig, SERVER, inline, udp};
use portcullis_capture::{DropReason, Verdict};
use portcullis_detect::{LoadOptions, RuleSet, Source, Thresholds};
use portcullis_engine::Rules;
use portcullis_event::Record;
use portcullis_host::{HostSettings, HostTable};
use std::sync::Arc;

const FILTERED: Verdict = Verdict::Drop(DropReason::ThresholdDetectionFilter);
const RULES: Verdict = Verdict::Drop(DropReason::Rules);

fn rules(text: &str, thresholds: &str, hosts: &Arc<HostTable>) -> Arc<Rules> {
    let options = LoadOptions::default();
    let (thresholds, errors) = Thresholds::parse(&source(thresholds), &options);
    assert_eq!(errors, []);
    let loaded = RuleSet::load(&[source(text)], &LoadOptions { thresholds, ..options });
    assert_eq!(loaded.errors, []);
    Arc::new(Rules::with_hosts(loaded.rules, Some(Arc::clone(hosts))))
}

fn source(text: &str) -> Source<'_> {
    Source { name: "file", text: text.as_bytes() }
}

fn table(memcap: u64) -> Arc<HostTable> {
    Arc::new(HostTable::new(&HostSettings { memcap, seed: 1 }))
}

/// A packet of a flow of its own.
fn hit(port: u16) -> Vec<u8> {
    udp((CLIENT, port), (SERVER, 53), b"hit")
}

#[test]
fn a_drop_beyond_the_limit_is_silent() {
    let text = "drop udp any any -> any any (content:\"hit\"; threshold:type limit,track by_src,count 1,seconds 60; sid:1;)";
    let mut rig = Rig::new(&inline(), text);
    assert_eq!(rig.send(&[hit(1), hit(2), hit(3)]), [RULES; 3]);
    let counters = rig.counters();
    assert_eq!((counters.detect_alert, counters.detect_alerts_suppressed, counters.ips_blocked), (1, 2, 3));
    rig.pass(61);
    assert_eq!(rig.send(&[hit(4)]), [RULES]);
    assert_eq!(rig.counters().detect_alert, 2, "the time of packets counts");
}

#[test]
fn a_detection_filter_drops_from_the_packet_beyond_its_count() {
    let text = "drop udp any any -> any any (content:\"hit\"; detection_filter:track by_src,count 2,seconds 60; sid:1;)";
    let mut rig = Rig::new(&inline(), text);
    assert_eq!(rig.send(&[hit(1), hit(2), hit(3), hit(4)]), [Verdict::Accept, Verdict::Accept, RULES, RULES]);
    assert_eq!(rig.counters().detect_alert, 2);
}

#[test]
fn a_rate_filter_drops_with_a_reason_of_its_own() {
    let mut rig = Rig::new(&inline(), "");
    let text = "alert udp any any -> any any (content:\"hit\"; sid:1;)";
    let line =
        "rate_filter gen_id 1, sig_id 1, track by_src, count 2, seconds 60, new_action drop, timeout 30";
    rig.worker.swap_rules(rules(text, line, &table(4096)));
    let other = udp((CLIENT, 9), (SERVER, 53), b"other");
    let verdicts = rig.send(&[hit(1), hit(2), hit(3), other, hit(4)]);
    assert_eq!(verdicts, [Verdict::Accept, Verdict::Accept, FILTERED, Verdict::Accept, FILTERED]);
    assert_eq!(rig.counters().ips_drop_reason_threshold_detection_filter, 2);
    let said = rig.records(|record| match record {
        Record::Alert(alert) => Some(alert.alert.action.name()),
        Record::Drop(dropped) => Some(dropped.reason.name()),
        _ => None,
    });
    assert_eq!(said.iter().filter(|said| **said == "blocked").count(), 2);
    assert_eq!(said.iter().filter(|said| **said == "threshold detection_filter").count(), 2);
    rig.pass(31);
    assert_eq!(rig.send(&[hit(5)]), [Verdict::Accept]);
}

#[test]
fn other_rules_find_what_the_old_ones_left() {
    let hosts = table(4096);
    let mut rig = Rig::new(&inline(), "");
    let before = "alert udp any any -> any any (content:\"hit\"; hostbits:set,seen; threshold:type both,track by_src,count 3,seconds 60; sid:1;)";
    rig.worker.swap_rules(rules(before, "", &hosts));
    rig.send(&[hit(1), hit(2)]);
    let after = "drop udp any any -> any any (content:\"other\"; hostbits:isset,seen; sid:2;)";
    rig.worker.swap_rules(rules(&format!("{before}\n{after}"), "", &hosts));
    let other = udp((CLIENT, 9), (SERVER, 53), b"other");
    assert_eq!(rig.send(&[other]), [RULES]);
    assert_eq!(rig.counters().detect_alert, 1);
    rig.send(&[hit(3)]);
    assert_eq!(rig.counters().detect_alert, 2, "the third since before the change");
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let text = "alert udp any any -> any any (content:\"hit\"; threshold:type limit,track by_flow,count 1,seconds 60; sid:1;)";
    let mut rig = Rig::new(&inline(), "");
    rig.worker.swap_rules(rules(text, "", &table(64)));
    rig.send(&(1..=10).map(hit).collect::<Vec<_>>());
    let counters = rig.counters();
    assert_eq!((counters.detect_alert, counters.host_refused), (10, 6));
    assert_eq!((counters.host_memuse, counters.host_memcap), (64, 64));
}
