//! Thresholds, filters and bits of hosts: rules that count and remember beyond the packet.

use crate::{fault, v4, v6};
use portcullis_detect::{Hosts, Input, LoadOptions, RuleSet, Scratch, Source, Thresholds, Verdict};
use portcullis_host::{HostSettings, HostTable};
use portcullis_wire::decode::Decoder;
use portcullis_wire::{LinkType, Timestamp};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];
const C: [u8; 4] = [10, 0, 0, 3];

/// Rules, a threshold file, and the state that both need.
struct Bench {
    rules: RuleSet,
    table: HostTable,
    scratch: Scratch,
}

/// What the rules said of a packet: sids that alert, and what is decided.
#[derive(Debug, PartialEq, Eq)]
struct Said(Vec<u32>, &'static str);

impl Bench {
    fn new(rules: &str, thresholds: &str) -> Self {
        Self::with_memory(rules, thresholds, 1 << 16)
    }

    fn with_memory(rules: &str, thresholds: &str, memcap: u64) -> Self {
        let rules = load(rules, thresholds);
        assert!(rules.uses_hosts());
        let scratch = Scratch::new(&rules);
        Self { rules, table: HostTable::new(&HostSettings { memcap, seed: 1 }), scratch }
    }

    fn reload(&mut self, rules: &str) {
        self.rules = load(rules, "");
        self.scratch = Scratch::new(&self.rules);
    }

    /// A UDP packet of flow `flow`.
    fn flow(&mut self, second: u64, flow: u64, source: [u8; 4], destination: [u8; 4], payload: &str) -> Said {
        let builder = v4().ipv4(source, destination);
        self.judge(second, Some(flow), &builder.udp(1000, 2000).payload(payload.as_bytes()).to_vec())
    }

    fn udp(&mut self, second: u64, source: [u8; 4], destination: [u8; 4], payload: &str) -> Said {
        self.flow(second, 1, source, destination, payload)
    }

    fn judge(&mut self, second: u64, flow: Option<u64>, frame: &[u8]) -> Said {
        let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, frame);
        let payload = decoded.payload.of(frame);
        let input = Input { decoded: &decoded, frame, payload, flow: None, bits: None };
        let now = Timestamp::from_secs(1_700_000_000 + second);
        let hosts = Hosts { table: Some(&self.table), now, flow, tenant: 0 };
        let outcome = self.rules.inspect_with(&input, &mut self.scratch, &hosts);
        let verdict = match outcome.verdict {
            Verdict::None => "",
            Verdict::Pass { .. } => "pass",
            Verdict::Drop { .. } if outcome.rate_filtered && outcome.reject.is_some() => "rate reject",
            Verdict::Drop { .. } if outcome.rate_filtered => "rate drop",
            Verdict::Drop { .. } => "drop",
        };
        let sid = |rule| self.rules.signature(rule).unwrap().sid;
        Said(outcome.alerts.iter().map(|alert| sid(alert.rule)).collect(), verdict)
    }
}

fn load(rules: &str, thresholds: &str) -> RuleSet {
    let mut options = LoadOptions::default();
    options.address_groups.insert("LAN".to_owned(), "[10.0.0.1,10.0.0.2]".to_owned());
    let (thresholds, errors) = Thresholds::parse(&source(thresholds), &options);
    assert_eq!(errors, []);
    options.thresholds = thresholds;
    let loaded = RuleSet::load(&[source(rules)], &options);
    assert_eq!((loaded.errors, loaded.remarks), (vec![], vec![]));
    loaded.rules
}

fn source(text: &str) -> Source<'_> {
    Source { name: "file", text: text.as_bytes() }
}

fn rule(action: &str, options: &str) -> String {
    format!("{action} udp any any -> any any (content:\"x\"; {options}; sid:1;)")
}

