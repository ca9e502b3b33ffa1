//! What users' code in a flow's life looks like: lifecycle callbacks, which run when a flow begins, at
//! each of its packets, and when it has ended; and removal hooks, which run at the end of the flows
//! on which they were registered. Made anew for each worker, run in the order of registration. One
//! that panics is caught, counted and not run again.

use crate::flow::{Direction, Flow};
use portcullis_capture::{DropReason, Packet, PacketMeta, WorkerId};
use portcullis_wire::{Decoded, Timestamp};
use std::num::NonZeroU8;
use std::sync::Arc;

pub use crate::callbacks::{Callbacks, HookClock, HookCost, SAMPLE};
pub use crate::registry::{RegisterError, Registry};

/// What a callback may know of the worker it runs on.
#[derive(Debug)]
#[non_exhaustive]
pub struct WorkerContext {
    /// The worker.
    pub worker: WorkerId,
    /// The engine's time.
    pub now: Timestamp,
    removal_hooks: Arc<[String]>,
}

impl WorkerContext {
    /// The context of a worker before its first packet, without removal hooks.
    #[must_use]
    pub fn new(worker: WorkerId) -> Self {
        Self::with_hooks(worker, Arc::default())
    }

    pub(crate) fn with_hooks(worker: WorkerId, removal_hooks: Arc<[String]>) -> Self {
        Self { worker, now: Timestamp::ZERO, removal_hooks }
    }

    /// The removal hook of this name. A search by name: ask once, not for each packet.
    #[must_use]
    pub fn removal_hook(&self, name: &str) -> Option<HookId> {
        let place = self.removal_hooks.iter().position(|known| known == name)?;
        HookId::from_number(u8::try_from(place + 1).ok()?)
    }

    /// The name of a removal hook; `None` for one of another registry.
    #[must_use]
    pub fn removal_hook_name(&self, id: HookId) -> Option<&str> {
        self.removal_hooks.get(usize::from(id.number()) - 1).map(String::as_str)
    }
}

/// Names a removal hook. From [`Registry::removal_hook`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HookId(NonZeroU8);

impl HookId {
    /// Most removal hooks that there can be.
    pub const MOST: usize = 15;

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    pub(crate) const fn number(self) -> u8 {
        self.0.get()
    }
}

/// A packet on loan to an update callback: to be read, changed in place, or dropped.
#[derive(Debug)]
pub struct PacketAccess<'a, 'p> {
    packet: &'a mut Packet<'p>,
    decoded: &'a Decoded,
    direction: Direction,
    drop: Option<DropReason>,
}

impl<'a, 'p> PacketAccess<'a, 'p> {
    /// Lends a packet that goes this way of its flow.
    #[must_use]
    pub fn new(packet: &'a mut Packet<'p>, decoded: &'a Decoded, direction: Direction) -> Self {
        Self { packet, decoded, direction, drop: None }
    }

    /// Which way of the flow the packet goes; an ICMP error about the flow the way it was sent.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// The frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.packet.bytes()
    }

    /// The frame, to be changed in place; checksums are the callback's to keep right.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.packet.bytes_mut()
    }

    /// What is known about the packet besides its bytes.
    #[must_use]
    pub fn meta(&self) -> &PacketMeta {
        &self.packet.meta
    }

    /// What decoding found in the packet as it was received.
    #[must_use]
    pub fn decoded(&self) -> &Decoded {
        self.decoded
    }

    /// Asks for the packet to be dropped, for [`DropReason::Callback`].
    pub fn drop_packet(&mut self) {
        self.drop_with(DropReason::Callback);
    }

    /// Asks for the packet to be dropped. The first reason counts.
    pub fn drop_with(&mut self, reason: DropReason) {
        self.drop = self.drop.or(Some(reason));
    }

    /// The reason to drop the packet, if a callback gave one.
    #[must_use]
    pub const fn dropped(&self) -> Option<DropReason> {
        self.drop
    }
}

/// A user's code in a flow's life. One value serves one worker, so it needs no locks; flow and
/// packet are lent for the call only. For each flow: `init` once, `update` at every packet, the first
/// included, `finish` once.
pub trait FlowCallbacks: Send {
    /// A flow was made for this packet. It runs before the flow's first [`update`](Self::update).
    fn init(
        &mut self,
        context: &mut WorkerContext,
        flow: &mut Flow<'_>,
        packet: &Packet<'_>,
        decoded: &Decoded,
    ) {
        let _ = (context, flow, packet, decoded);
    }

    /// A packet of the flow was counted. It runs before detection, for bypassed flows too.
    fn update(
        &mut self,
        context: &mut WorkerContext,
        flow: &mut Flow<'_>,
        packet: &mut PacketAccess<'_, '_>,
    ) {
        let _ = (context, flow, packet);
    }

    /// The flow has ended and its record was written; its memory is used again after this.
    fn finish(&mut self, context: &mut WorkerContext, flow: &mut Flow<'_>) {
        let _ = (context, flow);
    }
}

/// A user's code at the end of the flows on which it is registered (Zeek's removal hook). One value
/// serves one worker. A closure over context and flow is one.
pub trait RemovalHook: Send {
    /// The flow has left the table; its record is not yet written. Runs once a flow. What it writes to
    /// the flow is still reported; hooks it registers run too.
    fn removed(&mut self, context: &mut WorkerContext, flow: &mut Flow<'_>);
}

impl<F: FnMut(&mut WorkerContext, &mut Flow<'_>) + Send> RemovalHook for F {
    fn removed(&mut self, context: &mut WorkerContext, flow: &mut Flow<'_>) {
        self(context, flow);
    }
}

/// Makes a removal hook of one worker.
pub type RemovalFactory = Box<dyn Fn(WorkerId) -> Box<dyn RemovalHook> + Send + Sync>;

/// Makes the callbacks of one worker.
pub type CallbackFactory = Box<dyn Fn(WorkerId) -> Box<dyn FlowCallbacks> + Send + Sync>;
