//! How flows begin, go on and end while there is room.

use crate::packets::{
    Outcome, address, at, finish, keyed, ping, table, tcp, track, track_and, udp, unreachable,
};
use portcullis_capture::{DropReason, PortId};
use portcullis_flow::Direction::{ToClient, ToServer};
use portcullis_flow::flow::Bypass;
use portcullis_flow::{
    Counts, EndReason, FlowAction, FlowSettings, FlowState, FlowTable, TcpState, Tracked, TrackedInput,
};
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::TcpFlags;

const CLIENT: (u8, u16) = (9, 5000);
const SERVER: (u8, u16) = (2, 80);
const SYN: u8 = TcpFlags::SYN;
const ACK: u8 = TcpFlags::ACK;

fn new_table() -> FlowTable {
    table(&FlowSettings::default())
}

fn id(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Known(id, _) | Outcome::New(id, _) => id,
        other => panic!("no flow: {other:?}"),
    }
}

#[test]
fn a_udp_flow_from_first_packet_to_record() {
    let mut table = new_table();
    let mut first = udp(CLIENT, SERVER);
    assert!(first.vlans.push(7));
    let mut answer = udp(SERVER, CLIENT);
    assert!(answer.vlans.push(7));
    let flow = id(track_and(&mut table, &first, at(1), |flow| assert_eq!(flow.state(), FlowState::New)));
    first.ttl = 60;
    assert_eq!(track(&mut table, &first, at(2)), Outcome::Known(flow, ToServer));
    answer.ttl = 128;
    let outcome = track_and(&mut table, &answer, at(5), |flow| {
        assert_eq!((flow.client(), flow.server()), ((address(9), 5000), (address(2), 80)));
        assert_eq!(flow.counts(ToServer), Counts { packets: 2, bytes: 200 });
        assert_eq!(flow.counts(ToClient), Counts { packets: 1, bytes: 100 });
        assert_eq!((flow.ttl(ToServer), flow.ttl(ToClient)), ((60, 64), (128, 128)));
        assert_eq!((flow.start(), flow.last_seen()), (at(1), at(5)));
        assert_eq!((flow.state().name(), flow.tcp(), flow.icmp()), ("established", None, None));
        assert_eq!((flow.vlans().as_slice(), flow.ip_version(), flow.protocol()), (&[7][..], 4, 17));
        assert_eq!((flow.ingress(), flow.end(), flow.parent_id()), (PortId(1), None, 0));
        assert!(flow.seen(ToServer) && flow.seen(ToClient) && !flow.alerted() && !flow.emergency());
        flow.set_alerted();
        flow.set_parent_id(77);
    });
    assert_eq!(outcome, Outcome::Known(flow, ToClient));
    assert!(table.retire_all(at(6), 10));
    assert_eq!((table.active(), table.waiting()), (1, 1), "it is active until it is finished");
    let finished = table.finish(10, &mut |flow| {
        assert_eq!((flow.end(), flow.alerted(), flow.parent_id()), (Some(EndReason::Shutdown), true, 77));
        assert_eq!(flow.counts(ToServer).packets + flow.counts(ToClient).packets, 3);
    });
    let stats = table.stats();
    assert_eq!((finished, stats.total, stats.active, stats.udp), (1, 1, 0, 1));
    assert_eq!((stats.end.state_established, stats.end.total()), (1, 1));
}

#[test]
fn a_flow_starts_without_anything_of_the_one_before_it() {
    let mut table = new_table();
    track_and(&mut table, &tcp(CLIENT, SERVER, SYN, 1, 0), at(1), |flow| {
        flow.set_alerted();
        flow.set_no_payload_inspection();
        flow.set_bypass(Bypass::Capture);
        assert!(flow.set_action(FlowAction::Pass));
    });
    assert!(table.retire_all(at(1), 10));
    assert_eq!(finish(&mut table).len(), 1);
    track_and(&mut table, &udp(SERVER, CLIENT), at(2), |flow| {
        assert_eq!((flow.client(), flow.counts(ToServer).packets), ((address(2), 80), 1));
        assert_eq!((flow.state(), flow.bypass(), flow.action()), (FlowState::New, None, None));
        assert!(!flow.alerted() && !flow.no_payload_inspection() && flow.end().is_none());
    });
    assert_eq!(table.stats().end.state_capture_bypassed, 1);
}

