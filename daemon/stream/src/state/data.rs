//! Established and later: which segments a receiver takes (RFC 9293 §3.10.7.4, RFC 5961 §5), and what
//! they say about both sides. In every one of these states, the last included, payload that is in the
//! window is payload: whoever sent a FIN or a reset that its peer never saw can send on.

use super::{Invalid, Machine, Step};
use crate::events::StreamEvent;
use crate::peer;
use crate::seq;
use crate::session;
use portcullis_flow::TcpState;
use portcullis_wire::decoded::TcpFlags;

/// A receiver that never granted more may still have sent acknowledgements so old.
pub(super) const LEAST_WINDOW: u32 = 65_535;

impl Machine<'_, '_> {
    pub(super) fn synchronized(&mut self) -> Result<Step, Invalid> {
        if self.flag(TcpFlags::RST) {
            return self.reset();
        }
        if self.flag(TcpFlags::SYN) {
            return self.syn_again();
        }
        if !self.flag(TcpFlags::ACK) {
            // Its receiver drops it (RFC 9293 §3.10.7.4, fifth).
            return Err(Invalid);
        }
        self.check_timestamp()?;
        self.check_ack()?;
        if self.is_keep_alive() {
            return Ok(Step::NOTHING);
        }
        if self.is_bad_window_update() {
            self.event(StreamEvent::BadWindowUpdate);
            return Ok(Step::NOTHING);
        }
        self.check_place()?;
        self.note_retransmission();
        self.take();
        self.tear_down();
        Ok(Step::PAYLOAD)
    }

    /// Is the acknowledgement of what was sent, or may have been?
    fn check_ack(&mut self) -> Result<(), Invalid> {
        let ack = self.segment.tcp.ack;
        let loose = self.session.is_loose();
        let receiver = self.receiver();
        let most = seq::later(receiver.next_win, receiver.next_seq);
        let behind = seq::distance(ack, receiver.last_ack);
        let oldest = receiver.max_window.max(LEAST_WINDOW);
        let too_old = u32::try_from(behind).is_ok_and(|behind| behind > oldest);
        if loose || !(seq::lt(most, ack) || too_old) {
            return Ok(());
        }
        self.event(StreamEvent::InvalidAck);
        self.invalid(self.words().ack)
    }

    /// A segment of at most one byte that was acknowledged already (RFC 9293 §3.8.4). Remembers it, for
    /// its answer is not news either.
    fn is_keep_alive(&mut self) -> bool {
        let length = self.segment.payload.len();
        let seq = self.segment.tcp.seq;
        let fin = self.flag(TcpFlags::FIN);
        let sender = self.sender();
        let is_one = length <= 1
            && !fin
            && seq == sender.next_seq.wrapping_sub(1)
            && seq == sender.last_ack.wrapping_sub(1);
        sender.set(peer::KEEP_ALIVE, is_one);
        is_one
    }

    /// An acknowledgement of what was not sent, from where its sender is not, with a smaller window: made
    /// up to stop the other side.
    fn is_bad_window_update(&mut self) -> bool {
        if !self.segment.payload.is_empty() || self.flag(TcpFlags::FIN) || self.session.is_loose() {
            return false;
        }
        let (seq, ack) = (self.segment.tcp.seq, self.segment.tcp.ack);
        let window = self.granted();
        let ahead = seq::lt(self.sender().next_seq, seq);
        let receiver = self.receiver();
        ahead && window < receiver.window && seq::lt(receiver.next_seq, ack)
    }

    /// Is it where its receiver takes data from?
    fn check_place(&mut self) -> Result<(), Invalid> {
        let fin = self.flag(TcpFlags::FIN);
        let end = self.payload_end();
        let words = self.words();
        if !self.session.is_loose() {
            let length = self.segment.payload.len();
            let seq = self.segment.tcp.seq;
            let sender = self.sender();
            let edge = seq::later(sender.next_win, sender.last_ack);
            // Into a closed window one byte may be sent, to find out whether it still is.
            let probe = length == 1 && sender.window == 0 && seq == sender.next_seq;
            let beyond = seq::lt(edge, end) && !probe && (length > 0 || seq::lt(sender.next_seq, end));
            if beyond {
                return self.invalid(if fin { words.fin } else { words.place });
            }
        }
        if fin { self.check_fin(words.fin) } else { Ok(()) }
    }

    fn note_retransmission(&mut self) {
        if self.segment.payload.is_empty() {
            return;
        }
        let end = self.payload_end();
        let words = self.words();
        let sender = self.sender();
        let (acknowledged, sent) = (seq::le(end, sender.last_ack), seq::le(end, sender.next_seq));
        if acknowledged {
            // Its receiver has it, but its acknowledgement may have been lost: it must see it again.
            self.event(StreamEvent::SpuriousRetransmission);
            if let Some(event) = words.before {
                self.event(event);
            }
        } else if sent {
            self.event(StreamEvent::Retransmission);
        }
    }

