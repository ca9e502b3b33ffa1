//! Lifecycle callbacks: code that runs when a flow begins, at each of its packets, and when it has
//! ended. Registered before start, made anew for each worker, run in the order of registration.
//! A callback that panics is caught, counted and not run again.

use crate::flow::Flow;
use portcullis_capture::{DropReason, Packet, PacketMeta, WorkerId};
use portcullis_wire::{Decoded, Timestamp};
use std::panic::{AssertUnwindSafe, catch_unwind};
use thiserror::Error;

/// What a callback may know of the worker it runs on.
#[derive(Debug)]
#[non_exhaustive]
pub struct WorkerContext {
    /// The worker.
    pub worker: WorkerId,
    /// The engine's time.
    pub now: Timestamp,
}

impl WorkerContext {
    /// The context of a worker before its first packet.
    #[must_use]
    pub const fn new(worker: WorkerId) -> Self {
        Self { worker, now: Timestamp::ZERO }
    }
}

/// A packet on loan to an update callback: to be read, changed in place, or dropped.
#[derive(Debug)]
pub struct PacketAccess<'a, 'p> {
    packet: &'a mut Packet<'p>,
    decoded: &'a Decoded,
    drop: Option<DropReason>,
}

impl<'a, 'p> PacketAccess<'a, 'p> {
    /// Lends a packet.
    #[must_use]
    pub fn new(packet: &'a mut Packet<'p>, decoded: &'a Decoded) -> Self {
        Self { packet, decoded, drop: None }
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

/// Makes the callbacks of one worker.
pub type CallbackFactory = Box<dyn Fn(WorkerId) -> Box<dyn FlowCallbacks> + Send + Sync>;

/// Why a registration was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// The workers have started: flows may be under way whose beginning it would have missed.
    #[error("flow callbacks {0:?} cannot be registered: the workers have started")]
    Started(String),
    /// The name is in use.
    #[error("flow callbacks {0:?} are registered already")]
    Duplicate(String),
}

/// All lifecycle callbacks, in order of registration.
#[derive(Default)]
pub struct Registry {
    entries: Vec<(String, CallbackFactory)>,
    frozen: bool,
}

impl Registry {
    /// Adds callbacks under a name, which tells them apart in logs and counters.
    ///
    /// # Errors
    /// After [`freeze`](Self::freeze), and where the name is in use.
    pub fn register(&mut self, name: &str, factory: CallbackFactory) -> Result<(), RegisterError> {
        if self.frozen {
            return Err(RegisterError::Started(name.to_owned()));
        }
        if self.entries.iter().any(|(taken, _)| taken == name) {
            return Err(RegisterError::Duplicate(name.to_owned()));
        }
        self.entries.push((name.to_owned(), factory));
        Ok(())
    }

    /// Refuses all further registration: the workers start.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// The callbacks of one worker.
    #[must_use]
    pub fn instantiate(&self, worker: WorkerId) -> Callbacks {
        let hook = |(name, factory): &(String, CallbackFactory)| Hook {
            name: name.clone(),
            callbacks: factory(worker),
            panics: 0,
            enabled: true,
        };
        Callbacks { hooks: self.entries.iter().map(hook).collect() }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.entries.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Registry").field("names", &names).field("frozen", &self.frozen).finish()
    }
}

struct Hook {
    name: String,
    callbacks: Box<dyn FlowCallbacks>,
    panics: u64,
    enabled: bool,
}

/// The lifecycle callbacks of one worker.
#[derive(Default)]
pub struct Callbacks {
    hooks: Vec<Hook>,
}

impl Callbacks {
    /// Is there nothing to run?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hooks.is_empty()
    }

    /// Runs every `init`, in order.
    pub fn init(
        &mut self,
        context: &mut WorkerContext,
        flow: &mut Flow<'_>,
        packet: &Packet<'_>,
        decoded: &Decoded,
    ) {
        self.run(|hook| hook.init(context, flow, packet, decoded));
    }

    /// Runs every `update`, in order, also when an earlier one asked for a drop.
    pub fn update(
        &mut self,
        context: &mut WorkerContext,
        flow: &mut Flow<'_>,
        packet: &mut PacketAccess<'_, '_>,
    ) {
        self.run(|hook| hook.update(context, flow, packet));
    }

    /// Runs every `finish`, in order.
    pub fn finish(&mut self, context: &mut WorkerContext, flow: &mut Flow<'_>) {
        self.run(|hook| hook.finish(context, flow));
    }

    /// Panics caught so far, by name of the callbacks; each has at most one, after which it is
    /// disabled.
    pub fn panics(&self) -> impl Iterator<Item = (&str, u64)> {
        self.hooks.iter().map(|hook| (hook.name.as_str(), hook.panics))
    }

    fn run(&mut self, mut call: impl FnMut(&mut dyn FlowCallbacks)) {
        for hook in self.hooks.iter_mut().filter(|hook| hook.enabled) {
            // What a panic may leave half done is the callbacks' own value, which is never used
            // again, and the flow's plain fields, each of which is valid by itself.
            if catch_unwind(AssertUnwindSafe(|| call(hook.callbacks.as_mut()))).is_err() {
                hook.panics += 1;
                hook.enabled = false;
            }
        }
    }
}

impl std::fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.hooks.iter().map(|hook| (&hook.name, hook.panics, hook.enabled))).finish()
    }
}
