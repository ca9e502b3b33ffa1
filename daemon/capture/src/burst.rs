//! The packets that a module lends for one round of judging.

use crate::outbox::Outbox;
use crate::verdict::{DropReason, PortId, Verdict};
use arrayvec::ArrayVec;
use portcullis_wire::{LinkType, Timestamp};
use std::ops::Range;

/// Most packets in a burst. 64 gained nothing over 32 where look-ups were measured.
pub const BURST: usize = 32;

/// Where a packet is in its life (Haka's `packet_status`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PacketState {
    /// Received from a port or a file, and not judged yet.
    #[default]
    Normal,
    /// Made by us and received again as if from the wire.
    Forged,
    /// Judged: its bytes are no longer ours.
    Sent,
}

/// What the device already knows about the transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumStatus {
    /// Nothing: look yourself.
    #[default]
    Unknown,
    /// The device found it good.
    Good,
    /// It is not filled in yet: the sender left it to its device.
    Partial,
}

/// What is known about a packet besides its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketMeta {
    /// The module's number for the packet, from 1; 0 for a forged one. A capture file counts
    /// records, so this is EVE's `pcap_cnt`.
    pub id: u64,
    /// When it was captured.
    pub timestamp: Timestamp,
    /// The engine's time at this packet, which never goes back: the burst's time where the
    /// module is real-time, else the largest stamp read so far, this one included. It travels
    /// with a steered packet, so that every worker sees the time the reader saw.
    pub clock: Timestamp,
    /// Length on the wire in bytes; more than was captured where the capture cut it.
    pub wire_length: u32,
    /// The port it came in on.
    pub ingress: PortId,
    /// What its first byte is.
    pub link: LinkType,
    /// A VLAN tag (TCI) that the device took off, outermost of all.
    pub vlan: Option<u16>,
    /// What the device knows about the transport checksum.
    pub checksum: ChecksumStatus,
    /// Normal or forged; `Sent` once judged.
    pub state: PacketState,
    /// Passed on by another worker as this one's: it must not be steered again.
    pub steered: bool,
}

/// A packet on loan: its bytes, writable, and what is known about it.
#[derive(Debug)]
pub struct Packet<'a> {
    bytes: &'a mut [u8],
    modified: bool,
    /// What is known about the packet besides its bytes.
    pub meta: PacketMeta,
}

impl<'a> Packet<'a> {
    /// A packet of these bytes.
    #[must_use]
    pub fn new(bytes: &'a mut [u8], meta: PacketMeta) -> Self {
        Self { bytes, modified: false, meta }
    }

    /// The frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// The frame, to be changed in place: the module then sends these bytes. It never changes
    /// in length.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.modified = true;
        self.bytes
    }

    /// Was the frame lent for writing?
    #[must_use]
    pub const fn is_modified(&self) -> bool {
        self.modified
    }

    /// Lends a part of the frame as a packet of its own, which `use_it` may change in place: then this
    /// one is changed. `None`, and not lent, where the frame does not reach so far.
    pub fn within<R>(
        &mut self,
        part: Range<usize>,
        meta: PacketMeta,
        use_it: impl FnOnce(&mut Packet<'_>) -> R,
    ) -> Option<R> {
        let mut inner = Packet::new(self.bytes.get_mut(part)?, meta);
        let result = use_it(&mut inner);
        self.modified |= inner.modified;
        Some(result)
    }
}

/// A packet's slot after judging: what the module must carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Judgement {
    /// The verdict; `Drop(NoVerdict)` for a packet that nobody judged.
    pub verdict: Verdict,
    /// Were its bytes lent for writing?
    pub modified: bool,
}

/// Up to [`BURST`] packets with a verdict slot each, and the outbox.
#[derive(Debug)]
pub struct Burst<'a> {
    packets: ArrayVec<Packet<'a>, BURST>,
    slots: [Option<Verdict>; BURST],
    /// What is to be sent or offloaded beyond the verdicts.
    pub outbox: &'a mut Outbox,
}

impl<'a> Burst<'a> {
    /// An empty burst over the module's outbox.
    #[must_use]
    pub fn new(outbox: &'a mut Outbox) -> Self {
        Self { packets: ArrayVec::new(), slots: [None; BURST], outbox }
    }

    /// Adds a packet; `false`, with the packet dropped from the loan, when the burst is full.
    pub fn push(&mut self, packet: Packet<'a>) -> bool {
        self.packets.try_push(packet).is_ok()
    }

    /// Packets in the burst, 0 to [`BURST`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// No packet at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The packets, in order of arrival.
    #[must_use]
    pub fn packets(&self) -> &[Packet<'a>] {
        &self.packets
    }

    /// The packets, to be changed in place.
    #[must_use]
    pub fn packets_mut(&mut self) -> &mut [Packet<'a>] {
        &mut self.packets
    }

    /// Packet `index`, to be judged, and the outbox for what the judgement sends.
    pub fn packet_and_outbox(&mut self, index: usize) -> Option<(&mut Packet<'a>, &mut Outbox)> {
        Some((self.packets.get_mut(index)?, self.outbox))
    }

    /// Gives packet `index` its verdict. The first one counts: a second is a no-op and `false`,
    /// and so is a verdict for a packet that is not there.
    pub fn judge(&mut self, index: usize, verdict: Verdict) -> bool {
        let Some(packet) = self.packets.get_mut(index) else { return false };
        let Some(slot) = self.slots.get_mut(index) else { return false };
        if slot.is_some() {
            return false;
        }
        *slot = Some(verdict);
        packet.meta.state = PacketState::Sent;
        true
    }

    /// The verdict that packet `index` was given, if any yet.
    #[must_use]
    pub fn verdict(&self, index: usize) -> Option<Verdict> {
        self.slots.get(index).copied().flatten()
    }

    /// Ends the loan: one judgement a packet, in order.
    pub fn into_judgements(self) -> ArrayVec<Judgement, BURST> {
        let Self { packets, slots, outbox: _ } = self;
        let judge = |(packet, slot): (&Packet<'_>, &Option<Verdict>)| Judgement {
            verdict: slot.unwrap_or(Verdict::Drop(DropReason::NoVerdict)),
            modified: packet.modified,
        };
        packets.iter().zip(&slots).map(judge).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_within_is_a_part_of_the_frame() {
        let mut bytes = *b"outer(inner)";
        let mut packet = Packet::new(&mut bytes, PacketMeta::default());
        assert_eq!(
            packet.within(6..11, packet.meta, |inner| inner.bytes().to_vec()),
            Some(b"inner".to_vec())
        );
        assert!(!packet.is_modified());
        assert_eq!(packet.within(6..13, packet.meta, |_| ()), None);
        packet.within(6..11, packet.meta, |inner| inner.bytes_mut()[0] = b'X');
        assert!(packet.is_modified());
        assert_eq!(packet.bytes(), b"outer(Xnner)");
    }
}
