//! Verdicts and why a packet was dropped.

/// A port of an inline set, by its place in the configuration: pair *n* is ports 2*n* and 2*n*+1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u8);

impl PortId {
    /// The other port of the pair: where accepted packets leave.
    #[must_use]
    pub const fn peer(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// A worker thread, numbered from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u8);

/// What happens to a packet.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves through the ingress port's peer.
    Accept,
    /// It goes nowhere.
    Drop(DropReason),
    /// Another worker owns its flow and judges it.
    Steer(WorkerId),
}

/// Why a packet was dropped; the names are those of Suricata's `drop.reason` and of the
/// `ips.drop_reason` counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// `decode error`
    DecodeError,
    /// `defrag error`
    DefragError,
    /// `defrag memcap`
    DefragMemcap,
    /// `flow memcap`
    FlowMemcap,
    /// `flow drop`: an earlier packet condemned the flow.
    FlowDrop,
    /// `exception policy flow drop`
    ExceptionPolicyFlowDrop,
    /// `stream error`
    StreamError,
    /// `stream memcap`
    StreamMemcap,
    /// `stream midstream`
    StreamMidstream,
    /// `stream urgent`
    StreamUrgent,
    /// `stream reassembly`
    StreamReassembly,
    /// `applayer error`
    ApplayerError,
    /// `applayer memcap`
    ApplayerMemcap,
    /// `rules`
    Rules,
    /// `threshold detection_filter`
    ThresholdDetectionFilter,
    /// `tunnel packet drop`
    TunnelPacketDrop,
    /// `callback`: a lifecycle callback asked for it.
    Callback,
    /// `detect limit`: the work limit left drop rules unasked.
    DetectLimit,
    /// `no verdict`: the packet was released unjudged.
    NoVerdict,
}

impl DropReason {
    /// Every reason, in the order of their discriminants.
    pub const ALL: [Self; 19] = [
        Self::DecodeError,
        Self::DefragError,
        Self::DefragMemcap,
        Self::FlowMemcap,
        Self::FlowDrop,
        Self::ExceptionPolicyFlowDrop,
        Self::StreamError,
        Self::StreamMemcap,
        Self::StreamMidstream,
        Self::StreamUrgent,
        Self::StreamReassembly,
        Self::ApplayerError,
        Self::ApplayerMemcap,
        Self::Rules,
        Self::ThresholdDetectionFilter,
        Self::TunnelPacketDrop,
        Self::Callback,
        Self::DetectLimit,
        Self::NoVerdict,
    ];

    /// The name in EVE's `drop.reason`; with underscores it is the counter's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DecodeError => "decode error",
            Self::DefragError => "defrag error",
            Self::DefragMemcap => "defrag memcap",
            Self::FlowMemcap => "flow memcap",
            Self::FlowDrop => "flow drop",
            Self::ExceptionPolicyFlowDrop => "exception policy flow drop",
            Self::StreamError => "stream error",
            Self::StreamMemcap => "stream memcap",
            Self::StreamMidstream => "stream midstream",
            Self::StreamUrgent => "stream urgent",
            Self::StreamReassembly => "stream reassembly",
            Self::ApplayerError => "applayer error",
            Self::ApplayerMemcap => "applayer memcap",
            Self::Rules => "rules",
            Self::ThresholdDetectionFilter => "threshold detection_filter",
            Self::TunnelPacketDrop => "tunnel packet drop",
            Self::Callback => "callback",
            Self::DetectLimit => "detect limit",
            Self::NoVerdict => "no verdict",
        }
    }
}
