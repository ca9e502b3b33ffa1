//! Packets within packets: each is judged as one of its own, and what drops one drops the frame.

use crate::rig::{CLIENT, Rig, SERVER, inline, udp};
use portcullis_capture::{DropReason, Verdict};
use portcullis_engine::{DropRecords, EngineSettings, RecordSettings};
use portcullis_event::{Common, PacketSource, Record, Tunnel};
use portcullis_flow::{FlowSettings, KeyOptions};
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::mapped;
use portcullis_wire::{DecoderConfig, Ports};
use proptest::prelude::*;

const GATE_A: [u8; 4] = [192, 0, 2, 1];
const GATE_B: [u8; 4] = [192, 0, 2, 2];
const INNER_DROP: Verdict = Verdict::Drop(DropReason::TunnelPacketDrop);
const EVIL: &str = r#"drop udp any any -> any 53 (content:"evil"; sid:1;)"#;

/// Puts a frame into another one.
type Wrap = fn(&[u8]) -> Vec<u8>;

const WAYS: [Wrap; 5] = [vxlan, geneve, gre, ip_in_ip, ip_in_ipv6];

fn query(payload: &[u8]) -> Vec<u8> {
    udp((CLIENT, 40_000), (SERVER, 53), payload)
}

fn outer() -> PacketBuilder<'static> {
    PacketBuilder::ethernet([2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 4]).ipv4(GATE_A, GATE_B)
}

fn vxlan(frame: &[u8]) -> Vec<u8> {
    outer().udp(5000, 4789).payload(&[&[8, 0, 0, 0, 0, 0, 7, 0], frame].concat()).to_vec()
}

fn geneve(frame: &[u8]) -> Vec<u8> {
    outer().udp(5000, 6081).payload(&[&[0, 0, 0x65, 0x58, 0, 0, 7, 0], frame].concat()).to_vec()
}

fn gre(frame: &[u8]) -> Vec<u8> {
    outer().protocol(47).payload(&[&[0, 0, 8, 0], &frame[14..]].concat()).to_vec()
}

fn ip_in_ip(frame: &[u8]) -> Vec<u8> {
    outer().protocol(4).payload(&frame[14..]).to_vec()
}

fn ip_in_ipv6(frame: &[u8]) -> Vec<u8> {
    let outer = PacketBuilder::ethernet([2; 6], [4; 6]).ipv6([1; 16], [2; 16]);
    outer.protocol(4).payload(&frame[14..]).to_vec()
}

fn pppoe(frame: &[u8]) -> Vec<u8> {
    let packet = &frame[14..];
    let length = u16::try_from(packet.len() + 2).unwrap().to_be_bytes();
    let payload = [&[0x11, 0, 0, 7], &length[..], &[0, 0x21], packet].concat();
    PacketBuilder::ethernet([2; 6], [4; 6]).ethertype(0x8864).payload(&payload).to_vec()
}

fn alerts(rig: &mut Rig) -> Vec<(u32, Option<PacketSource>, Option<Tunnel>)> {
    rig.records(|record| match record {
        Record::Alert(alert) => Some((alert.alert.sid, alert.common.pkt_src, alert.common.tunnel)),
        _ => None,
    })
}

fn drops(rig: &mut Rig) -> Vec<(DropReason, Option<PacketSource>, bool)> {
    rig.records(|record| match record {
        Record::Drop(drop) => Some((drop.reason, drop.common.pkt_src, drop.common.flow_id.is_some())),
        _ => None,
    })
}

/// Of a flow record: protocol, packets to the server, bytes to the server, id, parent.
type FlowShown = (u8, u64, u64, Option<u64>, Option<u64>);

/// Every flow, those with the fewest bytes first.
fn flows(rig: &mut Rig) -> Vec<FlowShown> {
    rig.finish();
    let mut flows = rig.records(|record| match record {
        Record::Flow(flow) => {
            let Common { protocol, flow_id, parent_id, .. } = flow.common;
            Some((protocol, flow.counts.pkts_toserver, flow.counts.bytes_toserver, flow_id, parent_id))
        }
        _ => None,
    });
    flows.sort_unstable_by_key(|flow| flow.2);
    flows
}

