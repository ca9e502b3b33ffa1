//! Flow and packet on loan to a plugin, for one call.

use super::RemovalHook;
use super::stored::{Place, StorageId};
use crate::abi::{self, Counts, Direction, DropReason, EndReason, Endpoint, FlowFlags, FlowState, Host};
use std::any::TypeId;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv6Addr};
use std::slice;
use std::time::Duration;

/// A flow on loan.
#[derive(Debug)]
pub struct Flow<'c> {
    host: &'static Host,
    raw: *mut abi::Flow,
    /// The types of the plugin's storages, by number.
    kinds: &'c [TypeId],
    lent: PhantomData<&'c mut abi::Flow>,
}

/// Reads that only pass the flow on.
macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident: $function:ident -> $value:ty = $convert:expr;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> $value {
            // SAFETY: the pointer of the call that this flow is lent for.
            let value = unsafe { (self.host.$function)(self.raw) };
            $convert(value)
        }
    )*};
}

impl<'c> Flow<'c> {
    /// # Safety
    /// The pointer is the one that the call was passed, `kinds` the plugin's.
    pub(super) unsafe fn new(host: &'static Host, raw: *mut abi::Flow, kinds: &'c [TypeId]) -> Self {
        Self { host, raw, kinds, lent: PhantomData }
    }
}

