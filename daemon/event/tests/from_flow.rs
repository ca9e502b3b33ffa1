//! Records that are made from a flow of a real table say what the table says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use portcullis_capture::{PacketMeta, PortId};
use portcullis_event::{
    AlertFlow, Common, Counts, DroppedPacket, DroppedTransport, FlowRecord, IcmpType, PacketSource,
    PolicyTargets, TtlRange,
};
use portcullis_flow::flow::Bypass;
use portcullis_flow::{
    Direction, EndReason, Flow, FlowAction, FlowKey, FlowSettings, FlowState, FlowTable, KeyScope, Share,
    TcpState, Tracked, TrackedInput,
};
use portcullis_wire::decoded::{Icmp, Span, Tcp, TcpFlags, Transport, Udp};
use portcullis_wire::{Decoded, Timestamp};

const CLIENT: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];
const SERVER: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2];

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + secs)
}

fn table() -> FlowTable {
    FlowTable::new(&FlowSettings::default(), Share { worker: 0, workers: 1 }, 42, at(0)).unwrap()
}

/// A packet between client and server.
fn packet(direction: Direction, ports: (u16, u16), protocol: u8, transport: Transport) -> Decoded {
    let packet = Decoded {
        ip_version: 4,
        protocol,
        transport,
        ttl: 64,
        source: CLIENT,
        destination: SERVER,
        source_port: ports.0,
        destination_port: ports.1,
        ..Decoded::default()
    };
    match direction {
        Direction::ToServer => packet,
        Direction::ToClient => Decoded {
            ttl: 50,
            source: SERVER,
            destination: CLIENT,
            source_port: ports.1,
            destination_port: ports.0,
            ..packet
        },
    }
}

fn tcp(direction: Direction, flags: u8, seq: u32, ack: u32) -> Decoded {
    let header = Tcp { flags: TcpFlags(flags), seq, ack, ..Tcp::default() };
    packet(direction, (40_000, 80), 6, Transport::Tcp(header))
}

