//! What the engine is told at start, as plain values: whoever reads files has checked them.

use crate::policy::{ExceptionPolicies, Faults};
use crate::spread::Spread;
use portcullis_capture::PortId;
use portcullis_defrag::DefragSettings;
use portcullis_flow::{FlowSettings, FlowTimeouts, TimeoutOverride};
use portcullis_stream::StreamSettings;
use portcullis_wire::DecoderConfig;
use std::sync::Arc;
use std::time::Duration;

/// Which drops leave an EVE record (Suricata's `outputs.eve-log.drop.flows`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DropRecords {
    /// The first dropped packet of each flow and direction, and every one without a flow.
    #[default]
    Start,
    /// Every dropped packet.
    All,
    /// None.
    Off,
}

/// Which records the workers make. What is off costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSettings {
    /// Alerts.
    pub alert: bool,
    /// The payload of the packet goes with an alert.
    pub alert_payload: bool,
    /// The frame goes with an alert.
    pub alert_packet: bool,
    /// Dropped packets.
    pub drop: DropRecords,
    /// Ended flows.
    pub flow: bool,
    /// Ended flows, a record a direction.
    pub netflow: bool,
    /// MAC addresses go with the records of packets and, at the cost of memory beside each flow, of flows.
    pub ethernet: bool,
    /// Which exception policies were applied to a flow goes with its record, at a similar cost.
    pub exception_policy: bool,
    /// A packet's number in its capture file goes with its records; off on live traffic, where it
    /// means nothing.
    pub pcap_cnt: bool,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self {
            alert: true,
            alert_payload: false,
            alert_packet: false,
            drop: DropRecords::Start,
            flow: true,
            netflow: false,
            ethernet: false,
            exception_policy: false,
            pcap_cnt: true,
        }
    }
}

/// What can change while packets are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSettings {
    /// `flow-timeouts`.
    pub timeouts: FlowTimeouts,
    /// Idle timeouts of some flows: of those that begin, and of others when their state changes.
    pub timeout_overrides: Vec<TimeoutOverride>,
    /// Exception policies.
    pub policies: ExceptionPolicies,
}

/// The engine's settings, the same for all of its workers.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// May packets be dropped? Otherwise a drop rule only alerts (`action: allowed`).
    pub inline: bool,
    /// The flow tables' settings; `memcap` is that of all workers together.
    pub flow: FlowSettings,
    /// The defragmenters' settings; `memcap` is that of all workers together.
    pub defrag: DefragSettings,
    /// Idle timeouts of some flows, in place of those of `flow`.
    pub timeout_overrides: Vec<TimeoutOverride>,
    /// The inline set of each port, by [`PortId`]; a port beyond the list is of set
    /// 0. With [`KeyOptions::inline_set`](portcullis_flow::KeyOptions::inline_set) (`livedev.use-for-tracking`)
    /// the same endpoints in two sets are two flows.
    pub inline_sets: Vec<u8>,
    /// Of each port, by [`PortId`]: is nothing dropped that comes in by it, and alerts
    /// tell what would have been? Not for a port beyond the list.
    pub would_drop: Vec<bool>,
    /// May the engine send packets of its own, which is how rejected ones are answered? Not where traffic is
    /// only watched: then they are reported as rejected and nobody is told.
    pub may_send: bool,
    /// What happens where a limit is met, or something that makes no sense.
    pub policies: ExceptionPolicies,
    /// Faults that are injected, for tests of the policies.
    pub faults: Faults,
    /// `detect.budget-policy`: what happens inline where a limit left a drop rule unasked.
    pub budget_policy: BudgetPolicy,
    /// `decoder.invalid-policy`: are packets that cannot be decoded dropped?
    pub drop_invalid: bool,
    /// Are frames dropped, inline, whose EtherType announces nothing that is looked into? Otherwise they
    /// pass, judged by the rules that need no IP.
    pub drop_unknown_ethertypes: bool,
    /// How frames are decoded. With checksums verified, as in Suricata, a TCP segment with a wrong one changes
    /// no session and is no stream data; rules still see the packet.
    pub decoder: DecoderConfig,
    /// TCP sessions and streams; memory is that of all workers together.
    pub stream: StreamSettings,
    /// `stream.drop-invalid`: are segments that their session cannot have dropped, where packets may be?
    pub stream_drop_invalid: bool,
    /// `stream.midstream-grace`: TCP connections that are picked up after a start, and after a time in which
    /// packets passed unjudged.
    pub midstream_grace: MidstreamGrace,
    /// Which records are made.
    pub records: RecordSettings,
    /// Are decided flows put forward for an answer before the engine
    /// ([`FlowWorker::offload_to`](crate::FlowWorker::offload_to))? That takes 64 bytes a flow, of `flow.memcap`.
    pub offload: bool,
    /// How many of a worker's last drops are kept for whoever asks; 136 bytes each.
    pub drop_notes: usize,
    /// Seed of hash and owner function: from the system's entropy, fixed in tests.
    pub seed: u64,
    /// How all ports spread packets over the workers' queues, where that is known: then it is the owner function.
    pub spread: Option<Arc<Spread>>,
}

/// `stream.midstream-grace`: for how long, and how many, TCP connections are picked up whose beginning nobody could
/// see. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MidstreamGrace {
    /// How long after the first packet, or after the end of a blind time.
    pub time: Duration,
    /// How many flows each time, over all workers.
    pub flows: u32,
}

/// What happens inline to a packet of which a limit (on work, or of a regular expression) left open whether a
/// drop rule matches. It is counted in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BudgetPolicy {
    /// It is dropped, and so are all that follow in its flow: who makes packets too dear gains nothing.
    #[default]
    DropFlow,
    /// It is dropped.
    DropPacket,
    /// It is let through.
    Ignore,
}

impl EngineSettings {
    /// May packets that came in by this port be dropped?
    pub(crate) fn drops_from(&self, ingress: PortId) -> bool {
        self.inline && !self.would_drop.get(usize::from(ingress.0)).copied().unwrap_or(false)
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            inline: false,
            flow: FlowSettings::default(),
            defrag: DefragSettings { prealloc: false, ..DefragSettings::default() },
            timeout_overrides: Vec::new(),
            inline_sets: Vec::new(),
            would_drop: Vec::new(),
            may_send: false,
            policies: ExceptionPolicies::default(),
            faults: Faults::default(),
            budget_policy: BudgetPolicy::default(),
            drop_invalid: false,
            drop_unknown_ethertypes: false,
            decoder: DecoderConfig::default(),
            stream: StreamSettings::default(),
            stream_drop_invalid: true,
            midstream_grace: MidstreamGrace::default(),
            records: RecordSettings::default(),
            offload: false,
            drop_notes: 0,
            seed: 0x5eed,
            spread: None,
        }
    }
}

/// Why a worker cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The flow table cannot be had.
    #[error(transparent)]
    Flow(#[from] portcullis_flow::SetupError),
    /// The defragmenter cannot be had.
    #[error(transparent)]
    Defrag(#[from] portcullis_defrag::SetupError),
    /// TCP streams cannot be had.
    #[error(transparent)]
    Stream(#[from] portcullis_stream::SetupError),
}
