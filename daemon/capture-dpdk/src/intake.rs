//! What comes in: packets gathered into a batch, and lent.

use crate::links::Parcel;
use crate::module::{DpdkModule, Held};
use arrayvec::ArrayVec;
use portcullis_capture::burst::{ChecksumStatus, PacketState};
use portcullis_capture::{BURST, Burst, CopyMode, Judgement, Packet, PacketMeta, PortId};
use portcullis_wire::{LinkType, Timestamp};

impl DpdkModule {
    /// Fills the batch: forged packets, then what others passed on (at most half a burst while there is more), then
    /// what was received, each time from another lane on.
    pub(crate) fn gather(&mut self, now: Timestamp) {
        let is_draining = self.shared.ending.has_begun();
        let Self { batch, reentries, links, lanes, ports, lane_of_port, stats, draining, .. } = self;
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
            links.take_steered(room, |mut parcel| {
                stats.steered_in += 1;
                parcel.meta.clock = parcel.meta.clock.max(clock);
                let lane = lane_of(parcel.meta.ingress);
                batch.push(Held { parcel, lane });
            });
        };
        take_steered(batch, BURST / 2);
        let count = lanes.len();
        let (mut received, mut bytes, mut too_long) = (0_u64, 0_u64, 0_u64);
        for step in 0..count {
            let index = (self.first_lane + step) % count;
            let Some((lane, port)) = lanes.get_mut(index).zip(ports.get(index)) else { continue };
            let room = draining.limit(is_draining, index, batch.remaining_capacity());
            let taken = lane.receive(room, |mbuf| {
                let length = mbuf.total();
                if length > self.longest && !mbuf.is_whole() {
                    // More than any packet of this MTU: there is no room to put it together.
                    too_long += 1;
                    return;
                }
                (received, bytes) = (received + 1, bytes + length as u64);
                let checksum =
                    if mbuf.has_good_checksum() { ChecksumStatus::Good } else { ChecksumStatus::Unknown };
                let meta = PacketMeta {
                    id: self.next_id,
                    timestamp: now,
                    clock,
                    wire_length: u32::try_from(length).unwrap_or(u32::MAX),
                    ingress: *port,
                    link: LinkType::Ethernet,
                    vlan: None,
                    checksum,
                    state: PacketState::Normal,
                    steered: false,
                };
                self.next_id += self.workers as u64;
                batch.push(Held { parcel: Parcel { mbuf, meta }, lane: index });
            });
            draining.took(is_draining, index, taken, room);
        }
        self.first_lane = (self.first_lane + 1) % count.max(1);
        take_steered(batch, BURST);
        stats.received += received;
        stats.received_bytes += bytes;
        stats.errors += too_long;
    }

    pub(crate) fn lend(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> ArrayVec<Judgement, BURST> {
        let Self { batch, scratch, outbox, copy_mode, longest, .. } = self;
        let mut burst = Burst::new(outbox);
        let copies = scratch.chunks_mut((*longest).max(1));
        for (Held { parcel: Parcel { mbuf, meta }, .. }, copy) in batch.iter_mut().zip(copies) {
            let length = mbuf.total();
            let in_place = mbuf.is_whole() && *copy_mode != CopyMode::Tap;
            let bytes = match copy.get_mut(..length) {
                Some(copy) if !in_place => {
                    mbuf.gather(copy);
                    copy
                }
                // What is longer than the MTU says came in one buffer: a tap shows it, too.
                _ => mbuf.first_mut(),
            };
            burst.push(Packet::new(bytes, *meta));
        }
        inspect(&mut burst);
        burst.into_judgements()
    }
}
