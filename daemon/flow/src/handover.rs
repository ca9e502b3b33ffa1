//! Flows that go on in another process: one as bytes, and a pass over the table that gives them away, or takes
//! one in.
//!
//! A flow keeps its id, times, counts, flags, state, what was decided about it and its bits. What hooks keep
//! beside it, its removal hooks, and the bytes of the last interval (`flow.rate-tracking`) stay behind.
//!
//! A table gives its flows away in two passes. [`Pass::Copy`] tells of each while it goes on being judged here;
//! [`Pass::Leave`] takes each out of the table and tells only of those that are new or have changed since. What
//! ends between is told by [`FlowTable::next_departed`].

use crate::arena::{Cold, Hot, NO_DEADLINE, Parts};
use crate::bits::FlowBits;
use crate::flow::{
    self, ALERTED, CAPTURE_BYPASSED, CLIENT_IS_HIGHER, COPIED, ELEPHANT, EndReason, Flow, FlowAction,
    FlowState, IDLE_FIXED, NO_PAYLOAD_INSPECTION, SEEN, STATE_CHANGED, UNINSPECTED,
};
use crate::idle::Idle;
use crate::key::FlowKey;
use crate::portable::Reader;
use crate::slot::SlotIndex;
use crate::table::{FlowTable, ID_MASK};
use crate::tcp::{TcpState, TcpSummary};
use portcullis_capture::{DropReason, PortId};
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::VlanIds;
use portcullis_wire::decoded::{TcpFlags, VLAN_LAYERS};
use std::collections::VecDeque;

/// Most ends that wait to be told of; a flow whose end was not told goes on in the other process until it is
/// idle for long enough.
pub const MOST_DEPARTED: usize = 1 << 16;

/// So many places without a flow cost about as much as one with a flow: a line of deadlines.
const EMPTY_AS_ONE: u32 = 16;

/// The flags that go with a flow.
const CARRIED: u16 = CLIENT_IS_HIGHER
    | SEEN
    | SEEN << 1
    | ALERTED
    | NO_PAYLOAD_INSPECTION
    | CAPTURE_BYPASSED
    | flow::DROP_NOTED
    | flow::DROP_NOTED << 1
    | ELEPHANT
    | ELEPHANT << 1
    | IDLE_FIXED
    | UNINSPECTED;

/// How an action is told: 0 for none, 1 for passing, and from here on the reasons for dropping.
const DROPS: u8 = 2;

/// What a pass over the table does with flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Tells of each, and leaves it where it is.
    Copy,
    /// Takes each out of the table, its end being [`EndReason::HandedOver`], and tells of those that are new
    /// or have changed since they were copied. One that is over is retired for that.
    Leave,
}

/// Why a flow cannot be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// There is no memory for it.
    NoMemory,
    /// Packets of it have begun another flow here already.
    Known,
}

/// A flow that another process told of.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    hot: Hot,
    cold: Cold,
    bits: FlowBits,
    isns: [u32; 2],
    tcp: TcpSummary,
}

impl Flow<'_> {
    /// Appends the flow as [`Told::read`] reads it: about 170 bytes.
    pub fn tell(&self, out: &mut Vec<u8>) {
        let (hot, cold) = (&*self.hot, &*self.cold);
        Name { key: hot.key, id: cold.id, outer: cold.outer }.tell(out);
        for word in [cold.parent_id, cold.start.as_nanos(), hot.last_seen.as_nanos()] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for word in hot.packets.into_iter().chain(hot.bytes) {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for half in [hot.flags & CARRIED, hot.idle.raw()] {
            out.extend_from_slice(&half.to_le_bytes());
        }
        let action = match hot.action {
            None => 0,
            Some(FlowAction::Pass) => 1,
            Some(FlowAction::Drop(reason)) => DROPS + reason as u8,
        };
        out.extend_from_slice(&[hot.state as u8, action, hot.ingress.0]);
        out.extend_from_slice(&hot.ttl_min);
        out.extend_from_slice(&hot.ttl_max);
        out.extend_from_slice(cold.icmp.as_flattened());
        let vlans = VlanIds::from(cold.vlans);
        out.push(u8::try_from(vlans.as_slice().len()).unwrap_or(0));
        vlans.as_slice().iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
        let tcp = hot.session.summary();
        out.extend_from_slice(&[u8::from(tcp.session), tcp.state as u8, tcp.flags_ts.0, tcp.flags_tc.0]);
        hot.session.isns().iter().for_each(|isn| out.extend_from_slice(&isn.to_le_bytes()));
        self.bits().tell(out);
    }
}

