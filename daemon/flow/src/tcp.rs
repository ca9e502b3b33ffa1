//! The TCP state of a flow, as far as flags and sequence numbers of both directions tell it:
//! handshake, teardown, reset. No windows, no segments: those are the stream engine's. A reset counts
//! only where its receiver must believe it: else one bad segment would end the session for us and
//! not for its ends.
//!
//! It is for those who use the table without such an engine. With one, that says what the session is, and
//! only whether a packet begins a new one is answered here.

use crate::flow::{Direction, FlowState};
use portcullis_wire::decoded::{Tcp, TcpFlags};

/// The state of a TCP session, by Suricata's names and in its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// No session.
    #[default]
    None,
    /// A SYN was sent.
    SynSent,
    /// It was answered.
    SynRecv,
    /// The handshake is complete.
    Established,
    /// The server sent its FIN first.
    FinWait1,
    /// And the client acknowledged it.
    FinWait2,
    /// And the client sent its FIN too.
    TimeWait,
    /// The client sent its FIN first, and the server its own.
    LastAck,
    /// The client sent its FIN first.
    CloseWait,
    /// The server sent its FIN first, and the client its own before acknowledging.
    Closing,
    /// Both FINs are acknowledged, or the session was reset.
    Closed,
}

impl TcpState {
    /// Every state, in the order of their discriminants.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::SynSent,
        Self::SynRecv,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::LastAck,
        Self::CloseWait,
        Self::Closing,
        Self::Closed,
    ];

    /// The name in EVE's `tcp.state` and in the `flow.end.tcp_state` counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SynSent => "syn_sent",
            Self::SynRecv => "syn_recv",
            Self::Established => "established",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::TimeWait => "time_wait",
            Self::LastAck => "last_ack",
            Self::CloseWait => "close_wait",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }

    /// What the state of the session makes of the flow's.
    #[must_use]
    pub const fn flow_state(self) -> FlowState {
        match self {
            Self::None | Self::SynSent | Self::SynRecv => FlowState::New,
            Self::Established | Self::FinWait1 | Self::FinWait2 | Self::Closing | Self::CloseWait => {
                FlowState::Established
            }
            Self::LastAck | Self::TimeWait | Self::Closed => FlowState::Closed,
        }
    }
}

/// What a flow record tells about TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpSummary {
    /// Is there a session? Without one (a flow that did not begin with a SYN, and no midstream
    /// pickup) there is no state and no flag was recorded, as in Suricata.
    pub session: bool,
    /// The session's state.
    pub state: TcpState,
    /// Flags seen to the server, ORed.
    pub flags_ts: TcpFlags,
    /// Flags seen to the client, ORed.
    pub flags_tc: TcpFlags,
}

impl TcpSummary {
    /// Flags seen in either direction: EVE's `tcp.tcp_flags`.
    #[must_use]
    pub const fn flags(&self) -> TcpFlags {
        TcpFlags(self.flags_ts.0 | self.flags_tc.0)
    }
}

const PRESENT: u8 = 0x01;
/// A FIN was seen from the client; shifted by one, from the server.
const FIN_SEEN: u8 = 0x02;
/// The client's FIN was acknowledged; shifted by one, the server's.
const FIN_ACKED: u8 = 0x08;

/// A session. Pairs are by sender: client, server.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Session {
    /// Initial sequence numbers.
    isn: [u32; 2],
    /// Next sequence numbers, after all that was seen of each; after a FIN they stay.
    next: [u32; 2],
    /// Last acknowledgement numbers.
    ack: [u32; 2],
    state: TcpState,
    bits: u8,
    flags: [u8; 2],
}

impl Session {
    pub(crate) const fn summary(&self) -> TcpSummary {
        TcpSummary {
            session: self.bits & PRESENT != 0,
            state: self.state,
            flags_ts: TcpFlags(self.flags[0]),
            flags_tc: TcpFlags(self.flags[1]),
        }
    }

    pub(crate) const fn state(&self) -> TcpState {
        self.state
    }

    pub(crate) const fn isns(&self) -> [u32; 2] {
        self.isn
    }

