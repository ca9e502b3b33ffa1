//! Exception policies: what happens to a packet or flow when the engine meets a limit or something it
//! cannot make sense of. Owns what was decided at start for each place where one applies, and the faults
//! that tests inject; carrying them out is `judge`'s. Which policy a place can have, and what it is
//! where none was set, is decided by whoever reads the configuration: here nothing is refused.

use portcullis_capture::DropReason;

pub use portcullis_event::{ExceptionPolicy, ExceptionTarget};

/// The policy of each place, resolved: no `auto`, nothing inherited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionPolicies {
    /// `flow.memcap-policy`: there is no memory for a packet's flow. Acts on packets.
    pub flow_memcap: ExceptionPolicy,
    /// `defrag.memcap-policy`: there is no memory for a fragment. Acts on packets.
    pub defrag_memcap: ExceptionPolicy,
    /// `stream.memcap-policy`: there is no memory for a TCP session.
    pub stream_memcap: ExceptionPolicy,
    /// `stream.reassembly.memcap-policy`: there is no memory for a segment.
    pub stream_reassembly_memcap: ExceptionPolicy,
    /// `stream.midstream-policy`: a TCP session's beginning was not seen. Acts on flows.
    pub stream_midstream: ExceptionPolicy,
    /// `app-layer.error-policy`: an application parser cannot go on.
    pub app_layer_error: ExceptionPolicy,
}

impl Default for ExceptionPolicies {
    /// Everything is ignored, as where nothing can be dropped.
    fn default() -> Self {
        Self::all(ExceptionPolicy::Ignore)
    }
}

impl ExceptionPolicies {
    /// The same policy everywhere.
    #[must_use]
    pub const fn all(policy: ExceptionPolicy) -> Self {
        Self {
            flow_memcap: policy,
            defrag_memcap: policy,
            stream_memcap: policy,
            stream_reassembly_memcap: policy,
            stream_midstream: policy,
            app_layer_error: policy,
        }
    }

    /// The policy for `target`.
    #[must_use]
    pub const fn of(&self, target: ExceptionTarget) -> ExceptionPolicy {
        match target {
            ExceptionTarget::FlowMemcap => self.flow_memcap,
            ExceptionTarget::DefragMemcap => self.defrag_memcap,
            ExceptionTarget::StreamMemcap => self.stream_memcap,
            ExceptionTarget::StreamReassemblyMemcap => self.stream_reassembly_memcap,
            ExceptionTarget::StreamMidstream => self.stream_midstream,
            ExceptionTarget::AppLayerError => self.app_layer_error,
        }
    }
}

/// Why a packet is dropped by the policy for `target`: EVE's `drop.reason`.
#[must_use]
pub const fn drop_reason(target: ExceptionTarget) -> DropReason {
    match target {
        ExceptionTarget::FlowMemcap => DropReason::FlowMemcap,
        ExceptionTarget::DefragMemcap => DropReason::DefragMemcap,
        ExceptionTarget::StreamMemcap => DropReason::StreamMemcap,
        ExceptionTarget::StreamReassemblyMemcap => DropReason::StreamReassembly,
        ExceptionTarget::StreamMidstream => DropReason::StreamMidstream,
        ExceptionTarget::AppLayerError => DropReason::ApplayerError,
    }
}

/// Why the packets after it are dropped, where a flow is dropped for `reason`: those that only follow a
/// policy's decision are told from those that follow a rule's.
#[must_use]
pub const fn follow_up(reason: DropReason) -> DropReason {
    match reason {
        DropReason::FlowMemcap
        | DropReason::DefragMemcap
        | DropReason::StreamMemcap
        | DropReason::StreamReassembly
        | DropReason::StreamMidstream
        | DropReason::ApplayerError => DropReason::ExceptionPolicyFlowDrop,
        _ => DropReason::FlowDrop,
    }
}

/// Faults that are injected so that policies can be tried without the load that makes them act: the
/// `--simulate-…` options of `replay`. Packets are named by their number in the capture file, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// `--simulate-packet-flow-memcap`: if this packet needs a new flow, there is no memory for it.
    pub flow_memcap: Option<u64>,
    /// `--simulate-packet-defrag-memcap`: if this packet is a fragment, there is no memory for it.
    pub defrag_memcap: Option<u64>,
    /// `--simulate-packet-tcp-ssn-memcap`: if this packet begins a TCP session, there is no memory for it.
    pub tcp_ssn_memcap: Option<u64>,
    /// `--simulate-packet-tcp-reassembly-memcap`: there is no memory for the payload of this packet.
    pub tcp_reassembly_memcap: Option<u64>,
    /// `--simulate-packet-loss`: this packet goes by unseen.
    pub packet_loss: Option<u64>,
}

impl Faults {
    /// Is there to be no memory for a flow that this packet begins?
    #[must_use]
    pub fn flow_memcap(&self, packet: u64) -> bool {
        self.flow_memcap == Some(packet)
    }

    /// Is there to be no memory for this packet, a fragment?
    #[must_use]
    pub fn defrag_memcap(&self, packet: u64) -> bool {
        self.defrag_memcap == Some(packet)
    }

    /// What is to be missing where this packet is a TCP segment.
    #[must_use]
    pub fn of_segment(&self, packet: u64) -> portcullis_stream::Faults {
        portcullis_stream::Faults {
            session: self.tcp_ssn_memcap == Some(packet),
            payload: self.tcp_reassembly_memcap == Some(packet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_own_policy_and_reason() {
        let policies = ExceptionPolicies {
            flow_memcap: ExceptionPolicy::DropPacket,
            defrag_memcap: ExceptionPolicy::PassPacket,
            stream_memcap: ExceptionPolicy::Reject,
            stream_reassembly_memcap: ExceptionPolicy::Bypass,
            stream_midstream: ExceptionPolicy::PassFlow,
            app_layer_error: ExceptionPolicy::RejectBoth,
        };
        let check = |target, policy, reason| {
            assert_eq!((policies.of(target), drop_reason(target)), (policy, reason));
            assert_eq!(follow_up(reason), DropReason::ExceptionPolicyFlowDrop);
        };
        use ExceptionPolicy::{Bypass, DropPacket, PassFlow, PassPacket, Reject, RejectBoth};
        use ExceptionTarget as Target;
        check(Target::FlowMemcap, DropPacket, DropReason::FlowMemcap);
        check(Target::DefragMemcap, PassPacket, DropReason::DefragMemcap);
        check(Target::StreamMemcap, Reject, DropReason::StreamMemcap);
        check(Target::StreamReassemblyMemcap, Bypass, DropReason::StreamReassembly);
        check(Target::StreamMidstream, PassFlow, DropReason::StreamMidstream);
        check(Target::AppLayerError, RejectBoth, DropReason::ApplayerError);
        assert_eq!(follow_up(DropReason::Rules), DropReason::FlowDrop);
    }
}
