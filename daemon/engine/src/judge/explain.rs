//! What is noted of drops, and told to whoever asks about a flow.

use super::{Case, Judge, captured_length};
use crate::drops::{DropNote, Explained, FlowFacts, Question};
use portcullis_capture::{DropReason, Packet};
use portcullis_detect as detect;
use portcullis_flow::{Direction, Flow, FlowKey, FlowTable, KeyScope};
use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Icmp, Tcp, Transport, Udp};

impl Judge {
    pub(super) fn note_drop(
        &mut self,
        case: &Case<'_, '_>,
        packet: &Packet<'_>,
        reason: DropReason,
        rule: Option<detect::RuleId>,
    ) {
        if !self.drops.is_kept() {
            return;
        }
        let flow = case.flow.as_ref().map(|(flow, _)| &**flow);
        let signature = rule.and_then(|rule| self.rules.set().signature(rule));
        let condemned = || self.columns.offloaded(flow?)?.condemned_by;
        let decoded = case.decoded;
        let note = DropNote {
            time: packet.meta.timestamp,
            flow: flow.map_or(0, Flow::id),
            ingress: packet.meta.ingress,
            ip_version: decoded.ip_version,
            protocol: decoded.protocol,
            source: decoded.source,
            destination: decoded.destination,
            ports: (decoded.source_port, decoded.destination_port),
            vlans: decoded.vlans,
            length: captured_length(packet),
            reason,
            rule: signature.map(|signature| (signature.gid, signature.sid)).or_else(condemned),
        };
        self.drops.note(note);
    }

    /// What is known about two ends, in a scope that keys are made with.
    pub(crate) fn explain(&self, table: &mut FlowTable, question: &Question, scope: &KeyScope) -> Explained {
        let mut drops = self.drops.latest().filter(|note| note.is_between(question.ends, question.protocol));
        let last_drop = drops.next().map(|last| (*last, 1 + drops.count() as u64));
        let key = FlowKey::of(&as_packet(question), scope);
        let flow = key.and_then(|keyed| table.by_key(&keyed.key));
        Explained { flow: flow.map(|flow| self.facts(&flow)), last_drop }
    }

    fn facts(&self, flow: &Flow<'_>) -> FlowFacts {
        let kept = self.columns.offloaded(flow).unwrap_or_default();
        FlowFacts {
            id: flow.id(),
            state: flow.state(),
            action: flow.action(),
            bypass: flow.bypass(),
            condemned_by: kept.condemned_by,
            alerted: flow.alerted(),
            start: flow.start(),
            last_seen: flow.last_seen(),
            counts: [Direction::ToServer, Direction::ToClient].map(|direction| flow.counts(direction)),
            answered: kept.counts,
        }
    }
}

/// A packet between the two ends, as far as it makes a key.
fn as_packet(question: &Question) -> Decoded {
    let [(source, source_port), (destination, destination_port)] = question.ends;
    let transport = match question.protocol {
        6 => Transport::Tcp(Tcp::default()),
        17 => Transport::Udp(Udp { length: 8 }),
        1 => Transport::Icmpv4(Icmp { kind: 8, ..Icmp::default() }),
        58 => Transport::Icmpv6(Icmp { kind: 128, ..Icmp::default() }),
        _ => Transport::None,
    };
    Decoded {
        ip_version: question.ip_version,
        protocol: question.protocol,
        source,
        destination,
        source_port,
        destination_port,
        vlans: question.vlans,
        transport,
        ..Decoded::default()
    }
}
