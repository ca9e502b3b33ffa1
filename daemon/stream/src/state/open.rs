//! From nothing to established (RFC 9293 §3.5, RFC 7413), as Suricata does it: SYNs and SYN/ACKs that
//! differ are remembered until an answer tells which of them counts.

use super::{Beginning, Invalid, Machine, Step, begins};
use crate::arena::Alternative;
use crate::events::StreamEvent;
use crate::peer::{self, Peer};
use crate::seq;
use crate::session;
use portcullis_flow::TcpState;
use portcullis_wire::decoded::TcpFlags;

/// The scale of windows in a session whose SYNs were not seen: the largest (RFC 7323 §2.3).
const UNKNOWN_SCALE: u8 = 14;

impl Machine<'_, '_> {
    pub(super) fn open(&mut self) -> Step {
        match begins(self.segment) {
            Beginning::Syn => self.first_syn(),
            _ => self.pick_up(),
        }
    }

    fn first_syn(&mut self) -> Step {
        let syn = self.as_alternative();
        self.adopt_syn(syn);
        self.session.set(session::FAST_OPEN, self.options.fast_open && !self.segment.payload.is_empty());
        self.enter(TcpState::SynSent);
        self.with_syn_data()
    }

    /// The SYN's sender begins with these numbers.
    fn adopt_syn(&mut self, syn: Alternative) {
        let window = syn.window;
        let now = self.segment.seconds();
        take_handshake(self.sender(), syn, now);
        self.receiver().grant(window);
    }

    /// Data with a SYN is data where its receiver takes it, which its SYN/ACK tells.
    fn with_syn_data(&mut self) -> Step {
        if self.segment.payload.is_empty() {
            return Step::NOTHING;
        }
        let end = self.segment.tcp.seq.wrapping_add(1).wrapping_add(seq::length(self.segment.payload));
        self.sender().advance(end);
        self.session.set(session::SYN_DATA, true);
        Step::PAYLOAD
    }

    /// A session of which the begin was not seen: its numbers are what this segment says.
    fn pick_up(&mut self) -> Step {
        self.stats.midstream_pickups += 1;
        self.join_session();
        if self.session.state == TcpState::SynRecv {
            return Step::NOTHING;
        }
        self.session.set(session::ASYNC, self.settings.async_oneside);
        let end = self.payload_end();
        self.sender().advance(end);
        if self.flag(TcpFlags::FIN) {
            self.note_fin();
        }
        self.tear_down();
        Step::PAYLOAD
    }

    /// Takes numbers and windows from a segment of which nothing before is known.
    pub(super) fn join_session(&mut self) {
        let tcp = self.segment.tcp;
        let syn_ack = self.flag(TcpFlags::SYN);
        self.session.set(session::MIDSTREAM, true);
        let syn = Alternative { scale: self.options.window_scale, ..self.as_alternative() };
        let isn = if syn_ack { tcp.seq } else { tcp.seq.wrapping_sub(1) };
        let now = self.segment.seconds();
        take_handshake(self.sender(), Alternative { seq: isn, ..syn }, now);
        self.receiver().begin(tcp.ack.wrapping_sub(1));
        let stamps = self.options.timestamps.is_some();
        self.session.set(session::TIMESTAMPS, stamps);
        let scales = !syn_ack || self.options.window_scale.is_some();
        for peer in &mut self.session.peers {
            peer.set(peer::SCALES, scales);
            peer.set(peer::STAMPS, stamps);
            if peer.scale == 0 && scales {
                peer.scale = UNKNOWN_SCALE;
            }
        }
        let window = self.granted();
        self.receiver().grant(window);
        self.enter(if syn_ack { TcpState::SynRecv } else { TcpState::Established });
    }

    /// A SYN was sent; what comes now?
    pub(super) fn syn_sent(&mut self) -> Result<Step, Invalid> {
        let (syn, ack) = (self.flag(TcpFlags::SYN), self.flag(TcpFlags::ACK));
        match (syn, ack) {
            (false, _) if !self.is_answer_to_syn() => self.invalid(StreamEvent::InvalidTimestamp),
            _ if self.flag(TcpFlags::RST) => self.refused(),
            (true, true) if self.to_server() => self.four_way_syn_ack(),
            (true, true) => self.syn_ack(),
            (true, false) if self.to_server() => self.another_syn(),
            (true, false) => {
                // The other side sends a SYN, too: simultaneous open, or a split handshake.
                let syn = self.as_alternative();
                self.adopt_syn(syn);
                self.session.set(session::FOUR_WAY, true);
                Ok(Step::NOTHING)
            }
            (false, true) if self.to_server() && self.settings.async_oneside => self.early_ack(),
            // What a split handshake begins with changes nothing. Data is of another session, if of any: one
            // that was reset or forgotten here, and that the other side may still have.
            (false, _) if self.segment.payload.is_empty() => Ok(Step::NOTHING),
            (false, _) => Err(Invalid),
        }
    }

