//! One packet's way to its verdict: flow, callbacks, flow verdict, rules, records.

use crate::report::{self, PacketReport};
use crate::rules::Rules;
use crate::settings::{DropRecords, EngineSettings, PacketPolicy};
use crate::tally;
use portcullis_capture::{DropReason, Packet, Verdict, WorkerId};
use portcullis_detect::{self as detect, FlowFacts, Input, Scope, Scratch};
use portcullis_event::{Counters, Reporter};
use portcullis_flow::flow::Bypass;
use portcullis_flow::{
    Callbacks, Direction, EndReason, Flow, FlowAction, FlowHash, FlowState, FlowTable, HookCost, Keyed,
    PacketAccess, TcpState, Tracked, TrackedInput, WorkerContext,
};
use portcullis_wire::decoded::{TcpFlags, Transport};
use portcullis_wire::{Decoded, Timestamp};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// Everything of a worker but its flow table: the flow that is being judged is borrowed from there.
#[derive(Debug)]
pub(crate) struct Judge {
    settings: EngineSettings,
    rules: Arc<Rules>,
    scratch: Scratch,
    callbacks: Callbacks,
    context: WorkerContext,
    /// Which rule set these rules are, counted from 0 at start.
    rules_version: u32,
    pub(crate) reporter: Reporter,
    pub(crate) counters: Counters,
}

/// A packet on its way, with its flow where it has one.
pub(crate) struct Case<'c, 'f> {
    pub(crate) decoded: &'c Decoded,
    pub(crate) flow: Option<(&'c mut Flow<'f>, Direction)>,
}

impl Judge {
    pub(crate) fn new(
        settings: &EngineSettings,
        id: WorkerId,
        rules: Arc<Rules>,
        callbacks: Callbacks,
        reporter: Reporter,
    ) -> Self {
        Self {
            settings: settings.clone(),
            scratch: Scratch::new(rules.set()),
            rules,
            context: callbacks.context(id),
            callbacks,
            rules_version: 0,
            reporter,
            counters: Counters::default(),
        }
    }

    pub(crate) fn swap_rules(&mut self, rules: Arc<Rules>) {
        self.scratch = Scratch::new(rules.set());
        self.rules = rules;
        self.rules_version = self.rules_version.wrapping_add(1);
    }

    /// Judges one packet and counts it.
    pub(crate) fn packet(
        &mut self,
        table: &mut FlowTable,
        decoded: &Decoded,
        keyed: Option<&(Keyed, FlowHash)>,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        tally::packet(&mut self.counters, decoded, u64::from(captured_length(packet)));
        self.context.now = packet.meta.clock;
        let verdict = match keyed {
            _ if decoded.invalid.is_some() => self.invalid(decoded, packet),
            Some((keyed, hash)) => self.tracked(table, decoded, keyed, *hash, packet),
            None => self.apply_rules(&mut Case { decoded, flow: None }, packet),
        };
        tally::verdict(&mut self.counters, verdict);
        verdict
    }

    /// Runs the removal hooks of a flow that has left the table, reports it, and runs the finish
    /// callbacks.
    pub(crate) fn flow_ended(&mut self, flow: &mut Flow<'_>, now: Timestamp) {
        self.context.now = now;
        self.callbacks.removed(&mut self.context, flow);
        let at = self.ended_at(flow, now);
        report::flow(&mut self.reporter, &self.settings.records, flow, at);
        self.callbacks.finish(&mut self.context, flow);
        self.counters.flow_callbacks_finish += 1;
    }

    /// Takes over what others count.
    pub(crate) fn gather(&mut self, table: &FlowTable) {
        let counters = &mut self.counters;
        counters.set_flow(table.stats());
        counters.set_log(&self.reporter);
        let panics: u64 = self.callbacks.panics().map(|(_, panics)| panics).sum();
        counters.worker_callback_panics = panics + table.storage_panics();
        counters.update_averages();
    }

    /// What the hooks cost so far.
    pub(crate) fn hook_costs(&self) -> impl Iterator<Item = HookCost> {
        self.callbacks.costs().map(|(_, cost)| cost)
    }

    /// When the flow was over. The moment at which that was noticed depends on what else the worker
    /// had to do; this does not, so records are the same for any number of workers.
    fn ended_at(&self, flow: &Flow<'_>, now: Timestamp) -> Timestamp {
        match flow.end() {
            Some(EndReason::Shutdown) => now,
            Some(EndReason::Timeout) => {
                let timeouts = self.settings.flow.timeouts.of(flow.protocol());
                let shared = timeouts.idle(flow.state(), flow.emergency());
                let shared = Duration::from_secs(u64::from(shared));
                let idle = match flow.idle_timeout() {
                    None => shared,
                    Some(own) if flow.emergency() => own.min(shared),
                    Some(own) => own,
                };
                flow.last_seen().after(idle).min(now)
            }
            _ => flow.last_seen(),
        }
    }

