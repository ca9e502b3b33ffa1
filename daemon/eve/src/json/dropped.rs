//! `drop` events.

use super::Scope;
use super::alert::{AlertObject, VerdictObject};
use super::header::{Extras, Header};
use portcullis_event::{DropRecord, DroppedPacket, DroppedTransport};
use portcullis_wire::decoded::TcpFlags;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct DropEvent<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    #[serde(flatten)]
    extras: Extras<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    drop: DropObject,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<AlertObject<'a>>,
}

pub(crate) fn dropped<'a>(scope: &mut Scope<'a>, record: &'a DropRecord<'_>) -> DropEvent<'a> {
    let options = &scope.options.drop;
    let common = &record.common;
    DropEvent {
        header: Header::new(scope, common, "drop"),
        extras: Extras::of_packet(scope, common),
        direction: record.direction.map(|direction| direction.name()),
        drop: DropObject::new(common.ip_version, &record.packet, record.reason.name()),
        verdict: record
            .verdict
            .filter(|_| options.verdict)
            .map(|verdict| VerdictObject::new(verdict, common)),
        alert: record.alert.as_ref().filter(|_| options.alerts).map(AlertObject::in_drop),
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct DropObject {
    #[serde(flatten)]
    ip: Option<IpFields>,
    #[serde(flatten)]
    transport: Option<TransportFields>,
    reason: &'static str,
}

impl DropObject {
    pub(crate) const fn new(ip_version: u8, packet: &DroppedPacket, reason: &'static str) -> Self {
        Self {
            ip: IpFields::new(ip_version, packet),
            transport: TransportFields::new(packet.transport),
            reason,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum IpFields {
    V4 { len: u32, tos: u8, ttl: u8, ipid: u16 },
    V6 { len: u32, tc: u8, hoplimit: u8, flowlbl: u32 },
}

impl IpFields {
    const fn new(ip_version: u8, packet: &DroppedPacket) -> Option<Self> {
        let DroppedPacket { length: len, tos, ttl, ip_id, flow_label, transport: _ } = *packet;
        match ip_version {
            4 => Some(Self::V4 { len, tos, ttl, ipid: ip_id }),
            6 => Some(Self::V6 { len, tc: tos, hoplimit: ttl, flowlbl: flow_label }),
            _ => None,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum TransportFields {
    Tcp(TcpFields),
    Udp { udplen: u16 },
    Icmp { icmp_id: u16, icmp_seq: u16 },
}

#[derive(Debug, Serialize)]
struct TcpFields {
    tcpseq: u32,
    tcpack: u32,
    tcpwin: u16,
    syn: bool,
    ack: bool,
    psh: bool,
    rst: bool,
    urg: bool,
    fin: bool,
    tcpres: u8,
    tcpurgp: u16,
}

impl TransportFields {
    const fn new(transport: DroppedTransport) -> Option<Self> {
        match transport {
            DroppedTransport::None => None,
            DroppedTransport::Tcp { seq, ack, window, flags, reserved, urgent } => {
                Some(Self::Tcp(TcpFields {
                    tcpseq: seq,
                    tcpack: ack,
                    tcpwin: window,
                    syn: flags.has(TcpFlags::SYN),
                    ack: flags.has(TcpFlags::ACK),
                    psh: flags.has(TcpFlags::PSH),
                    rst: flags.has(TcpFlags::RST),
                    urg: flags.has(TcpFlags::URG),
                    fin: flags.has(TcpFlags::FIN),
                    tcpres: reserved,
                    tcpurgp: urgent,
                }))
            }
            DroppedTransport::Udp { length } => Some(Self::Udp { udplen: length }),
            DroppedTransport::Icmp { id, sequence } => Some(Self::Icmp { icmp_id: id, icmp_seq: sequence }),
        }
    }
}
