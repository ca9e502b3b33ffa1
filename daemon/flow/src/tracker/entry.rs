//! What is known about a live flow.

use super::conn_state::ConnState;
use super::event::FlowSide;
use super::extract::{L4Proto, Orientation};
use super::history::{History, Rules};
use super::tcp::Connection;
use portcullis_wire::Timestamp;
use std::time::Duration;

/// Counts of a flow. "Initiator" and "responder" are who sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowStats {
    /// When its first packet was seen.
    pub started: Timestamp,
    /// When its last packet was seen; packets out of order never move it back.
    pub last_seen: Timestamp,
    /// Packets of the initiator.
    pub packets_initiator: u64,
    /// Packets of the responder.
    pub packets_responder: u64,
    /// Bytes of the initiator, whole frames as on the wire.
    pub bytes_initiator: u64,
    /// Bytes of the responder, likewise.
    pub bytes_responder: u64,
    /// Bytes of the initiator after the transport header, sent again or not.
    pub payload_initiator: u64,
    /// Bytes of the responder, likewise.
    pub payload_responder: u64,
}

impl FlowStats {
    pub(super) fn count(&mut self, side: FlowSide, bytes: usize, payload: usize, ts: Timestamp) {
        let (packets, all, data) = match side {
            FlowSide::Initiator => {
                (&mut self.packets_initiator, &mut self.bytes_initiator, &mut self.payload_initiator)
            }
            FlowSide::Responder => {
                (&mut self.packets_responder, &mut self.bytes_responder, &mut self.payload_responder)
            }
        };
        *packets += 1;
        *all += bytes as u64;
        *data += payload as u64;
        self.last_seen = self.last_seen.max(ts);
    }
}

/// The state of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FlowState {
    /// Packets are seen; all that is known without TCP's handshake.
    #[default]
    Active,
    /// TCP: a SYN was sent.
    SynSent,
    /// TCP: it was answered.
    SynReceived,
    /// TCP: the handshake is complete.
    Established,
    /// TCP: one side has closed, or both and not all of it is acknowledged.
    Closing,
    /// TCP: both sides have closed. The flow ends with the packet.
    Closed,
    /// TCP: a side has reset it. The flow ends with the packet.
    Reset,
}

impl FlowState {
    /// Does the flow end with this state?
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Closed | Self::Reset)
    }
}

/// A live flow: its counts, its history, and the user's own state.
///
/// In this order what every packet reads or writes is at the beginning.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[repr(C)]
pub struct FlowEntry<S> {
    /// Counts.
    pub stats: FlowStats,
    pub(super) connection: Connection,
    pub(super) idle_timeout: Duration,
    /// The state.
    pub state: FlowState,
    /// The initiator's.
    pub(super) orientation: Orientation,
    pub(super) l4: Option<L4Proto>,
    pub(super) rules: Rules,
    /// The history; empty but for TCP and UDP.
    pub history: History,
    /// The user's state.
    pub user: S,
}

impl<S> FlowEntry<S> {
    /// The transport protocol, as the first packet's extraction told.
    #[must_use]
    pub const fn l4(&self) -> Option<L4Proto> {
        self.l4
    }

    /// How long nothing may be seen of it before it ends.
    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Zeek's summary of how it went so far.
    #[must_use]
    pub fn conn_state(&self) -> ConnState {
        match self.l4 {
            Some(L4Proto::Tcp) => {
                let [originator, responder] = self.connection.endpoint_states();
                let without_data = self.stats.payload_initiator == 0 && self.stats.payload_responder == 0;
                ConnState::of_tcp(originator, responder, without_data, self.history.as_str())
            }
            Some(L4Proto::Udp) => {
                ConnState::of_udp(self.stats.packets_initiator > 0, self.stats.packets_responder > 0)
            }
            _ => ConnState::Oth,
        }
    }

    pub(super) fn side_of(&self, orientation: Orientation) -> FlowSide {
        if orientation == self.orientation { FlowSide::Initiator } else { FlowSide::Responder }
    }

    /// Idle for exactly its timeout is over.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.stats.last_seen) >= self.idle_timeout && now >= self.stats.last_seen
    }

    /// When it will be over if nothing more is seen of it.
    pub(super) fn deadline(&self) -> Timestamp {
        self.stats.last_seen.after(self.idle_timeout)
    }
}