impl Flow<'_> {
    reads! {
        /// The engine's time in nanoseconds since 1970, which never goes back.
        now: flow_now -> u64 = std::convert::identity;
        /// Unique in the process and across its restarts: `flow_id` of records.
        id: flow_id -> u64 = std::convert::identity;
        /// 4 or 6.
        ip_version: flow_ip_version -> u8 = std::convert::identity;
        /// The protocol (IANA number).
        protocol: flow_protocol -> u8 = std::convert::identity;
        /// The port its first packet came in on.
        ingress: flow_ingress -> u8 = std::convert::identity;
        /// When its first packet was seen.
        start: flow_start -> u64 = std::convert::identity;
        /// When its last packet was seen.
        last_seen: flow_last_seen -> u64 = std::convert::identity;
        /// The state; `None` for one that this crate does not know.
        state: flow_state -> Option<FlowState> = FlowState::from_number;
        /// Why it ended; `None` for a reason that this crate does not know.
        end_reason: flow_end_reason -> Option<EndReason> = EndReason::from_number;
    }

    /// Address and port of who sent its first packet; the port is 0 where the protocol has none.
    #[must_use]
    pub fn client(&self) -> (IpAddr, u16) {
        // SAFETY: the pointer of the call that this flow is lent for.
        let endpoint = unsafe { (self.host.flow_client)(self.raw) };
        self.endpoint(endpoint)
    }

    /// Address and port of the other end.
    #[must_use]
    pub fn server(&self) -> (IpAddr, u16) {
        // SAFETY: the pointer of the call that this flow is lent for.
        let endpoint = unsafe { (self.host.flow_server)(self.raw) };
        self.endpoint(endpoint)
    }

    fn endpoint(&self, Endpoint { address, port }: Endpoint) -> (IpAddr, u16) {
        let v6 = Ipv6Addr::from(address);
        match v6.to_ipv4_mapped() {
            Some(v4) if self.ip_version() == 4 => (v4.into(), port),
            _ => (v6.into(), port),
        }
    }

    /// The VLAN ids of its first packet, outermost first, and how many of the three there are.
    #[must_use]
    pub fn vlans(&self) -> ([u16; 3], usize) {
        let mut ids = [0; 3];
        // SAFETY: the pointer of the call that this flow is lent for, and room for three.
        let count = unsafe { (self.host.flow_vlans)(self.raw, ids.as_mut_ptr()) };
        (ids, usize::try_from(count).unwrap_or(0))
    }

    /// Is this so of the flow?
    #[must_use]
    pub fn is(&self, flag: FlowFlags) -> bool {
        // SAFETY: the pointer of the call that this flow is lent for.
        let flags = unsafe { (self.host.flow_flags)(self.raw) };
        flags & flag.number() != 0
    }

    /// Packets and bytes in a direction.
    #[must_use]
    pub fn counts(&self, direction: Direction) -> Counts {
        // SAFETY: the pointer of the call that this flow is lent for.
        unsafe { (self.host.flow_counts)(self.raw, direction.number()) }
    }

    /// How long it may be idle; `None` where `flow-timeouts` decides.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Duration> {
        // SAFETY: the pointer of the call that this flow is lent for.
        let seconds = unsafe { (self.host.flow_idle_timeout)(self.raw) };
        (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
    }

    /// Sets how long it may be idle, in whole seconds, at least one and at most 22 days; `None` leaves that to
    /// `flow-timeouts` again.
    pub fn set_idle_timeout(&mut self, idle: Option<Duration>) {
        let seconds = idle.map_or(0, |idle| u32::try_from(idle.as_secs().max(1)).unwrap_or(u32::MAX));
        // SAFETY: the pointer of the call that this flow is lent for.
        unsafe { (self.host.flow_set_idle_timeout)(self.raw, seconds) };
    }

    /// Lets its further packets through uninspected; they are still counted and updated.
    pub fn bypass(&mut self) {
        // SAFETY: the pointer of the call that this flow is lent for.
        unsafe { (self.host.flow_bypass)(self.raw) };
    }

    /// Has its packets dropped from this one on. False where it was decided before what happens to them.
    pub fn drop_flow(&mut self, reason: DropReason) -> bool {
        // SAFETY: the pointer of the call that this flow is lent for.
        unsafe { (self.host.flow_drop)(self.raw, reason.number()) }
    }

    /// Lets its packets pass uninspected from this one on. False where it was decided before.
    pub fn pass_flow(&mut self) -> bool {
        // SAFETY: the pointer of the call that this flow is lent for.
        unsafe { (self.host.flow_pass)(self.raw) }
    }

    /// Has a removal hook run at the end of this flow. True if that is new.
    pub fn register_removal_hook(&mut self, hook: RemovalHook) -> bool {
        // SAFETY: the pointer of the call that this flow is lent for.
        unsafe { (self.host.flow_register_removal_hook)(self.raw, hook.0) }
    }

    /// Has it not run after all. True if it was registered and has not run.
    pub fn unregister_removal_hook(&mut self, hook: RemovalHook) -> bool {
        // SAFETY: the pointer of the call that this flow is lent for.
        unsafe { (self.host.flow_unregister_removal_hook)(self.raw, hook.0) }
    }

    /// Is the removal hook registered on this flow, run or not?
    #[must_use]
    pub fn has_removal_hook(&self, hook: RemovalHook) -> bool {
        // SAFETY: the pointer of the call that this flow is lent for.
        unsafe { (self.host.flow_has_removal_hook)(self.raw, hook.0) }
    }

    /// The value kept for this flow, if there is one.
    #[must_use]
    pub fn stored<T: Send + 'static>(&self, id: StorageId<T>) -> Option<&T> {
        // SAFETY: nothing else refers to the value: whoever changes it borrows the flow exclusively.
        let place: Option<&Place<T>> = unsafe { self.place(id) }.map(|place| &*place);
        place?.get()
    }

    /// The same, to be changed.
    #[must_use]
    pub fn stored_mut<T: Send + 'static>(&mut self, id: StorageId<T>) -> Option<&mut T> {
        // SAFETY: the flow is borrowed exclusively.
        unsafe { self.place(id) }?.get_mut()
    }

    /// Keeps a value for this flow; gives the one it replaces. Nothing is kept where the id is of another
    /// plugin.
    pub fn store<T: Send + 'static>(&mut self, id: StorageId<T>, value: T) -> Option<T> {
        // SAFETY: the flow is borrowed exclusively.
        unsafe { self.place(id) }?.replace(value)
    }

    /// Takes the value kept for this flow away.
    pub fn take_stored<T: Send + 'static>(&mut self, id: StorageId<T>) -> Option<T> {
        // SAFETY: the flow is borrowed exclusively.
        unsafe { self.place(id) }?.take()
    }

    /// # Safety
    /// No reference to what is kept under this id is in use, but shared ones if the result is only read.
    #[expect(clippy::mut_from_ref, reason = "the callers see to it")]
    unsafe fn place<T: Send + 'static>(&self, id: StorageId<T>) -> Option<&mut Place<T>> {
        let kind = self.kinds.get(usize::try_from(id.number).ok()?)?;
        if *kind != Place::<T>::kind() {
            return None;
        }
        // SAFETY: the pointer of the call that this flow is lent for.
        let bytes = unsafe { (self.host.flow_storage)(self.raw, id.number) };
        // SAFETY: the storage of this number was asked for as one for this type, and the caller sees to it that
        // nobody else refers to it.
        unsafe { Place::at(bytes) }
    }
}

