//! The packet's TCP session: what it makes of the packet, and what of its stream is to be inspected.

use super::{Case, Judge};
use crate::policy::ExceptionTarget;
use crate::witness::Passing;
use portcullis_capture::burst::ChecksumStatus;
use portcullis_capture::{DropReason, Packet, PacketMeta, Verdict};
use portcullis_flow::flow::Bypass;
use portcullis_flow::{Direction, Flow, FlowAction, TcpSummary};
use portcullis_stream::{Fate, Faults, Seen, Segment, SessionSummary, StreamHandle};
use portcullis_wire::decoded::{Decoded, Layers, Tcp, TcpFlags, Transport};
use portcullis_wire::rewrite;

/// Most bytes of a stream that go with the record of a match, as in Suricata (`payload-buffer-size`).
pub(super) const TRANSCRIPT_MAX: usize = 4096;

/// What notes about gaps may add to that.
pub(super) const TRANSCRIPT_MARGIN: usize = 64;

/// A packet in its session.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtStream {
    pub(super) session: Option<StreamHandle>,
    pub(super) seen: Seen,
    /// What the session is with this packet.
    pub(super) summary: SessionSummary,
    /// Is there no packet, but only what is left of a stream?
    pub(super) rest: bool,
}

impl Judge {
    /// Has the packet's session take it in, and the flow know what that is now; what is to become of the packet by
    /// it. `unseen`: nothing of the packet's payload is to be kept, for it is dropped or need not be inspected.
    pub(super) fn follow_stream(
        &mut self,
        case: &mut Case<'_, '_>,
        tcp: &Tcp,
        packet: &mut Packet<'_>,
        unseen: bool,
    ) -> Fate {
        let decoded = case.decoded;
        let Some((flow, direction)) = case.flow.as_mut() else { return Fate::Valid };
        if decoded.bad_checksums.transport {
            // Its receiver will not believe it (RFC 9293 §3.1).
            self.streams.note_invalid_checksum();
            return Fate::Valid;
        }
        let session = StreamHandle::from_bits(flow.stream());
        if let Some(session) = session.filter(|_| flow.was_unseen()) {
            self.streams.resync(session);
        }
        // What was not seen of it passed for a reason: it is picked up.
        let unknown = session.is_none() && !self.settings.stream.midstream;
        let pick_up = unknown && (flow.uninspected() || self.may_pick_up(decoded, packet));
        let frame = packet.bytes();
        let segment = Segment {
            direction: *direction,
            tcp: *tcp,
            options: tcp.options.of(frame),
            payload: decoded.payload.of(frame),
            ip_version: decoded.ip_version,
            destination: decoded.destination,
            now: packet.meta.clock,
            lost: unseen,
            pick_up,
            faults: self.faults.map_or_else(Faults::default, |faults| faults.of_segment(packet.meta.id)),
        };
        let mut seen = self.streams.packet(session, &segment);
        if !seen.unchanged {
            self.note_session(flow, &seen);
        }
        if let Some(session) =
            seen.session.filter(|_| seen.conflict && self.settings.drops_from(packet.meta.ingress))
        {
            // What came out of another packet is not what is sent on: there it cannot be changed.
            if self.origin.is_some() {
                seen.fate = Fate::Invalid;
            } else {
                self.rewrite(session, *direction, decoded, packet);
            }
        }
        // Only rules want to know more.
        if !self.rules.set().is_empty() {
            let summary = self.summary(&seen);
            self.at_stream = Some(AtStream { session: seen.session, seen, summary, rest: false });
        }
        seen.fate
    }

    /// Has the flow know what its session is now.
    fn note_session(&mut self, flow: &mut Flow<'_>, seen: &Seen) {
        flow.set_stream(seen.session.map_or(0, StreamHandle::to_bits));
        if seen.forgiven && seen.session.is_some() {
            self.counters.tcp_midstream_grace += 1;
            if flow.set_uninspected() {
                self.uninspected += 1;
                self.grace.take();
            }
        }
        let summary = self.summary(seen);
        let tcp = TcpSummary {
            session: seen.session.is_some(),
            state: summary.state,
            flags_ts: summary.to_server.flags,
            flags_tc: summary.to_client.flags,
        };
        flow.set_tcp(tcp, [summary.to_server.isn, summary.to_client.isn]);
        if seen.bypass {
            flow.set_bypass(Bypass::Local);
        }
    }

    fn summary(&self, seen: &Seen) -> SessionSummary {
        seen.session.and_then(|session| self.streams.summary(session)).unwrap_or_default()
    }

    /// Has the packet's connection, which nobody knows, a grace?
    fn may_pick_up(&mut self, decoded: &Decoded, packet: &Packet<'_>) -> bool {
        // What came out of another packet nobody before us has seen.
        let passing = self.origin.is_none().then_some(Passing {
            ingress: packet.meta.ingress,
            source: (decoded.source, decoded.source_port),
            destination: (decoded.destination, decoded.destination_port),
        });
        self.grace.is_granted(packet.meta.clock, passing)
    }

