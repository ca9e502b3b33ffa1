//! One flow: who talks to whom, how much, since when, in what state. A view over the flow's
//! memory; it cannot outlive the call it was lent for.

use crate::arena::{Arena, Cold, Hot, Parts};
use crate::bits::pool::BitsPool;
use crate::key::{FlowKey, protocol};
use crate::slot::SlotIndex;
use crate::storage::Storage;
use crate::tcp::TcpSummary;
use portcullis_capture::PortId;
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::{Address, VlanIds};

mod kinds;

pub use kinds::{Bypass, Counts, Direction, EndReason, FlowAction, FlowState};

/// Is the client the higher endpoint of the key?
pub(crate) const CLIENT_IS_HIGHER: u16 = 1 << 0;
/// A packet to the server was seen; shifted by one, one to the client.
pub(crate) const SEEN: u16 = 1 << 1;
/// Packets of it may have passed uninspected.
pub(crate) const UNINSPECTED: u16 = 1 << 3;
pub(crate) const ALERTED: u16 = 1 << 4;
pub(crate) const NO_PAYLOAD_INSPECTION: u16 = 1 << 5;
pub(crate) const CAPTURE_BYPASSED: u16 = 1 << 6;
/// A dropped packet to the server was noted; shifted by one, one to the client.
pub(crate) const DROP_NOTED: u16 = 1 << 7;
/// Another process has a copy of it as it is.
pub(crate) const COPIED: u16 = 1 << 9;
/// It has, or had, removal hooks.
pub(crate) const HOOKED: u16 = 1 << 15;
/// Its state has changed since its idle timeout was decided.
pub(crate) const STATE_CHANGED: u16 = 1 << 13;
/// Its idle timeout was set, not decided by the table.
pub(crate) const IDLE_FIXED: u16 = 1 << 12;
/// It was an elephant to the server; shifted by one, to the client.
pub(crate) const ELEPHANT: u16 = 1 << 10;
/// Something is, or was, stored beside it.
pub(crate) const STORED: u16 = 1 << 14;

/// Of the bits that say why it ended: that was in emergency mode.
pub(crate) const EMERGENCY: u8 = 1 << 7;

/// One flow, on loan from its table.
#[derive(Debug)]
pub struct Flow<'t> {
    pub(crate) hot: &'t mut Hot,
    pub(crate) cold: &'t mut Cold,
    /// When the sweep looks at it next; 0 brings that forward to the next pass.
    pub(crate) deadline: &'t mut u32,
    pub(crate) bits: &'t mut BitsPool,
    pub(crate) storage: &'t mut Storage,
    pub(crate) slot: SlotIndex,
    /// See [`Flow::was_unseen`].
    pub(crate) unseen: bool,
}

impl<'t> Flow<'t> {
    /// The flow in a slot.
    #[inline]
    pub(crate) fn at(slot: SlotIndex, arena: &'t mut Arena, storage: &'t mut Storage) -> Self {
        let Parts { hot, cold, deadline, bits } = arena.parts(slot);
        Self { hot, cold, deadline, bits, storage, slot, unseen: false }
    }
}

