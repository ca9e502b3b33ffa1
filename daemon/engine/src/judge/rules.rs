//! What the rules say of a packet, and what follows from it.

use super::stream::{AtStream, TRANSCRIPT_MAX};
use super::{Case, Judge};
use crate::reject;
use crate::report::{self, PacketReport};
use crate::settings::BudgetPolicy;
use portcullis_capture::{DropReason, Packet, Verdict};
use portcullis_detect::{self as detect, FlowFacts, Hosts, Input, RejectTo, Scope, StreamWindow};
use portcullis_event::RejectTarget;
use portcullis_flow::flow::Bypass;
use portcullis_flow::{Direction, Flow, FlowAction, FlowState, TcpState};
use portcullis_stream::StreamEvents;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

impl Judge {
    #[inline]
    pub(super) fn apply_rules(&mut self, case: &mut Case<'_, '_>, packet: &Packet<'_>) -> Verdict {
        if self.rules.set().is_empty() {
            return Verdict::Accept;
        }
        self.ask_rules(case, packet)
    }

    fn ask_rules(&mut self, case: &mut Case<'_, '_>, packet: &Packet<'_>) -> Verdict {
        let at = self.at_stream.take();
        let Self {
            settings, rules, scratch, reporter, counters, rejected, origin, streams, transcript, ..
        } = self;
        let decoded = case.decoded;
        let frame = packet.bytes();
        let needs_age = rules.set().uses_flow_age();
        let flow =
            case.flow.as_ref().map(|(flow, direction)| flow_facts(flow, *direction, at.as_ref(), needs_age));
        let bits = case.flow.as_ref().filter(|_| rules.set().uses_bits());
        let bits = bits.map(|(flow, _)| Cell::new(flow.bits()));
        // What is a packet of its own is looked into as such, and not here.
        let payload = if decoded.inner.is_some() { &[] } else { decoded.payload.of(frame) };
        let input = Input { decoded, frame, payload, flow, bits: bits.as_ref() };
        let hosts = Hosts {
            table: rules.hosts().map(Arc::as_ref),
            now: packet.meta.clock,
            flow: case.flow.as_ref().map(|(flow, _)| flow.id()),
            tenant: 0,
        };
        let stream = at.and_then(|at| Some((at.session?, at.rest))).zip(flow.map(|flow| flow.direction));
        let matches = stream.map(|((session, _), direction)| streams.matches(session, direction));
        let window = stream.and_then(|((session, rest), direction)| match rest {
            true => streams.rest(session, direction),
            false => streams.window(session, direction, input.payload),
        });
        let inspected_to = window.map_or(0, |window| window.offset + window.bytes.len() as u64);
        let ask_from = |rule: detect::RuleId| match (window, matches) {
            (Some(window), Some(matches)) => matches.ask_from(number(rule), window.offset, window.new_from),
            _ => 0,
        };
        let window = window.map(|window| StreamWindow {
            bytes: window.bytes,
            new_from: window.new_from,
            offset: window.offset,
            alone: at.is_some_and(|at| at.rest),
            ask_from: &ask_from,
        });
        let outcome = rules.set().inspect_stream(&input, window, scratch, &hosts);
        if let Some(((session, _), direction)) = stream {
            for rule in outcome.on_stream {
                streams.note_match(session, direction, number(*rule), inspected_to);
            }
        }
        counters.detect_alert += outcome.alerts.len() as u64;
        counters.detect_alert_queue_overflow += u64::from(outcome.overflow);
        counters.detect_alerts_suppressed += u64::from(outcome.suppressed);
        counters.flow_bits_refused += u64::from(outcome.bits_refused);
        counters.host_refused += u64::from(outcome.host_refused);
        // A flow that is dropped stays so: only what is let through may go by unseen.
        let bypass = outcome.bypass && !matches!(outcome.verdict, detect::Verdict::Drop { .. });
        if let Some((flow, _)) = case.flow.as_mut().filter(|_| bypass) {
            flow.set_bypass(Bypass::Local);
        }
        if let (Some(bits), Some((flow, _))) = (bits, case.flow.as_mut()) {
            counters.flow_bits_refused += u64::from(!flow.set_bits(bits.get()));
        }
        counters.detect_limit_reached += u64::from(outcome.unjudged.rules > 0);
        counters.detect_pcre_limit_reached += u64::from(outcome.unjudged.pcre);
        let drops = settings.drops_from(packet.meta.ingress);
        let (mut verdict, dropped_by) = decide(case, &outcome, drops);
        let condemned = matches!(outcome.verdict, detect::Verdict::Drop { scope: Scope::Flow, .. });
        // A limit must not lose a drop: what could not be ruled out is dropped.
        let unsure = outcome.unjudged.drop && drops && verdict == Verdict::Accept;
        if unsure && settings.budget_policy != BudgetPolicy::Ignore {
            verdict = Verdict::Drop(DropReason::DetectLimit);
            if settings.budget_policy == BudgetPolicy::DropFlow {
                apply_to_flow(case, Scope::Flow, FlowAction::Drop(DropReason::DetectLimit));
            }
        }
        // The rest of a flow that is dropped goes without an answer: its ends have been told.
        if let (Verdict::Drop(_), Some(to)) = (verdict, outcome.reject)
            && reject::is_answerable(decoded, packet)
        {
            *rejected = Some(target(to));
        }
        if verdict == Verdict::Accept {
            let would = outcome.alerts.iter().any(|alert| alert.would_block());
            counters.detect_would_drop += u64::from(would);
        }
        if let Some((flow, _)) = case.flow.as_mut()
            && !outcome.alerts.is_empty()
        {
            flow.set_alerted();
        }
        if settings.records.alert && !outcome.alerts.is_empty() {
            transcript.clear();
            let wanted = settings.records.alert_payload && outcome.alerts.iter().any(|alert| alert.stream);
            if let Some(((session, _), direction)) = stream.filter(|_| wanted) {
                streams.transcribe(session, direction, TRANSCRIPT_MAX, transcript);
            }
            let mut about = PacketReport::new(&settings.records, case, packet, origin.as_ref());
            about.set_stream(transcript, at.is_some_and(|at| at.rest));
            for alert in outcome.alerts {
                let verdict = report::alert_verdict(verdict, *rejected);
                about.alert(reporter, rules, *alert, drops, verdict);
            }
        }
        if let (Some(rule), Some((flow, _)), true) = (dropped_by, case.flow.as_mut(), condemned) {
            self.note_condemned(flow, rule);
        }
        if let Verdict::Drop(reason) = verdict {
            self.report_drop(case, packet, reason, dropped_by);
        }
        verdict
    }
}

