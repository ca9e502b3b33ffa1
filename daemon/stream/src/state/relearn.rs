//! After a time in which packets passed that nobody saw: a session goes on where it is now, not where it was. Each
//! side's numbers are learnt again, once, from its first segment that tells something new; what was missed is
//! missing in its stream. From there on it is held to them as before.

use super::data::LEAST_WINDOW;
use super::{Invalid, Machine, Step};
use crate::peer::{self, Peer};
use crate::seq;
use crate::session;
use portcullis_flow::TcpState;
use portcullis_wire::decoded::TcpFlags;

/// Farther on, or farther back than its window, a sender is not in the connection that we knew.
const FARTHEST: i32 = 1 << 30;

impl Machine<'_, '_> {
    /// Takes a segment while the numbers of either side are unsure.
    #[cold]
    pub(super) fn step_after_blindness(&mut self) -> Result<Step, Invalid> {
        let mut anew = [false; 2];
        if !self.flag(TcpFlags::SYN) {
            anew = self.relearn();
        }
        self.step_by_state().map(|step| Step { anew, ..step })
    }

    /// Brings both sides to where the segment says that they are; says whose stream begins anew.
    fn relearn(&mut self) -> [bool; 2] {
        if self.session.state == TcpState::SynSent && self.flag(TcpFlags::ACK) {
            return self.join();
        }
        if self.session.state == TcpState::SynRecv {
            self.enter(TcpState::Established);
        }
        let tcp = self.segment.tcp;
        let end = self.payload_end();
        let stamp = self.options.timestamps.map(|(value, _)| value);
        let (has_ack, to_server) = (self.flag(TcpFlags::ACK), self.to_server());
        let mut anew = [false; 2];
        let [sender_anew, receiver_anew] = &mut anew;
        let sender = self.sender();
        if sender.has(peer::UNSURE) {
            *sender_anew = catch_up(sender, tcp.seq);
            // The other side has granted something to it meanwhile; how much is learnt with its next segment.
            let granted = end.wrapping_add(sender.max_window.max(LEAST_WINDOW));
            sender.next_win = seq::later(sender.next_win, granted);
            if let Some(value) = stamp.filter(|_| *sender_anew) {
                sender.last_ts = value;
            }
        }
        let receiver = self.receiver();
        if has_ack && receiver.has(peer::UNSURE) {
            let distance = seq::distance(receiver.next_seq, tcp.ack);
            let oldest = i32::try_from(receiver.max_window.max(LEAST_WINDOW)).unwrap_or(FARTHEST);
            if (1..FARTHEST).contains(&distance) {
                receiver.advance(tcp.ack);
            } else if distance >= FARTHEST || distance < -oldest {
                receiver.begin(tcp.ack.wrapping_sub(1));
                *receiver_anew = true;
            }
        }
        if !to_server {
            anew.reverse();
        }
        anew
    }

    /// Only the SYN was seen: the rest of the handshake must have been since.
    fn join(&mut self) -> [bool; 2] {
        for peer in &mut self.session.peers {
            peer.set(peer::UNSURE, false);
        }
        self.alternatives.clear(self.session);
        self.join_session();
        self.session.set(session::SYN_DATA | session::FAST_OPEN, false);
        [true; 2]
    }
}

/// Brings a sender to `number`, where it is now, if that tells anything new. `true` where that is another
/// connection than the one we knew.
fn catch_up(sender: &mut Peer, number: u32) -> bool {
    let distance = seq::distance(sender.next_seq, number);
    let oldest = i32::try_from(sender.max_window.max(LEAST_WINDOW)).unwrap_or(FARTHEST);
    if (0..FARTHEST).contains(&distance) {
        sender.set(peer::UNSURE, false);
        sender.advance(number);
        return false;
    }
    if (-oldest..0).contains(&distance) {
        // Sent again, or late: it may still have moved on.
        return false;
    }
    sender.set(peer::UNSURE, false);
    sender.begin(number.wrapping_sub(1));
    true
}