    fn invalid(&mut self, decoded: &Decoded, packet: &Packet<'_>) -> Verdict {
        let judged = self.apply_rules(&mut Case { decoded, flow: None }, packet);
        if judged == Verdict::Accept && self.settings.invalid_policy.drops() && self.settings.inline {
            let mut case = Case { decoded, flow: None };
            self.report_drop(&mut case, packet, DropReason::DecodeError, None);
            return Verdict::Drop(DropReason::DecodeError);
        }
        judged
    }

    fn tracked(
        &mut self,
        table: &mut FlowTable,
        decoded: &Decoded,
        keyed: &Keyed,
        hash: FlowHash,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        let input = TrackedInput {
            keyed,
            hash,
            decoded,
            length: captured_length(packet),
            now: packet.meta.clock,
            ingress: packet.meta.ingress,
            may_create: true,
        };
        match table.track(&input) {
            Tracked::New(mut flow, direction) => {
                flow.set_rules_version(self.rules_version);
                self.callbacks.init(&mut self.context, &mut flow, packet, decoded);
                self.counters.flow_callbacks_init += 1;
                self.in_flow(&mut flow, direction, decoded, packet)
            }
            Tracked::Known(mut flow, direction) => self.in_flow(&mut flow, direction, decoded, packet),
            Tracked::Untracked => self.apply_rules(&mut Case { decoded, flow: None }, packet),
            Tracked::Refused => self.without_memory(decoded, packet),
        }
    }

    fn in_flow(
        &mut self,
        flow: &mut Flow<'_>,
        direction: Direction,
        decoded: &Decoded,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        let bypassed = flow.bypass().is_some();
        let mut access = PacketAccess::new(packet, decoded);
        self.callbacks.update(&mut self.context, flow, &mut access);
        let asked = access.dropped();
        let mut case = Case { decoded, flow: Some((flow, direction)) };
        if let Some(reason) = asked.filter(|_| self.settings.inline) {
            self.report_drop(&mut case, packet, reason, None);
            return Verdict::Drop(reason);
        }
        match case.flow.as_ref().and_then(|(flow, _)| flow.action()) {
            Some(FlowAction::Drop(_)) if self.settings.inline => {
                self.report_drop(&mut case, packet, DropReason::FlowDrop, None);
                Verdict::Drop(DropReason::FlowDrop)
            }
            _ if bypassed => {
                self.counters.flow_bypassed_local_pkts += 1;
                self.counters.flow_bypassed_local_bytes += u64::from(captured_length(packet));
                Verdict::Accept
            }
            Some(FlowAction::Pass) => Verdict::Accept,
            _ => self.apply_rules(&mut case, packet),
        }
    }

    /// `flow.memcap-policy`: there is no memory for the packet's flow.
    fn without_memory(&mut self, decoded: &Decoded, packet: &mut Packet<'_>) -> Verdict {
        let mut case = Case { decoded, flow: None };
        match self.settings.flow_memcap_policy {
            PacketPolicy::DropPacket if self.settings.inline => {
                self.counters.exception_policy_flow_memcap_drop_packet += 1;
                self.report_drop(&mut case, packet, DropReason::FlowMemcap, None);
                Verdict::Drop(DropReason::FlowMemcap)
            }
            PacketPolicy::PassPacket => {
                self.counters.exception_policy_flow_memcap_pass_packet += 1;
                Verdict::Accept
            }
            PacketPolicy::DropPacket | PacketPolicy::Ignore => self.apply_rules(&mut case, packet),
        }
    }

