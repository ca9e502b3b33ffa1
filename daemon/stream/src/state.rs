//! The state machine: what a segment means for its session, and whether a session may have it.
//!
//! - `open`: from nothing to established
//! - `expected`: the next segment of an open session, without all that
//! - `data`: established and later: acknowledgements, windows, sequence numbers
//! - `close`: FINs, and the states they lead to
//! - `relearn`: numbers after a time in which nobody saw the session
//! - `reset`: resets, and what comes after one
//! - `timestamps`: protection against old segments (RFC 7323 §5)
//!
//! Payload is nothing to it but a length.

use crate::arena::{Alternative, Alternatives};
use crate::events::{StreamEvent, StreamEvents};
use crate::options::TcpOptions;
use crate::peer::{self, Peer};
use crate::segment::Segment;
use crate::seq;
use crate::session::{self, Session};
use crate::settings::StreamSettings;
use crate::stats::StreamStats;
use portcullis_flow::{Direction, TcpState};
use portcullis_wire::decoded::TcpFlags;

mod close;
mod data;
mod expected;
mod open;
mod relearn;
mod reset;
mod timestamps;

/// Its receiver will not take the segment, or should not: it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// What a valid segment brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its payload is part of the stream, where that has not seen it yet.
    pub(crate) payload: bool,
    /// What was kept of the sender's payload is void: the other side did not take it.
    pub(crate) restart: bool,
    /// The stream of the client, and of the server, begins anew at its `next_seq`: it is another connection's.
    pub(crate) anew: [bool; 2],
}

impl Step {
    const NOTHING: Self = Self { payload: false, restart: false, anew: [false; 2] };
    const PAYLOAD: Self = Self { payload: true, ..Self::NOTHING };
}

/// One segment before its session.
pub(crate) struct Machine<'a, 'p> {
    pub(crate) settings: &'a StreamSettings,
    pub(crate) session: &'a mut Session,
    pub(crate) alternatives: Alternatives<'a>,
    pub(crate) stats: &'a mut StreamStats,
    pub(crate) segment: &'a Segment<'p>,
    pub(crate) options: TcpOptions,
    pub(crate) events: StreamEvents,
}

impl Machine<'_, '_> {
    /// Takes a segment of a session that has begun.
    pub(crate) fn step(&mut self) -> Result<Step, Invalid> {
        self.remember_flags();
        self.note_oddities();
        if self.flag(TcpFlags::SYN) && self.flag(TcpFlags::FIN) {
            return self.invalid(StreamEvent::FinSyn);
        }
        if self.session.peers.iter().any(|peer| peer.has(peer::UNSURE)) {
            return self.step_after_blindness();
        }
        self.step_by_state()
    }

    fn step_by_state(&mut self) -> Result<Step, Invalid> {
        match self.session.state {
            TcpState::None => Ok(Step::NOTHING),
            TcpState::SynSent => self.syn_sent(),
            TcpState::SynRecv => self.syn_recv(),
            TcpState::Closed if self.session.has(session::BY_RESET) => self.after_reset(),
            _ => self.synchronized(),
        }
    }

    /// Begins a session with its first segment. Only for segments that [may begin one](begins).
    pub(crate) fn begin(&mut self) -> Step {
        self.remember_flags();
        self.note_oddities();
        self.open()
    }

    fn remember_flags(&mut self) {
        let flags = self.segment.tcp.flags.0;
        self.sender().tcp_flags |= flags;
    }

    fn note_oddities(&mut self) {
        if self.segment.tcp.ack != 0 && !self.flag(TcpFlags::ACK) {
            self.event(StreamEvent::BrokenAck);
        }
    }

    fn flag(&self, flag: u8) -> bool {
        self.segment.tcp.flags.has(flag)
    }

    fn event(&mut self, event: StreamEvent) {
        self.events.insert(event);
    }

    fn invalid<T>(&mut self, event: StreamEvent) -> Result<T, Invalid> {
        self.event(event);
        Err(Invalid)
    }

    fn to_server(&self) -> bool {
        self.segment.direction == Direction::ToServer
    }

    fn sender(&mut self) -> &mut Peer {
        self.session.sides(self.segment.direction).0
    }

    fn receiver(&mut self) -> &mut Peer {
        self.session.sides(self.segment.direction).1
    }

    /// After the segment's payload.
    fn payload_end(&self) -> u32 {
        self.segment.tcp.seq.wrapping_add(seq::length(self.segment.payload))
    }

    /// The window that the segment grants, scaled where both sides said so (never in a SYN).
    fn granted(&mut self) -> u32 {
        let scales = self.session.peers.iter().all(|peer| peer.has(peer::SCALES));
        let scale = if self.flag(TcpFlags::SYN) || !scales { 0 } else { self.sender().scale };
        u32::from(self.segment.tcp.window) << scale
    }

    fn enter(&mut self, state: TcpState) {
        self.session.state = state;
    }

    /// The segment as something a handshake may turn to later.
    fn as_alternative(&self) -> Alternative {
        Alternative {
            seq: self.segment.tcp.seq,
            window: u32::from(self.segment.tcp.window),
            timestamp: self.options.timestamps.map(|(value, _)| value),
            scale: self.options.window_scale,
            ..Alternative::default()
        }
    }
}

/// What a segment could begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A session, from its SYN on.
    Syn,
    /// A session of which the begin was not seen, where those are picked up.
    Midstream,
    /// Nothing: what is about to end is not worth one.
    Nothing,
}

/// What could a segment without session begin?
pub(crate) fn begins(segment: &Segment<'_>) -> Beginning {
    const KINDS: u8 = TcpFlags::SYN | TcpFlags::ACK | TcpFlags::FIN | TcpFlags::RST;
    const SYN_ACK: u8 = TcpFlags::SYN | TcpFlags::ACK;
    match segment.tcp.flags.0 & KINDS {
        TcpFlags::SYN => Beginning::Syn,
        SYN_ACK | TcpFlags::ACK => Beginning::Midstream,
        kinds if kinds & (TcpFlags::RST | TcpFlags::SYN) == 0 && !segment.payload.is_empty() => {
            Beginning::Midstream
        }
        _ => Beginning::Nothing,
    }
}
