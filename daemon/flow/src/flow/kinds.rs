//! In what terms a flow is told: directions, states, decisions, ends.

use portcullis_capture::DropReason;

/// Which way a packet of a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client, who sent the flow's first packet.
    ToServer,
    /// From the server.
    ToClient,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }

    /// The name in EVE's `direction`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToServer => "to_server",
            Self::ToClient => "to_client",
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 1,
        }
    }
}

/// The state of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FlowState {
    /// TCP: before the handshake is complete. Else: seen in one direction only.
    #[default]
    New,
    /// TCP: the handshake is complete. Else: seen in both directions.
    Established,
    /// TCP: the session is over.
    Closed,
    /// No longer inspected.
    Bypassed,
}

impl FlowState {
    /// Every state, in the order of their discriminants.
    pub const ALL: [Self; 4] = [Self::New, Self::Established, Self::Closed, Self::Bypassed];

    /// The name in EVE's `flow.state`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Established => "established",
            Self::Closed => "closed",
            Self::Bypassed => "bypassed",
        }
    }
}

/// What was decided about all further packets of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowAction {
    /// They are dropped. The reason is that of the decision; packets that only follow it are
    /// reported as [`DropReason::FlowDrop`] or its like.
    Drop(DropReason),
    /// They pass without inspection.
    Pass,
}

/// Where the packets of a bypassed flow are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// By the engine: seen and counted, not inspected.
    Local,
    /// By the capture: not seen any more.
    Capture,
}

/// Why a flow ended. Where several apply, the first in this order is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum EndReason {
    /// A new TCP session with the same ports took its place.
    TcpReuse,
    /// It was evicted to make room.
    Forced,
    /// The engine stopped.
    Shutdown,
    /// It was idle for long enough.
    Timeout,
    /// Another process goes on with it: no end to be recorded.
    HandedOver,
    /// None of these.
    Unknown,
}

impl EndReason {
    pub(super) const ALL: [Self; 6] =
        [Self::TcpReuse, Self::Forced, Self::Shutdown, Self::Timeout, Self::HandedOver, Self::Unknown];

    /// The name in EVE's `flow.reason`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TcpReuse => "tcp_reuse",
            Self::Forced => "forced",
            Self::Shutdown => "shutdown",
            Self::Timeout => "timeout",
            Self::HandedOver => "handed_over",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Packets and bytes in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Bytes, as the frames were on the wire, link header included.
    pub bytes: u64,
}
