//! What comes in: packets gathered into a batch, and lent.

use crate::config::CopyMode;
use crate::frames::Place;
use crate::links::Parcel;
use crate::module::{Held, XdpModule};
use crate::port::Arena;
use arrayvec::ArrayVec;
use portcullis_capture::burst::{ChecksumStatus, PacketState};
use portcullis_capture::{BURST, Burst, Judgement, Packet, PacketMeta, PortId};
use portcullis_wire::{LinkType, Timestamp};

impl XdpModule {
    /// Fills the batch: forged packets, then what others passed on (at most half a burst while there is more),
    /// then what was received, each time from another lane on.
    pub(crate) fn gather(&mut self, now: Timestamp) {
        let Self {
            batch,
            reentries,
            links,
            lanes,
            arena,
            ports,
            lane_of_port,
            stats,
            hearts,
            shared,
            worker,
            pool,
            ..
        } = self;
        let lane_of = |port: PortId| lane_of_port.get(usize::from(port.0)).copied().flatten().unwrap_or(0);
        while batch.len() < BURST
            && let Some(parcel) = reentries.pop_front()
        {
            stats.reentered += 1;
            let lane = lane_of(parcel.meta.ingress);
            batch.push(Held { parcel, lane });
        }
        let clock = self.clock;
        let mut take_steered = |batch: &mut ArrayVec<Held, BURST>, limit: usize| {
            let room = limit.min(batch.remaining_capacity());
            links.take_steered(room, &arena.ledger, |mut parcel| {
                stats.steered_in += 1;
                if parcel.filled.has_more() {
                    shared.passed_on(*worker, arena.chains().count(&parcel.filled), true);
                }
                parcel.meta.clock = parcel.meta.clock.max(clock);
                let lane = lane_of(parcel.meta.ingress);
                batch.push(Held { parcel, lane });
            });
        };
        take_steered(batch, BURST / 2);
        let count = lanes.len();
        // An MTU that was raised lets packets in that there is no room to judge.
        let longest = arena.longest();
        let mut received = (0_u64, 0_u64);
        for step in 0..count {
            let index = (self.first_lane + step) % count;
            let Some((lane, port)) = lanes.get_mut(index).zip(ports.get(index)) else { continue };
            let room = batch.remaining_capacity();
            let taken = lane.receive(arena, room, |filled, length| {
                if length > longest {
                    stats.errors += 1;
                    return arena.chains().each(filled, |frame| {
                        arena.ledger.moved(frame.number(), Place::Held, Place::Pool);
                        pool.push(frame.empty());
                    });
                }
                received = (received.0 + 1, received.1 + length as u64);
                let meta = PacketMeta {
                    id: self.next_id,
                    timestamp: now,
                    clock,
                    wire_length: u32::try_from(length).unwrap_or(u32::MAX),
                    ingress: *port,
                    link: LinkType::Ethernet,
                    vlan: None,
                    checksum: ChecksumStatus::Unknown,
                    state: PacketState::Normal,
                    steered: false,
                };
                self.next_id += self.workers as u64;
                batch.push(Held { parcel: Parcel { filled, meta }, lane: index });
            });
            hearts.took(index, taken.packets, taken.is_empty);
        }
        self.first_lane = (self.first_lane + 1) % count.max(1);
        take_steered(batch, BURST);
        stats.received += received.0;
        stats.received_bytes += received.1;
    }

    pub(crate) fn lend(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> ArrayVec<Judgement, BURST> {
        let Self { batch, arena, scratch, outbox, copy_mode, .. } = self;
        let mut burst = Burst::new(outbox);
        let mut copies = scratch.chunks_mut(arena.longest());
        for Held { parcel: Parcel { filled, meta }, .. } in batch.iter_mut() {
            if *copy_mode == CopyMode::Tap || filled.has_more() {
                let copy = copies.next().unwrap_or_default();
                let length = (meta.wire_length as usize).min(copy.len());
                arena.copy(filled, copy, false);
                burst.push(Packet::new(copy.get_mut(..length).unwrap_or_default(), *meta));
            } else {
                burst.push(Packet::new(arena.bytes(filled), *meta));
            }
        }
        inspect(&mut burst);
        let judgements = burst.into_judgements();
        if arena.has_chains() && *copy_mode != CopyMode::Tap {
            put_back(batch, &judgements, arena, scratch);
        }
        judgements
    }
}

/// Puts packets of several frames that were changed in their copies back where they lie.
fn put_back(batch: &mut [Held], judgements: &[Judgement], arena: &Arena, scratch: &mut [u8]) {
    let several = batch.iter_mut().zip(judgements).filter(|(held, _)| held.parcel.filled.has_more());
    for ((held, judgement), copy) in several.zip(scratch.chunks_mut(arena.longest())) {
        if judgement.modified {
            arena.copy(&mut held.parcel.filled, copy, true);
        }
    }
}
