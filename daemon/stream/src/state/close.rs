//! FINs, and the states they lead to (RFC 9293 §3.6), by Suricata's names: CLOSE_WAIT and LAST_ACK where
//! the client sends its FIN first, FIN_WAIT and TIME_WAIT where the server does.

use super::{Invalid, Machine};
use crate::events::StreamEvent;
use crate::peer;
use crate::seq;
use portcullis_flow::TcpState;

impl Machine<'_, '_> {
    /// Can the FIN be where it is? Not before data that was sent, and not before the FIN that was sent;
    /// `event` says so.
    pub(super) fn check_fin(&mut self, event: StreamEvent) -> Result<(), Invalid> {
        let fin = self.payload_end();
        let sender = self.sender();
        let before_fin = sender.has(peer::FIN) && seq::lt(fin, sender.fin);
        let before_data = !sender.has(peer::FIN) && seq::lt(fin, sender.next_seq);
        if before_fin || before_data { self.invalid(event) } else { Ok(()) }
    }

    /// The sender's FIN is after the segment's payload.
    pub(super) fn note_fin(&mut self) {
        let fin = self.payload_end();
        let sender = self.sender();
        sender.fin = fin;
        sender.set(peer::FIN, true);
        sender.advance(fin.wrapping_add(1));
    }

    /// Where the FINs and their acknowledgements have brought the session.
    pub(super) fn tear_down(&mut self) {
        let state = self.session.state;
        let [client, server] = self.session.peers.map(|peer| peer.has(peer::FIN));
        let [client_acked, server_acked] = self.session.peers.map(|peer| peer.has(peer::FIN_ACKED));
        let client_first = match state {
            TcpState::Established => client && !server,
            _ => matches!(state, TcpState::CloseWait | TcpState::LastAck),
        };
        let next = match (client, server) {
            _ if state == TcpState::Closed => state,
            (false, false) => state,
            (true, true) if client_acked && server_acked => TcpState::Closed,
            (true, false) => TcpState::CloseWait,
            (false, true) if server_acked => TcpState::FinWait2,
            (false, true) => TcpState::FinWait1,
            (true, true) if client_first && server_acked => TcpState::Closed,
            (true, true) if client_first => TcpState::LastAck,
            (true, true) if server_acked => TcpState::TimeWait,
            (true, true) => TcpState::Closing,
        };
        self.enter(next);
    }

    /// A FIN turned out not to count: back to where the session is without it.
    pub(super) fn reopen(&mut self) {
        self.enter(TcpState::Established);
    }
}
