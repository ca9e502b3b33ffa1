//! The packet's flow: found or made, its callbacks, and what was decided for it before.

use super::{Case, Judge, Sought, captured_length, control};
use crate::offload::OffloadAction;
use crate::policy::{self, ExceptionTarget};
use crate::report;
use portcullis_capture::{Packet, Verdict};
use portcullis_flow::{Direction, Flow, FlowAction, FlowTable, PacketAccess, Tracked, TrackedInput};
use portcullis_stream::Fate;
use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Layer, Transport};

impl Judge {
    #[inline]
    pub(super) fn tracked(
        &mut self,
        table: &mut FlowTable,
        decoded: &Decoded,
        sought: &Sought,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        let Sought { keyed, hash, guess } = sought;
        let by_fault = self.faults.is_some_and(|faults| faults.flow_memcap(packet.meta.id));
        let input = TrackedInput {
            keyed,
            hash: *hash,
            decoded,
            length: captured_length(packet),
            now: packet.meta.clock,
            ingress: packet.meta.ingress,
            may_create: !by_fault,
        };
        match table.track_guessed(&input, *guess) {
            Tracked::Known(mut flow, direction) => self.in_flow(&mut flow, direction, decoded, packet),
            Tracked::New(mut flow, direction) => self.first_in_flow(&mut flow, direction, decoded, packet),
            Tracked::Untracked if by_fault && !keyed.quoted => {
                self.refused_by_fault += 1;
                self.without_memory(decoded, packet)
            }
            Tracked::Untracked => self.apply_rules(&mut Case { decoded, flow: None }, packet),
            Tracked::Refused => self.without_memory(decoded, packet),
        }
    }

    #[inline(never)]
    fn first_in_flow(
        &mut self,
        flow: &mut Flow<'_>,
        direction: Direction,
        decoded: &Decoded,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        flow.set_rules_version(self.rules_version);
        if let Some(origin) = &self.origin {
            flow.set_parent_id(origin.carrier);
            let (source, destination) = origin.outermost();
            if (source, destination) != (&decoded.source, &decoded.destination) {
                flow.set_outer(self.owner.place(source, destination));
            }
        }
        self.callbacks.init(&mut self.context, flow, packet, decoded);
        self.counters.flow_callbacks_init += 1;
        self.in_flow(flow, direction, decoded, packet)
    }

    #[inline]
    fn in_flow(
        &mut self,
        flow: &mut Flow<'_>,
        direction: Direction,
        decoded: &Decoded,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        if decoded.inner.is_some() {
            self.carrier = flow.id();
        }
        if self.columns.keeps_macs() && decoded.layers.contains(Layer::Ethernet) {
            self.columns.note_macs(flow, direction, report::ether(packet.bytes()), &mut self.counters);
        }
        if self.callbacks.is_empty() && flow.is_undecided() {
            let mut case = Case { decoded, flow: Some((flow, direction)) };
            return match &decoded.transport {
                Transport::Tcp(tcp) => {
                    let fate = self.follow_stream(&mut case, tcp, packet, false);
                    self.in_stream(&mut case, packet, fate)
                }
                _ => self.apply_rules(&mut case, packet),
            };
        }
        self.decided(flow, direction, decoded, packet)
    }

    /// Where callbacks are to be asked, or something was decided about the flow before.
    #[inline(never)]
    fn decided(
        &mut self,
        flow: &mut Flow<'_>,
        direction: Direction,
        decoded: &Decoded,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        self.reconsider(flow);
        let bypassed = flow.bypass();
        let drops = self.settings.drops_from(packet.meta.ingress);
        let asked = if self.callbacks.is_empty() {
            None
        } else {
            let mut access = PacketAccess::new(packet, decoded, direction);
            self.callbacks.update(&mut self.context, flow, &mut access);
            access.dropped()
        };
        let mut case = Case { decoded, flow: Some((flow, direction)) };
        let action = case.flow.as_ref().and_then(|(flow, _)| flow.action());
        let asked = asked.filter(|_| drops);
        let dropped = matches!(action, Some(FlowAction::Drop(_))) && drops;
        // The session goes on, but nothing of its stream is wanted.
        let unseen = asked.is_some() || dropped || action == Some(FlowAction::Pass);
        let fate = match &decoded.transport {
            Transport::Tcp(tcp) if bypassed.is_none() => self.follow_stream(&mut case, tcp, packet, unseen),
            _ => Fate::Valid,
        };
        if let Some(reason) = asked {
            self.report_drop(&mut case, packet, reason, None);
            return Verdict::Drop(reason);
        }
        match (action, bypassed) {
            (Some(FlowAction::Drop(reason)), _) if dropped => {
                let reason = policy::follow_up(reason);
                self.report_drop(&mut case, packet, reason, None);
                self.offer(flow, direction, decoded, packet, OffloadAction::Drop);
                Verdict::Drop(reason)
            }
            (_, Some(bypass)) => {
                self.count_bypassed(bypass, packet);
                self.offer(flow, direction, decoded, packet, OffloadAction::Pass);
                Verdict::Accept
            }
            (Some(FlowAction::Pass), None) => {
                self.offer(flow, direction, decoded, packet, OffloadAction::Pass);
                Verdict::Accept
            }
            _ => self.in_stream(&mut case, packet, fate),
        }
    }

    /// There is no memory for the packet's flow: `flow.memcap-policy` decides, but not about what keeps
    /// links and addresses alive. Whatever is not decided here is up to the rules.
    fn without_memory(&mut self, decoded: &Decoded, packet: &Packet<'_>) -> Verdict {
        let mut case = Case { decoded, flow: None };
        let decided = if control::is_control(decoded) {
            None
        } else {
            self.exception(ExceptionTarget::FlowMemcap, &mut case, packet)
        };
        decided.unwrap_or_else(|| self.apply_rules(&mut case, packet))
    }
}