/// Applies what the rules say: to the flow where it is meant for it and nothing was decided before,
/// and to the packet. Returns the rule that dropped it, if one did.
fn decide(
    case: &mut Case<'_, '_>,
    outcome: &detect::Outcome<'_>,
    drops: bool,
) -> (Verdict, Option<detect::RuleId>) {
    let reason = if outcome.rate_filtered { DropReason::ThresholdDetectionFilter } else { DropReason::Rules };
    match outcome.verdict {
        detect::Verdict::None => (Verdict::Accept, None),
        detect::Verdict::Pass { scope, .. } => {
            apply_to_flow(case, scope, FlowAction::Pass);
            (Verdict::Accept, None)
        }
        // Without the power to drop, a drop rule is an alert.
        detect::Verdict::Drop { .. } if !drops => (Verdict::Accept, None),
        detect::Verdict::Drop { scope, rule } => {
            apply_to_flow(case, scope, FlowAction::Drop(reason));
            (Verdict::Drop(reason), Some(rule))
        }
    }
}

const fn target(to: RejectTo) -> RejectTarget {
    match to {
        RejectTo::Source => RejectTarget::ToClient,
        RejectTo::Destination => RejectTarget::ToServer,
        RejectTo::Both => RejectTarget::Both,
    }
}

fn apply_to_flow(case: &mut Case<'_, '_>, scope: Scope, action: FlowAction) {
    if let (Scope::Flow, Some((flow, _))) = (scope, case.flow.as_mut()) {
        flow.set_action(action);
    }
}

/// A rule as streams remember it.
fn number(rule: detect::RuleId) -> u32 {
    u32::try_from(rule.index()).unwrap_or(u32::MAX)
}

fn flow_facts(flow: &Flow<'_>, direction: Direction, at: Option<&AtStream>, needs_age: bool) -> FlowFacts {
    let counts = [Direction::ToServer, Direction::ToClient].map(|direction| flow.counts(direction));
    let seconds = |age: Duration| u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
    let added = at.is_some_and(|at| at.seen.added);
    let begun = at.is_some_and(|at| at.summary.state >= TcpState::Established);
    let sent = |at: &AtStream| [at.summary.to_server, at.summary.to_client].map(|side| u64::from(side.sent));
    FlowFacts {
        direction,
        // What belongs to a stream that was reset still does.
        established: flow.state() == FlowState::Established || added && begun,
        first_in_direction: flow.counts(direction).packets == 1 && !at.is_some_and(|at| at.rest),
        stream_data: added,
        stream_events: at.map_or(StreamEvents::NONE, |at| at.seen.events),
        // When the flow began stands where packets have no other business.
        age: if needs_age { seconds(flow.last_seen().since(flow.start())) } else { 0 },
        packets: counts.map(|counts| counts.packets),
        bytes: counts.map(|counts| counts.bytes),
        stream_bytes: at.filter(|at| at.session.is_some()).map(sent),
    }
}
