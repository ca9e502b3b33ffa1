//! The flows' memory: a hot part of two cache lines, a cold part, and a deadline each, at the same
//! place of three arrays that never move; and the bits of those that have some. Owns layout and growth; knows nothing of keys, time or
//! states.

use crate::bits::pool::{BitsHandle, BitsPool};
use crate::flow::{FlowAction, FlowState};
use crate::idle::Idle;
use crate::key::FlowKey;
use crate::memory::Mapped;
use crate::settings::SetupError;
use crate::slot::{Slot, SlotIndex};
use crate::tcp::Session;
use portcullis_capture::PortId;
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::{VLAN_LAYERS, VlanIds};
use std::ops::Range;

/// What every packet of a flow reads or writes: two cache lines.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Hot {
    pub(crate) key: FlowKey,
    pub(crate) last_seen: Timestamp,
    /// See the constants of [`crate::flow`].
    pub(crate) flags: u16,
    pub(crate) state: FlowState,
    pub(crate) action: Option<FlowAction>,
    pub(crate) ingress: PortId,
    /// Why it ended: bits of [`EndReason`](crate::flow::EndReason), and [`EMERGENCY`](crate::flow::EMERGENCY).
    pub(crate) end: u8,
    pub(crate) idle: Idle,
    // The second line. Pairs are by direction: to the server, to the client.
    pub(crate) packets: [u64; 2],
    pub(crate) bytes: [u64; 2],
    pub(crate) session: Session,
    pub(crate) ttl_min: [u8; 2],
    pub(crate) ttl_max: [u8; 2],
}

/// What is written when a flow begins, and read when it is reported.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Cold {
    pub(crate) id: u64,
    pub(crate) start: Timestamp,
    pub(crate) parent_id: u64,
    pub(crate) vlans: PackedVlans,
    /// Where the outermost addresses of its packets put it, if these are not its own; 0 if they are.
    pub(crate) outer: u16,
    /// Type and code of the first ICMP message, and of the first one back.
    pub(crate) icmp: [[u8; 2]; 2],
    /// What rules remember about it, where they remember something.
    pub(crate) bits: Option<BitsHandle>,
    /// The next slot of the queue it is in; while it is in the table and so in no queue, the version of
    /// the rules that it began under.
    pub(crate) next: u32,
    /// Whatever follows its TCP session has this number for it; 0 for none.
    pub(crate) stream: u32,
}

/// VLAN ids in six bytes: each in twelve bits, their number above the first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PackedVlans([u16; VLAN_LAYERS]);

impl From<VlanIds> for PackedVlans {
    fn from(vlans: VlanIds) -> Self {
        let mut packed = vlans.raw();
        packed[0] |= u16::try_from(vlans.as_slice().len()).unwrap_or(0) << 12;
        Self(packed)
    }
}

impl From<PackedVlans> for VlanIds {
    fn from(packed: PackedVlans) -> Self {
        let mut vlans = Self::default();
        for id in packed.0.into_iter().take(usize::from(packed.0[0] >> 12)) {
            vlans.push(id);
        }
        vlans
    }
}

const _: () = assert!(size_of::<Hot>() == 128 && align_of::<Hot>() == 64);
const _: () = assert!(size_of::<Cold>() == 48);

/// Bytes of one flow, without its share of the index.
pub(crate) const FLOW_BYTES: u64 = (size_of::<Hot>() + size_of::<Cold>() + size_of::<u32>()) as u64;

/// The deadline of a slot that holds no flow of the table.
pub(crate) const NO_DEADLINE: u32 = u32::MAX;

/// Three arrays, one place a flow.
#[derive(Debug)]
pub(crate) struct Arena {
    hot: Mapped<Hot>,
    cold: Mapped<Cold>,
    deadline: Mapped<u32>,
    bits: BitsPool,
}

/// What there is of one flow.
pub(crate) struct Parts<'a> {
    pub(crate) hot: &'a mut Hot,
    pub(crate) cold: &'a mut Cold,
    pub(crate) deadline: &'a mut u32,
    /// The bits of all flows.
    pub(crate) bits: &'a mut BitsPool,
}