    /// Takes over what somebody else found.
    pub(crate) const fn set(&mut self, tcp: TcpSummary, isn: [u32; 2]) {
        self.isn = isn;
        self.state = tcp.state;
        self.bits = if tcp.session { PRESENT } else { 0 };
        self.flags = [tcp.flags_ts.0, tcp.flags_tc.0];
    }

    /// Whose packet begins a flow: the sender's, unless it is a SYN/ACK that may be picked up
    /// midstream and so was sent by the server.
    pub(crate) fn first_direction(tcp: &Tcp, midstream: bool) -> Direction {
        if midstream && is_syn_ack(tcp) { Direction::ToClient } else { Direction::ToServer }
    }

    /// Does this packet begin a new session in place of this one? Suricata's rule: a SYN (midstream:
    /// also a SYN/ACK) with another initial sequence number, when this session is about to be over or
    /// there is none. `unseen`: its end may have passed while nobody looked.
    pub(crate) fn is_replaced_by(&self, tcp: &Tcp, midstream: bool, unseen: bool) -> bool {
        let sender = match (is_syn(tcp), midstream && is_syn_ack(tcp)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => return false,
        };
        if self.bits & PRESENT == 0 {
            return true;
        }
        let over = unseen || self.state == TcpState::None || self.state >= TcpState::LastAck;
        over && self.isn[sender] != tcp.seq
    }

    /// Takes in a packet with `payload` bytes of data.
    pub(crate) fn observe(&mut self, direction: Direction, tcp: &Tcp, payload: usize, midstream: bool) {
        if self.bits & PRESENT == 0 && !self.begin(direction, tcp, midstream) {
            return;
        }
        let from = direction.index();
        self.flags[from] |= tcp.flags.0;
        if tcp.flags.has(TcpFlags::RST) {
            if self.is_reset_by(direction, tcp) {
                self.state = TcpState::Closed;
            }
            return;
        }
        match self.state {
            TcpState::SynSent => self.answer(direction, tcp),
            TcpState::SynRecv => self.complete(direction, tcp),
            TcpState::None | TcpState::Closed => return,
            _ => {}
        }
        self.advance(from, tcp, payload);
        if self.state >= TcpState::Established {
            self.tear_down();
        }
    }

    /// Begins a session with its first packet, where that may begin one.
    fn begin(&mut self, direction: Direction, tcp: &Tcp, midstream: bool) -> bool {
        let from = direction.index();
        let mut isn = tcp.seq;
        self.state = if is_syn(tcp) {
            TcpState::SynSent
        } else if !midstream || tcp.flags.has(TcpFlags::RST) {
            return false;
        } else if is_syn_ack(tcp) {
            self.expect(1 - from, tcp.ack.wrapping_sub(1));
            TcpState::SynRecv
        } else if tcp.flags.has(TcpFlags::ACK) {
            self.expect(1 - from, tcp.ack.wrapping_sub(1));
            isn = isn.wrapping_sub(1);
            TcpState::Established
        } else {
            return false;
        };
        self.expect(from, isn);
        self.bits |= PRESENT;
        true
    }

    /// The initial sequence number of one side.
    fn expect(&mut self, side: usize, isn: u32) {
        self.isn[side] = isn;
        self.next[side] = isn.wrapping_add(1);
        self.ack[1 - side] = self.next[side];
    }

    /// Must the receiver believe this reset? One that refuses a SYN must acknowledge it (RFC 9293
    /// §3.10.7.3); any other must be exactly where its receiver is (RFC 5961 §3.2): after all that
    /// its sender sent, or at what the receiver acknowledged, where something was lost between.
    fn is_reset_by(&self, direction: Direction, tcp: &Tcp) -> bool {
        let from = direction.index();
        if self.state == TcpState::SynSent && direction == Direction::ToClient {
            return tcp.flags.has(TcpFlags::ACK) && self.acknowledges_all_sent(tcp);
        }
        tcp.seq == self.next[from] || tcp.seq == self.ack[1 - from]
    }

    /// While only a SYN was sent, perhaps with data (RFC 7413): does this acknowledge the SYN, and no
    /// more than was sent?
    fn acknowledges_all_sent(&self, tcp: &Tcp) -> bool {
        reaches(tcp.ack, self.isn[0].wrapping_add(1)) && reaches(self.next[0], tcp.ack)
    }

