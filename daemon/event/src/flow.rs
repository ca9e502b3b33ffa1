//! Records about a whole flow: `flow`, and `netflow` for each of its directions.

use crate::alert::RejectTarget;
use crate::common::{Common, Counts, Ether};
use crate::named::named_enum;
use portcullis_flow::flow::Bypass;
use portcullis_flow::{Direction, EndReason, Flow, FlowAction, FlowState, TcpState};
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::TcpFlags;

/// A flow has ended: EVE's `flow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRecord<'a> {
    /// Time of logging, addresses in the flow's direction.
    pub common: Common<'a>,
    /// All of its packets, bypassed ones included.
    pub counts: Counts,
    /// Those that went by uninspected, if it was bypassed at all.
    pub bypassed: Option<Counts>,
    /// Time of the first packet.
    pub start: Timestamp,
    /// Time of the last packet.
    pub end: Timestamp,
    /// Did it end under emergency timeouts?
    pub emergency: bool,
    /// Its state at the end.
    pub state: FlowState,
    /// Who let it pass, if it was bypassed.
    pub bypass: Option<Bypass>,
    /// Why it ended.
    pub reason: EndReason,
    /// Did a rule alert on it?
    pub alerted: bool,
    /// May packets of it have passed uninspected?
    pub uninspected: bool,
    /// Was it an elephant to the server (`flow.rate-tracking`)?
    pub elephant_toserver: bool,
    /// Was it one to the client?
    pub elephant_toclient: bool,
    /// What a rule or a policy decided for the whole flow.
    pub action: Option<FlowAction>,
    /// Exception policies that were applied to it.
    pub exception_policies: PolicyTargets,
    /// What TCP knows; none for other protocols.
    pub tcp: Option<TcpPart>,
}

impl FlowRecord<'_> {
    /// Is there nothing about the flow but what every flow has? Marks, MAC addresses and exception policies aside. For
    /// quick ways that write such records as one piece.
    #[must_use]
    #[inline]
    pub fn is_plain(&self) -> bool {
        // Whatever comes to these types has to be thought of here.
        let Common {
            timestamp: _,
            flow_id,
            parent_id,
            in_iface: _,
            pcap_cnt,
            vlans,
            ip_version: _,
            source: _,
            destination: _,
            source_port: _,
            destination_port: _,
            protocol: _,
            icmp,
            response_icmp,
            spi,
            pkt_src,
            tunnel,
            ether: _,
            flowbits,
        } = &self.common;
        let is_plain_common = flow_id.is_some()
            && parent_id.is_none()
            && pcap_cnt.is_none()
            && vlans.as_slice().is_empty()
            && icmp.is_none()
            && response_icmp.is_none()
            && spi.is_none()
            && pkt_src.is_none()
            && tunnel.is_none()
            && flowbits.is_empty();
        is_plain_common
            && self.bypassed.is_none()
            && self.bypass.is_none()
            && self.action.is_none()
            && !self.elephant_toserver
            && !self.elephant_toclient
    }

    /// The record of a flow that ended, logged at `now`. Ethernet addresses, flow bits, counts of
    /// bypassed packets and exception policies are left out: the flow does not know them.
    #[must_use]
    pub fn of(flow: &Flow<'_>, now: Timestamp) -> Self {
        Self {
            common: Common::of_flow(flow, now),
            counts: Counts::of(flow),
            bypassed: None,
            start: flow.start(),
            end: flow.last_seen(),
            emergency: flow.emergency(),
            state: flow.state(),
            bypass: flow.bypass(),
            reason: flow.end().unwrap_or(EndReason::Unknown),
            alerted: flow.alerted(),
            uninspected: flow.uninspected(),
            elephant_toserver: flow.elephant(Direction::ToServer),
            elephant_toclient: flow.elephant(Direction::ToClient),
            action: flow.action(),
            exception_policies: PolicyTargets::default(),
            tcp: flow.tcp().map(TcpPart::from),
        }
    }
}

impl<'a> FlowRecord<'a> {
    /// The two `netflow` records of this flow: client to server, and the reply if there was any.
    /// `toserver` and `toclient` are the ranges of TTLs seen.
    #[must_use]
    pub fn netflows(
        &self,
        toserver: TtlRange,
        toclient: TtlRange,
    ) -> (NetflowRecord<'a>, Option<NetflowRecord<'a>>) {
        let request = NetflowRecord {
            common: Common { response_icmp: None, ..self.common },
            pkts: self.counts.pkts_toserver,
            bytes: self.counts.bytes_toserver,
            start: self.start,
            end: self.end,
            ttl: toserver,
            tcp_flags: self.tcp.map(|tcp| tcp.flags_toserver),
        };
        let reply = (self.counts.pkts_toclient > 0).then(|| NetflowRecord {
            common: Common {
                source: self.common.destination,
                destination: self.common.source,
                source_port: self.common.destination_port,
                destination_port: self.common.source_port,
                icmp: self.common.response_icmp,
                response_icmp: None,
                ether: Ether { source: self.common.ether.destination, destination: self.common.ether.source },
                ..self.common
            },
            pkts: self.counts.pkts_toclient,
            bytes: self.counts.bytes_toclient,
            ttl: toclient,
            tcp_flags: self.tcp.map(|tcp| tcp.flags_toclient),
            ..request
        });
        (request, reply)
    }
}

