//! `alert` events, and the alert that a drop shows.

use super::header::{Extras, Header};
use super::{Scope, has_ports};
use crate::clock::Stamp;
use crate::value::{Base64, Grouped, Ip, Printable, Text, Texts};
use portcullis_event::{Alert, AlertFlow, AlertRecord, Common, PacketVerdict, Target};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct AlertEvent<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    #[serde(flatten)]
    extras: Extras<'a>,
    alert: AlertObject<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<FlowSoFar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Base64<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_length: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_printable: Option<Printable<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<Base64<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet_info: Option<PacketInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictObject>,
}

pub(crate) fn alert<'a>(scope: &mut Scope<'a>, record: &'a AlertRecord<'_>) -> AlertEvent<'a> {
    let options = &scope.options.alert;
    let common = &record.common;
    let any_payload = options.payload || options.payload_printable || options.payload_length;
    let packet = record.packet.filter(|_| options.packet);
    AlertEvent {
        header: Header::new(scope, common, "alert"),
        extras: Extras::of_packet(scope, common),
        alert: AlertObject::in_alert(scope, &record.alert, common),
        direction: record.direction.map(|direction| direction.name()),
        flow: record.flow.filter(|_| options.flow).map(|flow| FlowSoFar::new(scope, &flow, common)),
        payload: record.payload.filter(|_| options.payload).map(Base64),
        payload_length: options.payload_length.then_some(record.payload_length),
        payload_printable: record.payload.filter(|_| options.payload_printable).map(Printable),
        stream: any_payload.then_some(u8::from(record.stream)),
        packet: packet.map(Base64),
        packet_info: packet.map(|_| PacketInfo::new(record.linktype)),
        verdict: record
            .verdict
            .filter(|_| options.verdict)
            .map(|verdict| VerdictObject::new(verdict, common)),
    }
}

#[derive(Debug, Serialize)]
pub(super) struct AlertObject<'a> {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    would: Option<&'static str>,
    gid: u32,
    signature_id: u32,
    rev: u32,
    signature: Text<'a>,
    category: Text<'a>,
    severity: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Peer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Peer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    references: Option<Texts<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Grouped<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Text<'a>>,
}

impl<'a> AlertObject<'a> {
    /// With everything that the options of `alert` ask for.
    fn in_alert(scope: &Scope<'_>, alert: &Alert<'a>, common: &Common<'_>) -> Self {
        let options = &scope.options.alert;
        let peers = alert.target.map(|target| Peer::attack(scope, common, target));
        let references = options.rule_reference && !alert.references.is_empty();
        let metadata = options.rule_metadata && !alert.metadata.is_empty();
        let rule = options.rule_raw && !alert.rule.is_empty();
        Self {
            source: peers.map(|(source, _)| source),
            target: peers.map(|(_, target)| target),
            references: references.then_some(Texts(alert.references)),
            metadata: metadata.then_some(Grouped(alert.metadata)),
            rule: rule.then_some(Text(alert.rule)),
            ..Self::in_drop(alert)
        }
    }

    /// The short form that a drop shows.
    pub(super) fn in_drop(alert: &Alert<'a>) -> Self {
        Self {
            action: alert.action.name(),
            would: alert.would.map(|would| would.name()),
            gid: alert.gid,
            signature_id: alert.sid,
            rev: alert.rev,
            signature: Text(alert.signature),
            category: Text(alert.category),
            severity: alert.severity,
            source: None,
            target: None,
            references: None,
            metadata: None,
            rule: None,
        }
    }
}

/// One side of an attack.
#[derive(Clone, Copy, Debug, Serialize)]
struct Peer {
    ip: Ip,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

impl Peer {
    /// The attacker and the attacked, where the rule says which of a packet's ends is attacked.
    fn attack(scope: &Scope<'_>, common: &Common<'_>, target: Target) -> (Self, Self) {
        let peer = |address, port| Self {
            ip: scope.ip(address, common.ip_version),
            port: has_ports(common.protocol).then_some(port),
        };
        let sender = peer(common.source, common.source_port);
        let receiver = peer(common.destination, common.destination_port);
        match target {
            Target::Destination => (sender, receiver),
            Target::Source => (receiver, sender),
        }
    }
}

#[derive(Debug, Serialize)]
struct FlowSoFar {
    pkts_toserver: u64,
    pkts_toclient: u64,
    bytes_toserver: u64,
    bytes_toclient: u64,
    start: Stamp,
    src_ip: Ip,
    dest_ip: Ip,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
}

impl FlowSoFar {
    fn new(scope: &mut Scope<'_>, flow: &AlertFlow, common: &Common<'_>) -> Self {
        let ports = has_ports(common.protocol);
        Self {
            pkts_toserver: flow.counts.pkts_toserver,
            pkts_toclient: flow.counts.pkts_toclient,
            bytes_toserver: flow.counts.bytes_toserver,
            bytes_toclient: flow.counts.bytes_toclient,
            start: scope.stamp(flow.start),
            src_ip: scope.ip(flow.source, common.ip_version),
            dest_ip: scope.ip(flow.destination, common.ip_version),
            src_port: ports.then_some(flow.source_port),
            dest_port: ports.then_some(flow.destination_port),
        }
    }
}

#[derive(Debug, Serialize)]
struct PacketInfo {
    linktype: u32,
    linktype_name: &'static str,
}

impl PacketInfo {
    /// Names as libpcap and Suricata give them to these numbers.
    const fn new(linktype: u32) -> Self {
        let linktype_name = match linktype {
            0 => "NULL",
            1 => "EN10MB",
            9 => "PPP",
            12 => "RAW",
            101 => "RAW2",
            104 => "C_HDLC",
            113 => "LINUX_SLL",
            228 => "IPv4",
            229 => "IPv6",
            276 => "LINUX_SLL2",
            _ => "n/a",
        };
        Self { linktype, linktype_name }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct VerdictObject {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reject_target: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reject: Option<&'static [&'static str]>,
}

impl VerdictObject {
    pub(super) fn new(verdict: PacketVerdict, common: &Common<'_>) -> Self {
        let sent: &[_] = match common.protocol {
            6 => &["tcp-reset"],
            1 | 17 | 58 => &["icmp-prohib"],
            _ => &[],
        };
        Self {
            action: verdict.action.name(),
            reject_target: verdict.reject.map(|target| target.name()),
            reject: verdict.reject.map(|_| sent),
        }
    }
}
