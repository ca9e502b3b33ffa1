//! What the engine is told at start, as plain values: whoever reads files has checked them.

use portcullis_flow::{FlowSettings, TimeoutOverride};

/// What to do with a packet that could not be dealt with as usual (Suricata's exception policies,
/// of packet scope).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PacketPolicy {
    /// Go on as if nothing had happened.
    #[default]
    Ignore,
    /// Let this packet through uninspected.
    PassPacket,
    /// Drop this packet.
    DropPacket,
}

impl PacketPolicy {
    /// The policy's name, as in `exception_policy.*` counters; `None` for the one that is not counted.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Ignore => None,
            Self::PassPacket => Some("pass_packet"),
            Self::DropPacket => Some("drop_packet"),
        }
    }

    /// Does it drop the packet, where packets can be dropped?
    #[must_use]
    pub const fn drops(self) -> bool {
        matches!(self, Self::DropPacket)
    }
}

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
    /// MAC addresses go with the records of packets.
    pub ethernet: bool,
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
            pcap_cnt: true,
        }
    }
}

/// The engine's settings, the same for all of its workers.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// May packets be dropped? Otherwise a drop rule only alerts (`action: allowed`).
    pub inline: bool,
    /// The flow tables' settings; `memcap` is that of all workers together.
    pub flow: FlowSettings,
    /// Idle timeouts of some flows, in place of those of `flow`.
    pub timeout_overrides: Vec<TimeoutOverride>,
    /// `flow.memcap-policy`, resolved.
    pub flow_memcap_policy: PacketPolicy,
    /// What happens to packets that cannot be decoded.
    pub invalid_policy: PacketPolicy,
    /// Are checksums verified? As in Suricata, a TCP segment with a wrong one changes no session and is no
    /// stream data; rules still see the packet.
    pub validate_checksums: bool,
    /// Which records are made.
    pub records: RecordSettings,
    /// Seed of hash and owner function: from the system's entropy, fixed in tests.
    pub seed: u64,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            inline: false,
            flow: FlowSettings::default(),
            timeout_overrides: Vec::new(),
            flow_memcap_policy: PacketPolicy::Ignore,
            invalid_policy: PacketPolicy::Ignore,
            validate_checksums: true,
            records: RecordSettings::default(),
            seed: 0x5eed,
        }
    }
}