/// One direction of a flow: EVE's `netflow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetflowRecord<'a> {
    /// Time of logging, addresses in this direction.
    pub common: Common<'a>,
    /// Packets in this direction.
    pub pkts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Time of the flow's first packet in either direction.
    pub start: Timestamp,
    /// Time of the flow's last packet in either direction.
    pub end: Timestamp,
    /// TTLs seen in this direction.
    pub ttl: TtlRange,
    /// TCP flags seen in this direction; none for other protocols.
    pub tcp_flags: Option<TcpFlags>,
}

/// Smallest and largest TTL or hop limit that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TtlRange {
    /// Smallest.
    pub min: u8,
    /// Largest.
    pub max: u8,
}

impl TtlRange {
    /// The TTLs that a flow saw in a direction.
    #[must_use]
    pub fn of(flow: &Flow<'_>, direction: Direction) -> Self {
        let (min, max) = flow.ttl(direction);
        Self { min, max }
    }
}

/// TCP's part of a flow record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpPart {
    /// Flags seen in both directions.
    pub flags: TcpFlags,
    /// Flags that the client sent.
    pub flags_toserver: TcpFlags,
    /// Flags that the server sent.
    pub flags_toclient: TcpFlags,
    /// The session; none where no session was made for the flow.
    pub session: Option<TcpSession>,
}

impl From<portcullis_flow::TcpSummary> for TcpPart {
    /// Without reassembly there are no gaps, and all data is one range.
    fn from(tcp: portcullis_flow::TcpSummary) -> Self {
        let session = TcpSession {
            state: tcp.state,
            gap_toserver: false,
            gap_toclient: false,
            max_regions_toserver: 1,
            max_regions_toclient: 1,
        };
        Self {
            flags: tcp.flags(),
            flags_toserver: tcp.flags_ts,
            flags_toclient: tcp.flags_tc,
            session: tcp.session.then_some(session),
        }
    }
}

/// What is known about a tracked TCP session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSession {
    /// State at the end.
    pub state: TcpState,
    /// Was data of the client lost to inspection?
    pub gap_toserver: bool,
    /// Was data of the server lost to inspection?
    pub gap_toclient: bool,
    /// Most separate ranges of data that were held at a time, from the client; 1 without holes.
    pub max_regions_toserver: u16,
    /// The same from the server.
    pub max_regions_toclient: u16,
}

named_enum! {
    /// What an exception policy was applied for: EVE's `exception_policy[].target`.
    pub enum ExceptionTarget {
        /// Defragmentation ran out of memory.
        DefragMemcap = "defrag_memcap",
        /// TCP sessions ran out of memory.
        StreamMemcap = "stream_memcap",
        /// Reassembly ran out of memory.
        StreamReassemblyMemcap = "stream_reassembly_memcap",
        /// Flows ran out of memory.
        FlowMemcap = "flow_memcap",
        /// The session's start was not seen.
        StreamMidstream = "stream_midstream",
        /// An application parser failed.
        AppLayerError = "app_layer_error",
    }
}

named_enum! {
    /// An exception policy, by its name in the configuration and in EVE.
    pub enum ExceptionPolicy {
        /// Do nothing.
        Ignore = "ignore",
        /// Accept the packet without inspection.
        PassPacket = "pass_packet",
        /// Accept the flow without inspection.
        PassFlow = "pass_flow",
        /// Bypass the flow.
        Bypass = "bypass",
        /// Drop the packet.
        DropPacket = "drop_packet",
        /// Drop the flow.
        DropFlow = "drop_flow",
        /// Drop, and reject towards the sender.
        Reject = "reject",
        /// Drop, and reject towards both.
        RejectBoth = "reject_both",
    }
}

impl ExceptionPolicy {
    /// What it is where only the packet at hand can be acted on: what is meant for the flow is done to the
    /// packet, as far as that is possible (Suricata downgrades them the same way).
    #[must_use]
    pub const fn in_packet_scope(self) -> Self {
        match self {
            Self::DropFlow => Self::DropPacket,
            Self::PassFlow => Self::PassPacket,
            Self::Bypass => Self::Ignore,
            other => other,
        }
    }

    /// Does it drop the packet, where packets can be dropped?
    #[must_use]
    pub const fn drops(self) -> bool {
        matches!(self, Self::DropPacket | Self::DropFlow | Self::Reject | Self::RejectBoth)
    }

    /// Whom it tells that the packet was dropped.
    #[must_use]
    pub const fn rejects(self) -> Option<RejectTarget> {
        match self {
            Self::Reject => Some(RejectTarget::ToClient),
            Self::RejectBoth => Some(RejectTarget::Both),
            _ => None,
        }
    }
}

/// The exception policies that were applied to a flow, at most one a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyTargets([Option<ExceptionPolicy>; ExceptionTarget::ALL.len()]);

impl PolicyTargets {
    /// Notes that `policy` was applied for `target`; the last one counts.
    pub fn set(&mut self, target: ExceptionTarget, policy: ExceptionPolicy) {
        if let Some(slot) = self.0.get_mut(usize::from(target.code())) {
            *slot = Some(policy);
        }
    }

    /// Was none applied?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Those that were applied, in the order of [`ExceptionTarget::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (ExceptionTarget, ExceptionPolicy)> {
        ExceptionTarget::ALL.iter().zip(self.0).filter_map(|(target, policy)| Some((*target, policy?)))
    }
}
