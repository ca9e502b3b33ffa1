//! What goes out: verdicts and the outbox carried out, frames brought back to where they belong.

use crate::config::{CopyMode, RESERVE};
use crate::error::XdpError;
use crate::frames::{Filled, Frame, Place};
use crate::links::{Links, Parcel};
use crate::module::{Held, XdpModule};
use crate::port::Arena;
use arrayvec::ArrayVec;
use portcullis_capture::burst::PacketState;
use portcullis_capture::outbox::Origin;
use portcullis_capture::{BURST, Judgement, Outbox, PacketMeta, PortId, Verdict};
use portcullis_wire::LinkType;

/// Frames under way on a lane from which on they are asked for; before, looking costs more than it brings.
const RECLAIM: u32 = 64;

/// Frames that a fill ring lacks from which on it is filled up: one that lacks a few is not worth the touch.
const REFILL: u32 = 32;

impl XdpModule {
    /// Takes back frames whose packets have been sent: all of them, or where it is due.
    pub(crate) fn reclaim(&mut self, all: bool) {
        let (worker, per_worker) = (self.worker, self.frames_per_worker);
        let due = all || self.is_hungry();
        let Self { lanes, arena, links, pool, .. } = self;
        for lane in lanes {
            if lane.in_transmit() > 0 && (due || lane.in_transmit() >= RECLAIM) {
                lane.reclaim(arena, |frame| release(frame, worker, per_worker, arena, links, pool));
            }
        }
    }

