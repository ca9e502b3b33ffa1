//! What happens to packets for whose flows there is no memory.

use crate::rig::{CLIENT, Rig, SERVER, ethernet, inline, tcp, udp};
use portcullis_capture::{DropReason, Verdict};
use portcullis_engine::{EngineSettings, ExceptionPolicies, ExceptionPolicy, Faults};
use portcullis_event::Record;
use portcullis_flow::FlowSettings;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;

const MEMCAP: Verdict = Verdict::Drop(DropReason::FlowMemcap);

fn with(policy: ExceptionPolicy) -> EngineSettings {
    let policies = ExceptionPolicies { flow_memcap: policy, ..ExceptionPolicies::default() };
    EngineSettings { policies, may_send: true, ..inline() }
}

/// Every policy on a packet for whose flow there is no memory: a UDP datagram on which a rule would alert.
#[test]
fn each_policy_acts_on_packets_without_a_flow() {
    let check = |policy: ExceptionPolicy,
                 inline: bool,
                 expected: Verdict,
                 counter: &str,
                 alerts: u64,
                 sent: usize| {
        let faults = Faults { flow_memcap: Some(2), ..Faults::default() };
        let settings = EngineSettings { faults, inline, ..with(policy) };
        let mut rig = Rig::new(&settings, "alert udp any any -> any any (content:\"look\"; sid:1;)");
        let frames = [1, 2, 3].map(|port| udp((CLIENT, port), (SERVER, 9), b"look"));
        assert_eq!(rig.send(&frames), [Verdict::Accept, expected, Verdict::Accept], "{policy:?}");
        let counters = rig.counters();
        let counted: Vec<_> = counters
            .iter()
            .filter(|(name, value)| name.starts_with("exception_policy.") && *value > 0)
            .map(|(name, value)| (name.trim_start_matches("exception_policy.flow.memcap."), value))
            .collect();
        let wanted: Vec<_> = Some((counter, 1)).filter(|_| !counter.is_empty()).into_iter().collect();
        assert_eq!(counted, wanted, "{policy:?}");
        assert_eq!((counters.flow_memcap, counters.flow_total), (1, 2), "{policy:?}");
        assert_eq!(counters.detect_alert, 2 + alerts, "{policy:?}");
        assert_eq!(rig.take_forged().len(), sent, "{policy:?}");
        let dropped = u64::from(expected != Verdict::Accept);
        assert_eq!(counters.ips_drop_reason_flow_memcap, dropped, "{policy:?}");
        let rejected = u64::from(sent > 0);
        assert_eq!(
            (counters.ips_blocked, counters.ips_rejected),
            (dropped - rejected, rejected),
            "{policy:?}"
        );
    };
    use ExceptionPolicy as Policy;
    check(Policy::Ignore, true, Verdict::Accept, "", 1, 0);
    check(Policy::PassPacket, true, Verdict::Accept, "pass_packet", 0, 0);
    check(Policy::DropPacket, true, MEMCAP, "drop_packet", 0, 0);
    check(Policy::Reject, true, MEMCAP, "reject", 0, 1);
    check(Policy::RejectBoth, true, MEMCAP, "reject_both", 0, 2);
    // Those for flows do to the packet what they can.
    check(Policy::DropFlow, true, MEMCAP, "drop_packet", 0, 0);
    check(Policy::PassFlow, true, Verdict::Accept, "pass_packet", 0, 0);
    check(Policy::Bypass, true, Verdict::Accept, "", 1, 0);
    // Where nothing can be dropped, what drops is ignored.
    check(Policy::DropPacket, false, Verdict::Accept, "", 1, 0);
    check(Policy::RejectBoth, false, Verdict::Accept, "", 1, 0);
    check(Policy::PassPacket, false, Verdict::Accept, "pass_packet", 0, 0);
}

#[test]
fn a_drop_by_policy_is_reported_with_its_reason_and_whom_was_told() {
    let faults = Faults { flow_memcap: Some(1), ..Faults::default() };
    let mut rig = Rig::new(&EngineSettings { faults, ..with(ExceptionPolicy::RejectBoth) }, "");
    assert_eq!(rig.send(&[tcp(true, TcpFlags::SYN, 1, 0, b"")]), [MEMCAP]);
    let shown = rig.records(|record| match record {
        Record::Drop(drop) => {
            Some((drop.reason, drop.verdict.unwrap().reject.unwrap().name(), drop.common.flow_id))
        }
        _ => None,
    });
    assert_eq!(shown, [(DropReason::FlowMemcap, "both", None)]);
}

#[test]
fn a_packet_of_a_known_flow_never_meets_the_fault() {
    let faults = Faults { flow_memcap: Some(2), ..Faults::default() };
    let mut rig = Rig::new(&EngineSettings { faults, ..with(ExceptionPolicy::DropPacket) }, "");
    let frames = [udp((CLIENT, 1), (SERVER, 9), b""), udp((SERVER, 9), (CLIENT, 1), b"")];
    assert_eq!(rig.send(&frames), [Verdict::Accept; 2]);
    assert_eq!(rig.counters().flow_memcap, 0);
}