    fn another_syn(&mut self) -> Result<Step, Invalid> {
        if self.segment.tcp.seq == self.sender().isn {
            if let Some((value, _)) = self.options.timestamps {
                self.sender().last_ts = value;
            }
            return Ok(self.with_syn_data());
        }
        let alternative = self.as_alternative();
        let most = self.settings.max_syn_queued;
        if !self.alternatives.add(self.session, most, alternative) {
            return self.invalid(StreamEvent::HandshakeSynFlood);
        }
        Ok(Step::NOTHING)
    }

    fn syn_ack(&mut self) -> Result<Step, Invalid> {
        let ack = self.segment.tcp.ack;
        let mut step = Step::NOTHING;
        let client = self.receiver();
        let acknowledged = seq::distance(client.isn, ack);
        if acknowledged < 1 || seq::lt(client.next_seq, ack) {
            // It answers another SYN, if any.
            let Some(syn) = self.alternatives.find(self.session, ack.wrapping_sub(1)) else {
                return self.invalid(StreamEvent::HandshakeSynAckWrongAck);
            };
            let now = self.segment.seconds();
            take_handshake(self.receiver(), syn, now);
            self.session.set(session::SYN_DATA | session::FAST_OPEN, false);
            step.restart = true;
        } else if acknowledged == 1 && self.session.has(session::SYN_DATA) {
            // Its data was not taken, and will be sent again.
            if self.session.has(session::FAST_OPEN) {
                self.event(StreamEvent::HandshakeSynAckFastOpenIgnored);
            }
            self.session.set(session::SYN_DATA_IGNORED, true);
            self.receiver().next_seq = ack;
            step.restart = true;
        }
        self.alternatives.clear(self.session);
        let syn_ack = self.as_alternative();
        self.adopt_syn_ack(syn_ack);
        self.receiver().acknowledge(ack);
        let window = self.granted();
        self.receiver().grant(window);
        self.enter(TcpState::SynRecv);
        Ok(step)
    }

    /// The server begins with these numbers; options count where both sides have them.
    fn adopt_syn_ack(&mut self, syn_ack: Alternative) {
        let now = self.segment.seconds();
        let [client, server] = &mut self.session.peers;
        let window = server.window;
        take_handshake(server, syn_ack, now);
        server.grant(window);
        let (stamps, scales) = (client.has(peer::STAMPS), client.has(peer::SCALES));
        let both_stamp = stamps && syn_ack.timestamp.is_some();
        client.set(peer::SCALES, scales && syn_ack.scale.is_some());
        self.session.set(session::TIMESTAMPS, both_stamp);
    }

    /// Client and server both sent a SYN, and the client acknowledges the server's.
    fn four_way_syn_ack(&mut self) -> Result<Step, Invalid> {
        if !self.session.has(session::FOUR_WAY) {
            return self.invalid(StreamEvent::HandshakeSynAckInWrongDirection);
        }
        let (seq, ack) = (self.segment.tcp.seq, self.segment.tcp.ack);
        if ack != self.receiver().isn.wrapping_add(1) {
            return self.invalid(StreamEvent::FourWaySynAckWrongAck);
        }
        if seq != self.sender().isn {
            return self.invalid(StreamEvent::FourWaySynAckWrongSyn);
        }
        self.receiver().acknowledge(ack);
        let stamps = self.options.timestamps.is_some() && self.receiver().has(peer::STAMPS);
        self.session.set(session::TIMESTAMPS, stamps);
        self.enter(TcpState::SynRecv);
        Ok(Step::NOTHING)
    }

    /// An acknowledgement before any SYN/ACK: where only one side is seen, that was not.
    /// Where one side may not be seen, the client's acknowledgement of a SYN/ACK that was not.
    fn early_ack(&mut self) -> Result<Step, Invalid> {
        let (seq, ack) = (self.segment.tcp.seq, self.segment.tcp.ack);
        if seq != self.sender().isn.wrapping_add(1) && seq != self.sender().next_seq {
            return self.invalid(StreamEvent::HandshakeAsyncWrongSeq);
        }
        self.session.set(session::ASYNC, true);
        self.receiver().begin(ack.wrapping_sub(1));
        self.enter(TcpState::Established);
        self.synchronized()
    }

    /// The handshake waits for its last acknowledgement.
    pub(super) fn syn_recv(&mut self) -> Result<Step, Invalid> {
        let (syn, ack) = (self.flag(TcpFlags::SYN), self.flag(TcpFlags::ACK));
        match (syn, ack) {
            _ if self.flag(TcpFlags::RST) => self.reset(),
            (true, true) => self.syn_ack_again(),
            (true, false) => self.syn_on_syn_recv(),
            (false, true) if self.session.has(session::FOUR_WAY) => self.four_way_ack(),
            (false, true) if self.to_server() => self.third_ack(),
            (false, true) => self.ack_to_client(),
            (false, false) if self.segment.payload.is_empty() => Ok(Step::NOTHING),
            (false, false) => Err(Invalid),
        }
    }

