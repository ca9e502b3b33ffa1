use std::net::Ipv4Addr;

use portcullis_wire::Decoded;
use portcullis_wire::decoded::{DecodeEvent, Fragment, Icmp, Tcp, TcpFlags, Transport};

mod differential;
mod limits;

use super::*;
use crate::input::FlowFacts;
use crate::outcome::RejectTo;
use crate::ruleset::{LoadOptions, Source};
use portcullis_flow::Direction;
use portcullis_stream::StreamEvents;

const FLOW: FlowFacts = FlowFacts {
    direction: Direction::ToServer,
    established: true,
    first_in_direction: false,
    stream_data: false,
    stream_events: StreamEvents::NONE,
    age: 0,
    packets: [0; 2],
    bytes: [0; 2],
    stream_bytes: None,
};

fn load_with(text: &str, options: &LoadOptions) -> RuleSet {
    let loaded = RuleSet::load(&[Source { name: "rules", text: text.as_bytes() }], options);
    assert_eq!(loaded.errors, []);
    loaded.rules
}

fn load(text: &str) -> RuleSet {
    load_with(text, &LoadOptions::default())
}

fn address(text: &str) -> [u8; 16] {
    text.parse::<Ipv4Addr>().unwrap().to_ipv6_mapped().octets()
}

/// 10.0.0.1:1000 -> 10.0.0.2:80
fn packet(protocol: u8) -> Decoded {
    let transport = match protocol {
        6 => Transport::Tcp(Tcp { flags: TcpFlags(TcpFlags::ACK), seq: 7, ..Tcp::default() }),
        17 => Transport::Udp(Default::default()),
        1 => Transport::Icmpv4(Icmp { kind: 8, code: 0, echo: Some((4, 5)), quoted: None }),
        _ => Transport::None,
    };
    let ports = matches!(protocol, 6 | 17);
    Decoded {
        ip_version: 4,
        source: address("10.0.0.1"),
        destination: address("10.0.0.2"),
        protocol,
        ttl: 64,
        transport,
        source_port: if ports { 1000 } else { 0 },
        destination_port: if ports { 80 } else { 0 },
        ..Decoded::default()
    }
}

/// What a packet gets: verdict, alerting sids.
fn judge(rules: &RuleSet, decoded: &Decoded, payload: &[u8], flow: Option<FlowFacts>) -> (Verdict, Vec<u32>) {
    let mut scratch = Scratch::new(rules);
    let outcome = rules.inspect(&Input { decoded, frame: payload, payload, flow, bits: None }, &mut scratch);
    assert_eq!(outcome.unjudged, Unjudged::default());
    (outcome.verdict, sids(rules, &outcome))
}

fn sids(rules: &RuleSet, outcome: &Outcome<'_>) -> Vec<u32> {
    outcome.alerts.iter().map(|alert| rules.signature(alert.rule).unwrap().sid).collect()
}

fn matches(rule: &str, decoded: &Decoded, payload: &[u8], flow: Option<FlowFacts>) -> bool {
    !judge(&load(rule), decoded, payload, flow).1.is_empty()
}

#[test]
fn decoder_events_are_asked_for_by_name() {
    let check = |rule: &str, events: &[DecodeEvent], invalid: bool, expect: bool| {
        let mut decoded = packet(6);
        for &event in events {
            decoded.events.insert(event);
        }
        decoded.invalid = events.first().copied().filter(|_| invalid);
        assert_eq!(matches(rule, &decoded, b"abc", None), expect, "{rule} on {events:?}");
    };
    let (invalid, other) = (DecodeEvent::TcpOptionInvalidLength, DecodeEvent::Ipv4OptionEolRequired);
    let rule = "alert pkthdr any any -> any any (decode-event:tcp.opt_invalid_len; sid:1;)";
    check(rule, &[invalid], true, true);
    check(rule, &[invalid], false, true);
    check(rule, &[other], true, false);
    check(rule, &[other, invalid], false, true);
    check(rule, &[], false, false);
    let rule = "alert ip any any -> any any (decode-event:tcp.opt_invalid_len; sid:1;)";
    check(rule, &[invalid], false, true);
    check(rule, &[invalid], true, false);
    let rule = r#"alert tcp any any -> any 80 (decode-event:tcp.opt_invalid_len; content:"b"; sid:1;)"#;
    check(rule, &[invalid], false, true);
    check(&rule.replace("\"b\"", "\"x\""), &[invalid], false, false);
    check(rule, &[], false, false);
}

