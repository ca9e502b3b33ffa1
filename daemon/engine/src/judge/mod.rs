//! One packet's way to its verdict: flow, callbacks, flow verdict, rules, records.

use crate::columns::Columns;
use crate::drops::DropLog;
use crate::offload::OffloadLink;
use crate::owner::Owner;
use crate::policy::Faults;
use crate::reject;
use crate::report::{self, PacketReport};
use crate::rules::{NewRules, Rules};
use crate::settings::{DropRecords, EngineSettings, LiveSettings};
use crate::tally;
use grace::Grace;
use portcullis_capture::{DropReason, Outbox, Packet, Verdict, WorkerId};
use portcullis_detect::{self as detect, Scratch};
use portcullis_event::{Counters, RejectTarget, Reporter};
use portcullis_flow::{
    Callbacks, Direction, EndReason, Flow, FlowGuess, FlowHash, FlowTable, HookCost, Keyed, Share,
    WorkerContext,
};
use portcullis_stream::Streams;
use portcullis_wire::decoded::Layer;
use portcullis_wire::{Decoded, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use stream::AtStream;

mod control;
mod derived;
mod exception;
mod explain;
mod flow;
mod fragments;
mod grace;
mod handover;
mod offload;
mod rules;
mod stream;

pub(crate) use derived::{Origin, Unwrapping};
pub(crate) use fragments::Fragments;

/// Everything of a worker but its flow table: the flow that is being judged is borrowed from there.
#[derive(Debug)]
pub(crate) struct Judge {
    settings: EngineSettings,
    /// Those of the settings, where there are any.
    faults: Option<Faults>,
    owner: Owner,
    rules: Arc<Rules>,
    scratch: Scratch,
    callbacks: Callbacks,
    context: WorkerContext,
    columns: Columns,
    /// The worker's share of `flow.memcap`.
    memcap: u64,
    /// Which rule set these rules are, counted from 0 at start.
    rules_version: u32,
    /// How packets within packets are made out.
    unwrapping: Unwrapping,
    /// The fragments of datagrams that are not whole yet.
    pub(crate) fragments: Fragments,
    /// What the packet at hand came out of; none for one as it was received.
    origin: Option<Origin>,
    /// The flow of the last packet that carries another one; 0 for none.
    carrier: u64,
    /// Whom the packet at hand is to be rejected to.
    rejected: Option<RejectTarget>,
    /// As what it is answered then: the datagram that a fragment completed.
    rejected_as: Option<Decoded>,
    streams: Streams,
    /// The TCP session of the packet at hand, and what it says.
    at_stream: Option<AtStream>,
    pub(crate) grace: Grace,
    /// Flows marked as uninspected for another reason than a blind time.
    uninspected: u64,
    /// What is kept of a stream, for the records of matches.
    transcript: Vec<u8>,
    /// Packets for which faults were injected in place of the flow table's refusal.
    refused_by_fault: u64,
    /// The last drops.
    pub(crate) drops: DropLog,
    /// Where decided flows are put forward.
    offload: Option<OffloadLink>,
    pub(crate) reporter: Reporter,
    pub(crate) counters: Counters,
    alike: tally::Alike,
}

/// The flow that a packet is of: its key, and where it most likely is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    pub(crate) keyed: Keyed,
    pub(crate) hash: FlowHash,
    pub(crate) guess: FlowGuess,
}

/// A packet on its way, with its flow where it has one.
pub(crate) struct Case<'c, 'f> {
    pub(crate) decoded: &'c Decoded,
    pub(crate) flow: Option<(&'c mut Flow<'f>, Direction)>,
}

impl Judge {
    pub(crate) fn new(
        settings: &EngineSettings,
        share: Share,
        rules: Arc<Rules>,
        callbacks: Callbacks,
        columns: Columns,
        reporter: Reporter,
        (fragments, streams): (Fragments, Streams),
    ) -> Self {
        let mut judge = Self {
            settings: settings.clone(),
            faults: Some(settings.faults).filter(|faults| *faults != Faults::default()),
            owner: Owner::new(share.workers, settings.seed).with_spread(settings.spread.clone()),
            scratch: Scratch::new(rules.set()),
            rules,
            context: callbacks.context(WorkerId(share.worker)),
            callbacks,
            columns,
            memcap: settings.flow.memcap / u64::from(share.workers.max(1)),
            rules_version: 0,
            unwrapping: Unwrapping::new(settings),
            fragments,
            origin: None,
            carrier: 0,
            rejected: None,
            rejected_as: None,
            refused_by_fault: 0,
            streams,
            at_stream: None,
            grace: Grace::new(settings.midstream_grace, share.workers),
            uninspected: 0,
            transcript: Vec::with_capacity(stream::TRANSCRIPT_MAX + stream::TRANSCRIPT_MARGIN),
            drops: DropLog::new(settings.drop_notes),
            offload: None,
            reporter,
            counters: Counters::default(),
            alike: tally::Alike::default(),
        };
        judge.streams.set_reach(judge.rules.set().stream_reach());
        judge
    }

    /// Takes the rules, and leaves those that it had.
    pub(crate) fn swap_rules(&mut self, new: &mut NewRules) {
        std::mem::swap(&mut self.scratch, &mut new.scratch);
        std::mem::swap(&mut self.rules, &mut new.rules);
        self.streams.set_reach(self.rules.set().stream_reach());
        self.rules_version = self.rules_version.wrapping_add(1);
    }

    pub(crate) fn change_settings(&mut self, live: &LiveSettings) {
        self.settings.flow.timeouts = live.timeouts;
        self.settings.policies = live.policies;
    }

