//! What goes out: verdicts and the outbox carried out.

use crate::links::Parcel;
use crate::module::{DpdkModule, Held, REENTRIES};
use crate::sys::Mbuf;
use portcullis_capture::burst::PacketState;
use portcullis_capture::outbox::Origin;
use portcullis_capture::{CopyMode, Judgement, Outbox, PacketMeta, PortId, Verdict};
use portcullis_wire::LinkType;

impl DpdkModule {
    pub(crate) fn carry_out(&mut self, judgements: &[Judgement]) {
        let mut batch = std::mem::take(&mut self.batch);
        let all = batch.drain(..).zip(judgements).enumerate();
        for (index, (Held { mut parcel, lane }, judgement)) in all {
            self.write_back(&mut parcel.mbuf, index, judgement);
            match judgement.verdict {
                Verdict::Accept => {
                    self.stats.accepted += 1;
                    self.pass(parcel.mbuf, lane);
                }
                Verdict::Drop(_) => self.drop_packet(parcel.mbuf, lane),
                // What was passed on already has found its owner; a worker does not pass on to itself.
                Verdict::Steer(_) if parcel.meta.steered => {
                    self.stats.errors += 1;
                    self.drop_packet(parcel.mbuf, lane);
                }
                Verdict::Steer(to) => {
                    parcel.meta.steered = true;
                    match self.links.steer(to, parcel, &self.shared) {
                        Ok(()) => self.stats.steered_out += 1,
                        Err(parcel) => {
                            self.stats.steer_refused += 1;
                            self.drop_packet(parcel.mbuf, lane);
                        }
                    }
                }
            }
        }
    }

    /// A packet that was put together to be judged takes over what was written.
    fn write_back(&self, mbuf: &mut Mbuf, index: usize, judgement: &Judgement) {
        if !judgement.modified || mbuf.is_whole() || self.copy_mode == CopyMode::Tap {
            return;
        }
        let start = index * self.longest;
        if let Some(copy) = self.scratch.get(start..start + mbuf.total()) {
            mbuf.scatter(copy);
        }
    }

    /// Sends a packet to the peer of the lane it came in by; nowhere where the set only listens.
    fn pass(&mut self, packet: Mbuf, lane: usize) {
        if self.copy_mode.forwards() {
            self.queue(packet, lane ^ 1);
        }
    }

    /// Drops a packet, which a tap does in its counters only.
    fn drop_packet(&mut self, packet: Mbuf, lane: usize) {
        self.stats.dropped += 1;
        if self.copy_mode == CopyMode::Tap {
            self.queue(packet, lane ^ 1);
        }
    }

    fn queue(&mut self, packet: Mbuf, lane: usize) {
        let can_send = packet.is_whole() || self.sends_segments.get(lane) == Some(&true);
        let queued = match self.outgoing.get_mut(lane) {
            Some(outgoing) if can_send => outgoing.try_push(packet).is_ok(),
            _ => false,
        };
        self.stats.send_errors += u64::from(!queued);
    }

    /// Copies what was forged into buffers: the engine's own leaves, a hook's is received.
    pub(crate) fn take_up_outbox(&mut self) {
        let outbox = std::mem::replace(&mut self.outbox, Outbox::without_room());
        for forged in outbox.forged() {
            let port = usize::from(forged.egress.0);
            let lane = self.lane_of_port.get(port).copied().flatten();
            let longest = self.properties.mtu.get(port).map_or(0, |mtu| *mtu as usize);
            let fits = !self.copy_mode.is_pass_through()
                && !forged.bytes.is_empty()
                && forged.bytes.len() <= longest;
            let has_room = forged.origin == Origin::Engine || self.reentries.len() < REENTRIES;
            let packet = if fits && has_room { self.pool.packet(forged.bytes) } else { None };
            let (Some(mbuf), Some(lane)) = (packet, lane) else {
                self.stats.forged_refused += 1;
                continue;
            };
            self.stats.forged += 1;
            match forged.origin {
                Origin::Engine => self.queue(mbuf, lane),
                Origin::Hook => {
                    let meta = self.forged_meta(forged.bytes.len(), forged.egress);
                    self.reentries.push_back(Parcel { mbuf, meta });
                }
            }
        }
        self.outbox = outbox;
        self.outbox.clear();
    }

    fn forged_meta(&self, length: usize, egress: PortId) -> PacketMeta {
        PacketMeta {
            id: 0,
            timestamp: self.clock,
            clock: self.clock,
            wire_length: u32::try_from(length).unwrap_or(u32::MAX),
            ingress: egress.peer(),
            link: LinkType::Ethernet,
            state: PacketState::Forged,
            ..PacketMeta::default()
        }
    }

    /// Gives the devices what leaves. What they have no room for is dropped.
    pub(crate) fn transmit(&mut self) {
        for (lane, packets) in self.lanes.iter_mut().zip(&mut self.outgoing) {
            if !packets.is_empty() {
                lane.send(packets);
                self.stats.send_errors += packets.len() as u64;
                packets.clear();
            }
        }
    }
}
