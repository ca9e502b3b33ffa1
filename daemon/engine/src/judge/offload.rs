//! Which decided flows are put forward for an answer before the engine, and what came of it.

use super::{Judge, captured_length};
use crate::columns::Offloaded;
use crate::offload::{Answered, Offer, OffloadAction, OffloadLink, OffloadRequest};
use portcullis_capture::Packet;
use portcullis_detect as detect;
use portcullis_flow::flow::Bypass;
use portcullis_flow::key::protocol;
use portcullis_flow::{Counts, Direction, Flow, FlowAction, FlowTable};
use portcullis_wire::decoded::{TcpFlags, Transport};
use portcullis_wire::{Decoded, Timestamp};

/// A flow that still sends packets here is put forward again after so many seconds: there was no room, or its time
/// there was over.
const AGAIN: u32 = 1;

impl Judge {
    /// Has decided flows put forward from now on.
    pub(crate) fn set_offload(&mut self, link: OffloadLink) {
        self.offload = Some(link);
    }

    /// Puts this direction of a decided flow forward, if packets like this one can be answered elsewhere. A flow that
    /// is let through is bypassed from then on: whoever answers its packets does not follow its session.
    ///
    /// Where lifecycle callbacks are registered they go on seeing every packet, so nothing is put forward.
    pub(super) fn offer(
        &mut self,
        flow: &mut Flow<'_>,
        direction: Direction,
        decoded: &Decoded,
        packet: &Packet<'_>,
        action: OffloadAction,
    ) {
        let Some(link) = self.offload.as_mut() else { return };
        if self.origin.is_some() || !self.callbacks.is_empty() {
            return;
        }
        let Some(ports) = answerable(decoded) else { return };
        let now = u32::try_from(packet.meta.clock.as_secs()).unwrap_or(u32::MAX);
        let Some(offloaded) = self.columns.offloaded_mut(flow) else { return };
        let last = &mut offloaded.offered[place(direction)];
        if *last != 0 && now.saturating_sub(*last) < AGAIN {
            return;
        }
        *last = now;
        let offer = Offer {
            flow: flow.id(),
            key: *flow.key(),
            direction,
            action,
            generation: self.rules.generation(),
            ingress: packet.meta.ingress,
            source: decoded.source,
            destination: decoded.destination,
            ports,
            vlans: decoded.vlans,
            ip_version: decoded.ip_version,
            protocol: decoded.protocol,
        };
        self.counters.verdict_cache_offered += 1;
        if link.requests.push(OffloadRequest::Put(offer)).is_err() {
            self.counters.verdict_cache_refused += 1;
        } else if action == OffloadAction::Pass {
            flow.set_bypass(Bypass::Capture);
        }
    }

    /// Counts a packet of a bypassed flow that came here all the same.
    pub(super) fn count_bypassed(&mut self, bypass: Bypass, packet: &Packet<'_>) {
        let counters = &mut self.counters;
        let (packets, bytes) = match bypass {
            Bypass::Local => {
                (&mut counters.flow_bypassed_local_pkts, &mut counters.flow_bypassed_local_bytes)
            }
            Bypass::Capture => (
                &mut counters.flow_bypassed_local_capture_pkts,
                &mut counters.flow_bypassed_local_capture_bytes,
            ),
        };
        *packets += 1;
        *bytes += u64::from(captured_length(packet));
    }

    /// Takes in what was answered elsewhere, at most `most` counts of it, so that flows live on and have what was
    /// theirs.
    pub(crate) fn take_answered(&mut self, table: &mut FlowTable, now: Timestamp, most: usize) {
        for _ in 0..most {
            let Some(answered) = self.offload.as_mut().and_then(|link| link.answered.pop().ok()) else {
                return;
            };
            self.counters.flow_bypassed_pkts += answered.packets;
            self.counters.flow_bypassed_bytes += answered.bytes;
            let Answered { flow: id, key, direction, packets, bytes } = answered;
            let Some(mut flow) = table.by_key(&key).filter(|flow| flow.id() == id) else { continue };
            let counts = Counts { packets, bytes };
            flow.take_in_counts(direction, counts, now);
            if let Some(offloaded) = self.columns.offloaded_mut(&mut flow) {
                let sum = &mut offloaded.counts[place(direction)];
                sum.packets += packets;
                sum.bytes += bytes;
            }
        }
    }

