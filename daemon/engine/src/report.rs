//! Records about packets and flows, from what the engine knows of them.

use crate::columns::Columns;
use crate::judge::{Case, Origin};
use crate::rules::Rules;
use crate::settings::RecordSettings;
use portcullis_capture::{DropReason, Packet, Verdict};
use portcullis_detect as detect;
use portcullis_event::{
    AlertAction, AlertFlow, AlertRecord, Common, DropRecord, DroppedPacket, Ether, FlowRecord, Mac,
    PacketSource, PacketVerdict, Record, RejectTarget, Reporter, TtlRange, VerdictAction, Would,
};
use portcullis_flow::{Direction, Flow};
use portcullis_stream::{DirectionSummary, SessionSummary};
use portcullis_wire::decoded::Layer;
use portcullis_wire::{LinkType, Timestamp};

/// What the records about one packet have in common.
pub(crate) struct PacketReport<'r> {
    common: Common<'r>,
    direction: Option<Direction>,
    flow: Option<AlertFlow>,
    packet: DroppedPacket,
    frame: &'r [u8],
    payload: &'r [u8],
    /// What is kept of the stream.
    stream: &'r [u8],
    link: LinkType,
    settings: &'r RecordSettings,
}

impl<'r> PacketReport<'r> {
    pub(crate) fn new(
        settings: &'r RecordSettings,
        case: &Case<'_, '_>,
        packet: &'r Packet<'_>,
        origin: Option<&Origin>,
    ) -> Self {
        let decoded = case.decoded;
        let frame = packet.bytes();
        let (flow, direction) = match &case.flow {
            Some((flow, direction)) => (Some(flow), Some(*direction)),
            None => (None, None),
        };
        let mut common = Common::of_packet(decoded, &packet.meta);
        common.flow_id = flow.map(|flow| flow.id());
        common.parent_id = flow.map(|flow| flow.parent_id()).filter(|id| *id != 0);
        common.in_iface = Some(packet.meta.ingress);
        common.pcap_cnt = Some(packet.meta.id).filter(|id| settings.pcap_cnt && *id != 0);
        if let Some(origin) = origin {
            common.pkt_src = Some(origin.source);
            common.tunnel = Some(origin.tunnel(decoded.recursion, settings.pcap_cnt));
        }
        if settings.ethernet && decoded.layers.contains(Layer::Ethernet) {
            common.ether = ether(frame);
        }
        Self {
            common,
            direction,
            flow: flow.map(|flow| AlertFlow::of(flow)),
            packet: DroppedPacket::of(decoded),
            frame,
            payload: decoded.payload.of(frame),
            stream: &[],
            link: decoded.link,
            settings,
        }
    }

    /// Matches on the stream are shown with what is kept of it. `rest`: there is no packet, but only what was
    /// left of the stream when its flow ended.
    pub(crate) fn set_stream(&mut self, stream: &'r [u8], rest: bool) {
        self.stream = stream;
        if rest {
            self.common.pkt_src = Some(PacketSource::FlowTimeout);
        }
    }

    /// Reports one rule that matched.
    pub(crate) fn alert(
        &self,
        reporter: &mut Reporter,
        rules: &Rules,
        alert: detect::Alert,
        drops: bool,
        verdict: PacketVerdict,
    ) {
        let blocked = alert.blocked() && drops;
        let action = if blocked { AlertAction::Blocked } else { AlertAction::Allowed };
        let Some(mut about) = rules.alert(alert.rule, action) else { return };
        about.would = match alert.action {
            detect::Action::Drop if !blocked => Some(Would::Drop),
            detect::Action::Reject if !blocked => Some(Would::Reject),
            _ => None,
        };
        let settings = self.settings;
        let payload = if alert.stream && !self.stream.is_empty() { self.stream } else { self.payload };
        let record = AlertRecord {
            common: self.common,
            alert: about,
            direction: self.direction,
            flow: self.flow,
            payload: settings.alert_payload.then_some(payload),
            payload_length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            stream: alert.stream,
            packet: settings.alert_packet.then_some(self.frame),
            linktype: self.link.number(),
            verdict: Some(verdict),
            truncated: false,
        };
        // Refused records are counted by the ring.
        let _ = reporter.push(&Record::Alert(record));
    }

    /// Reports that the packet was dropped.
    pub(crate) fn dropped(
        &self,
        reporter: &mut Reporter,
        rules: &Rules,
        reason: DropReason,
        rule: Option<detect::RuleId>,
        repeated: bool,
        rejected: Option<RejectTarget>,
    ) {
        let record = DropRecord {
            common: self.common,
            direction: self.direction,
            packet: self.packet,
            reason,
            alert: rule.and_then(|rule| rules.alert(rule, AlertAction::Blocked)),
            verdict: Some(PacketVerdict { action: VerdictAction::Drop, reject: rejected }),
            repeated,
            truncated: false,
        };
        // As above.
        let _ = reporter.push(&Record::Drop(record));
    }
}

/// Reports a flow that has ended.
pub(crate) fn flow(
    reporter: &mut Reporter,
    settings: &RecordSettings,
    columns: Columns,
    flow: &Flow<'_>,
    session: Option<SessionSummary>,
    now: Timestamp,
) {
    if !settings.flow && !settings.netflow {
        return;
    }
    let mut record = FlowRecord::of(flow, now);
    record.common.ether = columns.macs(flow);
    record.exception_policies = columns.policies(flow);
    record.bypassed = columns.answered(flow);
    if let (Some(told), Some(session)) = (record.tcp.as_mut().and_then(|tcp| tcp.session.as_mut()), session) {
        let regions = |side: DirectionSummary| u16::from(side.max_regions.max(1));
        told.gap_toserver = session.to_server.gap;
        told.gap_toclient = session.to_client.gap;
        told.max_regions_toserver = regions(session.to_server);
        told.max_regions_toclient = regions(session.to_client);
    }
    // Refused records are counted by the ring.
    if settings.flow {
        let _ = reporter.push(&Record::Flow(record));
    }
    if settings.netflow {
        let range = |direction| TtlRange::of(flow, direction);
        let (request, reply) = record.netflows(range(Direction::ToServer), range(Direction::ToClient));
        let _ = reporter.push(&Record::Netflow(request));
        if let Some(reply) = reply {
            let _ = reporter.push(&Record::Netflow(reply));
        }
    }
}

/// The addresses of an Ethernet header: destination first (IEEE 802.3 §3.2).
pub(crate) fn ether(frame: &[u8]) -> Ether<'_> {
    let Some((macs, _)) = frame.split_first_chunk::<12>() else { return Ether::default() };
    let (pairs, _): (&[Mac], _) = macs.as_chunks::<6>();
    let (destination, source) = pairs.split_at(1);
    Ether { source, destination }
}

/// EVE's verdict of a packet that rules alerted on.
pub(crate) const fn alert_verdict(verdict: Verdict, rejected: Option<RejectTarget>) -> PacketVerdict {
    let action = match verdict {
        Verdict::Drop(_) => VerdictAction::Drop,
        Verdict::Accept | Verdict::Steer(_) => VerdictAction::Alert,
    };
    PacketVerdict { action, reject: rejected }
}
