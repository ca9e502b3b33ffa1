//! What every record begins with: when, which flow, and between whom.

use crate::named::named_enum;
use crate::text::TextList;
use portcullis_capture::{PacketMeta, PortId};
use portcullis_flow::{Direction, Flow};
use portcullis_wire::decoded::{Transport, VlanIds};
use portcullis_wire::{Address, Decoded, Timestamp};

/// The start of every record. In a packet's record the addresses are the packet's, in a flow's
/// record those of its first packet (client to server).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Common<'a> {
    /// The packet's time, or for flow records the time at which the flow was logged.
    pub timestamp: Timestamp,
    /// EVE's `flow_id`; none where a packet has no flow.
    pub flow_id: Option<u64>,
    /// The flow of the enclosing packet, for flows within tunnels.
    pub parent_id: Option<u64>,
    /// The port the packet (or the flow's first packet) came in on. It is printed by its name,
    /// and left out where it has none, as for capture files.
    pub in_iface: Option<PortId>,
    /// Number of the packet in its capture file, from 1; none on live traffic and in flow records.
    pub pcap_cnt: Option<u64>,
    /// VLAN ids, outermost first.
    pub vlans: VlanIds,
    /// 4, 6, or 0 for a packet without IP: then none of the fields down to `spi` has a meaning.
    pub ip_version: u8,
    /// Source address, IPv4 in its mapped form.
    pub source: Address,
    /// Destination address, IPv4 in its mapped form.
    pub destination: Address,
    /// Source port; 0 where the protocol has none.
    pub source_port: u16,
    /// Destination port; 0 where the protocol has none.
    pub destination_port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// ICMP type and code of the packet, or of the flow's first one.
    pub icmp: Option<IcmpType>,
    /// ICMP type and code of a flow's reply, once there was one.
    pub response_icmp: Option<IcmpType>,
    /// Security parameters index of ESP.
    pub spi: Option<u32>,
    /// Where a packet came from; none in flow records.
    pub pkt_src: Option<PacketSource>,
    /// What the packet came out of; none for packets as they were received and in flow records.
    pub tunnel: Option<Tunnel>,
    /// Ethernet addresses, where they are known and wanted.
    pub ether: Ether<'a>,
    /// Names of the flow bits that are set.
    pub flowbits: TextList<'a>,
}

impl Common<'_> {
    /// The start of a record about one packet as it was decoded. Flow, capture-file number,
    /// Ethernet addresses and flow bits are left out: the caller knows them.
    #[must_use]
    pub fn of_packet(decoded: &Decoded, meta: &PacketMeta) -> Self {
        let icmp = match decoded.transport {
            Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => {
                Some(IcmpType { kind: icmp.kind, code: icmp.code })
            }
            Transport::None | Transport::Tcp(_) | Transport::Udp(_) => None,
        };
        Self {
            timestamp: meta.timestamp,
            in_iface: Some(meta.ingress),
            vlans: decoded.vlans,
            ip_version: decoded.ip_version,
            source: decoded.source,
            destination: decoded.destination,
            source_port: decoded.source_port,
            destination_port: decoded.destination_port,
            protocol: decoded.protocol,
            icmp,
            spi: (decoded.protocol == ESP).then_some(decoded.spi),
            pkt_src: Some(PacketSource::Wire),
            ..Self::default()
        }
    }
}

impl Common<'_> {
    /// The start of a record about a whole flow, logged at `now`: addresses from client to
    /// server. Ethernet addresses and flow bits are left out.
    #[must_use]
    pub fn of_flow(flow: &Flow<'_>, now: Timestamp) -> Self {
        let ((source, source_port), (destination, destination_port)) = (flow.client(), flow.server());
        let icmp = |(kind, code)| IcmpType { kind, code };
        Self {
            timestamp: now,
            flow_id: Some(flow.id()),
            parent_id: Some(flow.parent_id()).filter(|id| *id != 0),
            in_iface: Some(flow.ingress()),
            vlans: flow.vlans(),
            ip_version: flow.ip_version(),
            source,
            destination,
            source_port,
            destination_port,
            protocol: flow.protocol(),
            icmp: flow.icmp().map(icmp),
            response_icmp: flow.icmp_response().map(icmp),
            spi: flow.spi(),
            ..Self::default()
        }
    }
}

/// The number of ESP.
const ESP: u8 = 50;
/// The packet that was received, in the record of one that came out of it: EVE's `tunnel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// 4, 6, or 0 for a packet without IP: then addresses, ports and protocol have no meaning.
    pub ip_version: u8,
    /// Source address, IPv4 in its mapped form.
    pub source: Address,
    /// Destination address, IPv4 in its mapped form.
    pub destination: Address,
    /// Source port; 0 where the protocol has none.
    pub source_port: u16,
    /// Destination port; 0 where the protocol has none.
    pub destination_port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Encapsulations around the packet of the record.
    pub depth: u8,
    /// Number of the received packet in its capture file.
    pub pcap_cnt: Option<u64>,
    /// Where the received packet came from.
    pub pkt_src: PacketSource,
}

/// The type and code of an ICMP message (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IcmpType {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
}

/// An Ethernet address.
pub type Mac = [u8; 6];

/// Ethernet addresses: of a packet one each, of a flow every one that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ether<'a> {
    /// Source addresses, in the order they were seen.
    pub source: &'a [Mac],
    /// Destination addresses, in the order they were seen.
    pub destination: &'a [Mac],
}

named_enum! {
    /// Where a packet came from: EVE's `pkt_src`.
    pub enum PacketSource {
        /// A port or a capture file.
        Wire = "wire/pcap",
        /// Taken out of a GRE tunnel.
        Gre = "gre tunnel",
        /// Taken out of IPv4.
        Ipv4Tunnel = "ipv4 tunnel",
        /// Taken out of IPv6.
        Ipv6Tunnel = "ipv6 tunnel",
        /// Taken out of Teredo.
        Teredo = "teredo tunnel",
        /// Taken out of Geneve.
        Geneve = "geneve encapsulation",
        /// Taken out of VXLAN.
        Vxlan = "vxlan encapsulation",
        /// Put together from fragments.
        Defrag = "defrag",
        /// What was left of a stream, inspected before its alert is logged.
        Stream = "stream (detect/log)",
        /// What was left of a stream when its flow ended.
        FlowTimeout = "stream (flow timeout)",
    }
}

/// Packets and bytes of a flow by direction. Bytes are those of whole frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets from the client.
    pub pkts_toserver: u64,
    /// Packets from the server.
    pub pkts_toclient: u64,
    /// Bytes from the client.
    pub bytes_toserver: u64,
    /// Bytes from the server.
    pub bytes_toclient: u64,
}

impl Counts {
    /// What a flow counted so far.
    #[must_use]
    pub fn of(flow: &Flow<'_>) -> Self {
        let (toserver, toclient) = (flow.counts(Direction::ToServer), flow.counts(Direction::ToClient));
        Self {
            pkts_toserver: toserver.packets,
            pkts_toclient: toclient.packets,
            bytes_toserver: toserver.bytes,
            bytes_toclient: toclient.bytes,
        }
    }
}
