//! A packet's way to its flow: found, replaced or made, and brought up to date.

use crate::arena::Parts;
use crate::flow::{self, Counts, Direction, EndReason, Flow, FlowState};
use crate::hash::FlowHash;
use crate::key::{FlowKey, Keyed, protocol};
use crate::slot::{Slot, SlotIndex};
use crate::stats::FlowStats;
use crate::table::{BLOCK, FlowGuess, FlowTable};
use crate::tcp::{self, Session};
use portcullis_capture::PortId;
use portcullis_wire::decoded::Transport;
use portcullis_wire::{Decoded, Timestamp};

/// A packet, as the table sees it.
#[derive(Clone, Copy, Debug)]
pub struct TrackedInput<'p> {
    /// Its key.
    pub keyed: &'p Keyed,
    /// The key's [hash](FlowTable::hash).
    pub hash: FlowHash,
    /// What decoding found in it.
    pub decoded: &'p Decoded,
    /// Its length in bytes as the flow counts it: on the wire, link header included.
    pub length: u32,
    /// The engine's time at this packet.
    pub now: Timestamp,
    /// The port it came in on.
    pub ingress: PortId,
    /// May it begin a flow?
    pub may_create: bool,
}

/// What became of a packet.
#[derive(Debug)]
pub enum Tracked<'t> {
    /// It belongs to a flow that was there.
    Known(Flow<'t>, Direction),
    /// It began this flow.
    New(Flow<'t>, Direction),
    /// It has no flow and may not begin one: an ICMP error about a flow we do not know,
    /// [`may_create`](TrackedInput::may_create) was off, or it is a TCP packet that begins no session
    /// (without `stream.midstream`: no SYN) while the table is in emergency mode.
    Untracked,
    /// There was no room for its flow: `flow.memcap-policy` decides.
    Refused,
}

impl FlowTable {
    /// Finds the packet's flow, or makes it, and takes the packet in: counters, TTL, TCP flags and
    /// state, time. A flow that is found to be over, or replaced by a new TCP session, goes to the
    /// work queue and a new one takes its place. Looks at a bounded number of buckets and flows.
    #[inline]
    pub fn track(&mut self, packet: &TrackedInput<'_>) -> Tracked<'_> {
        self.track_guessed(packet, FlowGuess::NONE)
    }

    /// The same, quicker where the flow is where [`prefetch_flow`](Self::prefetch_flow) guessed it to be.
    #[inline]
    pub fn track_guessed(&mut self, packet: &TrackedInput<'_>, guess: FlowGuess) -> Tracked<'_> {
        let found = self.find(packet, guess);
        match found.filter(|slot| self.is_current(*slot, packet)) {
            Some(slot) => self.known(slot, packet),
            None => self.unknown(packet),
        }
    }

    /// The slot of the packet's flow. A key is in the table once: who is there with it needs no look into the index.
    #[inline]
    fn find(&self, packet: &TrackedInput<'_>, guess: FlowGuess) -> Option<SlotIndex> {
        let (arena, key) = (&self.arena, &packet.keyed.key);
        let look_up = || self.index.find(packet.hash, |slot| arena.hot(slot).key.same(key));
        if arena.holds(guess.0, key) {
            debug_assert_eq!(Some(guess.0), look_up(), "a flow in the table is in the index");
            return Some(guess.0);
        }
        look_up()
    }

    /// Takes a packet of a flow in that is there.
    #[inline]
    fn known(&mut self, slot: SlotIndex, packet: &TrackedInput<'_>) -> Tracked<'_> {
        let following = self.follow_tcp.then_some(self.midstream);
        let unseen = self.is_unseen(slot);
        if unseen {
            self.mark_unseen(slot);
        }
        let mut flow = Flow { unseen, ..Flow::at(slot, &mut self.arena, &mut self.storage) };
        let direction = flow.direction_of(packet.keyed);
        flow.take_in(packet, direction, following);
        count_elephant(&mut self.stats, &mut flow, packet, direction);
        Tracked::Known(flow, direction)
    }

    /// Makes a flow of a packet that has none, if it may begin one.
    #[inline(never)]
    fn unknown(&mut self, packet: &TrackedInput<'_>) -> Tracked<'_> {
        if packet.keyed.quoted || !packet.may_create {
            return Tracked::Untracked;
        }
        if self.emergency() && !self.midstream && is_stray(packet.decoded) {
            self.stats.emerg_untracked += 1;
            return Tracked::Untracked;
        }
        let Some(slot) = self.create(packet) else {
            self.stats.memcap += 1;
            return Tracked::Refused;
        };
        let following = self.follow_tcp.then_some(self.midstream);
        let direction = first_direction(packet.decoded, self.midstream);
        let mut flow = Flow::at(slot, &mut self.arena, &mut self.storage);
        flow.take_in(packet, direction, following);
        count_elephant(&mut self.stats, &mut flow, packet, direction);
        flow.hot.flags |= flow::STATE_CHANGED;
        self.expiry.settle(flow.hot);
        *flow.deadline = self.expiry.deadline(flow.hot);
        Tracked::New(flow, direction)
    }

    /// The flow that this key's packets belong to, if there is one, and which way a packet with it goes.
    /// Takes no packet in: for a second look at the flow of a packet that was.
    pub fn look_up(&mut self, keyed: &Keyed, hash: FlowHash) -> Option<(Flow<'_>, Direction)> {
        let arena = &self.arena;
        let slot = self.index.find(hash, |slot| arena.hot(slot).key.same(&keyed.key))?;
        let flow = Flow::at(slot, &mut self.arena, &mut self.storage);
        let direction = flow.direction_of(keyed);
        Some((flow, direction))
    }

    /// The flow with this key, if there is one. For those who know of a flow by other ways than its packets.
    pub fn by_key(&mut self, key: &FlowKey) -> Option<Flow<'_>> {
        let keyed = Keyed { key: *key, swapped: false, quoted: false };
        self.look_up(&keyed, self.hash(key)).map(|(flow, _)| flow)
    }

    /// Is this flow still the packet's? One that is over or replaced is retired.
    #[inline]
    fn is_current(&mut self, slot: SlotIndex, packet: &TrackedInput<'_>) -> bool {
        self.settle(slot);
        let hot = self.arena.hot(slot);
        let reason = if self.expiry.is_over(hot, packet.now) {
            EndReason::Timeout
        } else if let (Transport::Tcp(tcp), false) = (&packet.decoded.transport, packet.keyed.quoted)
            && !packet.decoded.bad_checksums.transport
            && hot.session.is_replaced_by(tcp, self.midstream, hot.last_seen < self.blind.until)
        {
            self.stats.tcp_reuse += 1;
            EndReason::TcpReuse
        } else {
            return true;
        };
        self.retire(slot, reason);
        false
    }

    /// Makes a flow for the packet, if there is room.
    fn create(&mut self, packet: &TrackedInput<'_>) -> Option<SlotIndex> {
        let slot = self.take_spare(packet.now)?;
        let index = slot.index();
        if let Err(slot) = self.index.insert(packet.hash, slot) {
            self.stats.index_refused += 1;
            self.give_spare(slot);
            return None;
        }
        self.stats.wrk.probe_max = self.index.probe_max() as u64;
        self.count_new(packet.keyed.key.protocol());
        self.debug_conserved();
        let id = self.new_id();
        let client_is_higher =
            packet.keyed.swapped == (first_direction(packet.decoded, self.midstream) == Direction::ToServer);
        let Parts { hot, cold, .. } = self.arena.parts(index);
        hot.key = packet.keyed.key;
        hot.last_seen = packet.now;
        hot.ingress = packet.ingress;
        if client_is_higher {
            hot.flags |= flow::CLIENT_IS_HIGHER;
        }
        cold.id = id;
        cold.start = packet.now;
        cold.next = 0;
        cold.vlans = packet.decoded.vlans.into();
        Some(index)
    }

    /// A spare flow: from the pool, refilled by a block where memcap allows. Once it does not, the
    /// newcomer makes room for the next one.
    pub(crate) fn take_spare(&mut self, now: Timestamp) -> Option<Slot> {
        if self.spare.len() <= self.low_water {
            self.stats.wrk.spare_sync += 1;
            let opened = self.open(BLOCK);
            self.stats.wrk.spare_synced += u64::from(opened);
            match opened {
                0 => {
                    self.stats.wrk.spare_sync_empty += 1;
                    self.enter_emergency();
                    self.make_room(now);
                }
                BLOCK => {}
                _ => self.stats.wrk.spare_sync_incomplete += 1,
            }
        }
        let slot = self.spare.pop(&mut self.arena);
        self.stats.spare = u64::from(self.spare.len());
        slot
    }

    /// Takes a spare flow back that was not used after all.
    pub(crate) fn give_spare(&mut self, slot: Slot) {
        self.spare.push(&mut self.arena, slot);
        self.stats.spare = u64::from(self.spare.len());
    }

    fn count_new(&mut self, number: u8) {
        self.stats.total += 1;
        self.stats.active += 1;
        match number {
            protocol::TCP => self.stats.tcp += 1,
            protocol::UDP => self.stats.udp += 1,
            protocol::ICMP => self.stats.icmpv4 += 1,
            protocol::ICMPV6 => self.stats.icmpv6 += 1,
            _ => {}
        }
    }
}

impl Flow<'_> {
    /// Which way a packet with this key goes.
    #[inline]
    fn direction_of(&self, keyed: &Keyed) -> Direction {
        let from_client = keyed.swapped == (self.hot.flags & flow::CLIENT_IS_HIGHER != 0);
        if from_client { Direction::ToServer } else { Direction::ToClient }
    }

    /// Brings the flow up to date with one of its packets. `following`: TCP sessions are followed here, and
    /// this says whether they may begin midstream.
    #[inline]
    fn take_in(&mut self, packet: &TrackedInput<'_>, direction: Direction, following: Option<bool>) {
        let side = direction.index();
        self.hot.last_seen = self.hot.last_seen.max(packet.now);
        self.hot.flags &= !flow::COPIED;
        self.hot.packets[side] += 1;
        self.hot.bytes[side] += u64::from(packet.length);
        if packet.keyed.quoted {
            // It comes from a router: neither an answer nor a sign of how far the peer is.
            return;
        }
        let ttl = packet.decoded.ttl;
        let first = !self.seen(direction);
        if first {
            self.take_first(packet.decoded, direction);
        }
        self.hot.ttl_min[side] = self.hot.ttl_min[side].min(ttl);
        self.hot.ttl_max[side] = self.hot.ttl_max[side].max(ttl);
        if let (Some(midstream), Transport::Tcp(tcp)) = (following, &packet.decoded.transport)
            // Its receiver will not believe it (RFC 9293 §3.1).
            && !packet.decoded.bad_checksums.transport
        {
            self.hot.session.observe(direction, tcp, packet.decoded.payload.len(), midstream);
            self.progress(self.hot.session.state().flow_state());
        }
    }

    /// Takes the first packet in a direction in. What is not TCP is established once both have one.
    fn take_first(&mut self, decoded: &Decoded, direction: Direction) {
        let side = direction.index();
        self.hot.flags |= flow::SEEN << side;
        self.hot.ttl_min[side] = decoded.ttl;
        match decoded.transport {
            Transport::Tcp(_) => return,
            Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => {
                self.cold.icmp[side] = [icmp.kind, icmp.code];
            }
            _ => {}
        }
        if self.seen(direction.opposite()) {
            self.progress(FlowState::Established);
        }
    }

    /// Takes in packets that somebody else saw and answered, the last of them by `now`: they count, and the flow
    /// lives on, but nothing else is known of them.
    pub fn take_in_counts(&mut self, direction: Direction, counts: Counts, now: Timestamp) {
        let side = direction.index();
        self.hot.flags &= !flow::COPIED;
        self.hot.last_seen = self.hot.last_seen.max(now);
        self.hot.packets[side] += counts.packets;
        self.hot.bytes[side] += counts.bytes;
    }

    /// Sets the state, unless the flow is bypassed: it stays so.
    fn progress(&mut self, state: FlowState) {
        if self.hot.state != FlowState::Bypassed {
            self.set_state(state);
        }
    }
}

/// Takes the packet into the flow's rate, where rates are kept, and counts a flow that becomes an
/// elephant.
#[inline]
fn count_elephant(
    stats: &mut FlowStats,
    flow: &mut Flow<'_>,
    packet: &TrackedInput<'_>,
    direction: Direction,
) {
    if !flow.storage.tracks_rates() || !flow.became_elephant(direction, packet.length, packet.now) {
        return;
    }
    stats.elephant += u64::from(!flow.elephant(direction.opposite()));
    match direction {
        Direction::ToServer => stats.elephant_toserver += 1,
        Direction::ToClient => stats.elephant_toclient += 1,
    }
}

/// Is this a TCP packet that begins no session where sessions begin with a SYN?
fn is_stray(decoded: &Decoded) -> bool {
    matches!(decoded.transport, Transport::Tcp(tcp) if !tcp::is_syn(&tcp))
}

/// Which way the packet that begins a flow goes.
fn first_direction(decoded: &Decoded, midstream: bool) -> Direction {
    match decoded.transport {
        Transport::Tcp(tcp) => Session::first_direction(&tcp, midstream),
        _ => Direction::ToServer,
    }
}
