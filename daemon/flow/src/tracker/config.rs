//! How a tracker is set up, and what it counts.

use super::extract::L4Proto;
use std::time::Duration;

/// Settings of a tracker. Make one with [`default`](Default::default) and change what must differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackerConfig {
    /// A TCP flow ends when nothing was seen of it for this long; else 300 s.
    pub idle_timeout_tcp: Duration,
    /// The same for UDP; else 60 s.
    pub idle_timeout_udp: Duration,
    /// The same for all else; else 30 s.
    pub idle_timeout_other: Duration,
    /// Most flows at a time, 1 to 2^31; else 100,000. Memory never exceeds what these need: the index
    /// and address space for all of them are taken at once, a flow's memory with the first use of its place.
    pub max_flows: usize,
    /// Flows whose memory is used at once, so that no first packet has to wait for it; else 1,024.
    pub initial_capacity: usize,
    /// How often a program should call [`sweep`](super::FlowTracker::sweep); else 1 s. The tracker has
    /// no clock and does not call it itself.
    pub sweep_interval: Duration,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            idle_timeout_tcp: Duration::from_secs(300),
            idle_timeout_udp: Duration::from_secs(60),
            idle_timeout_other: Duration::from_secs(30),
            max_flows: 100_000,
            initial_capacity: 1_024,
            sweep_interval: Duration::from_secs(1),
        }
    }
}

impl TrackerConfig {
    /// The idle timeout of a protocol.
    #[must_use]
    pub const fn idle_timeout(&self, l4: Option<L4Proto>) -> Duration {
        match l4 {
            Some(L4Proto::Tcp) => self.idle_timeout_tcp,
            Some(L4Proto::Udp) => self.idle_timeout_udp,
            _ => self.idle_timeout_other,
        }
    }

    /// `max_flows`, checked.
    pub(super) fn capacity(&self) -> Result<u32, TrackerError> {
        let given = self.max_flows;
        let in_range = u32::try_from(given).ok().filter(|flows| (1..=1 << 31).contains(flows));
        in_range.ok_or(TrackerError::MaxFlows(given))
    }
}

/// Why a tracker cannot be set up as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrackerError {
    /// `max_flows` is out of range.
    #[error("max_flows is {0}, must be 1 to {max}", max = 1u32 << 31)]
    MaxFlows(usize),
    /// The operating system refused the memory.
    #[error("no memory for max_flows: {bytes} bytes refused")]
    Memory {
        /// Bytes asked for.
        bytes: u64,
    },
}

impl TrackerError {
    pub(super) const fn memory(bytes: usize) -> Self {
        Self::Memory { bytes: bytes as u64 }
    }
}

/// What a tracker has counted since it was made. At any time the flows that were created are those that
/// are live, ended or forgotten; and a packet is in exactly one of `packets`, `packets_unmatched` and
/// `packets_refused`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackerStats {
    /// Flows begun.
    pub flows_created: u64,
    /// Flows ended, for whatever reason; each had its `Ended` event.
    pub flows_ended: u64,
    /// Of those, ended to make room, by a new flow or by a smaller `max_flows`.
    pub flows_evicted: u64,
    /// Flows dropped without an event, by [`forget`](super::FlowTracker::forget).
    pub flows_forgotten: u64,
    /// Packets that belong to a flow.
    pub packets: u64,
    /// Packets that the extractor had no key for.
    pub packets_unmatched: u64,
    /// Packets that began no flow because too many keys with the same hash are there. Only a key type that
    /// hashes badly gets here.
    pub packets_refused: u64,
}