/// A table that is full of established flows, of which none may make room.
fn full(rules: &str) -> Rig {
    let flow = FlowSettings { memcap: 400_000, prealloc: 10, ..inline().flow };
    let mut rig = Rig::new(&EngineSettings { flow, ..with(ExceptionPolicy::DropPacket) }, rules);
    let frames: Vec<_> = (0..4000_u16)
        .flat_map(|n| [udp((CLIENT, n), (SERVER, 7), b""), udp((SERVER, 7), (CLIENT, n), b"")])
        .collect();
    let _ = rig.send(&frames);
    assert!(rig.counters().exception_policy_flow_memcap_drop_packet > 0, "the table is full");
    rig
}

/// Everything without which a network falls apart, by name; all from hosts that have no flow yet.
fn control() -> Vec<(&'static str, Vec<u8>)> {
    let link = ethernet;
    let (local, other) = ([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0xfd; 16]);
    let all = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let solicitation =
        |kind| link().ipv6([0xfc; 16], other).ttl(255).icmp(kind, 0, [0; 4]).payload(&[0x20; 16]).to_vec();
    vec![
        (
            "ARP",
            link()
                .ethertype(0x0806)
                .payload(&[0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0])
                .minimum(60)
                .to_vec(),
        ),
        ("router solicitation", solicitation(133)),
        ("router advertisement", solicitation(134)),
        ("neighbour solicitation", solicitation(135)),
        ("neighbour advertisement", solicitation(136)),
        ("redirect", solicitation(137)),
        ("listener report", solicitation(143)),
        ("link-local unicast", link().ipv6(local, other).udp(1, 2).to_vec()),
        ("link-local multicast", link().ipv6(other, all).udp(5353, 5353).to_vec()),
        ("IPv4 link-local", link().ipv4([169, 254, 1, 2], SERVER).udp(1, 2).to_vec()),
        ("IPv4 local control", link().ipv4(CLIENT, [224, 0, 0, 251]).udp(5353, 5353).to_vec()),
        (
            "IGMP",
            link().ipv4(CLIENT, [224, 0, 0, 22]).protocol(2).payload(&[0x16, 0, 0, 0, 0, 0, 0, 0]).to_vec(),
        ),
        ("OSPF", link().ipv4(CLIENT, SERVER).protocol(89).payload(&[0; 44]).to_vec()),
        ("DHCP discover", link().ipv4([0; 4], [255; 4]).udp(68, 67).payload(&[1; 240]).to_vec()),
        ("DHCP renewal", link().ipv4(SERVER, CLIENT).udp(67, 68).payload(&[2; 240]).to_vec()),
        ("DHCP relay", link().ipv4(SERVER, CLIENT).udp(67, 67).payload(&[2; 240]).to_vec()),
        ("DHCPv6", link().ipv6([0xfc; 16], other).udp(546, 547).payload(&[1; 40]).to_vec()),
        ("an error about no flow", error()),
        ("an unknown EtherType", link().ethertype(0x88cc).payload(&[0; 46]).to_vec()),
    ]
}

/// An ICMP error about a flow that is not there.
fn error() -> Vec<u8> {
    let quoted = PacketBuilder::raw().ipv4([10, 9, 9, 9], [10, 8, 8, 8]).udp(1, 2).to_vec();
    ethernet().ipv4(SERVER, [10, 9, 9, 9]).icmp_error(3, 3, &quoted).to_vec()
}

#[test]
fn what_keeps_networks_alive_passes_a_full_table() {
    let mut rig = full("");
    for (name, frame) in control() {
        assert_eq!(rig.send(&[frame]), [Verdict::Accept], "{name}");
    }
    // Everything else that is new meets the policy, however much it looks like it.
    for (name, frame) in [
        ("DNS", ethernet().ipv4([10, 7, 7, 7], SERVER).udp(68, 53).to_vec()),
        (
            "UDP from the DHCP port of IPv4 in IPv6",
            ethernet().ipv6([0xfc; 16], [0xfd; 16]).udp(67, 68).to_vec(),
        ),
        ("echo", ethernet().ipv6([0xfc; 16], [0xfd; 16]).echo_request(1, 1).to_vec()),
        ("wider multicast", ethernet().ipv6([0xfc; 16], [0xff; 16]).udp(1, 2).to_vec()),
        ("wider multicast of IPv4", ethernet().ipv4([10, 7, 7, 7], [239, 1, 1, 1]).udp(1, 2).to_vec()),
        ("a connection", ethernet().ipv4([10, 7, 7, 7], SERVER).tcp(68, 67).to_vec()),
    ] {
        assert_eq!(rig.send(&[frame]), [MEMCAP], "{name}");
    }
}

#[test]
fn a_rule_drops_even_that() {
    let mut rig = full(
        "drop udp any 67 -> any 68 (content:\"|02 02|\"; sid:1;)\ndrop icmpv6 any any -> any any (itype:134; sid:2;)",
    );
    let dropped = ["DHCP renewal", "router advertisement"];
    for (name, frame) in control() {
        let rules = Verdict::Drop(DropReason::Rules);
        let expected = if dropped.contains(&name) { rules } else { Verdict::Accept };
        assert_eq!(rig.send(&[frame]), [expected], "{name}");
    }
}
