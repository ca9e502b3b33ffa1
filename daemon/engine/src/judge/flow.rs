//! The packet's flow: found or made, its callbacks, and what was decided for it before.

use super::{Case, Judge, captured_length};
use crate::settings::PacketPolicy;
use portcullis_capture::{DropReason, Packet, Verdict};
use portcullis_flow::{
    Direction, Flow, FlowAction, FlowHash, FlowTable, Keyed, PacketAccess, Tracked, TrackedInput,
};
use portcullis_wire::Decoded;

impl Judge {
    pub(super) fn tracked(
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
        let mut access = PacketAccess::new(packet, decoded, direction);
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
}