#[test]
fn the_first_action_wins() {
    let mut table = new_table();
    track_and(&mut table, &udp(CLIENT, SERVER), at(1), |flow| {
        let drop = FlowAction::Drop(DropReason::Rules);
        assert!(flow.set_action(drop));
        assert!(!flow.set_action(FlowAction::Pass));
        assert_eq!(flow.action(), Some(drop));
    });
}

#[test]
fn pings_and_their_replies() {
    let mut table = new_table();
    let flow = id(track_and(&mut table, &ping(9, 2, false), at(1), |flow| {
        assert_eq!((flow.icmp(), flow.icmp_response()), (Some((8, 0)), None));
    }));
    let outcome = track_and(&mut table, &ping(2, 9, true), at(2), |flow| {
        assert_eq!((flow.icmp(), flow.icmp_response()), (Some((8, 0)), Some((0, 0))));
        assert_eq!((flow.state(), flow.client()), (FlowState::Established, (address(9), 0)));
    });
    assert_eq!((outcome, table.stats().icmpv4), (Outcome::Known(flow, ToClient), 1));
}

#[test]
fn an_icmp_error_belongs_to_the_flow_it_quotes_and_makes_none() {
    let mut table = new_table();
    let packet = udp(CLIENT, SERVER);
    let error = unreachable(77, &packet);
    assert_eq!(track(&mut table, &error, at(1)), Outcome::Untracked);
    let flow = id(track(&mut table, &packet, at(1)));
    let outcome = track_and(&mut table, &error, at(2), |flow| {
        assert_eq!((flow.counts(ToClient).packets, flow.ttl(ToClient)), (1, (0, 0)));
        assert!(!flow.seen(ToClient), "a router's message is no answer");
        assert_eq!(flow.state(), FlowState::New);
    });
    assert_eq!(outcome, Outcome::Known(flow, ToClient));
    assert_eq!(table.stats().total, 1);
}

#[test]
fn a_packet_that_may_not_begin_a_flow() {
    let mut table = new_table();
    let decoded = udp(CLIENT, SERVER);
    let keyed = keyed(&decoded);
    let hash = table.hash(&keyed.key);
    let ingress = PortId(0);
    let input = TrackedInput {
        keyed: &keyed,
        hash,
        decoded: &decoded,
        length: 1,
        now: at(1),
        ingress,
        may_create: false,
    };
    assert!(matches!(table.track(&input), Tracked::Untracked));
    assert!(matches!(table.track(&TrackedInput { may_create: true, ..input }), Tracked::New(..)));
    assert!(matches!(table.track(&input), Tracked::Known(..)));
}

#[test]
fn a_tcp_flow_is_new_then_established_then_closed() {
    let mut table = new_table();
    let fin = TcpFlags::FIN | ACK;
    let steps = [
        (tcp(CLIENT, SERVER, SYN, 100, 0), FlowState::New, TcpState::SynSent),
        (tcp(SERVER, CLIENT, SYN | ACK, 300, 101), FlowState::New, TcpState::SynRecv),
        (tcp(CLIENT, SERVER, ACK, 101, 301), FlowState::Established, TcpState::Established),
        (tcp(CLIENT, SERVER, fin, 101, 301), FlowState::Established, TcpState::CloseWait),
        (tcp(SERVER, CLIENT, fin, 301, 102), FlowState::Closed, TcpState::LastAck),
        (tcp(CLIENT, SERVER, ACK, 102, 302), FlowState::Closed, TcpState::Closed),
    ];
    for (packet, state, tcp) in steps {
        track_and(&mut table, &packet, at(1), |flow| {
            assert_eq!((flow.state(), flow.tcp().map(|summary| summary.state)), (state, Some(tcp)));
        });
    }
    assert!(table.retire_all(at(61), 10));
    assert_eq!(finish(&mut table).iter().map(|(_, reason)| reason.name()).collect::<Vec<_>>(), ["timeout"]);
    let stats = table.stats();
    assert_eq!(
        (stats.tcp, stats.end.state_closed, stats.end.tcp_state[TcpState::Closed as usize]),
        (1, 1, 1)
    );
}

