//! What a tracker reports.

use super::conn_state::ConnState;
use super::entry::{FlowState, FlowStats};
use super::extract::L4Proto;
use super::history::History;
use arrayvec::ArrayVec;
use portcullis_wire::Timestamp;

/// Most events of one packet: the end of another flow, the new one's start, two changes of state, the
/// packet, its flow's end.
pub const EVENTS_PER_PACKET: usize = 6;

/// The events of one packet, in order, without allocation.
pub type FlowEvents<K, S = ()> = ArrayVec<FlowEvent<K, S>, EVENTS_PER_PACKET>;

/// Who sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowSide {
    /// Who began the flow: Zeek's originator.
    Initiator,
    /// The other.
    Responder,
}

impl FlowSide {
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Initiator => 0,
            Self::Responder => 1,
        }
    }
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Both sides of a TCP flow closed it and acknowledged that.
    Fin,
    /// One side of a TCP flow reset it.
    Rst,
    /// Nothing was seen of it for its idle timeout.
    IdleTimeout,
    /// It made room for another, being the least recently seen.
    Evicted,
    /// The tracker was [drained](super::FlowTracker::drain).
    Drained,
}

/// What happened to a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowEvent<K, S = ()> {
    /// The first packet of a flow was seen.
    Started {
        /// The flow.
        key: K,
        /// Who sent that packet: the initiator, but for a SYN with ACK.
        side: FlowSide,
        /// When.
        ts: Timestamp,
        /// The transport protocol, where the extractor tells it.
        l4: Option<L4Proto>,
    },
    /// The three-way handshake of a TCP flow is complete.
    Established {
        /// The flow.
        key: K,
        /// When.
        ts: Timestamp,
    },
    /// Any other change of a TCP flow's state.
    StateChange {
        /// The flow.
        key: K,
        /// State before.
        from: FlowState,
        /// State now.
        to: FlowState,
        /// When.
        ts: Timestamp,
    },
    /// A packet of the flow was seen.
    Packet {
        /// The flow.
        key: K,
        /// Who sent it.
        side: FlowSide,
        /// Its length on the wire, in bytes.
        len: usize,
        /// When.
        ts: Timestamp,
    },
    /// The flow is over. No other event of it follows.
    Ended {
        /// The flow.
        key: K,
        /// Why.
        reason: EndReason,
        /// Its final counts.
        stats: FlowStats,
        /// Its history.
        history: History,
        /// Zeek's summary of how it went.
        conn_state: ConnState,
        /// The user's state of the flow.
        user: S,
    },
}

impl<K, S> FlowEvent<K, S> {
    /// The flow it is about.
    pub const fn key(&self) -> &K {
        match self {
            Self::Started { key, .. }
            | Self::Established { key, .. }
            | Self::StateChange { key, .. }
            | Self::Packet { key, .. }
            | Self::Ended { key, .. } => key,
        }
    }
}