/// Tracks a packet of `length` bytes and looks at its flow.
fn track<R>(
    table: &mut FlowTable,
    decoded: &Decoded,
    length: u32,
    secs: u64,
    look: impl FnOnce(&mut Flow<'_>) -> R,
) -> R {
    let keyed = FlowKey::of(decoded, &KeyScope::default()).unwrap();
    let hash = table.hash(&keyed.key);
    let input = TrackedInput {
        keyed: &keyed,
        hash,
        decoded,
        length,
        now: at(secs),
        ingress: PortId(3),
        may_create: true,
    };
    match table.track(&input) {
        Tracked::Known(mut flow, _) | Tracked::New(mut flow, _) => look(&mut flow),
        Tracked::Untracked | Tracked::Refused => panic!("it has a flow"),
    }
}

#[test]
fn a_tcp_flow() {
    use Direction::{ToClient, ToServer};
    let mut table = table();
    track(&mut table, &tcp(ToServer, TcpFlags::SYN, 1, 0), 60, 0, |_| ());
    let so_far = track(&mut table, &tcp(ToClient, TcpFlags::SYN | TcpFlags::ACK, 5, 2), 70, 1, |flow| {
        AlertFlow::of(flow)
    });
    let counts = Counts { pkts_toserver: 1, pkts_toclient: 1, bytes_toserver: 60, bytes_toclient: 70 };
    let ends = (so_far.source, so_far.source_port, so_far.destination, so_far.destination_port);
    assert_eq!((so_far.counts, so_far.start), (counts, at(0)));
    assert_eq!(ends, (CLIENT, 40_000, SERVER, 80));

    let id = track(&mut table, &tcp(ToServer, TcpFlags::ACK, 2, 6), 54, 2, |flow| {
        flow.set_alerted();
        flow.set_action(FlowAction::Pass);
        flow.id()
    });
    assert!(table.retire_all(at(9), usize::MAX));
    let mut ended = None;
    table.finish(1, &mut |flow| {
        let ttl = |direction| TtlRange::of(flow, direction);
        ended = Some((FlowRecord::of(flow, at(9)), ttl(ToServer), ttl(ToClient)));
    });
    let (record, toserver, toclient) = ended.unwrap();

    let common = Common {
        timestamp: at(9),
        flow_id: Some(id),
        in_iface: Some(PortId(3)),
        ip_version: 4,
        source: CLIENT,
        destination: SERVER,
        source_port: 40_000,
        destination_port: 80,
        protocol: 6,
        ..Common::default()
    };
    let expected = FlowRecord {
        common,
        counts: Counts { pkts_toserver: 2, bytes_toserver: 114, ..counts },
        bypassed: None,
        start: at(0),
        end: at(2),
        emergency: false,
        state: FlowState::Established,
        bypass: None,
        reason: EndReason::Shutdown,
        alerted: true,
        uninspected: false,
        elephant_toserver: false,
        elephant_toclient: false,
        action: Some(FlowAction::Pass),
        exception_policies: PolicyTargets::default(),
        tcp: record.tcp,
    };
    assert_eq!(record, expected);
    let tcp = record.tcp.unwrap();
    assert_eq!(tcp.flags, TcpFlags(TcpFlags::SYN | TcpFlags::ACK));
    assert_eq!(tcp.flags_toclient, TcpFlags(TcpFlags::SYN | TcpFlags::ACK));
    assert_eq!(tcp.session.unwrap().state, TcpState::Established);
    assert_eq!((toserver, toclient), (TtlRange { min: 64, max: 64 }, TtlRange { min: 50, max: 50 }));
}

#[test]
fn a_bypassed_icmp_flow() {
    let echo = |direction, kind| {
        packet(direction, (0, 0), 1, Transport::Icmpv4(Icmp { kind, echo: Some((1, 1)), ..Icmp::default() }))
    };
    let mut table = table();
    let record = |flow: &mut Flow<'_>| FlowRecord::of(flow, at(1));
    let asked = track(&mut table, &echo(Direction::ToServer, 8), 98, 0, record);
    assert_eq!(asked.common.icmp, Some(IcmpType { kind: 8, code: 0 }));
    assert_eq!(asked.common.response_icmp, None);
    assert_eq!(asked.tcp, None);
    let answered = track(&mut table, &echo(Direction::ToClient, 0), 98, 1, |flow| {
        flow.set_bypass(Bypass::Capture);
        record(flow)
    });
    assert_eq!(answered.common.response_icmp, Some(IcmpType { kind: 0, code: 0 }));
    assert_eq!((answered.state, answered.bypass), (FlowState::Bypassed, Some(Bypass::Capture)));
}

#[test]
fn a_packet_gives_its_addresses_and_headers() {
    let meta = PacketMeta { id: 7, timestamp: at(1), ingress: PortId(1), ..PacketMeta::default() };
    let mut decoded = packet(Direction::ToServer, (53, 54), 17, Transport::Udp(Udp { length: 20 }));
    decoded.ip = Span { start: 14, end: 54 };
    decoded.tos = 3;
    decoded.ip_id = 9;
    let expected = Common {
        timestamp: at(1),
        in_iface: Some(PortId(1)),
        ip_version: 4,
        source: CLIENT,
        destination: SERVER,
        source_port: 53,
        destination_port: 54,
        protocol: 17,
        pkt_src: Some(PacketSource::Wire),
        ..Common::default()
    };
    assert_eq!(Common::of_packet(&decoded, &meta), expected);

    let udp = DroppedTransport::Udp { length: 20 };
    let dropped = DroppedPacket { length: 40, tos: 3, ttl: 64, ip_id: 9, flow_label: 0, transport: udp };
    assert_eq!(DroppedPacket::of(&decoded), dropped);
    // IPv6 counts what follows its header.
    decoded.ip_version = 6;
    decoded.transport = Transport::Icmpv6(Icmp { kind: 128, echo: Some((1, 2)), ..Icmp::default() });
    let echo = DroppedTransport::Icmp { id: 1, sequence: 2 };
    assert_eq!(DroppedPacket::of(&decoded), DroppedPacket { length: 0, transport: echo, ..dropped });
    assert_eq!(Common::of_packet(&decoded, &meta).icmp, Some(IcmpType { kind: 128, code: 0 }));
    decoded.transport = Transport::Icmpv6(Icmp { kind: 1, ..Icmp::default() });
    assert_eq!(DroppedPacket::of(&decoded).transport, DroppedTransport::None);
    decoded.transport =
        Transport::Tcp(Tcp { seq: 1, ack: 2, window: 3, urgent: 4, reserved: 5, ..Tcp::default() });
    let tcp = DroppedTransport::Tcp { seq: 1, ack: 2, window: 3, flags: TcpFlags(0), reserved: 5, urgent: 4 };
    assert_eq!(DroppedPacket::of(&decoded).transport, tcp);
}