impl Told {
    /// Takes a flow from bytes; `None` where they are not what [`Flow::tell`] writes.
    #[must_use]
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let Name { key, id, outer } = Name::read(reader)?;
        let mut hot = Hot { key, ..Hot::default() };
        let mut cold = Cold { id, outer, parent_id: reader.u64()?, ..Cold::default() };
        cold.start = Timestamp::from_nanos(reader.u64()?);
        hot.last_seen = Timestamp::from_nanos(reader.u64()?);
        hot.packets = [reader.u64()?, reader.u64()?];
        hot.bytes = [reader.u64()?, reader.u64()?];
        hot.flags = reader.u16()?;
        hot.idle = Idle::from_raw(reader.u16()?);
        hot.state = FlowState::ALL.get(usize::from(reader.u8()?)).copied()?;
        hot.action = match reader.u8()? {
            0 => None,
            1 => Some(FlowAction::Pass),
            code => Some(FlowAction::Drop(*DropReason::ALL.get(usize::from(code - DROPS))?)),
        };
        hot.ingress = PortId(reader.u8()?);
        hot.ttl_min = reader.array()?;
        hot.ttl_max = reader.array()?;
        let [kind, code, response_kind, response_code] = reader.array()?;
        cold.icmp = [[kind, code], [response_kind, response_code]];
        cold.vlans = read_vlans(reader)?.into();
        let [session, state, ts, tc] = reader.array()?;
        let state = TcpState::ALL.get(usize::from(state)).copied()?;
        let tcp = TcpSummary { session: session == 1, state, flags_ts: TcpFlags(ts), flags_tc: TcpFlags(tc) };
        let isns = [reader.u32()?, reader.u32()?];
        let bits = FlowBits::read(reader)?;
        let in_order = cold.start <= hot.last_seen && cold.parent_id <= ID_MASK && session <= 1;
        (in_order && hot.flags & !CARRIED == 0).then_some(Self { hot, cold, bits, isns, tcp })
    }
}

/// What a flow is known by, and what decides about its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its key.
    pub key: FlowKey,
    /// Its id.
    pub id: u64,
    /// Where the [outermost addresses](Flow::outer) put it; 0 where those of the key do.
    pub outer: u16,
}

impl Name {
    /// Appends it as [`read`](Self::read) reads it. What [`Flow::tell`] writes begins so.
    pub fn tell(&self, out: &mut Vec<u8>) {
        self.key.words().iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.outer.to_le_bytes());
    }

    /// Takes a name from bytes; `None` where they are none.
    #[must_use]
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut words = [0; 6];
        for word in &mut words {
            *word = reader.u64()?;
        }
        let id = reader.u64().filter(|id| (1..=ID_MASK).contains(id))?;
        Some(Self { key: FlowKey::from_words(words)?, id, outer: reader.u16()? })
    }
}

fn read_vlans(reader: &mut Reader<'_>) -> Option<VlanIds> {
    let mut vlans = VlanIds::default();
    let count = reader.u8().filter(|count| usize::from(*count) <= VLAN_LAYERS)?;
    for _ in 0..count {
        let id = reader.u16().filter(|id| *id <= 0x0fff)?;
        vlans.push(id);
    }
    Some(vlans)
}

/// Ends that are to be told of, while copies of flows are elsewhere.
#[derive(Debug)]
pub(crate) struct Departed {
    names: VecDeque<Name>,
}

impl Departed {
    /// Is there room for one more?
    pub(crate) fn push(&mut self, name: Name) -> bool {
        let has_room = self.names.len() < MOST_DEPARTED;
        if has_room {
            self.names.push_back(name);
        }
        has_room
    }
}