impl Arena {
    /// Reserves room for `capacity` flows; none is there yet. With `populate` the system provides
    /// the memory at once.
    pub(crate) fn reserve(capacity: u32, populate: bool) -> Result<Self, SetupError> {
        let refused = |error: std::io::Error| SetupError::Memory {
            bytes: u64::from(capacity) * FLOW_BYTES,
            reason: error.to_string(),
        };
        let bits = BitsPool::reserve(capacity, populate)?;
        let capacity = capacity as usize;
        let arena = Self {
            hot: Mapped::reserve(capacity).map_err(refused)?,
            cold: Mapped::reserve(capacity).map_err(refused)?,
            deadline: Mapped::reserve(capacity).map_err(refused)?,
            bits,
        };
        if populate {
            arena.hot.populate(capacity);
            arena.cold.populate(capacity);
            arena.deadline.populate(capacity);
        }
        Ok(arena)
    }

    /// Opens a block of up to `count` flows and hands out the slots of those that there was room
    /// for.
    pub(crate) fn open(&mut self, count: u32) -> impl DoubleEndedIterator<Item = Slot> + use<> {
        let first = self.len();
        self.hot.extend(count as usize, Hot::default());
        self.cold.extend(count as usize, Cold::default());
        self.deadline.extend(count as usize, NO_DEADLINE);
        (first..self.len()).map(Slot::at)
    }

    /// Flows that were opened.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.hot.len()).unwrap_or(u32::MAX)
    }

    #[inline]
    pub(crate) fn hot(&self, slot: SlotIndex) -> &Hot {
        &self.hot.as_slice()[slot.place()]
    }

    /// Is the flow with this key in this slot (of whatever number), and in the table? Those that have left it say
    /// why, and spare ones have the key of no packet.
    #[inline]
    pub(crate) fn holds(&self, slot: SlotIndex, key: &FlowKey) -> bool {
        self.hot.as_slice().get(slot.place()).is_some_and(|hot| hot.end == 0 && hot.key.same(key))
    }

    pub(crate) fn cold_mut(&mut self, slot: SlotIndex) -> &mut Cold {
        &mut self.cold.as_mut_slice()[slot.place()]
    }

    /// All parts of a flow.
    #[inline]
    pub(crate) fn parts(&mut self, slot: SlotIndex) -> Parts<'_> {
        let place = slot.place();
        Parts {
            hot: &mut self.hot.as_mut_slice()[place],
            cold: &mut self.cold.as_mut_slice()[place],
            deadline: &mut self.deadline.as_mut_slice()[place],
            bits: &mut self.bits,
        }
    }

    /// Forgets everything about a flow that has ended.
    pub(crate) fn clear(&mut self, slot: SlotIndex) {
        let Parts { hot, cold, deadline, bits } = self.parts(slot);
        bits.release(&mut cold.bits);
        (*hot, *cold, *deadline) = (Hot::default(), Cold::default(), NO_DEADLINE);
    }

    /// The bits of all flows.
    pub(crate) const fn bits(&self) -> &BitsPool {
        &self.bits
    }

    pub(crate) const fn bits_mut(&mut self) -> &mut BitsPool {
        &mut self.bits
    }

    /// When to look at the flow next, in whole seconds; [`NO_DEADLINE`] where there is none.
    pub(crate) fn deadlines(&self) -> &[u32] {
        self.deadline.as_slice()
    }

    /// The earliest of a run of deadlines.
    pub(crate) fn earliest_deadline(&self, run: Range<u32>) -> u32 {
        let run = &self.deadlines()[run.start as usize..run.end as usize];
        run.iter().fold(NO_DEADLINE, |earliest, deadline| earliest.min(*deadline))
    }

    pub(crate) fn set_deadline(&mut self, slot: SlotIndex, secs: u32) {
        self.deadline.as_mut_slice()[slot.place()] = secs;
    }

    /// Asks for what a packet of a known flow needs.
    #[inline]
    pub(crate) fn prefetch(&self, slot: SlotIndex) {
        self.hot.prefetch(slot.place());
    }

    /// Asks for what the end of a flow needs, too.
    pub(crate) fn prefetch_whole(&self, slot: SlotIndex) {
        self.hot.prefetch(slot.place());
        self.cold.prefetch(slot.place());
    }
}