/// What becomes of packets of A to B at these seconds.
fn check(action: &str, options: &str, seconds: &[u64], expect: &[(bool, &'static str)]) {
    let mut bench = Bench::new(&rule(action, options), "");
    let said: Vec<Said> = seconds.iter().map(|second| bench.udp(*second, A, B, "x")).collect();
    let expect: Vec<Said> =
        expect.iter().map(|&(alert, verdict)| Said(vec![1; usize::from(alert)], verdict)).collect();
    assert_eq!(said, expect, "{action} {options}");
}

#[test]
fn a_detection_filter_counts_different_ports() {
    let udp = |source: [u8; 4], ports: (u16, u16)| {
        v4().ipv4(source, B).udp(ports.0, ports.1).payload(b"x").to_vec()
    };
    // When, from where, the ports, and whether the rule matches.
    type Packet = (u64, [u8; 4], (u16, u16), bool);
    let check = |options: &str, packets: &[Packet]| {
        let mut bench = Bench::new(&rule("drop", options), "");
        for (number, &(second, source, ports, matches)) in packets.iter().enumerate() {
            let expect = if matches { Said(vec![1], "drop") } else { Said(vec![], "") };
            assert_eq!(
                bench.judge(second, Some(1), &udp(source, ports)),
                expect,
                "{options}: packet {number}"
            );
        }
    };
    let scan = "detection_filter: track by_src, count 2, seconds 10, unique_on dst_port";
    check(
        scan,
        &[
            (0, A, (1, 80), false),
            (1, A, (2, 80), false),
            (2, A, (3, 81), false),
            (3, C, (3, 82), false),
            (4, A, (3, 81), false),
            (5, A, (3, 82), true),
            (6, A, (3, 80), true),
            (11, A, (3, 80), false),
            (12, A, (3, 81), false),
        ],
    );
    let sources = "detection_filter: track by_dst, count 2, seconds 10, unique_on src_port";
    check(
        sources,
        &[(0, A, (1, 22), false), (0, C, (1, 22), false), (0, C, (2, 22), false), (1, A, (3, 22), true)],
    );
}

#[test]
fn different_ports_are_asked_of_protocols_that_have_them() {
    let text = |protocol: &str| {
        format!(
            "alert {protocol} any any -> any any (detection_filter: track by_src, count 1, seconds 1, unique_on dst_port; sid:1;)"
        )
    };
    for protocol in ["tcp", "tcp-pkt", "tcp-stream", "udp", "sctp"] {
        load(&text(protocol), "");
    }
    for protocol in ["ip", "icmp", "pkthdr", "ipv6"] {
        let loaded = RuleSet::load(&[source(&text(protocol))], &LoadOptions::default());
        let reasons: Vec<_> =
            loaded.errors.iter().map(|error| (error.reason.as_str(), error.column)).collect();
        let column = text(protocol).find("dst_port").map_or(0, |at| at + 1);
        assert_eq!(
            reasons,
            [("`unique_on` needs a protocol with ports: tcp, udp or sctp", column)],
            "{protocol}"
        );
    }
}

#[test]
fn thresholds_hold_back_alerts_and_actions_as_documented() {
    let limit = "threshold: type limit, track by_src, count 1, seconds 10";
    check("alert", limit, &[0, 1, 10, 11], &[(true, ""), (false, ""), (false, ""), (true, "")]);
    // Beyond the limit a drop rule drops in silence.
    check("drop", limit, &[0, 1, 11], &[(true, "drop"), (false, "drop"), (true, "drop")]);
    let threshold = "threshold:type threshold,seconds 10,count 2,track by_src";
    check("drop", threshold, &[0, 1, 2, 3], &[(false, ""), (true, "drop"), (false, ""), (true, "drop")]);
    let both = "threshold: type both, track by_dst, count 2, seconds 10";
    check("drop", both, &[0, 1, 2, 11], &[(false, ""), (true, "drop"), (false, "drop"), (false, "")]);
    let backoff = "threshold: type backoff, track by_flow, count 1, multiplier 2";
    check("drop", backoff, &[0, 1, 2, 3], &[(true, "drop"), (true, "drop"), (false, "drop"), (true, "drop")]);
    let filter = "detection_filter: track by_src, count 2, seconds 10";
    check(
        "drop",
        filter,
        &[0, 1, 2, 3, 11],
        &[(false, ""), (false, ""), (true, "drop"), (true, "drop"), (false, "")],
    );
    check("pass", filter, &[0, 1, 2], &[(false, ""), (false, ""), (false, "pass")]);
}

#[test]
fn what_is_tracked_is_counted_apart() {
    let check = |track: &str, expect: [usize; 6]| {
        let options = format!("threshold: type limit, track {track}, count 1, seconds 60");
        let mut bench = Bench::new(&rule("alert", &options), "");
        let packets = [(1, A, B), (1, A, B), (1, A, C), (2, B, A), (3, C, B), (1, A, B)];
        let found =
            packets.map(|(flow, source, destination)| bench.flow(0, flow, source, destination, "x").0.len());
        assert_eq!(found, expect, "{track}");
    };
    check("by_src", [1, 0, 0, 1, 1, 0]);
    check("by_dst", [1, 0, 1, 1, 0, 0]);
    check("by_both", [1, 0, 1, 0, 1, 0]);
    check("by_rule", [1, 0, 0, 0, 0, 0]);
    check("by_flow", [1, 0, 0, 1, 1, 0]);
}

#[test]
fn what_cannot_be_counted_hides_no_alert() {
    let limit = rule("alert", "threshold: type limit, track by_flow, count 1, seconds 60");
    let mut bench = Bench::new(&limit, "");
    let frame = v4().udp(1, 2).payload(b"x").to_vec();
    for _ in 0..3 {
        assert_eq!(bench.judge(0, None, &frame), Said(vec![1], ""), "no flow to count by");
    }
    let mut bench = Bench::with_memory(&limit, "", 0);
    for _ in 0..3 {
        assert_eq!(bench.udp(0, A, B, "x"), Said(vec![1], ""), "no memory");
    }
    let filter = rule("drop", "detection_filter: track by_src, count 1, seconds 60");
    let mut bench = Bench::with_memory(&filter, "", 0);
    for _ in 0..3 {
        assert_eq!(bench.udp(0, A, B, "x"), Said(vec![], ""), "no memory");
    }
}

#[test]
fn refusals_are_counted() {
    let text = rule("alert", "threshold: type limit, track by_src, count 1, seconds 60; hostbits:set,a");
    let rules = load(&text, "");
    let frame = v4().udp(1, 2).payload(b"x").to_vec();
    let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, &frame);
    let payload = decoded.payload.of(&frame);
    let input = Input { decoded: &decoded, frame: &frame, payload, flow: None, bits: None };
    let table = HostTable::new(&HostSettings { memcap: 0, seed: 1 });
    let hosts = Hosts { table: Some(&table), ..Hosts::default() };
    let mut scratch = Scratch::new(&rules);
    assert_eq!(rules.inspect_with(&input, &mut scratch, &hosts).host_refused, 2);
}

#[test]
fn suppressed_rules_act_in_silence() {
    let check = |line: &str, silent: [bool; 3]| {
        let rules = format!(
            "{}\n{}",
            rule("drop", "hostbits:set,a"),
            "alert udp any any -> any any (dsize:1; gid:7; sid:2;)"
        );
        let mut bench = Bench::new(&rules, line);
        let found = [(A, B), (B, C), (C, A)].map(|(source, destination)| {
            let Said(alerts, verdict) = bench.udp(0, source, destination, "x");
            assert_eq!(verdict, "drop", "{line}");
            assert_eq!(alerts.contains(&2), line.contains("gen_id 1"), "{line}");
            !alerts.contains(&1)
        });
        assert_eq!(found, silent, "{line}");
    };
    check("suppress gen_id 1, sig_id 1", [true, true, true]);
    check("suppress gen_id 1, sig_id 0", [true, true, true]);
    check("suppress gen_id 0, sig_id 0", [true, true, true]);
    check("suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.1", [true, false, false]);
    check("suppress gen_id 1, sig_id 1, track by_dst, ip 10.0.0.1", [false, false, true]);
    check("suppress gen_id 1, sig_id 1, track by_either, ip 10.0.0.1", [true, false, true]);
    check("suppress gen_id 1, sig_id 1, track by_src, ip [10.0.0.1, 10.0.0.2]", [true, true, false]);
    check("suppress gen_id 1, sig_id 1, \\\n  track by_src, ip $LAN", [true, true, false]);
    check("suppress gen_id 1, sig_id 1, track by_src, ip !$LAN", [false, false, true]);
    check("suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.0/31", [true, false, false]);
}

#[test]
fn rate_filters_change_the_action_for_a_while() {
    let check = |action: &str, new: &str, expect: [(bool, &'static str); 5]| {
        let line = format!(
            "rate_filter gen_id 1, sig_id 1, track by_src, count 2, seconds 10, new_action {new}, timeout 5"
        );
        let mut bench = Bench::new(&rule(action, "dsize:1"), &line);
        let said = [0, 1, 2, 7, 8].map(|second| bench.udp(second, A, B, "x"));
        let expect = expect.map(|(alert, verdict)| Said(vec![1; usize::from(alert)], verdict));
        assert_eq!(said, expect, "{action} {new}");
        let Said(_, verdict) = bench.udp(3, C, B, "x");
        assert_eq!(verdict, if action == "alert" { "" } else { action }, "another host is not concerned");
    };
    let own = (true, "");
    check("alert", "drop", [own, own, (true, "rate drop"), (true, "rate drop"), own]);
    check("alert", "reject", [own, own, (true, "rate reject"), (true, "rate reject"), own]);
    check("alert", "pass", [own, own, (false, "pass"), (false, "pass"), own]);
    let own = (true, "drop");
    check("drop", "alert", [own, own, (true, ""), (true, ""), own]);
}

#[test]
fn the_file_replaces_the_thresholds_of_rules_it_names() {
    let own = "threshold: type limit, track by_src, count 1, seconds 60";
    let alerts = |line: &str| {
        let mut bench = Bench::new(&rule("alert", own), line);
        [0, 1, 2].map(|second| bench.udp(second, A, B, "x").0.len())
    };
    assert_eq!(alerts(""), [1, 0, 0]);
    assert_eq!(
        alerts("threshold gen_id 1, sig_id 1, type both, track by_src, count 2, seconds 60"),
        [0, 1, 0]
    );
    assert_eq!(
        alerts("event_filter gen_id 1, sig_id 1, type limit, track by_src, count 2, seconds 60"),
        [1, 1, 0]
    );
    assert_eq!(
        alerts("threshold gen_id 0, sig_id 0, type both, track by_src, count 2, seconds 60"),
        [1, 0, 0]
    );
}

#[test]
fn bits_of_hosts_and_pairs_are_kept_beyond_flows() {
    let rules = r#"
        alert udp any any -> any any (content:"A"; xbits:set,seen,track ip_src,expire 10; sid:1;)
        alert udp any any -> any any (content:"?"; xbits:isset,seen,track ip_src; sid:2;)
        alert udp any any -> any any (content:"?"; xbits:isnotset,seen,track ip_dst; sid:3;)
        alert udp any any -> any any (content:"?"; hostbits:isset,seen|other,dst; sid:4;)
        alert udp any any -> any any (content:"P"; xbits:set,two,track ip_pair; sid:5;)
        alert udp any any -> any any (content:"?"; xbits:isset,two,track ip_pair; sid:6;)
        alert udp any any -> any any (content:"U"; hostbits:unset,seen; hostbits:noalert; sid:7;)
        alert udp any any -> any any (content:"E"; hostbits:toggle,each,both; sid:8;)
        alert udp any any -> any any (content:"?"; hostbits:isset,each,both; sid:9;)
    "#;
    let mut bench = Bench::new(rules, "");
    let mut check = |second, source, destination, payload: &str, expect: &[u32]| {
        assert_eq!(bench.udp(second, source, destination, payload).0, expect, "{second} {payload}");
    };
    check(0, A, B, "?", &[3]);
    check(0, A, B, "A", &[1]);
    check(1, A, B, "?", &[2, 3]);
    check(1, B, A, "?", &[4]);
    check(10, C, A, "?", &[4]);
    check(11, C, A, "?", &[3]);
    check(12, A, B, "A", &[1]);
    check(13, A, B, "U", &[]);
    check(14, A, B, "?", &[3]);
    // 30 seconds unless the rule says otherwise.
    check(20, A, B, "P", &[5]);
    check(50, B, A, "?", &[3, 6]);
    check(50, C, A, "?", &[3]);
    check(51, B, A, "?", &[3]);
    // Bits of hosts last for 300 seconds.
    check(60, A, B, "E", &[8]);
    check(360, B, A, "?", &[3, 9]);
    check(360, C, A, "?", &[3]);
    check(361, B, A, "?", &[3]);
}

#[test]
fn rules_that_change_bits_are_asked_before_those_that_ask_for_them() {
    let rules = r#"
        alert udp any any -> any any (hostbits:isset,a; content:"x"; sid:1;)
        alert udp any any -> any any (hostbits:set,a; content:"x"; sid:2;)
        alert udp any any -> any any (xbits:isset,p,track ip_pair; content:"x"; sid:3;)
        alert udp any any -> any any (xbits:set,p,track ip_pair; content:"x"; sid:4;)
    "#;
    let mut bench = Bench::new(rules, "");
    assert_eq!(bench.udp(0, A, B, "x").0, [2, 1, 4, 3]);
}

#[test]
fn versions_of_ip_have_bits_of_their_own() {
    let mut bench = Bench::new(
        "alert udp any any -> any any (content:\"s\"; hostbits:set,a; sid:1;)
        alert udp any any -> any any (content:\"?\"; hostbits:isset,a; sid:2;)",
        "",
    );
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];
    let six = |payload: &[u8]| v6().ipv6(mapped, mapped).udp(1, 2).payload(payload).to_vec();
    assert_eq!(bench.udp(0, A, B, "s").0, [1]);
    assert_eq!(bench.judge(0, None, &six(b"?")).0, []);
    assert_eq!(bench.udp(0, A, B, "?").0, [2]);
}

#[test]
fn a_question_about_a_host_is_asked_for_every_packet() {
    let rules = "alert ip any any -> any any (hostbits:isset,a; sid:1;)
        alert udp any any -> any any (content:\"s\"; hostbits:set,a; sid:2;)";
    let mut bench = Bench::new(rules, "");
    let said = ["x", "s", "x"].map(|payload| bench.udp(0, A, B, payload).0);
    assert_eq!(said, [vec![], vec![2, 1], vec![1]]);
}

#[test]
fn a_reload_keeps_what_was_counted_and_set() {
    let limit = rule("alert", "threshold: type limit, track by_src, count 1, seconds 60");
    let mut bench = Bench::new(&limit, "");
    assert_eq!(bench.udp(0, A, B, "x").0, [1]);
    bench.reload(&format!("{limit}\nalert udp any any -> any any (hostbits:isset,a; sid:2;)"));
    assert_eq!(bench.udp(1, A, B, "x").0, []);
}

#[test]
fn faults_say_what_is_wrong() {
    let check = |options: &str, reason: &str| assert_eq!(fault(options), reason, "{options}");
    check("threshold: type limit, track by_src, count 1;", "`seconds` is missing");
    check(
        "threshold: type limit, track by_src, count 0, seconds 1;",
        "`0` is not a whole number from 1 to 1000000",
    );
    check(
        "threshold: type limit, track by_host, count 1, seconds 1;",
        "expected by_src, by_dst, by_both, by_rule or by_flow, found `by_host`",
    );
    check(
        "threshold: type limits, track by_src, count 1, seconds 1;",
        "expected limit, threshold, both or backoff, found `limits`",
    );
    check("threshold: type limit, type both;", "`type` is given twice");
    check("threshold: type limit, count;", "`count` needs a value");
    check(
        "threshold: type limit, hits 3;",
        "unknown field `hits`, expected one of: type, track, count, seconds, multiplier",
    );
    check(
        "threshold: type backoff, track by_src, count 1, multiplier 2;",
        "`type backoff` counts by flow only: write `track by_flow`",
    );
    check(
        "threshold: type backoff, track by_flow, count 1, seconds 2;",
        "`type backoff` has a `multiplier` and no `seconds`",
    );
    check(
        "threshold: type both, track by_flow, count 1, seconds 2, multiplier 3;",
        "only `type backoff` has a `multiplier`",
    );
    let twice = "threshold: type limit, track by_src, count 1, seconds 1; detection_filter: track by_src, count 1, seconds 1;";
    check(twice, "a rule has one `threshold` or one `detection_filter`");
    check(
        "detection_filter: track by_src, count 1, seconds 1, unique_on dst_ip;",
        "expected src_port or dst_port, found `dst_ip`",
    );
    check(
        "detection_filter: track by_src, count 65536, seconds 1, unique_on dst_port;",
        "more than 65536 ports there are not: nothing would ever match",
    );
    check(
        "threshold: type both, track by_src, count 1, seconds 1, unique_on dst_port;",
        "unknown field `unique_on`, expected one of: type, track, count, seconds, multiplier",
    );
    check("xbits:set,a;", "`track` is missing: ip_src, ip_dst or ip_pair");
    check("xbits:set;", "expected an action, a name and `track`");
    check("xbits:set,a,track ip_src,expire 0;", "`0` is not a whole number from 1 to 4294967295");
    check("xbits:set,a,track ip_src,track ip_dst;", "`track` is given twice");
    check("xbits:set,a,track tx;", "`track tx` needs application-layer transactions: not supported");
    check("xbits:set,a,trace ip_src;", "expected track or expire, found `trace`");
    check(
        "xbits:keep,a,track ip_src;",
        "expected set, unset, toggle, isset, isnotset or noalert, found `keep`",
    );
    check("xbits:noalert,a;", "`noalert` takes no name");
    check("hostbits:set;", "expected an action and a name");
    check("hostbits:set,a,up;", "expected src, dst or both, found `up`");
    check("hostbits:set,a,src,x;", "expected nothing after the direction");
    check("hostbits:set,a|b;", "only `isset` and `isnotset` take several names");
    check("hostbits:set,a b;", "a bit's name is one word");
}