#[test]
fn headers_select_packets() {
    let check = |header: &str, decoded: &Decoded, expect: bool| {
        let rule = format!("alert {header} (sid:1;)");
        assert_eq!(matches(&rule, decoded, b"", None), expect, "{rule} on {decoded:?}");
    };
    let (tcp, udp, icmp) = (packet(6), packet(17), packet(1));
    check("tcp any any -> any any", &tcp, true);
    check("tcp any any -> any any", &udp, false);
    check("udp any any -> any any", &udp, true);
    check("icmp any any -> any any", &icmp, true);
    check("icmp any any -> any any", &packet(58), true);
    check("icmpv6 any any -> any any", &packet(58), true);
    check("icmpv6 any any -> any any", &icmp, false);
    check("icmpv4 any any -> any any", &icmp, true);
    check("ip any any -> any any", &packet(47), true);
    check("ip4 any any -> any any", &tcp, true);
    check("ipv6 any any -> any any", &tcp, false);
    check("sctp any any -> any any", &packet(132), true);
    check("tcp 10.0.0.1 1000 -> 10.0.0.2 80", &tcp, true);
    check("tcp 10.0.0.2 80 -> 10.0.0.1 1000", &tcp, false);
    check("tcp 10.0.0.2 80 <> 10.0.0.1 1000", &tcp, true);
    check("tcp 10.0.0.2 81 <> 10.0.0.1 1000", &tcp, false);
    check("tcp !10.0.0.1 any -> any any", &tcp, false);
    check("tcp any any -> any !80", &tcp, false);
    check("tcp any any -> any [1:79,81:]", &tcp, false);
    check("ip any any -> any 80", &udp, true);
    check("ip any any -> any 80", &icmp, false);
    let fragment = Decoded { transport: Transport::None, fragment: Some(Fragment::default()), ..tcp };
    check("tcp any any -> any any", &fragment, true);
    check("tcp any any -> any 80", &fragment, false);
    let invalid = Decoded { invalid: Some(DecodeEvent::TcpTooSmall), ..tcp };
    check("ip any any -> any any", &invalid, false);
    check("pkthdr any any -> any any", &invalid, true);
    check("pkthdr any any -> any any", &tcp, true);
    check("pkthdr any any -> any any", &Decoded::default(), true);
    check("ip any any -> any any", &Decoded::default(), false);
}

