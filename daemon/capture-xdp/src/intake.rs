//! What comes in: packets gathered into a batch, and lent.

use crate::config::CopyMode;
use crate::links::Parcel;
use crate::module::{Held, XdpModule};
use arrayvec::ArrayVec;
use portcullis_capture::burst::{ChecksumStatus, PacketState};
use portcullis_capture::{BURST, Burst, Judgement, Packet, PacketMeta, PortId};
use portcullis_wire::{LinkType, Timestamp};

impl XdpModule {
    /// Fills the batch: forged packets, then what others passed on (at most half a burst while there is more),
    /// then what was received, each time from another lane on.
    pub(crate) fn gather(&mut self, now: Timestamp) {
        let Self { batch, reentries, links, lanes, arena, ports, lane_of_port, stats, hearts, .. } = self;
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
                parcel.meta.clock = parcel.meta.clock.max(clock);
                let lane = lane_of(parcel.meta.ingress);
                batch.push(Held { parcel, lane });
            });
        };
        take_steered(batch, BURST / 2);
        let count = lanes.len();
        let mut received = (0_u64, 0_u64);
        for step in 0..count {
            let index = (self.first_lane + step) % count;
            let Some((lane, port)) = lanes.get_mut(index).zip(ports.get(index)) else { continue };
            let room = batch.remaining_capacity();
            let taken = lane.receive(arena, room, |filled| {
                let length = filled.desc.lengths().data();
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
            hearts.took(index, taken, taken < room);
        }
        self.first_lane = (self.first_lane + 1) % count.max(1);
        take_steered(batch, BURST);
        stats.received += received.0;
        stats.received_bytes += received.1;
    }

    pub(crate) fn lend(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> ArrayVec<Judgement, BURST> {
        let Self { batch, arena, scratch, outbox, copy_mode, .. } = self;
        let mut burst = Burst::new(outbox);
        let mut copies = scratch.chunks_mut(arena.capacity());
        for Held { parcel: Parcel { filled, meta }, .. } in batch.iter_mut() {
            let mut bytes = arena.bytes(filled);
            if *copy_mode == CopyMode::Tap {
                let Some(copy) = copies.next().and_then(|copy| copy.get_mut(..bytes.len())) else { continue };
                copy.copy_from_slice(bytes);
                bytes = copy;
            }
            burst.push(Packet::new(bytes, *meta));
        }
        inspect(&mut burst);
        burst.into_judgements()
    }
}