#[test]
fn what_is_carried_is_judged_and_drops_the_frame() {
    let check = |wrap: Wrap, source: PacketSource, tunnel: Tunnel, outer_flow: bool| {
        let mut rig = Rig::new(&inline(), EVIL);
        let frames = [wrap(&query(b"good")), wrap(&query(b"an evil one"))];
        assert_eq!(rig.send(&frames), [Verdict::Accept, INNER_DROP], "{source:?}");
        let counters = rig.counters();
        assert_eq!((counters.ips_accepted, counters.ips_blocked), (1, 1));
        assert_eq!((counters.ips_drop_reason_tunnel_packet_drop, counters.ips_drop_reason_rules), (1, 0));
        assert_eq!((counters.decoder_pkts, counters.detect_alert), (2, 1));
        let mut seen = rig.records(|record| match record {
            Record::Alert(alert) => Some((0, alert.common.pkt_src, alert.common.tunnel)),
            Record::Drop(drop) => Some((drop.reason as u8 + 1, drop.common.pkt_src, drop.common.tunnel)),
            _ => None,
        });
        seen.sort_unstable_by_key(|(kind, ..)| *kind);
        let inner = (Some(source), Some(Tunnel { pcap_cnt: Some(2), ..tunnel }));
        let expected = [
            (0, inner.0, inner.1),
            (DropReason::Rules as u8 + 1, inner.0, inner.1),
            (DropReason::TunnelPacketDrop as u8 + 1, Some(PacketSource::Wire), None),
        ];
        assert_eq!(seen, expected, "{source:?}");
        let flows = flows(&mut rig);
        assert_eq!(flows.len(), 1 + usize::from(outer_flow), "{source:?}");
        assert_eq!((flows[0].0, flows[0].1), (17, 2));
        let parent = flows.get(1).and_then(|outer| outer.3);
        assert_eq!(flows[0].4, parent, "{source:?}");
    };
    let v4 = Tunnel {
        ip_version: 4,
        source: mapped(GATE_A),
        destination: mapped(GATE_B),
        source_port: 0,
        destination_port: 0,
        protocol: 47,
        depth: 1,
        pcap_cnt: None,
        pkt_src: PacketSource::Wire,
    };
    let v6 = Tunnel { ip_version: 6, source: [1; 16], destination: [2; 16], protocol: 4, ..v4 };
    let datagram = |destination_port| Tunnel { source_port: 5000, destination_port, protocol: 17, ..v4 };
    check(gre, PacketSource::Gre, v4, false);
    check(ip_in_ip, PacketSource::Ipv4Tunnel, Tunnel { protocol: 4, ..v4 }, true);
    check(ip_in_ipv6, PacketSource::Ipv6Tunnel, v6, true);
    check(vxlan, PacketSource::Vxlan, datagram(4789), true);
    check(geneve, PacketSource::Geneve, datagram(6081), true);
    // The root is what was received, however deep.
    check(|frame| gre(&ip_in_ip(frame)), PacketSource::Ipv4Tunnel, Tunnel { depth: 2, ..v4 }, true);
}

#[test]
fn tags_and_labels_are_no_tunnels() {
    let mut rig = Rig::new(&inline(), EVIL);
    let frames = [pppoe(&query(b"good")), pppoe(&query(b"evil"))];
    assert_eq!(rig.send(&frames), [Verdict::Accept, Verdict::Drop(DropReason::Rules)]);
    assert_eq!(drops(&mut rig), [(DropReason::Rules, Some(PacketSource::Wire), true)]);
}

#[test]
fn the_carrier_is_judged_by_its_headers() {
    // Its payload is the inner packet, and matches there, once.
    let rules = r#"
        alert udp any any -> any 4789 (msg:"carrier"; sid:1;)
        alert udp any any -> any any (msg:"content"; content:"data"; sid:2;)
        alert udp any any -> any 53 (msg:"inner"; sid:3;)"#;
    let mut rig = Rig::new(&inline(), rules);
    assert_eq!(rig.send(&[vxlan(&query(b"data"))]), [Verdict::Accept]);
    let alerts: Vec<_> = alerts(&mut rig).into_iter().map(|(sid, source, _)| (sid, source)).collect();
    let (wire, inner) = (Some(PacketSource::Wire), Some(PacketSource::Vxlan));
    assert_eq!(alerts, [(1, wire), (2, inner), (3, inner)]);
    // What only looks like a tunnel is a datagram. Rules without content were asked for the flow before.
    let mut other = vxlan(&query(b"data"));
    other[14 + 20 + 8] = 0;
    assert_eq!(rig.send(&[other]), [Verdict::Accept]);
    let alerts: Vec<_> = self::alerts(&mut rig).into_iter().map(|(sid, source, _)| (sid, source)).collect();
    assert_eq!(alerts, [(2, wire)]);
}