/// A packet on loan, to be read.
#[derive(Debug)]
pub struct PacketView<'c> {
    host: &'static Host,
    raw: *const abi::Packet,
    lent: PhantomData<&'c abi::Packet>,
}

impl PacketView<'_> {
    /// # Safety
    /// The pointer is the one that the call was passed.
    pub(super) unsafe fn new(host: &'static Host, raw: *const abi::Packet) -> Self {
        Self { host, raw, lent: PhantomData }
    }

    reads! {
        /// When it was captured, in nanoseconds since 1970.
        timestamp: packet_timestamp -> u64 = std::convert::identity;
        /// The port it came in on.
        ingress: packet_ingress -> u8 = std::convert::identity;
        /// Its length on the wire; more than its bytes where the capture cut it.
        wire_length: packet_wire_length -> u32 = std::convert::identity;
        /// Which way of its flow it goes; `None` for a way that this crate does not know.
        direction: packet_direction -> Option<Direction> = Direction::from_number;
    }

    /// The frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let mut length = 0;
        // SAFETY: the pointer of the call that this packet is lent for, and a place for the length.
        let first = unsafe { (self.host.packet_bytes)(self.raw, &raw mut length) };
        if first.is_null() {
            return &[];
        }
        // SAFETY: so many bytes are there, and only an exclusive borrow of the packet changes them.
        unsafe { slice::from_raw_parts(first, length) }
    }

    /// The data behind the headers that are known; empty where there is none.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        // SAFETY: the pointer of the call that this packet is lent for.
        let span = unsafe { (self.host.packet_payload)(self.raw) };
        let (Ok(offset), Ok(length)) = (usize::try_from(span.offset), usize::try_from(span.length)) else {
            return &[];
        };
        let end = offset.saturating_add(length);
        self.bytes().get(offset..end).unwrap_or_default()
    }
}

/// A packet on loan, to be read, changed in place, and dropped. All of [`PacketView`] is here, too.
#[derive(Debug)]
pub struct Packet<'c> {
    view: PacketView<'c>,
    raw: *mut abi::Packet,
}

impl Packet<'_> {
    /// # Safety
    /// The pointer is the one that the call was passed.
    pub(super) unsafe fn new(host: &'static Host, raw: *mut abi::Packet) -> Self {
        // SAFETY: as the caller promises.
        let view = unsafe { PacketView::new(host, raw) };
        Self { view, raw }
    }

    /// The frame, to be changed in place; checksums are the plugin's to keep right.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let mut length = 0;
        // SAFETY: the pointer of the call that this packet is lent for, and a place for the length.
        let first = unsafe { (self.view.host.packet_bytes_mut)(self.raw, &raw mut length) };
        if first.is_null() {
            return &mut [];
        }
        // SAFETY: so many bytes are there, and the packet is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(first, length) }
    }

    /// Asks for it to be dropped; the first reason counts.
    pub fn drop_packet(&mut self, reason: DropReason) {
        // SAFETY: the pointer of the call that this packet is lent for.
        let _ = unsafe { (self.view.host.packet_drop)(self.raw, reason.number()) };
    }
}

impl<'c> std::ops::Deref for Packet<'c> {
    type Target = PacketView<'c>;

    fn deref(&self) -> &PacketView<'c> {
        &self.view
    }
}