#[test]
fn tcp_without_a_syn_has_no_session_unless_midstream() {
    for midstream in [false, true] {
        let mut table = table(&FlowSettings { midstream, ..FlowSettings::default() });
        track_and(&mut table, &tcp(CLIENT, SERVER, ACK, 5, 6), at(1), |flow| {
            let summary = flow.tcp().expect("TCP");
            assert_eq!((summary.session, summary.flags().0), (midstream, if midstream { ACK } else { 0 }));
            let state = if midstream { FlowState::Established } else { FlowState::New };
            assert_eq!(flow.state(), state);
        });
        assert!(table.retire_all(at(1), 1));
        assert_eq!(finish(&mut table).len(), 1);
        let counted: u64 = table.stats().end.tcp_state.iter().sum();
        assert_eq!(counted, u64::from(midstream), "only sessions are counted by TCP state");
    }
}

#[test]
fn midstream_the_sender_of_a_syn_ack_is_the_server() {
    for (server, client) in [(SERVER, CLIENT), (CLIENT, SERVER)] {
        let mut table = table(&FlowSettings { midstream: true, ..FlowSettings::default() });
        let outcome = track_and(&mut table, &tcp(server, client, SYN | ACK, 5, 6), at(1), |flow| {
            assert_eq!((flow.server().1, flow.client().1), (server.1, client.1));
        });
        let flow = id(outcome);
        assert_eq!(outcome, Outcome::New(flow, ToClient));
        assert_eq!(track(&mut table, &tcp(client, server, ACK, 6, 6), at(1)), Outcome::Known(flow, ToServer));
    }
}

#[test]
fn a_new_session_on_the_same_ports_is_a_new_flow() {
    let mut table = new_table();
    let first = id(track(&mut table, &tcp(CLIENT, SERVER, SYN, 100, 0), at(1)));
    track(&mut table, &tcp(SERVER, CLIENT, TcpFlags::RST | ACK, 0, 101), at(1));
    assert_eq!(id(track(&mut table, &tcp(CLIENT, SERVER, SYN, 100, 0), at(2))), first, "the same SYN again");
    let second = track(&mut table, &tcp(SERVER, CLIENT, SYN, 900, 0), at(3));
    assert!(matches!(second, Outcome::New(id, ToServer) if id != first), "{second:?}");
    assert_eq!(finish(&mut table), [(first, EndReason::TcpReuse)]);
    assert_eq!((table.stats().tcp_reuse, table.active()), (1, 1));
}

#[test]
fn a_look_up_retires_a_flow_that_is_over() {
    let mut table = new_table();
    let first = id(track(&mut table, &udp(CLIENT, SERVER), at(0)));
    let just_before = Timestamp::from_nanos(at(30).as_nanos() - 1);
    assert_eq!(track(&mut table, &udp(CLIENT, SERVER), just_before), Outcome::Known(first, ToServer));
    let second = track(&mut table, &udp(SERVER, CLIENT), at(60));
    assert!(matches!(second, Outcome::New(id, ToServer) if id != first), "{second:?}");
    assert_eq!(finish(&mut table), [(first, EndReason::Timeout)]);
}