    fn apply_rules(&mut self, case: &mut Case<'_, '_>, packet: &Packet<'_>) -> Verdict {
        let Self { settings, rules, scratch, reporter, counters, .. } = self;
        let decoded = case.decoded;
        if rules.set().is_empty() {
            return Verdict::Accept;
        }
        let frame = packet.bytes();
        let flow = case.flow.as_ref().map(|(flow, direction)| flow_facts(flow, *direction, decoded));
        let bits = case.flow.as_ref().filter(|_| rules.set().uses_bits());
        let bits = bits.map(|(flow, _)| Cell::new(flow.bits()));
        let input = Input { decoded, frame, payload: decoded.payload.of(frame), flow, bits: bits.as_ref() };
        let outcome = rules.set().inspect(&input, scratch);
        counters.detect_alert += outcome.alerts.len() as u64;
        counters.detect_alert_queue_overflow += u64::from(outcome.overflow);
        counters.detect_alerts_suppressed += u64::from(outcome.suppressed);
        counters.flow_bits_refused += u64::from(outcome.bits_refused);
        // A flow that is dropped stays so: only what is let through may go by unseen.
        let bypass = outcome.bypass && !matches!(outcome.verdict, detect::Verdict::Drop { .. });
        if let Some((flow, _)) = case.flow.as_mut().filter(|_| bypass) {
            flow.set_bypass(Bypass::Local);
        }
        if let (Some(bits), Some((flow, _))) = (bits, case.flow.as_mut()) {
            flow.set_bits(bits.get());
        }
        counters.detect_limit_reached += u64::from(outcome.unjudged.rules > 0);
        let (mut verdict, dropped_by) = decide(case, outcome.verdict, settings.inline);
        // A limit must not lose a drop: what could not be ruled out is dropped.
        if outcome.unjudged.drop && settings.inline && verdict == Verdict::Accept {
            verdict = Verdict::Drop(DropReason::DetectLimit);
        }
        if let Some((flow, _)) = case.flow.as_mut()
            && !outcome.alerts.is_empty()
        {
            flow.set_alerted();
        }
        if settings.records.alert && !outcome.alerts.is_empty() {
            let about = PacketReport::new(&settings.records, case, packet);
            for alert in outcome.alerts {
                about.alert(reporter, rules, *alert, settings.inline, verdict);
            }
        }
        if let Verdict::Drop(reason) = verdict {
            self.report_drop(case, packet, reason, dropped_by);
        }
        verdict
    }

    fn report_drop(
        &mut self,
        case: &mut Case<'_, '_>,
        packet: &Packet<'_>,
        reason: DropReason,
        rule: Option<detect::RuleId>,
    ) {
        let records = &self.settings.records;
        if records.drop == DropRecords::Off {
            return;
        }
        let repeated = case.flow.as_mut().is_some_and(|(flow, direction)| !flow.note_drop(*direction));
        if repeated && records.drop == DropRecords::Start && rule.is_none() {
            return;
        }
        let about = PacketReport::new(records, case, packet);
        about.dropped(&mut self.reporter, &self.rules, reason, rule, repeated);
    }
}

/// Applies what the rules say: to the flow where it is meant for it and nothing was decided before,
/// and to the packet. Returns the rule that dropped it, if one did.
fn decide(
    case: &mut Case<'_, '_>,
    verdict: detect::Verdict,
    inline: bool,
) -> (Verdict, Option<detect::RuleId>) {
    match verdict {
        detect::Verdict::None => (Verdict::Accept, None),
        detect::Verdict::Pass { scope, .. } => {
            apply_to_flow(case, scope, FlowAction::Pass);
            (Verdict::Accept, None)
        }
        // Without the power to drop, a drop rule is an alert.
        detect::Verdict::Drop { .. } if !inline => (Verdict::Accept, None),
        detect::Verdict::Drop { scope, rule } => {
            apply_to_flow(case, scope, FlowAction::Drop(DropReason::Rules));
            (Verdict::Drop(DropReason::Rules), Some(rule))
        }
    }
}

fn apply_to_flow(case: &mut Case<'_, '_>, scope: Scope, action: FlowAction) {
    if let (Scope::Flow, Some((flow, _))) = (scope, case.flow.as_mut()) {
        flow.set_action(action);
    }
}

fn flow_facts(flow: &Flow<'_>, direction: Direction, decoded: &Decoded) -> FlowFacts {
    FlowFacts {
        direction,
        established: flow.state() == FlowState::Established,
        first_in_direction: flow.counts(direction).packets == 1,
        stream_data: is_stream_data(flow, decoded),
    }
}

/// Does the packet carry data of a TCP stream, as its receiver will see it? Not before the handshake is
/// complete (fast open is not followed), not with a reset, whose data is not part of the stream, not with
/// a wrong checksum, and not after the end.
fn is_stream_data(flow: &Flow<'_>, decoded: &Decoded) -> bool {
    let Transport::Tcp(header) = &decoded.transport else { return false };
    !decoded.payload.is_empty()
        && !decoded.bad_checksums.transport
        && header.flags.0 & (TcpFlags::SYN | TcpFlags::RST) == 0
        && flow.tcp().is_some_and(|tcp| {
            tcp.session && tcp.state >= TcpState::Established && tcp.state != TcpState::Closed
        })
}

/// What counts as a packet's length: the bytes that were captured, link header included, as in
/// Suricata.
fn captured_length(packet: &Packet<'_>) -> u32 {
    u32::try_from(packet.bytes().len()).unwrap_or(u32::MAX)
}