    pub(crate) fn carry_out(&mut self, judgements: &[Judgement]) {
        let mut batch = std::mem::take(&mut self.batch);
        for (Held { mut parcel, lane }, judgement) in batch.drain(..).zip(judgements) {
            match judgement.verdict {
                Verdict::Accept => {
                    self.stats.accepted += 1;
                    self.pass(parcel.filled, lane);
                }
                Verdict::Drop(_) => self.drop_packet(parcel.filled, lane),
                // What was passed on already has found its owner; a worker does not pass on to itself.
                Verdict::Steer(_) if parcel.meta.steered => {
                    self.stats.errors += 1;
                    self.drop_packet(parcel.filled, lane);
                }
                Verdict::Steer(to) => {
                    parcel.meta.steered = true;
                    let several = parcel.filled.has_more();
                    let frames = if several { self.arena.chains().count(&parcel.filled) } else { 1 };
                    match self.links.steer(to, parcel, &self.arena.ledger, &self.shared) {
                        Ok(()) => {
                            self.stats.steered_out += 1;
                            if several {
                                self.shared.passed_on(usize::from(to.0), frames, false);
                            }
                        }
                        Err(parcel) => {
                            self.stats.steer_refused += 1;
                            if self.bypass.get(usize::from(parcel.meta.ingress.0)) == Some(&true) {
                                self.pass(parcel.filled, lane);
                            } else {
                                self.drop_packet(parcel.filled, lane);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Sends a packet to the peer of the lane it came in by; nowhere where the set only listens.
    fn pass(&mut self, packet: Filled, lane: usize) {
        if !self.copy_mode.forwards() {
            return self.release(packet);
        }
        self.queue(packet, lane ^ 1);
    }

    /// Drops a packet, which a tap does in its counters only.
    fn drop_packet(&mut self, packet: Filled, lane: usize) {
        self.stats.dropped += 1;
        if self.copy_mode == CopyMode::Tap {
            return self.queue(packet, lane ^ 1);
        }
        self.release(packet);
    }

    fn queue(&mut self, packet: Filled, lane: usize) {
        let unsent = match self.outgoing.get_mut(lane) {
            Some(outgoing) => outgoing.try_push(packet).err().map(arrayvec::CapacityError::element),
            None => Some(packet),
        };
        if let Some(packet) = unsent {
            self.stats.send_errors += 1;
            self.release(packet);
        }
    }

    /// Drops what others passed on: later packets have passed it by.
    pub(crate) fn discard_steered(&mut self) {
        // No more than the rings held when it began, or whoever goes on passing on would keep us here.
        for _ in 0..self.links.waiting().0.div_ceil(BURST as u64) {
            let mut late = ArrayVec::<Parcel, BURST>::new();
            self.links.take_steered(BURST, &self.arena.ledger, |parcel| late.push(parcel));
            for parcel in late {
                self.stats.steered_in += 1;
                self.stats.late_drops += 1;
                if parcel.filled.has_more() {
                    let frames = self.arena.chains().count(&parcel.filled);
                    self.shared.passed_on(self.worker, frames, true);
                }
                self.release(parcel.filled);
            }
        }
    }

    fn release(&mut self, packet: Filled) {
        let (worker, per_worker) = (self.worker, self.frames_per_worker);
        let Self { arena, links, pool, .. } = self;
        release_packet(packet, worker, per_worker, arena, links, pool);
    }

    /// Copies what was forged into frames of the reserve: the engine's own leaves, a hook's is received.
    pub(crate) fn take_up_outbox(&mut self) {
        let outbox = std::mem::replace(&mut self.outbox, Outbox::without_room());
        for forged in outbox.forged() {
            let port = usize::from(forged.egress.0);
            let lane = self.lane_of_port.get(port).copied().flatten();
            let longest = self.properties.mtu.get(port).map_or(0, |mtu| *mtu as usize);
            let fits = !self.copy_mode.is_pass_through()
                && !forged.bytes.is_empty()
                && forged.bytes.len() <= longest;
            // Not more than may wait to be received again.
            let has_room = forged.origin == Origin::Engine || self.reentries.len() < RESERVE;
            let frame = if fits && has_room && lane.is_some() { self.pool.pop() } else { None };
            let filled = frame.and_then(|frame| match self.arena.write(frame, forged.bytes) {
                Ok(filled) => Some(filled),
                Err(frame) => {
                    self.pool.push(frame);
                    None
                }
            });
            let (Some(filled), Some(lane)) = (filled, lane) else {
                self.stats.forged_refused += 1;
                continue;
            };
            self.stats.forged += 1;
            match forged.origin {
                Origin::Engine => self.queue(filled, lane),
                Origin::Hook => {
                    let meta = self.forged_meta(forged.bytes.len(), forged.egress);
                    self.reentries.push_back(Parcel { filled, meta });
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

    /// Queues what leaves, and tells the kernel where it wants to be told.
    pub(crate) fn transmit(&mut self) -> Result<(), XdpError> {
        for index in 0..self.lanes.len() {
            let Self { lanes, outgoing, arena, stats, links, pool, .. } = self;
            let Some((lane, packets)) = lanes.get_mut(index).zip(outgoing.get_mut(index)) else { continue };
            if !packets.is_empty() {
                lane.send(arena, packets);
                for packet in packets.drain(..) {
                    stats.send_errors += 1;
                    release_packet(packet, self.worker, self.frames_per_worker, arena, links, pool);
                }
            }
            if lane.in_transmit() > 0 {
                lane.kick().map_err(|source| XdpError::PortLost { name: lane.name().to_owned(), source })?;
            }
        }
        Ok(())
    }

    pub(crate) fn refill(&mut self) -> Result<(), XdpError> {
        let Self { lanes, arena, pool, fill_target, .. } = self;
        for lane in lanes {
            if *fill_target - lane.in_fill().min(*fill_target) >= REFILL {
                let filled = lane.refill(arena, pool, *fill_target, RESERVE);
                filled.map_err(|source| XdpError::PortLost { name: lane.name().to_owned(), source })?;
            }
            lane.run_receive_loop();
        }
        Ok(())
    }
}

/// Gives every frame of a packet back.
fn release_packet(
    packet: Filled,
    worker: usize,
    per_worker: u32,
    arena: &Arena,
    links: &mut Links,
    pool: &mut Vec<Frame>,
) {
    if !packet.has_more() {
        return release(packet.empty(), worker, per_worker, arena, links, pool);
    }
    arena.chains().each(packet, |frame| release(frame.empty(), worker, per_worker, arena, links, pool));
}

/// Gives an empty frame back to the pool it belongs to.
fn release(
    frame: Frame,
    worker: usize,
    per_worker: u32,
    arena: &Arena,
    links: &mut Links,
    pool: &mut Vec<Frame>,
) {
    let owner = (frame.number() / per_worker.max(1)) as usize;
    let frame = if owner == worker {
        frame
    } else {
        match links.send_home(owner, frame, &arena.ledger) {
            Ok(()) => return,
            // Cannot be: the ring holds all of them. Then it stays here rather than nowhere.
            Err(frame) => frame,
        }
    };
    arena.ledger.moved(frame.number(), Place::Held, Place::Pool);
    pool.push(frame);
}