#[test]
fn the_sweep_retires_what_is_over_and_nothing_else() {
    let mut table = new_table();
    let once = id(track(&mut table, &udp((1, 1), SERVER), at(0)));
    let kept_up = id(track(&mut table, &udp((2, 1), SERVER), at(0)));
    track(&mut table, &udp((2, 1), SERVER), at(29));
    let answered = id(track(&mut table, &udp((3, 1), SERVER), at(0)));
    track(&mut table, &udp(SERVER, (3, 1)), at(0));
    let mut sweep = |secs: u64| {
        for _ in 0..200 {
            table.sweep(at(secs), 100);
        }
        finish(&mut table).into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(sweep(29), []);
    assert_eq!(sweep(30), [once]);
    assert_eq!(sweep(58), []);
    assert_eq!(sweep(59), [kept_up]);
    assert_eq!(sweep(299), []);
    assert_eq!(sweep(300), [answered]);
    assert_eq!(table.stats().wrk.slots_swept_max, 100);
}

#[test]
fn the_sweep_follows_a_state_with_a_shorter_timeout() {
    let mut table = new_table();
    for packet in [
        tcp(CLIENT, SERVER, SYN, 100, 0),
        tcp(SERVER, CLIENT, SYN | ACK, 300, 101),
        tcp(CLIENT, SERVER, ACK, 101, 301),
    ] {
        track(&mut table, &packet, at(0));
    }
    // Now it need not be looked at for ten minutes: but then it is reset.
    table.sweep(at(100), usize::MAX);
    let flow = id(track(&mut table, &tcp(CLIENT, SERVER, TcpFlags::RST, 101, 0), at(102)));
    table.sweep(at(161), usize::MAX);
    assert_eq!(finish(&mut table), []);
    table.sweep(at(162), usize::MAX);
    assert_eq!(finish(&mut table), [(flow, EndReason::Timeout)]);
}

#[test]
fn a_bypassed_flow_has_its_own_timeout_and_stays_bypassed() {
    let mut table = new_table();
    let flow = id(track_and(&mut table, &udp(CLIENT, SERVER), at(0), |flow| flow.set_bypass(Bypass::Local)));
    track_and(&mut table, &udp(SERVER, CLIENT), at(99), |flow| {
        assert_eq!((flow.state(), flow.bypass()), (FlowState::Bypassed, Some(Bypass::Local)));
    });
    table.sweep(at(198), usize::MAX);
    assert_eq!(table.waiting(), 0);
    table.sweep(at(199), usize::MAX);
    assert_eq!(finish(&mut table), [(flow, EndReason::Timeout)]);
    assert_eq!(table.stats().end.state_local_bypassed, 1);
}

#[test]
fn shutdown_tells_apart_what_was_over_whatever_the_sweep_saw() {
    for swept in [0, 1, usize::MAX] {
        let mut table = new_table();
        let over = id(track(&mut table, &udp((1, 1), SERVER), at(0)));
        let alive = id(track(&mut table, &udp((2, 1), SERVER), at(20)));
        table.sweep(at(30), swept);
        while !table.retire_all(at(30), 1) {}
        let mut ended = finish(&mut table);
        ended.sort_by_key(|(id, _)| *id);
        assert_eq!(ended, [(over, EndReason::Timeout), (alive, EndReason::Shutdown)]);
        assert_eq!(table.active(), 0);
    }
}

#[test]
fn finishing_keeps_to_its_budget_and_order() {
    let mut table = new_table();
    let ids: Vec<u64> = (0..5).map(|host| id(track(&mut table, &udp((host, 1), SERVER), at(0)))).collect();
    assert!(!table.retire_all(at(0), 3));
    assert!(table.retire_all(at(0), 3));
    let mut seen = Vec::new();
    assert_eq!(table.finish(2, &mut |flow| seen.push(flow.id())), 2);
    assert_eq!((table.waiting(), table.active()), (3, 3));
    assert_eq!(table.finish(9, &mut |flow| seen.push(flow.id())), 3);
    assert_eq!(seen.len(), 5);
    assert!(ids.iter().all(|id| seen.contains(id)), "each once");
}

#[test]
fn an_older_stamp_never_moves_a_flow_back() {
    let mut table = new_table();
    track(&mut table, &udp(CLIENT, SERVER), at(10));
    track_and(&mut table, &udp(CLIENT, SERVER), at(5), |flow| assert_eq!(flow.last_seen(), at(10)));
}
