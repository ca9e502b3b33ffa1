//! Resets, and what comes after one. A reset counts only where its receiver must believe it: else one
//! made-up segment would end the session for us and not for its ends.

use super::{Invalid, Machine, Step};
use crate::events::StreamEvent;
use crate::peer;
use crate::seq;
use crate::session;
use portcullis_flow::TcpState;
use portcullis_wire::TargetOs;
use portcullis_wire::decoded::TcpFlags;

impl Machine<'_, '_> {
    /// A reset where only a SYN was sent: from the server it must acknowledge that (RFC 9293 §3.10.7.3).
    pub(super) fn refused(&mut self) -> Result<Step, Invalid> {
        self.note_reset_data();
        let (seq, ack) = (self.segment.tcp.seq, self.segment.tcp.ack);
        let to_server = self.to_server();
        let has_ack = self.flag(TcpFlags::ACK);
        let fits = if to_server {
            let client = self.sender();
            seq == client.isn.wrapping_add(1) || seq == client.next_seq
        } else {
            let client = self.receiver();
            has_ack && seq::lt(client.isn, ack) && seq::le(ack, client.next_seq)
        };
        if fits {
            self.close();
            return Ok(Step::NOTHING);
        }
        if to_server { Err(Invalid) } else { self.invalid(StreamEvent::ResetInvalidAck) }
    }

    /// A reset in a session that both sides know of.
    pub(super) fn reset(&mut self) -> Result<Step, Invalid> {
        self.note_reset_data();
        if self.session.has(session::ASYNC) {
            self.close();
            return Ok(Step::NOTHING);
        }
        let ack = self.segment.tcp.ack;
        let has_ack = self.flag(TcpFlags::ACK);
        let loose = self.session.is_loose();
        let receiver = self.receiver();
        let most = seq::later(receiver.next_win, receiver.next_seq);
        if has_ack && !loose && seq::lt(most, ack) {
            return self.invalid(StreamEvent::ResetInvalidAck);
        }
        self.check_timestamp()?;
        if !self.is_reset_believed() {
            return Err(Invalid);
        }
        if has_ack && ack != 0 {
            self.take_ack();
        }
        self.close();
        Ok(Step::NOTHING)
    }

    /// Inline: only one that is exactly where its receiver is (RFC 5961 §3.2), whatever the receiver. Else
    /// as Suricata: many systems take any in their window.
    fn is_reset_believed(&mut self) -> bool {
        let seq = self.segment.tcp.seq;
        let inline = self.settings.inline;
        let os = self.receiver().runs();
        let sender = self.sender();
        let exact = seq == sender.next_seq || seq == sender.last_ack;
        let edge = seq::later(sender.next_seq, sender.next_win);
        match os {
            _ if exact => true,
            _ if inline => false,
            TargetOs::Hpux11 => seq::le(sender.next_seq, seq),
            TargetOs::Linux | TargetOs::OldLinux | TargetOs::Solaris => {
                seq::le(sender.last_ack, seq) && seq::le(seq, edge)
            }
            _ => false,
        }
    }

    fn close(&mut self) {
        self.session.before = self.session.state;
        self.session.set(session::BY_RESET, true);
        self.sender().set(peer::RESET, true);
        self.enter(TcpState::Closed);
    }

    fn note_reset_data(&mut self) {
        if !self.segment.payload.is_empty() {
            self.event(StreamEvent::ResetWithData);
        }
    }

    /// After a reset. Whoever sent it should send no more: if it does, somebody else made it up, or it never
    /// reached the other side, and the session goes on. What the other side sent before it knew is still of
    /// the session.
    pub(super) fn after_reset(&mut self) -> Result<Step, Invalid> {
        if self.flag(TcpFlags::RST) || self.segment.payload.is_empty() {
            return Ok(Step::NOTHING);
        }
        if self.session.before < TcpState::Established {
            return Err(Invalid);
        }
        let by_sender = self.sender().has(peer::RESET);
        self.enter(self.session.before);
        let step = self.synchronized();
        if by_sender && step.is_ok() {
            self.event(StreamEvent::SuspectedResetInject);
            self.session.set(session::BY_RESET, false);
            self.sender().set(peer::RESET, false);
        } else {
            self.session.before = self.session.state;
            self.enter(TcpState::Closed);
        }
        step
    }
}
