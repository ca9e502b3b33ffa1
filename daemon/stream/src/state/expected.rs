//! The segment that everybody expects: the next one of an open session, or an acknowledgement, with nothing about it
//! to remark. BSD calls that header prediction. All that the state machine would do about such a segment is done here
//! in one piece; whatever is not exactly that is left to it, which would say and do the same.

use crate::options::TcpOptions;
use crate::peer;
use crate::segment::Segment;
use crate::seq;
use crate::session::{self, Session};
use portcullis_flow::TcpState;
use portcullis_wire::decoded::TcpFlags;

/// Of a session: it may be one-sided, guessed at, or of a handshake that is not confirmed yet.
const SESSION_MARKS: u16 = session::MIDSTREAM | session::ASYNC | session::CONFIRMED;

/// Of either side: something is to be looked at more closely.
const PEER_MARKS: u16 = peer::UNSURE | peer::FIN | peer::KEEP_ALIVE | peer::ZERO_TIMESTAMP;

impl Session {
    /// Takes the segment in, if it is the one that is expected; `false`, with nothing done, if it is another.
    #[inline]
    pub(crate) fn take_expected(&mut self, segment: &Segment<'_>) -> bool {
        let tcp = &segment.tcp;
        let flags = tcp.flags.0;
        let marks = self.marks;
        if self.state != TcpState::Established
            || marks & SESSION_MARKS != session::CONFIRMED
            || flags & !TcpFlags::PSH != TcpFlags::ACK
        {
            return false;
        }
        let stamp = if marks & session::TIMESTAMPS == 0 {
            None
        } else {
            TcpOptions::parse(segment.options).timestamps.map(|(value, _)| value)
        };
        let (sender, receiver) = self.sides(segment.direction);
        let end = tcp.seq.wrapping_add(seq::length(segment.payload));
        let is_next = tcp.seq == sender.next_seq
            && (sender.marks | receiver.marks) & PEER_MARKS == 0
            && flags | sender.tcp_flags == sender.tcp_flags;
        let is_within = !seq::lt(seq::later(sender.next_win, sender.last_ack), end);
        let is_sound = !seq::lt(tcp.ack, receiver.last_ack) && !seq::lt(receiver.next_seq, tcp.ack);
        let is_in_time = stamp.is_none_or(|value| seq::distance(sender.last_ts, value) >= 0);
        if !(is_next && is_within && is_sound && is_in_time) {
            return false;
        }
        if let Some(value) = stamp {
            (sender.last_ts, sender.last_ts_at) = (value, segment.seconds());
        }
        sender.advance(end);
        let scales = (sender.marks & receiver.marks) & peer::SCALES != 0;
        let window = u32::from(tcp.window) << if scales { sender.scale } else { 0 };
        receiver.acknowledge(tcp.ack);
        receiver.grant(window);
        true
    }
}