    /// Takes over what the segment says about both sides.
    fn take(&mut self) {
        self.take_timestamp();
        let fin = self.flag(TcpFlags::FIN);
        let one_sided = self.session.has(session::ASYNC);
        let end = self.payload_end();
        let goes_on = fin || !self.segment.payload.is_empty();
        let sender = self.sender();
        if goes_on && sender.has(peer::FIN) && seq::lt(sender.fin, end) {
            // Nobody believed that FIN, not even where it was said to have arrived.
            sender.set(peer::FIN | peer::FIN_ACKED, false);
            self.reopen();
        }
        self.sender().advance(end);
        if fin {
            self.note_fin();
        }
        if one_sided {
            let sender = self.sender();
            sender.last_ack = sender.next_seq;
        }
        if !self.to_server() || self.segment.tcp.ack != self.receiver().isn.wrapping_add(1) {
            self.session.set(session::CONFIRMED, true);
        }
        self.take_ack();
    }

    /// Takes over acknowledgement and window, unless they are older than what is known.
    pub(super) fn take_ack(&mut self) {
        let ack = self.segment.tcp.ack;
        let window = self.granted();
        let receiver = self.receiver();
        if seq::lt(ack, receiver.last_ack) {
            return;
        }
        let unseen = seq::lt(receiver.next_seq, ack);
        receiver.advance(ack);
        receiver.acknowledge(ack);
        receiver.grant(window);
        self.stats.ack_unseen_data += u64::from(unseen);
    }

    /// A SYN or SYN/ACK in a session that has one already.
    fn syn_again(&mut self) -> Result<Step, Invalid> {
        if self.session.state != TcpState::Established {
            return self.invalid(StreamEvent::ShutdownSynResend);
        }
        let (seq, ack) = (self.segment.tcp.seq, self.segment.tcp.ack);
        let confirmed = self.session.has(session::CONFIRMED);
        let same_seq = seq == self.sender().isn;
        let same_ack = ack == self.receiver().isn.wrapping_add(1);
        match (self.flag(TcpFlags::ACK), self.to_server()) {
            (true, true) if !self.session.has(session::FOUR_WAY) => {
                self.invalid(StreamEvent::EstablishedSynAckToServer)
            }
            (true, _) if !same_ack => self.invalid(StreamEvent::EstablishedSynAckResendDifferentAck),
            (true, _) if !same_seq => self.invalid(StreamEvent::EstablishedSynAckResendDifferentSeq),
            (true, _) if confirmed => self.invalid(StreamEvent::EstablishedSynAckResend),
            (false, false) => self.invalid(StreamEvent::EstablishedSynToClient),
            (false, true) if !same_seq => self.invalid(StreamEvent::EstablishedSynResendDifferentSeq),
            (false, true) if confirmed => self.invalid(StreamEvent::EstablishedSynResend),
            _ => Ok(Step::NOTHING),
        }
    }

    /// What it is called in this state.
    pub(super) fn words(&self) -> Words {
        use StreamEvent as Event;
        let words = |ack, place, fin, before| Words { ack, place, fin, before };
        let fin = self.flag(TcpFlags::FIN);
        match self.session.state {
            TcpState::FinWait1 => {
                words(Event::Fin1InvalidAck, Event::Fin1AckWrongSeq, Event::Fin1FinWrongSeq, None)
            }
            TcpState::FinWait2 => {
                words(Event::Fin2InvalidAck, Event::Fin2AckWrongSeq, Event::Fin2FinWrongSeq, None)
            }
            TcpState::TimeWait => {
                let place = Event::TimeWaitAckWrongSeq;
                words(Event::TimeWaitInvalidAck, place, place, None)
            }
            TcpState::LastAck => {
                let place = Event::LastAckWrongSeq;
                words(Event::LastAckInvalidAck, place, place, None)
            }
            TcpState::CloseWait => {
                let (place, fin) = (Event::CloseWaitAckOutOfWindow, Event::CloseWaitFinOutOfWindow);
                words(Event::CloseWaitInvalidAck, place, fin, Some(Event::CloseWaitPacketBeforeLastAck))
            }
            TcpState::Closing => {
                let place = Event::ClosingAckWrongSeq;
                words(Event::ClosingInvalidAck, place, place, None)
            }
            _ => {
                let ack = if fin { Event::FinInvalidAck } else { Event::EstablishedInvalidAck };
                let (place, before) = (Event::EstablishedOutOfWindow, Event::EstablishedBeforeLastAck);
                words(ack, place, Event::FinOutOfWindow, Some(before))
            }
        }
    }
}

/// The events for what may be wrong with a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    ack: StreamEvent,
    place: StreamEvent,
    fin: StreamEvent,
    before: Option<StreamEvent>,
}