#[test]
fn what_is_passed_outside_is_judged_inside_and_what_is_dropped_is_not() {
    let pass = r#"pass udp any any -> any 4789 (sid:9;)"#;
    let mut rig = Rig::new(&inline(), &format!("{EVIL}\n{pass}"));
    assert_eq!(rig.send(&[vxlan(&query(b"evil"))]), [INNER_DROP]);

    let drop = r#"drop udp any any -> any 4789 (sid:9;)"#;
    let mut rig = Rig::new(&inline(), &format!("{EVIL}\n{drop}"));
    assert_eq!(rig.send(&[vxlan(&query(b"evil"))]), [Verdict::Drop(DropReason::Rules)]);
    assert_eq!(drops(&mut rig), [(DropReason::Rules, Some(PacketSource::Wire), true)]);
    // It never came to be: no flow, and nothing counted.
    assert_eq!(rig.counters().decoder_ipv4, 1);
    assert_eq!(flows(&mut rig).len(), 1);
}

#[test]
fn only_inline_drops() {
    let mut rig = Rig::new(&EngineSettings::default(), EVIL);
    assert_eq!(rig.send(&[vxlan(&query(b"evil"))]), [Verdict::Accept]);
    assert_eq!(alerts(&mut rig).len(), 1);
}

#[test]
fn drops_of_a_carriers_flow_are_reported_as_configured() {
    let check = |drop: DropRecords, expected: usize| {
        let records = RecordSettings { drop, alert: false, ..RecordSettings::default() };
        let mut rig = Rig::new(&EngineSettings { records, ..inline() }, EVIL);
        let frames = vec![vxlan(&query(b"evil")); 3];
        assert_eq!(rig.send(&frames), [INNER_DROP; 3]);
        let outer = drops(&mut rig).iter().filter(|drop| drop.0 == DropReason::TunnelPacketDrop).count();
        assert_eq!(outer, expected, "{drop:?}");
    };
    check(DropRecords::Start, 1);
    check(DropRecords::All, 3);
    check(DropRecords::Off, 0);
}

#[test]
fn flows_are_told_apart_by_recursion_as_configured() {
    let check = |recursion_level: bool, expected: &[(u8, u64)]| {
        let key = KeyOptions { recursion_level, ..KeyOptions::default() };
        let settings = EngineSettings { flow: FlowSettings { key, ..FlowSettings::default() }, ..inline() };
        let mut rig = Rig::new(&settings, "");
        let _ = rig.send(&[query(b"a"), gre(&query(b"a")), gre(&ip_in_ip(&query(b"a")))]);
        let found: Vec<_> = flows(&mut rig).iter().map(|flow| (flow.0, flow.1)).collect();
        assert_eq!(found, expected, "{recursion_level}");
    };
    // The carrier in the middle has a flow, too.
    check(true, &[(17, 1), (17, 1), (17, 1), (4, 1)]);
    check(false, &[(4, 1), (17, 3)]);
}

#[test]
fn packets_within_count_their_own_bytes() {
    let mut rig = Rig::new(&inline(), "");
    let inner = query(b"data");
    let _ = rig.send(&[vxlan(&inner), gre(&inner)]);
    let found: Vec<_> = flows(&mut rig).iter().map(|flow| (flow.0, flow.1, flow.2)).collect();
    let length = u64::try_from(inner.len()).unwrap();
    // Both are a level deep, so one flow; GRE took the Ethernet header off.
    assert_eq!(found, [(17, 2, 2 * length - 14), (17, 1, length + 50)]);
    let counters = rig.counters();
    assert_eq!((counters.decoder_pkts, counters.decoder_bytes), (2, 2 * length + 50 + 24));
    assert_eq!((counters.decoder_ipv4, counters.decoder_udp, counters.decoder_ethernet), (4, 3, 3));
    assert_eq!((counters.decoder_vxlan, counters.decoder_gre), (1, 1));
}

#[test]
fn what_is_damaged_within_is_invalid() {
    let rules = r#"alert pkthdr any any -> any any (decode-event:ipv4.wrong_ip_version; sid:1;)"#;
    let mut broken = gre(&query(b"data"));
    broken[14 + 20 + 4] = 0x75;
    let mut rig = Rig::new(&inline(), rules);
    assert_eq!(rig.send(&[broken.clone()]), [Verdict::Accept]);
    assert_eq!(alerts(&mut rig).len(), 1);
    assert_eq!(rig.counters().decoder_invalid, 1);
    let mut rig = Rig::new(&EngineSettings { drop_invalid: true, ..inline() }, "");
    assert_eq!(rig.send(&[broken]), [INNER_DROP]);
}

