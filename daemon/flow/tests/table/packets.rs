//! Packets for the tests: decoded, not encoded.

use portcullis_capture::PortId;
use portcullis_flow::{
    Direction, EndReason, Flow, FlowKey, FlowSettings, FlowTable, KeyScope, Keyed, Share, Storage, Tracked,
    TrackedInput,
};
use portcullis_wire::decoded::{Address, Icmp, Quoted, Tcp, TcpFlags, Transport, Udp};
use portcullis_wire::{Decoded, Timestamp};

/// Address and port.
pub(crate) type End = (u8, u16);

/// Seconds on the tests' clock.
pub(crate) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + secs)
}

pub(crate) fn address(host: u8) -> Address {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, host]
}

fn packet(source: End, destination: End, protocol: u8, transport: Transport) -> Decoded {
    Decoded {
        ip_version: 4,
        ttl: 64,
        protocol,
        source: address(source.0),
        destination: address(destination.0),
        source_port: source.1,
        destination_port: destination.1,
        transport,
        ..Decoded::default()
    }
}

pub(crate) fn udp(source: End, destination: End) -> Decoded {
    packet(source, destination, 17, Transport::Udp(Udp::default()))
}

pub(crate) fn tcp(source: End, destination: End, flags: u8, seq: u32, ack: u32) -> Decoded {
    let tcp = Tcp { seq, ack, flags: TcpFlags(flags), ..Tcp::default() };
    packet(source, destination, 6, Transport::Tcp(tcp))
}

pub(crate) fn ping(source: u8, destination: u8, reply: bool) -> Decoded {
    let icmp = Icmp { kind: if reply { 0 } else { 8 }, echo: Some((1, 1)), ..Icmp::default() };
    packet((source, 0), (destination, 0), 1, Transport::Icmpv4(icmp))
}

/// A router's "port unreachable" about a packet.
pub(crate) fn unreachable(router: u8, about: &Decoded) -> Decoded {
    let quoted = Quoted {
        source: about.source,
        destination: about.destination,
        protocol: about.protocol,
        source_port: about.source_port,
        destination_port: about.destination_port,
    };
    let icmp = Icmp { kind: 3, code: 3, echo: None, quoted: Some(quoted) };
    let packet = packet((router, 0), (0, 0), 1, Transport::Icmpv4(icmp));
    Decoded { destination: about.source, ttl: 250, ..packet }
}

pub(crate) fn keyed(decoded: &Decoded) -> Keyed {
    FlowKey::of(decoded, &KeyScope::default()).expect("it has a flow")
}

pub(crate) fn table(settings: &FlowSettings) -> FlowTable {
    FlowTable::new(settings, Share { worker: 0, workers: 1 }, 42, at(0)).expect("good settings")
}

/// A table with columns of hooks.
pub(crate) fn table_with(settings: &FlowSettings, storage: Storage) -> FlowTable {
    let share = Share { worker: 0, workers: 1 };
    FlowTable::with_storage(settings, share, 42, at(0), storage).expect("good settings")
}

/// The packets of a step of traffic in which flows end in every way: a newcomer, answered if odd, and a
/// session that begins anew on the same ports each time.
pub(crate) fn packets_of(step: u64) -> Vec<Decoded> {
    let port = u16::try_from(step % 60_000).expect("a port");
    let seq = u32::try_from(step).expect("a short test");
    let (client, server) = ((1, port), (2, 53));
    let mut packets = vec![udp(client, server)];
    if step % 97 == 1 {
        packets.push(udp(server, client));
    }
    let syn = tcp((3, 7), (2, 80), TcpFlags::SYN, seq.wrapping_mul(1000), 0);
    let reset = tcp((2, 80), (3, 7), TcpFlags::RST | TcpFlags::ACK, 0, seq.wrapping_mul(1000) + 1);
    if step.is_multiple_of(50) {
        packets.extend([syn, reset]);
    }
    packets
}

/// What became of a packet: the flow's id and the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Known(u64, Direction),
    New(u64, Direction),
    Untracked,
    Refused,
}

/// Tracks a frame of 100 bytes, and looks at its flow.
pub(crate) fn track_and(
    table: &mut FlowTable,
    decoded: &Decoded,
    now: Timestamp,
    look: impl FnOnce(&mut Flow<'_>),
) -> Outcome {
    let keyed = keyed(decoded);
    let hash = table.hash(&keyed.key);
    table.prefetch_bucket(hash);
    table.prefetch_flow(hash);
    let ingress = PortId(1);
    let input = TrackedInput { keyed: &keyed, hash, decoded, length: 100, now, ingress, may_create: true };
    match table.track(&input) {
        Tracked::Known(mut flow, direction) => {
            look(&mut flow);
            Outcome::Known(flow.id(), direction)
        }
        Tracked::New(mut flow, direction) => {
            look(&mut flow);
            Outcome::New(flow.id(), direction)
        }
        Tracked::Untracked => Outcome::Untracked,
        Tracked::Refused => Outcome::Refused,
    }
}

pub(crate) fn track(table: &mut FlowTable, decoded: &Decoded, now: Timestamp) -> Outcome {
    track_and(table, decoded, now, |_| {})
}

/// Finishes everything that waits: ids and reasons, in order.
pub(crate) fn finish(table: &mut FlowTable) -> Vec<(u64, EndReason)> {
    let mut ended = Vec::new();
    table.finish(usize::MAX, &mut |flow| ended.push((flow.id(), flow.end().expect("it has ended"))));
    let stats = table.stats();
    assert_eq!(stats.total, stats.active + stats.end.total(), "every flow is active or has ended");
    ended
}
