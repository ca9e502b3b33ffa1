//! The `use-for-tracking` settings: two packets that differ in nothing else are one flow or two.
//! (`decoder.recursion-level.use-for-tracking` is tried with the tunnels.)

use crate::rig::{CLIENT, Rig, SERVER, ethernet, inline, udp};
use portcullis_capture::PortId;
use portcullis_engine::EngineSettings;
use portcullis_event::Record;
use portcullis_flow::{FlowSettings, KeyOptions};

/// Sends each frame on its port; the packets of each flow, to the server and back.
fn flows(settings: &EngineSettings, frames: &[(u8, Vec<u8>)]) -> Vec<(u64, u64)> {
    let mut rig = Rig::new(settings, "");
    for (port, frame) in frames {
        rig.send_on(PortId(*port), std::slice::from_ref(frame));
    }
    let counters = rig.finish();
    let mut found = rig.records(|record| match record {
        Record::Flow(flow) => Some((flow.counts.pkts_toserver, flow.counts.pkts_toclient)),
        _ => None,
    });
    assert_eq!(counters.flow_total, found.len() as u64);
    found.sort_unstable();
    found
}

fn keyed_by(key: KeyOptions) -> EngineSettings {
    EngineSettings { flow: FlowSettings { key, ..FlowSettings::default() }, ..inline() }
}

#[test]
fn vlans_tell_flows_apart_as_configured() {
    let tagged = |vlan: Option<u16>, forward: bool| {
        let builder = vlan.into_iter().fold(ethernet(), |builder, vlan| builder.vlan(vlan));
        let ((from, sport), (to, dport)) =
            if forward { ((CLIENT, 1), (SERVER, 7)) } else { ((SERVER, 7), (CLIENT, 1)) };
        builder.ipv4(from, to).udp(sport, dport).to_vec()
    };
    let check = |vlan: bool, frames: &[(u8, Vec<u8>)], expected: &[(u64, u64)]| {
        let settings = keyed_by(KeyOptions { vlan, ..KeyOptions::default() });
        assert_eq!(flows(&settings, frames), expected, "vlan.use-for-tracking {vlan}");
    };
    let same = [(0, tagged(Some(5), true)), (0, tagged(Some(5), false))];
    let other = [(0, tagged(Some(5), true)), (0, tagged(Some(6), false))];
    let none = [(0, tagged(Some(5), true)), (0, tagged(None, false))];
    check(true, &same, &[(1, 1)]);
    check(true, &other, &[(1, 0), (1, 0)]);
    check(true, &none, &[(1, 0), (1, 0)]);
    for frames in [&same, &other, &none] {
        check(false, frames, &[(1, 1)]);
    }
}

/// The sets tell flows apart and never their ports: links of one set may be asymmetric.
#[test]
fn inline_sets_tell_flows_apart_as_configured() {
    let there = || udp((CLIENT, 1), (SERVER, 7), b"");
    let back = || udp((SERVER, 7), (CLIENT, 1), b"");
    let check = |inline_set: bool, ports: [u8; 2], expected: &[(u64, u64)]| {
        let settings = EngineSettings {
            inline_sets: vec![0, 0, 0, 0, 1, 1],
            ..keyed_by(KeyOptions { inline_set, ..KeyOptions::default() })
        };
        let frames = [(ports[0], there()), (ports[1], back())];
        assert_eq!(flows(&settings, &frames), expected, "livedev.use-for-tracking {inline_set}, {ports:?}");
    };
    for inline_set in [true, false] {
        check(inline_set, [0, 1], &[(1, 1)]);
        check(inline_set, [0, 3], &[(1, 1)]);
        check(inline_set, [4, 5], &[(1, 1)]);
        check(inline_set, [2, 9], &[(1, 1)]);
    }
    check(true, [0, 5], &[(1, 0), (1, 0)]);
    check(true, [4, 3], &[(1, 0), (1, 0)]);
    check(false, [0, 5], &[(1, 1)]);
    check(false, [4, 3], &[(1, 1)]);
}