    /// Judges one packet, and all that comes out of it, and counts it; answers a rejected one into the outbox.
    pub(crate) fn packet(
        &mut self,
        table: &mut FlowTable,
        decoded: &Decoded,
        sought: Option<&Sought>,
        packet: &mut Packet<'_>,
        outbox: &mut Outbox,
    ) -> Verdict {
        if self.faults.is_some_and(|faults| faults.packet_loss == Some(packet.meta.id)) {
            return Verdict::Accept;
        }
        self.rejected = None;
        self.rejected_as = None;
        let length = u64::from(captured_length(packet));
        tally::packet(&mut self.counters, &mut self.alike, decoded, length);
        self.context.now = packet.meta.clock;
        let mut verdict = self.alone(table, decoded, sought, packet);
        if decoded.inner.is_some() {
            verdict = self.with_contents(table, decoded, sought, packet, verdict);
        }
        tally::verdict(&mut self.counters, verdict, self.rejected.is_some());
        if let Some(to) = self.rejected.filter(|_| self.settings.may_send) {
            let answered = self.rejected_as.as_ref().unwrap_or(decoded);
            let answers = reject::send(to, answered, packet, outbox);
            self.counters.reject_sent += answers.sent;
            self.counters.reject_refused += answers.refused;
        }
        verdict
    }

    /// Judges a packet without what it carries.
    #[inline(always)]
    fn alone(
        &mut self,
        table: &mut FlowTable,
        decoded: &Decoded,
        sought: Option<&Sought>,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        // One whose flow was decided before did not ask what its session said.
        self.at_stream = None;
        match sought {
            Some(sought) => self.tracked(table, decoded, sought, packet),
            None if decoded.invalid.is_some() => self.invalid(decoded, packet),
            None if decoded.fragment.is_some() => self.fragment(table, decoded, packet),
            None if decoded.ip_version == 0 => self.without_network(decoded, packet),
            None => self.apply_rules(&mut Case { decoded, flow: None }, packet),
        }
    }

    /// Runs the removal hooks of a flow that has left the table, reports it, and runs the finish
    /// callbacks.
    pub(crate) fn flow_ended(&mut self, flow: &mut Flow<'_>, now: Timestamp) {
        self.context.now = now;
        // One that goes on elsewhere is inspected and reported there.
        let is_over = flow.end() != Some(EndReason::HandedOver);
        if is_over {
            self.inspect_rest(flow);
        }
        self.callbacks.removed(&mut self.context, flow);
        let at = self.ended_at(flow, now);
        let session = self.end_session(flow);
        if is_over {
            report::flow(&mut self.reporter, &self.settings.records, self.columns, flow, session, at);
        }
        self.callbacks.finish(&mut self.context, flow);
        self.withdraw(flow, is_over);
        self.counters.flow_callbacks_finish += 1;
    }

    /// Takes over what others count.
    pub(crate) fn gather(&mut self, table: &FlowTable) {
        let counters = &mut self.counters;
        self.alike.settle(counters);
        counters.set_flow(table.stats());
        counters.flow_memcap += self.refused_by_fault;
        counters.flow_uninspected += self.uninspected;
        counters.set_defrag(&self.fragments.stats());
        if let Some(hosts) = self.rules.hosts() {
            (counters.host_memuse, counters.host_memcap) = (hosts.memuse(), hosts.memcap());
        }
        counters.memcap_pressure =
            table.stats().memuse.saturating_mul(100).checked_div(self.memcap).unwrap_or(0);
        counters.memcap_pressure_max = counters.memcap_pressure_max.max(counters.memcap_pressure);
        tally::streams(counters, &self.streams.stats());
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
        if judged == Verdict::Accept
            && self.settings.drop_invalid
            && self.settings.drops_from(packet.meta.ingress)
        {
            let mut case = Case { decoded, flow: None };
            self.report_drop(&mut case, packet, DropReason::DecodeError, None);
            return Verdict::Drop(DropReason::DecodeError);
        }
        judged
    }

    /// A frame that is not IP: what announces nothing that we know is let pass, unless it is to be
    /// dropped.
    fn without_network(&mut self, decoded: &Decoded, packet: &Packet<'_>) -> Verdict {
        let judged = self.apply_rules(&mut Case { decoded, flow: None }, packet);
        let unknown =
            self.settings.drop_unknown_ethertypes && decoded.layers.contains(Layer::UnknownEthertype);
        if judged == Verdict::Accept && unknown && self.settings.drops_from(packet.meta.ingress) {
            self.report_drop(&mut Case { decoded, flow: None }, packet, DropReason::DecodeError, None);
            return Verdict::Drop(DropReason::DecodeError);
        }
        judged
    }

    fn report_drop(
        &mut self,
        case: &mut Case<'_, '_>,
        packet: &Packet<'_>,
        reason: DropReason,
        rule: Option<detect::RuleId>,
    ) {
        self.note_drop(case, packet, reason, rule);
        let records = &self.settings.records;
        if records.drop == DropRecords::Off {
            return;
        }
        let repeated = case.flow.as_mut().is_some_and(|(flow, direction)| !flow.note_drop(*direction));
        if repeated && records.drop == DropRecords::Start && rule.is_none() {
            return;
        }
        let about = PacketReport::new(records, case, packet, self.origin.as_ref());
        about.dropped(&mut self.reporter, &self.rules, reason, rule, repeated, self.rejected);
    }
}

/// What counts as a packet's length: the bytes that were captured, link header included, as in
/// Suricata.
fn captured_length(packet: &Packet<'_>) -> u32 {
    u32::try_from(packet.bytes().len()).unwrap_or(u32::MAX)
}
