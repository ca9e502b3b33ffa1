//! What the rules say about a packet.

use crate::ruleset::RuleId;
use crate::signature::Action;

/// How far a pass or a drop reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This packet.
    Packet,
    /// This packet and all that follow in its flow. Where the flow has a pass or drop already, that one
    /// stands: the first action on a flow wins.
    Flow,
}

/// Who is told that a packet was rejected (`rejectsrc`, `rejectdst`, `rejectboth`; `reject` is the first).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectTo {
    /// Who sent the packet.
    Source,
    /// Whom it was for.
    Destination,
    /// Both.
    Both,
}

impl RejectTo {
    /// Both of what two rules ask for.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Both }
    }
}

/// What the matching rules decide about the packet. The first pass or drop in rule order decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// No rule decides: alerts at most.
    #[default]
    None,
    /// A `pass` rule lets it through; rules of lower order were not asked.
    Pass {
        /// For how long.
        scope: Scope,
        /// The rule.
        rule: RuleId,
    },
    /// A `drop` or `reject` rule forbids it.
    Drop {
        /// For how long.
        scope: Scope,
        /// The first rule that dropped it.
        rule: RuleId,
    },
}

/// One match that is to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The rule that matched; [`RuleSet::signature`](crate::RuleSet::signature) describes it.
    pub rule: RuleId,
    /// What the rule does, or a rate filter in its place.
    pub action: Action,
    /// Is that only told, because the rule is to drop nothing
    /// ([`RuleChange::WouldDrop`](crate::RuleChange::WouldDrop))?
    pub simulated: bool,
    /// Was the match made on stream data rather than on the packet alone?
    pub stream: bool,
}

impl Alert {
    /// Does the rule itself drop? This is EVE's `alert.action`: `blocked` or `allowed`. As in Suricata it
    /// is about the rule; what became of the packet is the [`Verdict`] (EVE's `verdict.action`).
    #[must_use]
    pub const fn blocked(&self) -> bool {
        self.would_block() && !self.simulated
    }

    /// Does it, or would it if it were allowed to?
    #[must_use]
    pub const fn would_block(&self) -> bool {
        matches!(self.action, Action::Drop | Action::Reject)
    }
}

/// What a limit left unjudged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unjudged {
    /// Rules whose contents could not be searched to the end.
    pub rules: u32,
    /// Those of them where a regular expression hit its match limit; at the others, the packet's work was
    /// used up.
    pub pcre: u32,
    /// Is one of them a `drop` rule that could still have dropped this packet? The caller's policy must
    /// then decide; treating the packet as clean would lose a drop.
    pub drop: bool,
}

/// The judgement on one packet; borrows the [`Scratch`](crate::Scratch) it was made in.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Outcome<'s> {
    /// What the rules decide.
    pub verdict: Verdict,
    /// Whom the `reject` rules that matched would tell, all of them together; only where the packet is not
    /// passed.
    pub reject: Option<RejectTo>,
    /// The matches to log, in Suricata's order (action order, priority, then order of loading); at most
    /// [`LoadOptions::packet_alert_max`](crate::LoadOptions::packet_alert_max).
    pub alerts: &'s [Alert],
    /// Rules that matched on the stream, logged or not; some may be left out where there are many.
    pub on_stream: &'s [RuleId],
    /// Matches beyond that limit: not logged, but their actions count (`detect.alert_queue_overflow`).
    pub overflow: u32,
    /// Matches that are not logged (`detect.alerts_suppressed`): of `noalert` rules, suppressed, or beyond or
    /// below a threshold.
    pub suppressed: u32,
    /// Bits that matches could not set, the flow having [as many as it can](portcullis_flow::FlowBits::MOST).
    pub bits_refused: u32,
    /// Counts and bits of hosts that there was no room for (`host.refused`).
    pub host_refused: u32,
    /// Was the verdict made by a rate filter rather than by the rule's own action?
    pub rate_filtered: bool,
    /// Did a `bypass` rule match? The flow's further packets are then to pass without inspection.
    pub bypass: bool,
    /// What a limit cut off.
    pub unjudged: Unjudged,
    /// Steps of work that it took, as [`LoadOptions::packet_work_max`](crate::LoadOptions::packet_work_max)
    /// counts them.
    pub work: u32,
}