    fn syn_ack_again(&mut self) -> Result<Step, Invalid> {
        let from_server = !self.to_server();
        if self.session.has(session::FOUR_WAY) {
            return Ok(Step::NOTHING);
        }
        if !from_server {
            return self.invalid(StreamEvent::HandshakeSynAckToServerOnSynRecv);
        }
        let (seq, ack) = (self.segment.tcp.seq, self.segment.tcp.ack);
        let client = self.receiver();
        if seq::le(ack, client.isn) || seq::lt(client.next_seq, ack) {
            return self.invalid(StreamEvent::HandshakeSynAckResendDifferentAck);
        }
        if seq == self.sender().isn {
            return Ok(Step::NOTHING);
        }
        self.event(StreamEvent::HandshakeSynAckResendDifferentSeq);
        let alternative = self.as_alternative();
        let most = self.settings.max_synack_queued;
        if !self.alternatives.add(self.session, most, alternative) {
            return self.invalid(StreamEvent::HandshakeSynAckFlood);
        }
        Ok(Step::NOTHING)
    }

    fn syn_on_syn_recv(&mut self) -> Result<Step, Invalid> {
        if !self.to_server() {
            if self.session.has(session::FOUR_WAY) {
                return Ok(Step::NOTHING);
            }
            return self.invalid(StreamEvent::HandshakeSynToClientOnSynRecv);
        }
        if self.segment.tcp.seq != self.sender().isn {
            return self.invalid(StreamEvent::HandshakeSynResendDifferentSeqOnSynRecv);
        }
        Ok(Step::NOTHING)
    }

    /// After two SYNs, either side's acknowledgement completes the handshake.
    fn four_way_ack(&mut self) -> Result<Step, Invalid> {
        let (seq, ack) = (self.segment.tcp.seq, self.segment.tcp.ack);
        if seq != self.sender().next_seq {
            return self.invalid(StreamEvent::FourWayWrongSeq);
        }
        if ack != self.receiver().next_seq {
            return self.invalid(StreamEvent::FourWayInvalidAck);
        }
        self.enter(TcpState::Established);
        self.synchronized()
    }

    fn third_ack(&mut self) -> Result<Step, Invalid> {
        let (seq, ack) = (self.segment.tcp.seq, self.segment.tcp.ack);
        self.choose_syn_ack(ack);
        let loose = self.session.is_loose();
        let server = self.receiver();
        let ack_fits = seq::lt(server.isn, ack) && seq::le(ack, server.next_seq);
        let client = self.sender();
        let seq_fits = seq == client.next_seq || seq == client.last_ack;
        // The acknowledgement itself was lost before us, or comes after the data that follows it.
        let in_window = seq::lt(client.next_seq, seq) && seq::le(self.payload_end(), self.sender().next_win);
        match (seq_fits, ack_fits) {
            (true, true) => {}
            (true, false) => return self.invalid(StreamEvent::HandshakeRightSeqWrongAck),
            (false, true) if in_window || loose => {}
            _ if loose => {}
            _ => return self.invalid(StreamEvent::HandshakeWrongSeqWrongAck),
        }
        self.check_timestamp()?;
        self.alternatives.clear(self.session);
        self.enter(TcpState::Established);
        self.synchronized()
    }

    /// If the acknowledgement is of another SYN/ACK than the one the session goes by, that is the one.
    fn choose_syn_ack(&mut self, ack: u32) {
        let server = &self.session.peers[1];
        if ack == server.isn.wrapping_add(1) {
            return;
        }
        if let Some(syn_ack) = self.alternatives.find(self.session, ack.wrapping_sub(1)) {
            self.adopt_syn_ack(syn_ack);
        }
    }

    /// The server sends before the client has acknowledged its SYN/ACK.
    fn ack_to_client(&mut self) -> Result<Step, Invalid> {
        let client = self.receiver();
        let beyond_syn = seq::lt(client.isn.wrapping_add(1), self.segment.tcp.ack);
        let known = self.session.has(session::FAST_OPEN) && !self.session.has(session::SYN_DATA_IGNORED);
        // That it acknowledges data shows that the client's acknowledgement was lost before us.
        if known || beyond_syn || self.session.is_loose() {
            if self.session.has(session::MIDSTREAM) && self.settings.async_oneside {
                self.session.set(session::ASYNC, true);
            }
            self.enter(TcpState::Established);
            return self.synchronized();
        }
        if self.settings.inline && !self.segment.payload.is_empty() {
            return self.invalid(StreamEvent::HandshakeAckDataInject);
        }
        self.invalid(StreamEvent::HandshakeAckInWrongDirection)
    }
}

/// A side begins with what its SYN or SYN/ACK says.
fn take_handshake(peer: &mut Peer, syn: Alternative, now: u32) {
    let (window, granted) = (peer.window, peer.max_window);
    if peer.isn != syn.seq || peer.next_seq != syn.seq.wrapping_add(1) {
        peer.begin(syn.seq);
    }
    (peer.window, peer.max_window) = (window, granted);
    peer.set(peer::SCALES, syn.scale.is_some());
    peer.scale = syn.scale.unwrap_or(0);
    peer.set(peer::STAMPS, syn.timestamp.is_some());
    if let Some(value) = syn.timestamp {
        peer.set(peer::ZERO_TIMESTAMP, value == 0);
        (peer.last_ts, peer.last_ts_at) = (value, now);
    }
}
