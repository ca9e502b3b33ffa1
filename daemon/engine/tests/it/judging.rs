//! What the engine does to packets: verdicts, records, counters.

use crate::rig::{CLIENT, Rig, SERVER, handshake, inline, load, tcp, udp};
use portcullis_capture::PortId;
use portcullis_capture::{CaptureStats, DropReason, Verdict};
use portcullis_detect::{LoadOptions, RuleChange};
use portcullis_engine::{
    BudgetPolicy, DropRecords, EngineSettings, ExceptionPolicies, ExceptionPolicy, RecordSettings,
};
use portcullis_event::{Alert, AlertAction, Record, Would};
use portcullis_wire::DecoderConfig;
use portcullis_wire::decoded::TcpFlags;

const RULES: Verdict = Verdict::Drop(DropReason::Rules);
const FLOW_DROP: Verdict = Verdict::Drop(DropReason::FlowDrop);

fn alerts(rig: &mut Rig) -> Vec<(u32, AlertAction)> {
    rig.records(|record| match record {
        Record::Alert(alert) => Some((alert.alert.sid, alert.alert.action)),
        _ => None,
    })
}

fn drops(rig: &mut Rig) -> Vec<(DropReason, Option<u32>)> {
    rig.records(|record| match record {
        Record::Drop(dropped) => Some((dropped.reason, dropped.alert.map(|alert| alert.sid))),
        _ => None,
    })
}

#[test]
fn without_rules_everything_is_accepted_and_every_flow_is_reported_once() {
    let mut rig = Rig::new(&inline(), "");
    let frames: Vec<_> = (0..200).map(|port| udp((CLIENT, 1000 + port), (SERVER, 53), b"x")).collect();
    assert!(rig.send(&frames).iter().all(|verdict| *verdict == Verdict::Accept));
    assert_eq!(rig.counters().flow_active, 200);
    let counters = rig.finish();
    assert_eq!((counters.flow_total, counters.flow_active), (200, 0));
    assert_eq!(counters.flow_end_state_new, 200);
    assert_eq!((counters.flow_callbacks_init, counters.flow_callbacks_finish), (200, 200));
    assert_eq!((counters.log_flow_pushed, counters.log_flow_refused), (200, 0));
    assert_eq!((counters.ips_accepted, counters.ips_blocked, counters.decoder_udp), (200, 0, 200));
    let flows = rig.records(|record| matches!(record, Record::Flow(_)).then_some(()));
    assert_eq!(flows.len(), 200);
}