    /// Takes in how far the sender has come, and how far it says the other has.
    fn advance(&mut self, from: usize, tcp: &Tcp, payload: usize) {
        let acked = 1 - from;
        if tcp.flags.has(TcpFlags::ACK) && reaches(tcp.ack, self.ack[from]) {
            self.ack[from] = tcp.ack;
            if self.bits & (FIN_SEEN << acked) != 0 && reaches(tcp.ack, self.next[acked]) {
                self.bits |= FIN_ACKED << acked;
            }
        }
        let strange = tcp.flags.has(TcpFlags::SYN) && tcp.seq != self.isn[from];
        if strange || self.bits & (FIN_SEEN << from) != 0 {
            return;
        }
        let fin = tcp.flags.has(TcpFlags::FIN) && self.state >= TcpState::Established;
        let controls = u32::from(tcp.flags.has(TcpFlags::SYN)) + u32::from(fin);
        let length = u32::try_from(payload).unwrap_or(u32::MAX);
        let next = tcp.seq.wrapping_add(length).wrapping_add(controls);
        if fin {
            self.bits |= FIN_SEEN << from;
        }
        if fin || reaches(next, self.next[from]) {
            self.next[from] = next;
        }
    }

    /// SYN sent: waits for the SYN/ACK, or the other side's SYN (simultaneous open).
    fn answer(&mut self, direction: Direction, tcp: &Tcp) {
        match direction {
            Direction::ToServer if is_syn(tcp) => self.expect(0, tcp.seq),
            Direction::ToClient if is_syn(tcp) || is_syn_ack(tcp) && self.acknowledges_all_sent(tcp) => {
                self.expect(1, tcp.seq);
                self.state = TcpState::SynRecv;
            }
            _ => {}
        }
    }

    /// SYN received: waits for the client to acknowledge the server's SYN. Where that
    /// acknowledgement was lost before us, the server's of data that we did not see shows it too.
    fn complete(&mut self, direction: Direction, tcp: &Tcp) {
        if !tcp.flags.has(TcpFlags::ACK) {
            return;
        }
        let done = match direction {
            Direction::ToServer => reaches(tcp.ack, self.isn[1].wrapping_add(1)),
            Direction::ToClient => {
                !tcp.flags.has(TcpFlags::SYN) && reaches(tcp.ack, self.isn[0].wrapping_add(2))
            }
        };
        if done {
            self.state = TcpState::Established;
        }
    }

    /// Established and later: where the FINs and their acknowledgements have brought the session.
    fn tear_down(&mut self) {
        let has = |bits: u8, bit: u8, side: usize| bits & (bit << side) != 0;
        let [client, server] = [0, 1].map(|side| has(self.bits, FIN_SEEN, side));
        let [client_acked, server_acked] = [0, 1].map(|side| has(self.bits, FIN_ACKED, side));
        let client_first = match self.state {
            TcpState::Established => client && !server,
            state => matches!(state, TcpState::CloseWait | TcpState::LastAck),
        };
        self.state = match (client, server) {
            (false, false) => self.state,
            (true, true) if client_acked && server_acked => TcpState::Closed,
            (true, false) => TcpState::CloseWait,
            (false, true) if server_acked => TcpState::FinWait2,
            (false, true) => TcpState::FinWait1,
            (true, true) if client_first && server_acked => TcpState::Closed,
            (true, true) if client_first => TcpState::LastAck,
            (true, true) if server_acked => TcpState::TimeWait,
            (true, true) => TcpState::Closing,
        };
    }
}

/// Does it ask for a session?
pub(crate) fn is_syn(tcp: &Tcp) -> bool {
    tcp.flags.0 & (TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN) == TcpFlags::SYN
}

fn is_syn_ack(tcp: &Tcp) -> bool {
    let mask = TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN;
    tcp.flags.0 & mask == TcpFlags::SYN | TcpFlags::ACK
}

/// Is sequence number `number` at `mark` or after it, in the circle of sequence numbers?
const fn reaches(number: u32, mark: u32) -> bool {
    number.wrapping_sub(mark) < 1 << 31
}

#[cfg(test)]
mod tests;