#[test]
fn contents_select_payloads() {
    let check = |options: &str, payload: &str, expect: bool| {
        let rule = format!("alert udp any any -> any any ({options} sid:1;)");
        assert_eq!(matches(&rule, &packet(17), payload.as_bytes(), None), expect, "{options} on {payload}");
    };
    check(r#"content:"abc";"#, "xxabcxx", true);
    check(r#"content:"abc";"#, "xxABCxx", false);
    check(r#"content:"aBc"; nocase;"#, "xxAbCxx", true);
    check(r#"content:"|41 42|c";"#, "ABc", true);
    check(r#"content:"a"; offset:1;"#, "abb", false);
    check(r#"content:"bc"; offset:1; depth:2;"#, "abcd", true);
    check(r#"content:"cd"; offset:1; depth:2;"#, "abcd", false);
    check(r#"content:"ab"; startswith;"#, "xab", false);
    check(r#"content:"ab"; endswith;"#, "abxab", true);
    check(r#"content:"ab"; endswith;"#, "abx", false);
    check(r#"content:"ab"; startswith; endswith;"#, "abab", false);
    check(r#"content:!"ab";"#, "xx", true);
    check(r#"content:!"ab";"#, "xabx", false);
    check(r#"content:!"ab";"#, "", false);
    check(r#"content:"ab"; content:"cd"; distance:1;"#, "abcdcd", true);
    check(r#"content:"ab"; content:"cd"; distance:1;"#, "abcd", false);
    check(r#"content:"ab"; content:"cd"; distance:1; within:2;"#, "abxcd", true);
    check(r#"content:"ab"; content:"cd"; distance:1; within:2;"#, "abxxcd", false);
    check(r#"content:"ab"; content:"cd"; within:2;"#, "ab ab abcd", true);
    check(r#"content:"ab"; content:!"cd"; within:2;"#, "abcdab", true);
    check(r#"content:"ab"; content:!"cd"; content:"ef"; distance:0; within:2;"#, "abef", true);
    check(r#"content:"cd"; content:"ab"; distance:-4; within:2;"#, "abcd", true);
    check(r#"content:"abcdef"; fast_pattern:2,2;"#, "abcdef", true);
    check(r#"content:"abc"; content:"d"; fast_pattern; nocase;"#, "D abc", true);
    check(r#"content:"yyy"; distance:9; within:29; endswith;"#, "0123456789yyy", true);
    check(r#"content:"yyy"; distance:9; within:29; endswith;"#, "01234567yyy", false);
    check(r#"content:"a"; dsize:>3;"#, "aaa", false);
    check("dsize:0;", "", true);
}

#[test]
fn keywords_select_packets() {
    let check = |protocol: u8, options: &str, expect: bool| {
        let rule = format!("alert ip any any -> any any ({options} sid:1;)");
        assert_eq!(matches(&rule, &packet(protocol), b"", None), expect, "{options}");
    };
    check(6, "ttl:64;", true);
    check(6, "ttl:>64;", false);
    check(6, "ip_proto:6;", true);
    check(6, "ip_proto:!tcp;", false);
    check(6, "sameip;", false);
    check(6, "flags:A;", true);
    check(6, "flags:S;", false);
    check(6, "seq:7;", true);
    check(6, "ack:1;", false);
    check(6, "window:0;", true);
    check(17, "flags:A;", false);
    check(1, "itype:8; icode:0;", true);
    check(1, "icmp_id:4; icmp_seq:5;", true);
    check(1, "icmp_seq:6;", false);
    check(6, "itype:8;", false);
}

#[test]
fn flow_selects_by_direction_and_state() {
    let check = |needs: &str, flow: Option<FlowFacts>, expect: bool| {
        let rule = format!("alert udp any any -> any any (flow:{needs}; content:\"a\"; sid:1;)");
        assert_eq!(matches(&rule, &packet(17), b"a", flow), expect, "{needs} with {flow:?}");
    };
    let back = FlowFacts { direction: Direction::ToClient, ..FLOW };
    let new = FlowFacts { established: false, ..FLOW };
    check("to_server", Some(FLOW), true);
    check("to_server", Some(back), false);
    check("to_server", None, false);
    check("from_server", Some(back), true);
    check("from_client", Some(FLOW), true);
    check("established", Some(new), false);
    check("established,to_server", Some(FLOW), true);
    check("not_established", Some(new), true);
    check("not_established", Some(FLOW), false);
    check("stateless", Some(new), true);
    check("stateless", None, true);
}

#[test]
fn streams_and_packets_are_told_apart() {
    let check = |header: &str, options: &str, stream_data: bool, expect: Option<Scope>| {
        let rules = load(&format!("drop {header} any any -> any any (content:\"a\"; {options} sid:1;)"));
        let flow = FlowFacts { stream_data, ..FLOW };
        let expect = expect.map_or(Verdict::None, |scope| Verdict::Drop { scope, rule: RuleId(0) });
        assert_eq!(judge(&rules, &packet(6), b"a", Some(flow)).0, expect, "{header} {options} {stream_data}");
    };
    check("tcp", "", true, Some(Scope::Flow));
    check("tcp", "", false, Some(Scope::Packet));
    check("tcp", "flow:no_stream;", true, Some(Scope::Packet));
    check("tcp", "flow:only_stream;", true, Some(Scope::Flow));
    check("tcp", "flow:only_stream;", false, None);
    check("tcp", "dsize:1;", true, Some(Scope::Packet));
    check("tcp-pkt", "", true, Some(Scope::Packet));
    check("tcp-stream", "", true, Some(Scope::Flow));
    check("tcp-stream", "", false, None);
    check("ip", "", true, Some(Scope::Packet));
}

#[test]
fn ip_only_rules_are_asked_once_per_direction() {
    let check = |rule: &str, flow: Option<FlowFacts>, expect: Option<Scope>| {
        let expect = expect.map_or(Verdict::None, |scope| Verdict::Drop { scope, rule: RuleId(0) });
        assert_eq!(judge(&load(rule), &packet(6), b"", flow).0, expect, "{rule} with {flow:?}");
    };
    let first = FlowFacts { first_in_direction: true, ..FLOW };
    let plain = "drop tcp 10.0.0.1 any -> any 80 (sid:1;)";
    check(plain, Some(first), Some(Scope::Flow));
    check(plain, Some(FLOW), None);
    check(plain, None, Some(Scope::Packet));
    let negated = "drop tcp !10.9.9.9 any -> any 80 (sid:1;)";
    check(negated, Some(FLOW), Some(Scope::Flow));
    let with_flow = "drop tcp any any -> any any (flow:to_server; sid:1;)";
    check(with_flow, Some(FLOW), Some(Scope::Packet));
}

#[test]
fn the_first_pass_or_drop_in_order_decides() {
    let pass = "pass udp any any -> any any (content:\"p\"; sid:1;)\n";
    let drop = "drop udp any any -> any any (content:\"d\"; sid:2;)\n";
    let alert = "alert udp any any -> any any (content:\"a\"; sid:3;)\n";
    let text = [pass, drop, alert].concat();
    let check = |order: [Action; 4], payload: &str, verdict: &str, logged: &[u32]| {
        let rules = load_with(&text, &LoadOptions { action_order: order, ..LoadOptions::default() });
        let (found, alerts) = judge(&rules, &packet(17), payload.as_bytes(), Some(FLOW));
        let found = match found {
            Verdict::None => "none",
            Verdict::Pass { scope: Scope::Packet, .. } => "pass",
            Verdict::Drop { scope: Scope::Packet, .. } => "drop",
            other => panic!("{other:?}"),
        };
        assert_eq!((found, alerts.as_slice()), (verdict, logged), "{payload}");
    };
    let usual = Action::DEFAULT_ORDER;
    check(usual, "pda", "pass", &[]);
    check(usual, "da", "drop", &[2, 3]);
    check(usual, "a", "none", &[3]);
    check(usual, "x", "none", &[]);
    let drop_first = [Action::Drop, Action::Pass, Action::Reject, Action::Alert];
    check(drop_first, "pda", "drop", &[2]);
    check(drop_first, "pa", "pass", &[]);
    let alert_first = [Action::Alert, Action::Drop, Action::Reject, Action::Pass];
    check(alert_first, "pda", "drop", &[3, 2]);
    check(alert_first, "pa", "pass", &[3]);
}

#[test]
fn reject_rules_say_whom_to_tell() {
    let text = "reject udp any any -> any any (content:\"r\"; sid:1;)\n\
                rejectsrc udp any any -> any any (content:\"s\"; sid:2;)\n\
                rejectdst udp any any -> any any (content:\"d\"; sid:3;)\n\
                rejectboth udp any any -> any any (content:\"b\"; sid:4;)\n\
                drop udp any any -> any any (content:\"x\"; sid:5;)\n\
                pass udp any any -> any any (content:\"p\"; sid:6;)\n\
                alert udp any any -> any any (content:\"a\"; sid:7;)\n";
    let rules = load(text);
    let mut scratch = Scratch::new(&rules);
    let mut check = |payload: &str, dropped: bool, reject: Option<RejectTo>| {
        let decoded = packet(17);
        let input =
            Input { decoded: &decoded, frame: b"", payload: payload.as_bytes(), flow: None, bits: None };
        let outcome = rules.inspect(&input, &mut scratch);
        let found = matches!(outcome.verdict, Verdict::Drop { .. });
        assert_eq!((found, outcome.reject), (dropped, reject), "{payload}");
        assert!(outcome.alerts.iter().all(|alert| alert.blocked() == dropped));
    };
    check("r", true, Some(RejectTo::Source));
    check("s", true, Some(RejectTo::Source));
    check("d", true, Some(RejectTo::Destination));
    check("b", true, Some(RejectTo::Both));
    check("rs", true, Some(RejectTo::Source));
    check("sd", true, Some(RejectTo::Both));
    // Passing comes first, dropping before rejecting: it does not take the answer away.
    check("rp", false, None);
    check("xd", true, Some(RejectTo::Destination));
    check("x", true, None);
    check("a", false, None);
}