impl FlowTable {
    /// Goes on with a pass over the table: looks at up to `looks` flows from `place` on (empty places are cheaper: 16
    /// of them count as one), and lends each flow
    /// that is to be told of to `tell`, until that says `false`. `false` once all places were looked at.
    /// Flows that left are finished by [`finish`](Self::finish) like any others.
    pub fn hand_over(
        &mut self,
        pass: Pass,
        place: &mut u32,
        looks: usize,
        now: Timestamp,
        tell: &mut dyn FnMut(&mut Flow<'_>) -> bool,
    ) -> bool {
        if pass == Pass::Copy && self.departed.is_none() {
            self.departed = Some(Box::new(Departed { names: VecDeque::new() }));
        }
        let (mut looked, mut empty) = (0, 0);
        while looked < looks {
            if *place >= self.arena.len() {
                return false;
            }
            let slot = SlotIndex(*place);
            *place += 1;
            if self.arena.deadlines()[slot.place()] == NO_DEADLINE {
                empty += 1;
                looked += usize::from(empty % EMPTY_AS_ONE == 0);
                continue;
            }
            looked += 1;
            if self.is_over(slot, now) {
                self.retire(slot, EndReason::Timeout);
                continue;
            }
            let mut flow = Flow::at(slot, &mut self.arena, &mut self.storage);
            let is_known = flow.hot.flags & COPIED != 0;
            let go_on = is_known || tell(&mut flow);
            match pass {
                Pass::Copy => flow.hot.flags |= COPIED,
                Pass::Leave => self.retire(slot, EndReason::HandedOver),
            }
            if !go_on {
                break;
            }
        }
        *place < self.arena.len()
    }

    /// The next flow that ended here after copying began, and that whoever has a copy must forget. To be told before any flow that is lent later.
    pub fn next_departed(&mut self) -> Option<Name> {
        self.departed.as_mut()?.names.pop_front()
    }

    /// Are there ends to be told of?
    #[must_use]
    pub fn has_departed(&self) -> bool {
        self.departed.as_ref().is_some_and(|departed| !departed.names.is_empty())
    }

    /// Takes over a flow, or the newer state of one that was taken over before, and says which: `true` for a
    /// flow that is new here. Times later than `now` are taken as `now`.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn take_over(&mut self, told: &Told, now: Timestamp) -> Result<(Flow<'_>, bool), NotTaken> {
        let hash = self.hash(&told.hot.key);
        let arena = &self.arena;
        let found = self.index.find(hash, |slot| arena.hot(slot).key.same(&told.hot.key));
        let slot = match found {
            Some(slot) if self.arena.cold_mut(slot).id == told.cold.id => slot,
            Some(_) => return Err(NotTaken::Known),
            None => {
                let slot = self.take_spare(now).ok_or(NotTaken::NoMemory)?;
                let index = slot.index();
                if let Err(slot) = self.index.insert(hash, slot) {
                    self.stats.index_refused += 1;
                    self.give_spare(slot);
                    return Err(NotTaken::NoMemory);
                }
                self.stats.taken_over += 1;
                self.stats.active += 1;
                self.debug_conserved();
                index
            }
        };
        let Parts { hot, cold, deadline, bits } = self.arena.parts(slot);
        let kept = hot.flags & !CARRIED;
        let (stream, next, mut handle) = (cold.stream, cold.next, cold.bits);
        *hot = told.hot;
        hot.flags |= kept | STATE_CHANGED;
        hot.flags &= !COPIED;
        if hot.flags & IDLE_FIXED == 0 {
            // Decided here, from here on.
            hot.idle = Idle::default();
        }
        hot.last_seen = hot.last_seen.min(now);
        hot.session.set(told.tcp, told.isns);
        // Bits that there is no room for are lost, as where rules set them.
        let has_bits = bits.write(&mut handle, &told.bits);
        self.stats.bits_lost += u64::from(!has_bits);
        *cold = Cold { stream, bits: handle, start: told.cold.start.min(now), ..told.cold };
        cold.next = if found.is_some() { next } else { 0 };
        self.expiry.settle(hot);
        *deadline = self.expiry.deadline(hot);
        Ok((Flow::at(slot, &mut self.arena, &mut self.storage), found.is_none()))
    }

    /// Forgets a flow that was taken over and has ended where it came from; was it there?
    pub fn forget(&mut self, name: &Name) -> bool {
        let hash = self.hash(&name.key);
        let arena = &self.arena;
        let found = self.index.find(hash, |slot| arena.hot(slot).key.same(&name.key));
        let Some(slot) = found.filter(|slot| self.arena.cold_mut(*slot).id == name.id) else { return false };
        self.retire(slot, EndReason::HandedOver);
        true
    }
}