    /// What becomes of a packet by what its session said, and then by the rules.
    #[inline]
    pub(super) fn in_stream(&mut self, case: &mut Case<'_, '_>, packet: &Packet<'_>, fate: Fate) -> Verdict {
        match fate {
            Fate::Valid => self.apply_rules(case, packet),
            _ => self.doubted(case, packet, fate),
        }
    }

    /// What becomes of a packet that its session cannot just have.
    #[inline(never)]
    fn doubted(&mut self, case: &mut Case<'_, '_>, packet: &Packet<'_>, fate: Fate) -> Verdict {
        let (target, reason) = match fate {
            Fate::Valid => (None, None),
            Fate::Midstream => (Some(ExceptionTarget::StreamMidstream), None),
            Fate::SessionMemcap => (Some(ExceptionTarget::StreamMemcap), None),
            Fate::ReassemblyMemcap => (Some(ExceptionTarget::StreamReassemblyMemcap), None),
            Fate::Invalid => (None, Some(DropReason::StreamError)),
            Fate::Urgent => (None, Some(DropReason::StreamUrgent)),
        };
        if let Some(verdict) = target.and_then(|target| self.exception(target, case, packet)) {
            return verdict;
        }
        let judged = self.apply_rules(case, packet);
        let wanted = fate == Fate::Urgent || self.settings.stream_drop_invalid;
        let drops = self.settings.drops_from(packet.meta.ingress);
        match reason.filter(|_| judged == Verdict::Accept && drops && wanted) {
            Some(reason) => {
                self.report_drop(case, packet, reason, None);
                Verdict::Drop(reason)
            }
            None => judged,
        }
    }

    /// Inspects what is left of the streams of a flow that has ended.
    pub(super) fn inspect_rest(&mut self, flow: &mut Flow<'_>) {
        let Some(session) = StreamHandle::from_bits(flow.stream()) else { return };
        if flow.bypass().is_some() || matches!(flow.action(), Some(FlowAction::Pass)) {
            return;
        }
        if self.settings.inline && flow.action().is_some() {
            return;
        }
        let summary = self.streams.summary(session).unwrap_or_default();
        for direction in [Direction::ToServer, Direction::ToClient] {
            // Each look takes at least a byte of what is left.
            while self.streams.has_rest(session, direction) {
                let decoded = rest_of(flow, &summary, direction);
                let seen = Seen { session: Some(session), added: true, ..Seen::default() };
                self.at_stream = Some(AtStream { session: Some(session), seen, summary, rest: true });
                let meta = PacketMeta {
                    timestamp: flow.last_seen(),
                    clock: flow.last_seen(),
                    ingress: flow.ingress(),
                    ..PacketMeta::default()
                };
                let packet = Packet::new(&mut [], meta);
                // There is nothing left that could be dropped.
                let _ =
                    self.apply_rules(&mut Case { decoded: &decoded, flow: Some((flow, direction)) }, &packet);
            }
        }
        self.at_stream = None;
    }

    /// Gives the memory of a flow's session back. Returns what the session was.
    pub(super) fn end_session(&mut self, flow: &mut Flow<'_>) -> Option<SessionSummary> {
        let session = StreamHandle::from_bits(flow.stream())?;
        let summary = self.streams.summary(session);
        self.streams.release(session);
        flow.set_stream(0);
        summary
    }

    /// Makes the payload what was sent first in its place.
    fn rewrite(
        &mut self,
        session: StreamHandle,
        direction: Direction,
        decoded: &Decoded,
        packet: &mut Packet<'_>,
    ) {
        let Transport::Tcp(tcp) = decoded.transport else { return };
        let partial = packet.meta.checksum == ChecksumStatus::Partial;
        let frame = packet.bytes_mut();
        let range = decoded.payload.start as usize..decoded.payload.end as usize;
        let Some(payload) = frame.get_mut(range) else { return };
        let seq = tcp.seq.wrapping_add(u32::from(tcp.flags.has(TcpFlags::SYN)));
        self.streams.rewrite(session, direction, seq, payload);
        // A checksum that the device is to fill in covers the pseudo header only.
        if !partial {
            rewrite::tcp_checksum(frame, decoded);
        }
        self.counters.ips_replaced += 1;
    }
}

/// What a packet would look like that carries the rest of a stream.
fn rest_of(flow: &Flow<'_>, summary: &SessionSummary, direction: Direction) -> Decoded {
    let (client, server) = (flow.client(), flow.server());
    let ((source, source_port), (destination, destination_port)) = match direction {
        Direction::ToServer => (client, server),
        Direction::ToClient => (server, client),
    };
    let (sent, other) = match direction {
        Direction::ToServer => (summary.to_server, summary.to_client),
        Direction::ToClient => (summary.to_client, summary.to_server),
    };
    let tcp = Tcp {
        seq: sent.isn.wrapping_add(sent.sent),
        ack: other.isn.wrapping_add(other.sent),
        flags: TcpFlags(TcpFlags::ACK),
        ..Tcp::default()
    };
    Decoded {
        vlans: flow.vlans(),
        ip_version: flow.ip_version(),
        source,
        destination,
        protocol: flow.protocol(),
        source_port,
        destination_port,
        transport: Transport::Tcp(tcp),
        layers: Layers::default(),
        ..Decoded::default()
    }
}
