//! What every event begins with, and the optional parts that every event may have.

use super::{Scope, has_ports};
use crate::clock::Stamp;
use crate::community_id::CommunityId;
use crate::value::{EtherAddress, Ip, Protocol, Texts};
use portcullis_capture::PortId;
use portcullis_event::{Common, Ether, Tunnel};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Header<'a> {
    timestamp: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_iface: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pcap_cnt: Option<u64>,
    event_type: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    vlan: &'a [u16],
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ip: Option<Ip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_ip: Option<Ip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proto: Option<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_v: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spi: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pkt_src: Option<&'static str>,
}

impl<'a> Header<'a> {
    pub(super) fn new(scope: &mut Scope<'a>, common: &'a Common<'_>, event_type: &'static str) -> Self {
        let is_ip = common.ip_version != 0;
        let ports = is_ip && has_ports(common.protocol);
        let name = |PortId(port): PortId| scope.options.interfaces.get(usize::from(port));
        Self {
            timestamp: scope.clock.stamp(common.timestamp),
            flow_id: common.flow_id,
            parent_id: common.parent_id,
            in_iface: common.in_iface.and_then(name).map(String::as_str),
            pcap_cnt: common.pcap_cnt,
            event_type,
            vlan: common.vlans.as_slice(),
            src_ip: is_ip.then(|| scope.ip(common.source, common.ip_version)),
            src_port: ports.then_some(common.source_port),
            dest_ip: is_ip.then(|| scope.ip(common.destination, common.ip_version)),
            dest_port: ports.then_some(common.destination_port),
            proto: is_ip.then_some(Protocol(common.protocol)),
            ip_v: is_ip.then_some(common.ip_version),
            icmp_type: common.icmp.map(|icmp| icmp.kind),
            icmp_code: common.icmp.map(|icmp| icmp.code),
            response_icmp_type: common.response_icmp.map(|icmp| icmp.kind),
            response_icmp_code: common.response_icmp.map(|icmp| icmp.code),
            spi: common.spi,
            pkt_src: common.pkt_src.map(|source| source.name()),
        }
    }
}

/// The parts that `metadata`, `ethernet` and `community-id` turn on.
#[derive(Debug, Serialize)]
pub(super) struct Extras<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ether: Option<EtherObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<TunnelObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    community_id: Option<CommunityId>,
}

/// The packet as it was received, where the record is about one that came out of it.
#[derive(Debug, Serialize)]
struct TunnelObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ip: Option<Ip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_ip: Option<Ip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proto: Option<Protocol>,
    depth: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pcap_cnt: Option<u64>,
    pkt_src: &'static str,
}

impl TunnelObject {
    fn new(scope: &Scope<'_>, tunnel: &Tunnel) -> Self {
        let is_ip = tunnel.ip_version != 0;
        let ports = is_ip && has_ports(tunnel.protocol);
        Self {
            src_ip: is_ip.then(|| scope.ip(tunnel.source, tunnel.ip_version)),
            src_port: ports.then_some(tunnel.source_port),
            dest_ip: is_ip.then(|| scope.ip(tunnel.destination, tunnel.ip_version)),
            dest_port: ports.then_some(tunnel.destination_port),
            proto: is_ip.then_some(Protocol(tunnel.protocol)),
            depth: tunnel.depth,
            pcap_cnt: tunnel.pcap_cnt,
            pkt_src: tunnel.pkt_src.name(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    flowbits: Texts<'a>,
}

/// A packet has one address of each kind, a flow any number.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum EtherObject<'a> {
    Packet { src_mac: EtherAddress, dest_mac: EtherAddress },
    Flow { dest_macs: EtherAddresses<'a>, src_macs: EtherAddresses<'a> },
}

#[derive(Debug)]
struct EtherAddresses<'a>(&'a [portcullis_event::Mac]);

impl Serialize for EtherAddresses<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().copied().map(EtherAddress))
    }
}

impl<'a> Extras<'a> {
    pub(super) fn of_packet(scope: &Scope<'_>, common: &Common<'a>) -> Self {
        let ether = match (common.ether.source, common.ether.destination) {
            ([source, ..], [destination, ..]) => Some(EtherObject::Packet {
                src_mac: EtherAddress(*source),
                dest_mac: EtherAddress(*destination),
            }),
            _ => None,
        };
        Self::new(scope, common, ether)
    }

    pub(super) fn of_flow(scope: &Scope<'_>, common: &Common<'a>) -> Self {
        let Ether { source, destination } = common.ether;
        let ether = (!source.is_empty() || !destination.is_empty()).then_some(EtherObject::Flow {
            dest_macs: EtherAddresses(destination),
            src_macs: EtherAddresses(source),
        });
        Self::new(scope, common, ether)
    }

    fn new(scope: &Scope<'_>, common: &Common<'a>, ether: Option<EtherObject<'a>>) -> Self {
        let has_metadata = scope.options.metadata && !common.flowbits.is_empty();
        Self {
            metadata: has_metadata.then_some(Metadata { flowbits: Texts(common.flowbits) }),
            ether: ether.filter(|_| scope.options.ethernet),
            tunnel: common.tunnel.as_ref().map(|tunnel| TunnelObject::new(scope, tunnel)),
            community_id: scope.options.community_id.and_then(|seed| CommunityId::new(common, seed)),
        }
    }
}