#[test]
fn a_packet_match_on_udp_drops_that_packet_only() {
    let mut rig = Rig::new(&inline(), r#"drop udp any any -> any any (msg:"bad"; content:"bad"; sid:1;)"#);
    let (one, other) = ((CLIENT, 1000), (SERVER, 53));
    let verdicts = rig.send(&[udp(one, other, b"ok"), udp(one, other, b"a bad one"), udp(one, other, b"ok")]);
    assert_eq!(verdicts, [Verdict::Accept, RULES, Verdict::Accept]);
    assert_eq!(rig.counters().ips_drop_reason_rules, 1);
    let evidence = rig.records(|record| match record {
        Record::Alert(alert) => Some(format!("alert {} {}", alert.alert.sid, alert.alert.action.name())),
        Record::Drop(dropped) => Some(format!("drop {}", dropped.reason.name())),
        _ => None,
    });
    assert_eq!(evidence, ["alert 1 blocked", "drop rules"]);
}

#[test]
fn an_ip_only_drop_condemns_the_flow_and_is_reported_once_a_direction() {
    let mut rig = Rig::new(&inline(), r#"drop ip 10.0.0.1 any -> any any (msg:"host"; sid:2;)"#);
    let (one, other) = ((CLIENT, 1000), (SERVER, 53));
    let verdicts = rig.send(&[
        udp(one, other, b"1"),
        udp(one, other, b"2"),
        udp(other, one, b"3"),
        udp(other, one, b"4"),
    ]);
    assert_eq!(verdicts, [RULES, FLOW_DROP, FLOW_DROP, FLOW_DROP]);
    assert_eq!(drops(&mut rig), [(DropReason::Rules, Some(2)), (DropReason::FlowDrop, None)]);
}

#[test]
fn a_rule_that_is_to_drop_nothing_tells_what_it_would() {
    let text = "drop ip any any -> any any (sid:1;)\nreject udp any any -> any 53 (dsize:1; sid:2;)\n\
                drop udp any any -> any 54 (sid:3;)\nalert ip any any -> any any (sid:4;)\n";
    let changes = [1, 2].map(|sid| ((1, sid), RuleChange::WouldDrop));
    let options = LoadOptions { changes: changes.into(), ..LoadOptions::default() };
    let mut rig = Rig::new(&inline(), "");
    rig.worker.swap_rules(load(text, &options));
    let (one, other) = ((CLIENT, 1000), (SERVER, 53));
    assert_eq!(rig.send(&[udp(one, other, b"1"), udp(one, other, b"2")]), [Verdict::Accept; 2]);
    let of_rules = |rig: &mut Rig| told(rig, |alert| (alert.sid, alert.action, alert.would));
    let (allowed, blocked) = (AlertAction::Allowed, AlertAction::Blocked);
    let first = [(1, allowed, Some(Would::Drop)), (2, allowed, Some(Would::Reject)), (4, allowed, None)];
    assert_eq!(of_rules(&mut rig), [&first[..], &[first[1]]].concat());
    let real = (SERVER, 54);
    assert_eq!(rig.send(&[udp(one, real, b"1")]), [RULES]);
    assert_eq!(of_rules(&mut rig), [(1, allowed, Some(Would::Drop)), (3, blocked, None), (4, allowed, None)]);
    assert_eq!(rig.finish().detect_would_drop, 2);
}

#[test]
fn a_set_that_is_to_drop_nothing_tells_what_it_would() {
    let text = "drop udp any any -> any any (content:\"bad\"; sid:1;)\n";
    let settings = EngineSettings {
        would_drop: vec![false, true],
        inline_sets: vec![0, 1],
        drop_invalid: true,
        ..inline()
    };
    let mut rig = Rig::new(&settings, text);
    let (one, other) = ((CLIENT, 1000), (SERVER, 53));
    let mut broken = udp(one, other, b"bad");
    broken[14] = 0x41;
    let frames = [udp(one, other, b"bad"), broken];
    let invalid = Verdict::Drop(DropReason::DecodeError);
    assert_eq!(rig.send_on(PortId(0), &frames), [RULES, invalid]);
    assert_eq!(told(&mut rig, |alert| (alert.action, alert.would)), [(AlertAction::Blocked, None)]);
    assert_eq!(rig.send_on(PortId(1), &frames), [Verdict::Accept; 2]);
    let would = (AlertAction::Allowed, Some(Would::Drop));
    assert_eq!(told(&mut rig, |alert| (alert.action, alert.would)), [would]);
    let counters = rig.finish();
    assert_eq!((counters.detect_would_drop, counters.ips_blocked), (1, 2));
}

/// What alert records say.
fn told<T>(rig: &mut Rig, of: impl Fn(&Alert<'_>) -> T) -> Vec<T> {
    rig.records(|record| match record {
        Record::Alert(record) => Some(of(&record.alert)),
        _ => None,
    })
}

#[test]
fn every_drop_is_reported_where_that_is_wanted() {
    let records = RecordSettings { drop: DropRecords::All, ..RecordSettings::default() };
    let mut rig = Rig::new(&EngineSettings { records, ..inline() }, "drop ip any any -> any any (sid:3;)");
    let (one, other) = ((CLIENT, 1000), (SERVER, 53));
    let _ = rig.send(&[udp(one, other, b"1"), udp(one, other, b"2"), udp(one, other, b"3")]);
    assert_eq!(drops(&mut rig).len(), 3);
}

#[test]
fn a_drop_on_tcp_data_condemns_the_flow() {
    let rule = r#"drop tcp any any -> any 80 (msg:"forbidden"; flow:established,to_server; content:"GET /forbidden"; sid:4;)"#;
    let mut rig = Rig::new(&inline(), rule);
    let _ = rig.send(&handshake());
    let data = TcpFlags::PSH | TcpFlags::ACK;
    let verdicts = rig.send(&[
        tcp(true, data, 101, 501, b"GET /forbidden HTTP/1.1\r\n\r\n"),
        tcp(true, data, 101, 501, b"GET /forbidden HTTP/1.1\r\n\r\n"),
        tcp(false, TcpFlags::ACK, 501, 101, b""),
    ]);
    assert_eq!(verdicts, [RULES, FLOW_DROP, FLOW_DROP]);
    let counters = rig.finish();
    assert_eq!(counters.flow_end_state_established, 1);
}

#[test]
fn a_drop_on_tcp_data_that_is_not_of_the_stream_drops_that_packet_only() {
    let rule = r#"drop tcp any any -> any any (content:"bad"; sid:4;)"#;
    let data = TcpFlags::PSH | TcpFlags::ACK;
    let mut rig = Rig::new(&inline(), rule);
    let early = [tcp(true, TcpFlags::SYN, 100, 0, b"bad"), tcp(false, TcpFlags::SYN, 500, 0, b"bad")];
    assert_eq!(rig.send(&early), [RULES, RULES]);
    let again =
        [tcp(true, TcpFlags::SYN, 100, 0, b""), tcp(false, TcpFlags::SYN | TcpFlags::ACK, 500, 101, b"")];
    assert_eq!(rig.send(&again), [Verdict::Accept; 2]);

    let mut rig = Rig::new(&inline(), rule);
    let _ = rig.send(&handshake());
    let reset = [tcp(true, TcpFlags::RST, 900, 0, b"bad"), tcp(true, data, 101, 501, b"good")];
    assert_eq!(rig.send(&reset), [RULES, Verdict::Accept]);
}

#[test]
fn a_bypassed_flow_is_counted_and_not_inspected() {
    let rules = r#"
        pass udp any any -> any any (content:"hello"; bypass; sid:1;)
        drop udp any any -> any any (content:"bad"; sid:2;)
        drop udp any any -> any any (content:"evil"; bypass; sid:3;)
    "#;
    let mut rig = Rig::new(&inline(), rules);
    let (client, server) = ((CLIENT, 1), (SERVER, 2));
    let verdicts = rig.send(&[
        udp(client, server, b"bad"),
        udp(client, server, b"hello"),
        udp(client, server, b"bad"),
        udp(server, client, b"bad"),
        udp((CLIENT, 3), server, b"evil"),
        udp((CLIENT, 3), server, b"bad"),
    ]);
    let pass = Verdict::Accept;
    assert_eq!(verdicts, [RULES, pass, pass, pass, RULES, RULES]);
    let counters = rig.finish();
    assert_eq!((counters.flow_bypassed_local_pkts, counters.flow_end_state_local_bypassed), (2, 1));
    assert_eq!(counters.flow_bypassed_local_bytes, 2 * (14 + 20 + 8 + 3));
    let flows = rig.records(|record| match record {
        Record::Flow(flow) => Some((flow.state.name(), flow.bypass, flow.counts.pkts_toserver)),
        _ => None,
    });
    assert!(flows.contains(&("bypassed", Some(portcullis_flow::flow::Bypass::Local), 3)), "{flows:?}");
}

#[test]
fn bits_belong_to_their_flow() {
    let rules = r#"
        alert udp any any -> any any (content:"login"; flowbits:set,login; flowbits:noalert; sid:1;)
        drop udp any any -> any any (content:"secret"; flowbits:isset,login; sid:2;)
    "#;
    let mut rig = Rig::new(&inline(), rules);
    let (client, server) = ((CLIENT, 1), (SERVER, 2));
    let verdicts = rig.send(&[
        udp(client, server, b"secret"),
        udp(client, server, b"login"),
        udp(server, client, b"secret"),
        udp((CLIENT, 3), server, b"secret"),
    ]);
    assert_eq!(verdicts, [Verdict::Accept, Verdict::Accept, RULES, Verdict::Accept]);
    // A new flow with the same key begins without.
    rig.pass(400);
    rig.worker.keep_house(rig.now(), &CaptureStats::default());
    assert_eq!(rig.send(&[udp(client, server, b"secret")]), [Verdict::Accept]);
    assert_eq!(rig.counters().flow_bits_refused, 0);
}

#[test]
fn without_the_power_to_drop_a_drop_rule_alerts() {
    let mut rig = Rig::new(&EngineSettings::default(), "drop ip any any -> any any (sid:5;)");
    let verdicts = rig.send(&[udp((CLIENT, 1), (SERVER, 2), b""), udp((CLIENT, 1), (SERVER, 2), b"")]);
    assert_eq!(verdicts, [Verdict::Accept; 2]);
    assert_eq!(alerts(&mut rig), [(5, AlertAction::Allowed)]);
}

#[test]
fn a_pass_rule_exempts_the_flow_from_the_rules_below_it() {
    let rules = r#"
        pass ip 10.0.0.1 any -> any any (sid:6;)
        drop udp any any -> any any (content:"bad"; sid:7;)
    "#;
    let mut rig = Rig::new(&inline(), rules);
    let verdicts = rig.send(&[
        udp((CLIENT, 1), (SERVER, 2), b"bad"),
        udp((CLIENT, 1), (SERVER, 2), b"bad"),
        udp((SERVER, 9), (CLIENT, 9), b"bad"),
    ]);
    assert_eq!(verdicts, [Verdict::Accept, Verdict::Accept, RULES]);
}

#[test]
fn packets_with_wrong_checksums_are_judged_alone_and_not_believed() {
    let rule = r#"drop tcp any any -> any any (content:"bad"; sid:8;)"#;
    let wrong = |mut frame: Vec<u8>| {
        frame[14 + 20 + 16] ^= 0xff;
        frame
    };
    let data = TcpFlags::PSH | TcpFlags::ACK;
    let frames = [
        wrong(tcp(true, TcpFlags::RST | TcpFlags::ACK, 101, 501, b"")),
        wrong(tcp(true, data, 101, 501, b"bad")),
        tcp(true, data, 101, 501, b"good"),
    ];
    let mut rig = Rig::new(&inline(), rule);
    let _ = rig.send(&handshake());
    assert_eq!(rig.send(&frames), [Verdict::Accept, RULES, Verdict::Accept]);
    let counters = rig.finish();
    assert_eq!((counters.tcp_invalid_checksum, counters.flow_end_state_established), (2, 1));
    // Where they are not validated, the reset ends the session.
    let mut rig = Rig::new(&EngineSettings { decoder: DecoderConfig::without_checksums(), ..inline() }, rule);
    let _ = rig.send(&handshake());
    let _ = rig.send(&frames[..1]);
    assert_eq!(rig.finish().flow_end_state_closed, 1);
}

#[test]
fn runts_are_counted_and_treated_as_configured() {
    for (drop_invalid, expected) in [(false, Verdict::Accept), (true, Verdict::Drop(DropReason::DecodeError))]
    {
        let mut rig = Rig::new(&EngineSettings { drop_invalid, ..inline() }, "");
        let runts: Vec<Vec<u8>> = (0..14).map(|length| vec![0x45; length]).collect();
        assert_eq!(rig.send(&runts), [expected; 14]);
        assert_eq!(rig.counters().decoder_invalid, 14);
    }
}

#[test]
fn a_rule_on_a_decoder_event_sees_packets_that_cannot_be_decoded() {
    let rules = r#"
        alert pkthdr any any -> any any (decode-event:ipv4.trunc_pkt; sid:1;)
        drop pkthdr any any -> any any (decode-event:ethernet.pkt_too_small; sid:2;)
        alert ip any any -> any any (sid:3;)
    "#;
    let truncated = udp((CLIENT, 1), (SERVER, 2), b"payload")[..40].to_vec();
    let mut rig = Rig::new(&inline(), rules);
    assert_eq!(rig.send(&[truncated, vec![0; 13]]), [Verdict::Accept, RULES]);
    let shown = rig.records(|record| match record {
        Record::Alert(alert) => Some((alert.alert.sid, alert.common.ip_version, alert.common.flow_id)),
        _ => None,
    });
    assert_eq!(shown, [(1, 0, None), (2, 0, None)]);
}

#[test]
fn a_full_table_meets_the_memcap_policy() {
    let flow = portcullis_flow::FlowSettings { memcap: 400_000, prealloc: 10, ..inline().flow };
    for (policy, expected) in [
        (ExceptionPolicy::DropPacket, Verdict::Drop(DropReason::FlowMemcap)),
        (ExceptionPolicy::PassPacket, Verdict::Accept),
        (ExceptionPolicy::Ignore, Verdict::Accept),
    ] {
        let policies = ExceptionPolicies { flow_memcap: policy, ..ExceptionPolicies::default() };
        let settings = EngineSettings { flow, policies, ..inline() };
        let mut rig = Rig::new(&settings, "");
        // Established flows that were used a moment ago are not evicted for newcomers.
        let established = (0..8000_u16).flat_map(|n| {
            let (one, other) = ((CLIENT, n), (SERVER, 7));
            [udp(one, other, b""), udp(other, one, b"")]
        });
        let frames: Vec<_> = established.collect();
        let verdicts = rig.send(&frames);
        let counters = rig.counters();
        assert!(counters.flow_memcap > 0, "8000 flows do not fit into 400,000 bytes");
        assert!(counters.flow_memuse <= 400_000, "{}", counters.flow_memuse);
        let others = verdicts.iter().filter(|verdict| **verdict != Verdict::Accept);
        assert!(others.clone().all(|verdict| *verdict == expected));
        assert_eq!(others.count() > 0, expected != Verdict::Accept);
        let end = rig.finish();
        assert_eq!((end.flow_active, end.flow_callbacks_finish), (0, end.flow_total));
        assert_eq!(end.log_flow_pushed + end.log_flow_refused, end.flow_total);
    }
}

#[test]
fn time_ends_flows_without_packets() {
    let mut rig = Rig::new(&inline(), "");
    let _ = rig.send(&[udp((CLIENT, 1), (SERVER, 2), b"")]);
    rig.pass(31);
    for _ in 0..200 {
        rig.worker.idle(rig.now(), &CaptureStats::default());
    }
    let counters = rig.counters();
    assert_eq!((counters.flow_active, counters.flow_end_state_new), (0, 1));
}

#[test]
fn a_drop_rule_that_the_work_limit_left_unasked_drops_inline() {
    let rule = r#"drop udp any any -> any any (content:"aaa"; content:"b"; distance:5; within:1; sid:9;)"#;
    let options = LoadOptions { packet_work_max: 2, ..LoadOptions::default() };
    let frame = udp((CLIENT, 1), (SERVER, 2), &[b'a'; 500]);
    let with = |budget_policy| EngineSettings { budget_policy, ..inline() };
    let dropped = Verdict::Drop(DropReason::DetectLimit);
    // Of the flow's next packet nothing has to be asked.
    let harmless = udp((CLIENT, 1), (SERVER, 2), b"b");
    for (settings, expected, next) in [
        (with(BudgetPolicy::DropFlow), dropped, Verdict::Drop(DropReason::FlowDrop)),
        (with(BudgetPolicy::DropPacket), dropped, Verdict::Accept),
        (with(BudgetPolicy::Ignore), Verdict::Accept, Verdict::Accept),
        (EngineSettings::default(), Verdict::Accept, Verdict::Accept),
    ] {
        let mut rig = Rig::new(&settings, "");
        rig.worker.swap_rules(load(rule, &options));
        assert_eq!(rig.send(&[frame.clone(), harmless.clone()]), [expected, next]);
        assert_eq!(rig.counters().detect_limit_reached, 1);
    }
}
