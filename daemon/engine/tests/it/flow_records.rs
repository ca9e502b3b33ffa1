//! What is kept beside flows for their records alone, and settings that change meanwhile.

use crate::rig::{CLIENT, Rig, SERVER, inline, udp};
use portcullis_engine::{EngineSettings, ExceptionPolicies, LiveSettings, RecordSettings};
use portcullis_event::{Mac, Record};
use portcullis_flow::{FlowMatch, FlowSettings, TimeoutOverride};
use portcullis_wire::builder::PacketBuilder;

/// Source and destination addresses of Ethernet in each flow and netflow record.
fn macs(rig: &mut Rig) -> Vec<(Vec<u8>, Vec<u8>)> {
    let last = |macs: &[Mac]| macs.iter().map(|mac| mac[5]).collect::<Vec<u8>>();
    rig.records(|record| {
        match record {
            Record::Flow(flow) => Some(flow.common.ether),
            Record::Netflow(netflow) => Some(netflow.common.ether),
            _ => None,
        }
        .map(|ether| (last(ether.source), last(ether.destination)))
    })
}

#[test]
fn a_flow_shows_the_ethernet_addresses_of_both_ends_in_the_order_they_were_seen() {
    let mac = |last: u8| [2, 0, 0, 0, 0, last];
    let there = |source, destination| {
        PacketBuilder::ethernet(mac(source), mac(destination)).ipv4(CLIENT, SERVER).udp(1, 2).to_vec()
    };
    let back = |source, destination| {
        PacketBuilder::ethernet(mac(source), mac(destination)).ipv4(SERVER, CLIENT).udp(2, 1).to_vec()
    };
    let frames = [there(13, 14), back(12, 11), there(13, 14), back(14, 13), there(11, 12)];
    let records = RecordSettings { ethernet: true, netflow: true, ..RecordSettings::default() };
    let mut rig = Rig::new(&EngineSettings { records, ..inline() }, "");
    let _ = rig.send(&frames);
    let counters = rig.finish();
    let (client, server) = (vec![13, 11], vec![14, 12]);
    let expected = [(client.clone(), server.clone()), (client.clone(), server.clone()), (server, client)];
    assert_eq!(macs(&mut rig), expected);
    assert_eq!((counters.decoder_max_mac_addrs_src, counters.decoder_max_mac_addrs_dst), (2, 2));

    // Where nobody wants them, they are not kept, and flows are smaller.
    let mut plain = Rig::new(&inline(), "");
    let _ = plain.send(&frames);
    assert_eq!(macs(&mut plain), []);
    plain.finish();
    assert_eq!(macs(&mut plain), [(vec![], vec![])]);
}

/// What is kept is paid for by flow, and only where it is kept.
#[test]
fn flows_that_show_more_are_fewer() {
    let fitting = |records: RecordSettings| {
        let flow = FlowSettings { memcap: 400_000, prealloc: 10, ..FlowSettings::default() };
        let mut rig = Rig::new(&EngineSettings { flow, records, ..inline() }, "");
        let frames: Vec<_> = (0..3000).map(|port| udp((CLIENT, port), (SERVER, 7), b"")).collect();
        let _ = rig.send(&frames);
        let counters = rig.counters();
        assert!(counters.flow_memcap > 0 && counters.flow_memuse <= 400_000, "{}", counters.flow_memuse);
        counters.flow_total
    };
    let plain = fitting(RecordSettings::default());
    let policies = fitting(RecordSettings { exception_policy: true, ..RecordSettings::default() });
    let macs = fitting(RecordSettings { ethernet: true, ..RecordSettings::default() });
    assert!(plain > policies && policies > macs, "{plain} {policies} {macs}");
    let unseen = RecordSettings { ethernet: true, flow: false, ..RecordSettings::default() };
    assert_eq!(fitting(unseen), plain);
}

#[test]
fn memory_in_use_is_shown_as_pressure() {
    let flow = FlowSettings { memcap: 1_000_000, prealloc: 2000, ..FlowSettings::default() };
    let mut rig = Rig::new(&EngineSettings { flow, ..inline() }, "");
    let _ = rig.send(&[udp((CLIENT, 1), (SERVER, 2), b"")]);
    let counters = rig.counters();
    assert_eq!(counters.memcap_pressure, counters.flow_memuse / 10_000);
    assert!((20..100).contains(&counters.memcap_pressure), "{}", counters.memcap_pressure);
    assert_eq!(counters.memcap_pressure_max, counters.memcap_pressure);
}

#[test]
fn timeouts_and_policies_change_while_flows_are_there() {
    let mut rig = Rig::new(&inline(), "");
    let flow = |client: u16, server: u16| udp((CLIENT, client), (SERVER, server), b"");
    let _ = rig.send(&[flow(1, 7), flow(2, 53)]);
    let mut live = LiveSettings {
        timeouts: FlowSettings::default().timeouts,
        timeout_overrides: Vec::new(),
        policies: ExceptionPolicies::default(),
    };
    live.timeouts.udp.new = 3;
    let dns = FlowMatch { ports: Some(53..=53), ..FlowMatch::default() };
    live.timeout_overrides = vec![TimeoutOverride { flows: dns, new: Some(9), ..TimeoutOverride::default() }];
    rig.worker.change_settings(&live);
    let _ = rig.send(&[flow(3, 53)]);
    let ended = |rig: &mut Rig, secs: u64| {
        rig.pass(secs);
        for _ in 0..300 {
            rig.worker.idle(rig.now(), &portcullis_capture::CaptureStats::default());
        }
        rig.records(|record| match record {
            Record::Flow(flow) => Some((
                flow.common.source_port,
                (flow.common.timestamp.as_nanos() - flow.end.as_nanos()) / 1_000_000_000,
            )),
            _ => None,
        })
    };
    assert_eq!(ended(&mut rig, 2), []);
    // Their records were over when the new time was.
    assert_eq!(ended(&mut rig, 2), [(1, 3)]);
    assert_eq!(ended(&mut rig, 4), []);
    let mut overridden = ended(&mut rig, 2);
    overridden.sort_unstable();
    assert_eq!(overridden, [(2, 9), (3, 9)]);
}
