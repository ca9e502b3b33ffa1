//! A TCP connection as an onlooker sees it: each end's state by Zeek's names, and the state of the flow.
//! Believes what it sees, a reset too: unlike the engine's own session it decides nothing. Owns what both
//! need; tells the history what it notices.

use super::entry::FlowState;
use super::event::FlowSide;
use super::history::{Counted, History, Rules};
use portcullis_wire::decoded::{Tcp, TcpFlags};

/// The state of one end of a connection, by Zeek's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EndpointState {
    /// It has sent nothing that counts.
    #[default]
    Inactive,
    /// It has sent a SYN.
    SynSent,
    /// It has sent a SYN with ACK as the originator.
    SynAckSent,
    /// It has sent data or acknowledgements of a connection whose beginning was not seen.
    Partial,
    /// Both ends have sent their SYN.
    Established,
    /// It has sent a FIN.
    Closed,
    /// It has sent a reset.
    Reset,
}

impl EndpointState {
    /// What Zeek's `conn_state` takes as "was not there": inactive or partial.
    #[must_use]
    pub const fn is_inactive(self) -> bool {
        matches!(self, Self::Inactive | Self::Partial)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Endpoint {
    /// One past the last byte of sequence space seen of it or acknowledged to it, once `placed`.
    next: u32,
    /// The same for its FIN, once `fin`.
    fin_end: u32,
    state: EndpointState,
    placed: bool,
    fin: bool,
    fin_acked: bool,
}

/// Both ends: initiator, responder.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    ends: [Endpoint; 2],
}

/// The flow's states that one segment leads through, at most two.
pub(super) type Steps = [Option<FlowState>; 2];

impl Connection {
    pub(super) const fn endpoint_states(&self) -> [EndpointState; 2] {
        [self.ends[0].state, self.ends[1].state]
    }

    /// Takes in a segment with `payload` bytes of data.
    pub(super) fn observe(
        &mut self,
        side: FlowSide,
        tcp: &Tcp,
        payload: u32,
        flow: FlowState,
        rules: &mut Rules,
        history: &mut History,
    ) -> Steps {
        rules.segment(history, side, tcp, payload);
        if tcp.window == 0 && self.is_window_of_interest(side, tcp) {
            rules.count(history, side, Counted::ZeroWindow);
        }
        if self.acknowledge(side, tcp) {
            rules.count(history, other(side), Counted::Gap);
        }
        if self.advance(side, tcp, payload) {
            rules.count(history, side, Counted::Retransmission);
        }
        self.update_endpoint(side, tcp, payload);
        self.update_flow(side, tcp, flow)
    }

    /// A zero window says nothing on a reset, after one, or to who has closed.
    fn is_window_of_interest(&self, side: FlowSide, tcp: &Tcp) -> bool {
        !tcp.flags.has(TcpFlags::RST)
            && self.ends[side.index()].state != EndpointState::Reset
            && self.ends[other(side).index()].state != EndpointState::Closed
    }

    /// Takes in what the segment acknowledges; tells whether that shows a gap: bytes that the other end
    /// must have sent and that were not seen. Only of a connection whose beginning was seen, and not at its
    /// end, as in Zeek.
    fn acknowledge(&mut self, side: FlowSide, tcp: &Tcp) -> bool {
        if !tcp.flags.has(TcpFlags::ACK) || tcp.flags.has(TcpFlags::RST) {
            return false;
        }
        let whole = self.ends.iter().all(|end| end.state == EndpointState::Established);
        let end = &mut self.ends[other(side).index()];
        if !end.placed {
            (end.next, end.placed) = (tcp.ack, true);
            return false;
        }
        end.fin_acked |= end.fin && reaches(tcp.ack, end.fin_end);
        let beyond = tcp.ack != end.next && reaches(tcp.ack, end.next);
        let gap = beyond && whole && !tcp.flags.has(TcpFlags::FIN);
        if gap {
            end.next = tcp.ack;
        }
        gap
    }