#[test]
fn depth_is_bounded_and_counted() {
    let nested = |levels: usize| (0..levels).fold(query(b"evil"), |frame, _| ip_in_ip(&frame));
    let mut rig = Rig::new(&inline(), EVIL);
    assert_eq!(rig.send(&[nested(16)]), [INNER_DROP]);
    assert_eq!((rig.counters().decoder_too_many_layers, rig.counters().decoder_ipv4), (0, 17));
    // Deeper it cannot be looked into; the event says so.
    let rules = format!("{EVIL}\ndrop pkthdr any any -> any any (decode-event:too_many_layers; sid:2;)");
    let mut rig = Rig::new(&inline(), &rules);
    assert_eq!(rig.send(&[nested(17)]), [INNER_DROP]);
    assert_eq!((rig.counters().decoder_too_many_layers, alerts(&mut rig)[0].0), (1, 2));
    let decoder = DecoderConfig { max_layers: 2, ..DecoderConfig::default() };
    let mut rig = Rig::new(&EngineSettings { decoder, ..inline() }, EVIL);
    assert_eq!(rig.send(&[nested(2), nested(3)]), [INNER_DROP, Verdict::Accept]);
}

#[test]
fn unknown_ethertypes_pass_unless_they_are_not_to() {
    let frame =
        |ethertype| PacketBuilder::ethernet([2; 6], [4; 6]).ethertype(ethertype).payload(&[0; 46]).to_vec();
    let mut arp = [0; 28];
    arp[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    let arp = PacketBuilder::ethernet([2; 6], [4; 6]).ethertype(0x0806).payload(&arp).to_vec();
    let check = |drop_unknown_ethertypes: bool, inline: bool, expected: Verdict| {
        let settings = EngineSettings { inline, drop_unknown_ethertypes, ..EngineSettings::default() };
        let mut rig = Rig::new(&settings, "");
        assert_eq!(
            rig.send(&[frame(0x88cc), arp.clone(), query(b"")]),
            [expected, Verdict::Accept, Verdict::Accept]
        );
        let _ = rig.send(&[vxlan(&query(b"")), gre(&query(b""))]);
        assert_eq!(rig.counters().decoder_unknown_ethertype, 1);
    };
    check(false, true, Verdict::Accept);
    check(true, false, Verdict::Accept);
    check(true, true, Verdict::Drop(DropReason::DecodeError));
}

/// Any bytes, and any bytes within sound headers, and any tunnel on any port.
fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..120);
    let wrapped =
        (bytes(), proptest::collection::vec(proptest::sample::select(&WAYS[..]), 0..4), any::<u8>())
            .prop_map(|(payload, ways, version)| {
                let inner = match version % 4 {
                    0 => query(&payload),
                    1 => [&query(b"")[..14], &[0x45, 0, 0, 60], &payload].concat(),
                    2 => [&query(b"")[..14], &[0x60, 0, 0, 0, 0, 40], &payload].concat(),
                    _ => [&query(b"")[..14], &payload].concat(),
                };
                ways.iter().fold(inner, |frame, way| way(&frame))
            });
    let flipped = (wrapped, proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3))
        .prop_map(|(mut frame, changes)| {
            for (place, value) in changes {
                let at = place.index(frame.len());
                frame[at] = value;
            }
            frame
        });
    proptest::collection::vec(prop_oneof![bytes(), flipped], 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_upset_the_engine(frames in frames(), inline: bool, any_port: bool) {
        let ports = if any_port { Ports::ANY } else { DecoderConfig::default().vxlan };
        let decoder = DecoderConfig {
            vxlan: ports, geneve: ports, teredo: ports, erspan_type1: true, ..DecoderConfig::default()
        };
        let rules = r#"
            drop ip any any -> any any (content:"|00 01|"; sid:1;)
            alert pkthdr any any -> any any (decode-event:ipv4.pkt_too_small; sid:2;)"#;
        let mut rig = Rig::new(&EngineSettings { inline, decoder, ..EngineSettings::default() }, rules);
        let verdicts = rig.send(&frames);
        prop_assert_eq!(verdicts.len(), frames.len());
        let counters = rig.finish();
        prop_assert_eq!(counters.decoder_pkts, frames.len() as u64);
        prop_assert_eq!(counters.ips_accepted + counters.ips_blocked, counters.decoder_pkts);
        let dropped = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Drop(_))).count();
        prop_assert_eq!(counters.ips_blocked, dropped as u64);
        prop_assert_eq!(counters.flow_active, 0);
        prop_assert_eq!(counters.flow_callbacks_init, counters.flow_callbacks_finish);
    }
}