    /// Takes the offers of a flow back that has ended, here or, unless `is_over`, on its way elsewhere.
    pub(super) fn withdraw(&mut self, flow: &Flow<'_>, is_over: bool) {
        let Some(link) = self.offload.as_mut() else { return };
        let offloaded = self.columns.offloaded(flow);
        if offloaded.is_some_and(|offloaded| offloaded.offered != [0; 2]) {
            self.counters.flow_bypassed_closed += u64::from(is_over);
            // Without room it holds until its time is over, which is soon.
            let _ = link.requests.push(OffloadRequest::Withdraw(flow.id()));
        }
    }

    /// Keeps which rule condemned a flow.
    pub(super) fn note_condemned(&mut self, flow: &mut Flow<'_>, rule: detect::RuleId) {
        let Some(signature) = self.rules.set().signature(rule) else { return };
        // One that drops by a rate filter only is not known by its action.
        if !matches!(signature.action, detect::Action::Drop | detect::Action::Reject) {
            return;
        }
        let ids = (signature.gid, signature.sid);
        let version = self.rules_version;
        if let Some(offloaded) = self.columns.offloaded_mut(flow)
            && offloaded.condemned_by.is_none()
        {
            offloaded.condemned_by = Some(ids);
            offloaded.rules_version = version;
        }
    }

    /// Lets a flow off that was condemned by a rule that is no more, or no longer drops: from here on it is judged by
    /// the rules that there are.
    pub(super) fn reconsider(&mut self, flow: &mut Flow<'_>) {
        if !matches!(flow.action(), Some(FlowAction::Drop(_))) {
            return;
        }
        let version = self.rules_version;
        let Some(offloaded) = self.columns.offloaded(flow) else { return };
        let Offloaded { condemned_by: Some(ids), .. } = offloaded else { return };
        if offloaded.rules_version == version {
            return;
        }
        let still = self.rules.drops(ids);
        if let Some(kept) = self.columns.offloaded_mut(flow) {
            kept.rules_version = version;
            if !still {
                kept.condemned_by = None;
                kept.offered = [0; 2];
            }
        }
        if !still {
            flow.clear_action();
        }
    }
}

/// The ports of a packet that may stand for all of its direction. SYN, FIN, RST and whatever is not plain is judged one by
/// one.
fn answerable(decoded: &Decoded) -> Option<(u16, u16)> {
    if decoded.inner.is_some() || decoded.fragment.is_some() || !decoded.ip_options.is_empty() {
        return None;
    }
    match (decoded.protocol, &decoded.transport) {
        (protocol::TCP, Transport::Tcp(tcp)) => {
            let ends = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
            (tcp.flags.0 & ends == 0).then_some((decoded.source_port, decoded.destination_port))
        }
        (protocol::UDP, Transport::Udp(_)) => Some((decoded.source_port, decoded.destination_port)),
        (protocol::ICMP, Transport::Icmpv4(icmp)) if matches!(icmp.kind, 0 | 8) => {
            Some((icmp.kind.into(), icmp.code.into()))
        }
        (protocol::ICMPV6, Transport::Icmpv6(icmp)) if matches!(icmp.kind, 128 | 129) => {
            Some((icmp.kind.into(), icmp.code.into()))
        }
        _ => None,
    }
}

/// The place of a direction in pairs.
const fn place(direction: Direction) -> usize {
    match direction {
        Direction::ToServer => 0,
        Direction::ToClient => 1,
    }
}