    /// Takes in how far the segment reaches; tells whether its data was sent before.
    fn advance(&mut self, side: FlowSide, tcp: &Tcp, payload: u32) -> bool {
        let [syn, fin, rst] = [TcpFlags::SYN, TcpFlags::FIN, TcpFlags::RST].map(|bit| tcp.flags.has(bit));
        let end = &mut self.ends[side.index()];
        if rst {
            return false;
        }
        let length = payload.wrapping_add(u32::from(syn)).wrapping_add(u32::from(fin));
        let past = tcp.seq.wrapping_add(length);
        if fin && !end.fin {
            (end.fin_end, end.fin) = (past, true);
        }
        if syn || !end.placed || past != end.next && reaches(past, end.next) {
            (end.next, end.placed) = (past, true);
            return false;
        }
        payload > 0
    }

    /// Zeek's state machine of one end.
    fn update_endpoint(&mut self, side: FlowSide, tcp: &Tcp, payload: u32) {
        use EndpointState::{Closed, Established, Inactive, Partial, Reset, SynAckSent, SynSent};
        let [syn, ack, fin, rst] =
            [TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN, TcpFlags::RST].map(|bit| tcp.flags.has(bit));
        let [mut peer, mut own] = [other(side), side].map(|side| self.ends[side.index()].state);
        match (own, side) {
            (Inactive, FlowSide::Initiator) if syn => own = if ack { SynAckSent } else { SynSent },
            (Inactive, FlowSide::Responder) if syn => {
                own = Established;
                if peer == SynSent {
                    peer = Established;
                }
            }
            // Some acknowledge a SYN before they answer it.
            (Inactive, FlowSide::Responder) if payload == 0 && peer == SynSent => {}
            // The SYN was missed, its answer was not.
            (Inactive, _) if ack && peer == Established && !fin && !rst => own = Established,
            (Inactive, _) if !fin && !rst => own = Partial,
            _ => {}
        }
        if fin && own != Reset {
            own = Closed;
        }
        if rst {
            own = Reset;
        }
        self.ends[side.index()].state = own;
        self.ends[other(side).index()].state = peer;
    }

    fn update_flow(&self, side: FlowSide, tcp: &Tcp, flow: FlowState) -> Steps {
        use FlowState::{Active, Closed, Closing, Established, Reset, SynReceived, SynSent};
        let [syn, ack, rst] = [TcpFlags::SYN, TcpFlags::ACK, TcpFlags::RST].map(|bit| tcp.flags.has(bit));
        if rst {
            return [Some(Reset), None];
        }
        let first = match (flow, side, syn, ack) {
            // The flow's first segment: nobody knows of a partial connection.
            (Active, FlowSide::Initiator, true, false) if !self.is_partial() => Some(SynSent),
            (Active, FlowSide::Responder, true, true) if !self.is_partial() => Some(SynReceived),
            (SynSent, FlowSide::Responder, true, _) => Some(SynReceived),
            (SynReceived, FlowSide::Initiator, false, true) if self.reaches_peer(side, tcp) => {
                Some(Established)
            }
            _ => None,
        };
        let closing = self.ends.iter().any(|end| end.fin);
        let closed = self.ends.iter().all(|end| end.fin && end.fin_acked);
        let second = match first.unwrap_or(flow) {
            state if closed && state != Closed => Some(Closed),
            state if closing && !closed && state != Closing => Some(Closing),
            _ => None,
        };
        [first, second]
    }

    fn is_partial(&self) -> bool {
        self.ends.iter().any(|end| end.state == EndpointState::Partial)
    }

    /// Does the segment acknowledge all that was seen of the peer, or could it have?
    fn reaches_peer(&self, side: FlowSide, tcp: &Tcp) -> bool {
        let peer = &self.ends[other(side).index()];
        peer.placed && reaches(tcp.ack, peer.next)
    }
}

const fn other(side: FlowSide) -> FlowSide {
    match side {
        FlowSide::Initiator => FlowSide::Responder,
        FlowSide::Responder => FlowSide::Initiator,
    }
}

/// Is sequence number `number` at `mark` or after it, in the circle of sequence numbers?
const fn reaches(number: u32, mark: u32) -> bool {
    number.wrapping_sub(mark) < 1 << 31
}
