//! What is remembered about a session.

use crate::arena::NONE;
use crate::peer::{self, Peer};
use portcullis_flow::{Direction, TcpState};
use portcullis_wire::decoded::TcpFlags;

/// It did not begin with a SYN: windows and numbers are guesses.
pub(crate) const MIDSTREAM: u16 = 1 << 0;
/// Only one direction is seen.
pub(crate) const ASYNC: u16 = 1 << 1;
/// Both sides sent a SYN (simultaneous open, or a split handshake).
pub(crate) const FOUR_WAY: u16 = 1 << 2;
/// The SYN had a fast open option and data.
pub(crate) const FAST_OPEN: u16 = 1 << 3;
/// The data of the SYN was not acknowledged by the SYN/ACK.
pub(crate) const SYN_DATA_IGNORED: u16 = 1 << 4;
/// Something that was sent after the handshake confirmed it.
pub(crate) const CONFIRMED: u16 = 1 << 5;
/// Both sides send timestamps.
pub(crate) const TIMESTAMPS: u16 = 1 << 6;
/// It was closed by a reset, and `before` says what it was.
pub(crate) const BY_RESET: u16 = 1 << 7;
/// The SYN had data.
pub(crate) const SYN_DATA: u16 = 1 << 8;

/// The marks that go with a session to another process.
pub(crate) const CARRIED: u16 = (SYN_DATA << 1) - 1;

/// Its place is taken: the arena's.
pub(crate) const LIVE: u16 = 1 << 15;

/// One session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    /// Client, server.
    pub(crate) peers: [Peer; 2],
    /// The state, and the one before a reset.
    pub(crate) state: TcpState,
    pub(crate) before: TcpState,
    /// The constants of this module.
    pub(crate) marks: u16,
    /// Other SYNs or SYN/ACKs that may yet turn out to be the right one: the first of a chain.
    pub(crate) queue: u32,
    pub(crate) queued: u8,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            peers: [Peer::default(); 2],
            state: TcpState::None,
            before: TcpState::None,
            marks: 0,
            queue: NONE,
            queued: 0,
        }
    }
}

impl Session {
    pub(crate) const fn has(&self, mark: u16) -> bool {
        self.marks & mark != 0
    }

    pub(crate) const fn set(&mut self, mark: u16, value: bool) {
        if value {
            self.marks |= mark;
        } else {
            self.marks &= !mark;
        }
    }

    /// Are windows and the numbers of the other side unknown?
    pub(crate) const fn is_loose(&self) -> bool {
        self.has(MIDSTREAM | ASYNC)
    }

    /// Sender and receiver of a segment in this direction.
    pub(crate) const fn sides(&mut self, from: Direction) -> (&mut Peer, &mut Peer) {
        let [client, server] = &mut self.peers;
        match from {
            Direction::ToServer => (client, server),
            Direction::ToClient => (server, client),
        }
    }

    pub(crate) const fn sender(&self, from: Direction) -> &Peer {
        let [client, server] = &self.peers;
        match from {
            Direction::ToServer => client,
            Direction::ToClient => server,
        }
    }

    pub(crate) fn summary(&self) -> SessionSummary {
        let side = |peer: &Peer| DirectionSummary {
            isn: peer.isn,
            flags: TcpFlags(peer.tcp_flags),
            sent: peer.next_seq.wrapping_sub(peer.isn),
            gap: peer.has(peer::GAP),
            max_regions: peer.track.islands_max(),
        };
        let [client, server] = &self.peers;
        SessionSummary { state: self.state, to_server: side(client), to_client: side(server) }
    }
}

/// What a session is at a moment, for flow and flow record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionSummary {
    /// Its state.
    pub state: TcpState,
    /// What the client sent.
    pub to_server: DirectionSummary,
    /// What the server sent.
    pub to_client: DirectionSummary,
}

/// One direction of a session, for the flow record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectionSummary {
    /// Initial sequence number.
    pub isn: u32,
    /// All TCP flags that were seen.
    pub flags: TcpFlags,
    /// How far its sequence numbers have come since then: what `stream_size` compares.
    pub sent: u32,
    /// Was something acknowledged that was never seen? EVE's `ts_gap` and `tc_gap`.
    pub gap: bool,
    /// Most stretches of payload that there were at a time: EVE's `ts_max_regions` and `tc_max_regions`.
    pub max_regions: u8,
}
