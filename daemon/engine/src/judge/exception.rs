//! Exception policies, carried out: what a limit that was met, or something that makes no sense, does to the
//! packet at hand and to its flow.

use super::{Case, Judge};
use crate::policy::{self, ExceptionPolicy, ExceptionTarget};
use crate::reject;
use portcullis_capture::{Packet, Verdict};
use portcullis_flow::FlowAction;
use portcullis_flow::flow::Bypass;

impl Judge {
    /// Carries out the policy for `target` on the packet, and on its flow where it has one and the policy
    /// is meant for flows. Counts it, notes it on the flow, and reports a drop. `None` where the packet goes
    /// on as if nothing had been: by `ignore`, and by a policy that drops where nothing can be dropped.
    ///
    /// As in Suricata a policy overrules no rule: an action that the flow has already stays. What a policy
    /// passes is not inspected; what a flow is dropped for is told to those who wait for it only once, by
    /// `reject` and `rejectboth`.
    pub(crate) fn exception(
        &mut self,
        target: ExceptionTarget,
        case: &mut Case<'_, '_>,
        packet: &Packet<'_>,
    ) -> Option<Verdict> {
        let wanted = self.settings.policies.of(target);
        // Without a flow there is only the packet to act on.
        let policy = if case.flow.is_some() { wanted } else { wanted.in_packet_scope() };
        if let Some((flow, _)) = case.flow.as_mut() {
            self.columns.note_policy(flow, target, policy);
        }
        if policy == ExceptionPolicy::Ignore
            || policy.drops() && !self.settings.drops_from(packet.meta.ingress)
        {
            return None;
        }
        if let Some(counter) = self.counters.exception_mut(target, policy) {
            *counter += 1;
        }
        let reason = policy::drop_reason(target);
        if let Some((flow, _)) = case.flow.as_mut() {
            match policy {
                ExceptionPolicy::DropFlow | ExceptionPolicy::Reject | ExceptionPolicy::RejectBoth => {
                    flow.set_action(FlowAction::Drop(reason));
                    flow.set_no_payload_inspection();
                }
                ExceptionPolicy::Bypass => {
                    flow.set_bypass(Bypass::Local);
                    flow.set_action(FlowAction::Pass);
                }
                ExceptionPolicy::PassFlow => {
                    flow.set_action(FlowAction::Pass);
                }
                ExceptionPolicy::Ignore | ExceptionPolicy::PassPacket | ExceptionPolicy::DropPacket => {}
            }
        }
        if !policy.drops() {
            return Some(Verdict::Accept);
        }
        self.rejected = policy.rejects().filter(|_| reject::is_answerable(case.decoded, packet));
        self.report_drop(case, packet, reason, None);
        Some(Verdict::Drop(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Columns;
    use crate::judge::Fragments;
    use crate::policy::ExceptionPolicies;
    use crate::rules::Rules;
    use crate::settings::{EngineSettings, RecordSettings};
    use portcullis_capture::{DropReason, PacketMeta};
    use portcullis_event::{RingMode, ring};
    use portcullis_flow::{Callbacks, FlowKey, FlowTable, KeyScope, Share, Storage, Tracked, TrackedInput};
    use portcullis_stream::{self as stream, Streams};
    use portcullis_wire::Decoded;
    use portcullis_wire::Timestamp;
    use portcullis_wire::builder::PacketBuilder;
    use portcullis_wire::decode::Decoder;

    /// What a policy does to a packet with a flow: the verdict, and the flow's action and bypass.
    fn carried_out(
        target: ExceptionTarget,
        policy: ExceptionPolicy,
        inline: bool,
    ) -> (Option<Verdict>, Option<FlowAction>, bool, Judge) {
        let records = RecordSettings { exception_policy: true, ..RecordSettings::default() };
        let policies = ExceptionPolicies::all(policy);
        let settings = EngineSettings { inline, policies, records, ..EngineSettings::default() };
        let (reporter, _records) = ring::rings(1 << 16, 1 << 16, RingMode::Live);
        let share = Share { worker: 0, workers: 1 };
        let mut storage = Storage::default();
        let columns = Columns::add(&mut storage, &settings.records);
        let start = Timestamp::from_secs(1);
        let mut table = FlowTable::with_storage(&settings.flow, share, 1, start, storage).unwrap();
        let streams = Streams::new(&settings.stream, stream::Share { workers: 1, seed: 1 }).unwrap();
        let fragments = Fragments::new(&settings, 1).expect("enough memory");
        let (rules, callbacks) = (Rules::default().into(), Callbacks::default());
        let mut judge =
            Judge::new(&settings, share, rules, callbacks, columns, reporter, (fragments, streams));
        let mut frame =
            PacketBuilder::ethernet([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(1, 2).to_vec();
        let mut decoded = Decoded::default();
        let decoder = Decoder::default();
        decoder.decode_into(portcullis_wire::LinkType::Ethernet, None, false, &frame, &mut decoded);
        let keyed = FlowKey::of(&decoded, &KeyScope::default()).unwrap();
        let packet = Packet::new(&mut frame, PacketMeta::default());
        let input = TrackedInput {
            hash: table.hash(&keyed.key),
            keyed: &keyed,
            decoded: &decoded,
            length: 60,
            now: Timestamp::from_secs(2),
            ingress: packet.meta.ingress,
            may_create: true,
        };
        let Tracked::New(mut flow, direction) = table.track(&input) else { panic!("no flow") };
        let mut case = Case { decoded: &decoded, flow: Some((&mut flow, direction)) };
        let verdict = judge.exception(target, &mut case, &packet);
        // The record tells it, whatever the policy.
        let told: Vec<_> = columns.policies(&flow).iter().collect();
        assert_eq!(told, [(target, policy)]);
        let (action, bypassed) = (flow.action(), flow.bypass().is_some());
        (verdict, action, bypassed, judge)
    }

    #[test]
    fn each_policy_acts_on_packet_and_flow() {
        use ExceptionPolicy as Policy;
        let target = ExceptionTarget::StreamReassemblyMemcap;
        let reason = DropReason::StreamReassembly;
        let (drop, pass) = (Some(FlowAction::Drop(reason)), Some(FlowAction::Pass));
        let dropped = Some(Verdict::Drop(reason));
        let check =
            |policy, verdict: Option<Verdict>, action: Option<FlowAction>, bypass, reject: Option<&str>| {
                let (found, acted, bypassed, mut judge) = carried_out(target, policy, true);
                assert_eq!((found, acted, bypassed), (verdict, action, bypass), "{policy:?}");
                assert_eq!(judge.rejected.map(portcullis_event::RejectTarget::name), reject, "{policy:?}");
                let counted = judge.counters.exception_mut(target, policy).map(|counter| *counter);
                assert_eq!(counted, Some(1).filter(|_| policy != Policy::Ignore), "{policy:?}");
                // Where nothing can be dropped, nothing is.
                let (found, acted, ..) = carried_out(target, policy, false);
                let kept = if policy.drops() { (None, None) } else { (verdict, action) };
                assert_eq!((found, acted), kept, "{policy:?} without the power to drop");
            };
        check(Policy::Ignore, None, None, false, None);
        check(Policy::PassPacket, Some(Verdict::Accept), None, false, None);
        check(Policy::PassFlow, Some(Verdict::Accept), pass, false, None);
        check(Policy::Bypass, Some(Verdict::Accept), pass, true, None);
        check(Policy::DropPacket, dropped, None, false, None);
        check(Policy::DropFlow, dropped, drop, false, None);
        check(Policy::Reject, dropped, drop, false, Some("to_client"));
        check(Policy::RejectBoth, dropped, drop, false, Some("both"));
    }

    #[test]
    fn each_place_drops_for_its_own_reason() {
        for target in ExceptionTarget::ALL {
            let (verdict, ..) = carried_out(*target, ExceptionPolicy::DropPacket, true);
            assert_eq!(verdict, Some(Verdict::Drop(policy::drop_reason(*target))));
        }
    }
}