impl Flow<'_> {
    /// Unique in this process, across workers, and across restarts; 1 to 2^53 - 1. EVE's
    /// `flow_id`.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.cold.id
    }

    /// The flow this one was expected by (an FTP data connection's control connection); 0 for none.
    #[must_use]
    pub fn parent_id(&self) -> u64 {
        self.cold.parent_id
    }

    /// Says which flow expected this one.
    pub fn set_parent_id(&mut self, id: u64) {
        self.cold.parent_id = id;
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &FlowKey {
        &self.hot.key
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> FlowState {
        self.hot.state
    }

    /// TCP state and flags; `None` for other protocols.
    #[must_use]
    pub fn tcp(&self) -> Option<TcpSummary> {
        (self.protocol() == protocol::TCP).then(|| self.hot.session.summary())
    }

    /// Says what its TCP session is, where the table [does not follow it](crate::FlowSettings::follow_tcp).
    /// `isns` are the initial sequence numbers of client and server: a SYN with another one begins a new
    /// flow once the session is about over.
    pub fn set_tcp(&mut self, tcp: TcpSummary, isns: [u32; 2]) {
        self.hot.session.set(tcp, isns);
        if self.hot.state != FlowState::Bypassed {
            self.set_state(tcp.state.flow_state());
        }
    }

    /// The number that whoever follows its TCP session has for it; 0 for none.
    #[must_use]
    pub fn stream(&self) -> u32 {
        self.cold.stream
    }

    /// Remembers such a number until the flow has ended.
    pub fn set_stream(&mut self, number: u32) {
        self.cold.stream = number;
    }

    /// Packets and bytes in a direction. An ICMP error about the flow counts in the direction it
    /// goes.
    #[must_use]
    pub fn counts(&self, direction: Direction) -> Counts {
        let side = direction.index();
        Counts { packets: self.hot.packets[side], bytes: self.hot.bytes[side] }
    }

    /// When its first packet was seen.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.cold.start
    }

    /// When its last packet was seen.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        self.hot.last_seen
    }

    /// Least and greatest TTL (or hop limit) in a direction; (0, 0) where nothing was seen.
    #[must_use]
    pub fn ttl(&self, direction: Direction) -> (u8, u8) {
        let side = direction.index();
        (self.hot.ttl_min[side], self.hot.ttl_max[side])
    }

    /// Address and port of the client. The port is 0 where the protocol has none.
    #[must_use]
    pub fn client(&self) -> (Address, u16) {
        self.endpoint(self.hot.flags & CLIENT_IS_HIGHER != 0)
    }

    /// Address and port of the server.
    #[must_use]
    pub fn server(&self) -> (Address, u16) {
        self.endpoint(self.hot.flags & CLIENT_IS_HIGHER == 0)
    }

    fn endpoint(&self, higher: bool) -> (Address, u16) {
        let key = &self.hot.key;
        let (address, port) = if higher { key.higher() } else { key.lower() };
        match self.protocol() {
            protocol::ICMP | protocol::ICMPV6 => (address, 0),
            _ => (address, port),
        }
    }

    /// The VLAN ids of its first packet, whether or not they tell flows apart.
    #[must_use]
    pub fn vlans(&self) -> VlanIds {
        self.cold.vlans.into()
    }

    /// 4 or 6.
    #[must_use]
    pub fn ip_version(&self) -> u8 {
        self.hot.key.ip_version()
    }

    /// The protocol (IANA number).
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.hot.key.protocol()
    }

    /// The security parameters index of ESP; `None` for other protocols. EVE's `spi`.
    #[must_use]
    pub fn spi(&self) -> Option<u32> {
        self.hot.key.spi()
    }

    /// Type and code of the first ICMP message; `None` for other protocols.
    #[must_use]
    pub fn icmp(&self) -> Option<(u8, u8)> {
        let [kind, code] = self.cold.icmp[0];
        matches!(self.protocol(), protocol::ICMP | protocol::ICMPV6).then_some((kind, code))
    }

    /// Type and code of the first ICMP message that came back; `None` while there is none.
    #[must_use]
    pub fn icmp_response(&self) -> Option<(u8, u8)> {
        let [kind, code] = self.cold.icmp[1];
        (self.icmp().is_some() && self.seen(Direction::ToClient)).then_some((kind, code))
    }

    /// The port its first packet came in on.
    #[must_use]
    pub fn ingress(&self) -> PortId {
        self.hot.ingress
    }

    /// Was a packet of the flow itself (not an ICMP error about it) seen in this direction?
    #[must_use]
    pub fn seen(&self, direction: Direction) -> bool {
        self.hot.flags & (SEEN << direction.index()) != 0
    }

    /// Did a rule alert on it?
    #[must_use]
    pub fn alerted(&self) -> bool {
        self.has(ALERTED)
    }

    /// A rule alerted on it.
    pub fn set_alerted(&mut self) {
        self.hot.flags |= ALERTED;
    }

    /// What was decided about its further packets, if anything.
    #[must_use]
    pub fn action(&self) -> Option<FlowAction> {
        self.hot.action
    }

    /// Is nothing decided about its further packets, and is it not bypassed?
    #[must_use]
    #[inline]
    pub fn is_undecided(&self) -> bool {
        self.hot.action.is_none() && self.hot.state != FlowState::Bypassed
    }

    /// Decides about its further packets. The first decision counts: a later one changes nothing
    /// and gives `false`.
    pub fn set_action(&mut self, action: FlowAction) -> bool {
        let first = self.hot.action.is_none();
        self.hot.action = self.hot.action.or(Some(action));
        first
    }

    /// Takes back what was decided: the next decision counts again.
    pub fn clear_action(&mut self) {
        self.hot.action = None;
    }

    /// Notes that a packet in this direction was dropped; `true` for the first of them.
    pub fn note_drop(&mut self, direction: Direction) -> bool {
        let bit = DROP_NOTED << direction.index();
        let first = !self.has(bit);
        self.hot.flags |= bit;
        first
    }

    /// Did it expire or make room while the table was in emergency mode?
    #[must_use]
    pub fn emergency(&self) -> bool {
        self.hot.end & EMERGENCY != 0
    }

    /// Is its payload exempt from inspection?
    #[must_use]
    pub fn no_payload_inspection(&self) -> bool {
        self.has(NO_PAYLOAD_INSPECTION)
    }

    /// Exempts its payload from inspection.
    pub fn set_no_payload_inspection(&mut self) {
        self.hot.flags |= NO_PAYLOAD_INSPECTION;
    }

    /// How it is bypassed, if it is.
    #[must_use]
    pub fn bypass(&self) -> Option<Bypass> {
        match (self.hot.state, self.has(CAPTURE_BYPASSED)) {
            (FlowState::Bypassed, true) => Some(Bypass::Capture),
            (FlowState::Bypassed, false) => Some(Bypass::Local),
            _ => None,
        }
    }

    /// Bypasses it from now on.
    pub fn set_bypass(&mut self, bypass: Bypass) {
        match bypass {
            Bypass::Local => self.hot.flags &= !CAPTURE_BYPASSED,
            Bypass::Capture => self.hot.flags |= CAPTURE_BYPASSED,
        }
        self.set_state(FlowState::Bypassed);
    }

    /// Which of the rule sets that there were the flow was last said to be inspected by; `None` once it
    /// has left the table. 0 where nothing was said.
    #[must_use]
    pub fn rules_version(&self) -> Option<u32> {
        (self.hot.end == 0).then_some(self.cold.next)
    }

    /// Says which rule set the flow is inspected by; nothing once it has left the table.
    pub fn set_rules_version(&mut self, version: u32) {
        if self.hot.end == 0 {
            self.cold.next = version;
        }
    }

    /// May packets of it have passed uninspected: in a time when nobody judged, or before its beginning was
    /// made up for by a grace? EVE's `flow.uninspected`.
    #[must_use]
    pub fn uninspected(&self) -> bool {
        self.has(UNINSPECTED)
    }

    /// Packets of it may have passed uninspected: `true` if that was not known.
    pub fn set_uninspected(&mut self) -> bool {
        let is_new = !self.has(UNINSPECTED);
        self.hot.flags |= UNINSPECTED;
        is_new
    }

    /// Is this packet its first since a time in which [nobody judged](crate::FlowTable::blind)? What is known of
    /// its session may be of the past then.
    #[must_use]
    pub const fn was_unseen(&self) -> bool {
        self.unseen
    }

    /// Where the outermost addresses around its packets put it, in 65,536ths of all workers, if these are not
    /// its own: what decides about its worker then. 0 where its own addresses do.
    #[must_use]
    pub fn outer(&self) -> u16 {
        self.cold.outer
    }

    /// Says where the outermost addresses put it.
    pub fn set_outer(&mut self, place: u16) {
        self.cold.outer = place;
    }

    /// Why it ended; `None` while it is in the table.
    #[must_use]
    pub fn end(&self) -> Option<EndReason> {
        EndReason::ALL.into_iter().find(|reason| self.hot.end & reason.bit() != 0)
    }

    pub(crate) fn set_state(&mut self, state: FlowState) {
        if self.hot.state != state {
            self.hot.state = state;
            self.hot.flags |= STATE_CHANGED;
            // Another state has another timeout, perhaps a shorter one.
            *self.deadline = 0;
        }
    }

    fn has(&self, flag: u16) -> bool {
        self.hot.flags & flag != 0
    }
}
