//! The hooks of one worker: runs them in order, catches their panics, counts what they cost.

use crate::flow::Flow;
use crate::hooks::{FlowCallbacks, HookId, PacketAccess, RemovalHook, WorkerContext};
use crate::storage::Storage;
use portcullis_capture::{Packet, WorkerId};
use portcullis_wire::Decoded;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// One call in this many is timed, where there is a clock.
pub const SAMPLE: u64 = 1024;

/// A clock that measures hooks: nanoseconds since any fixed moment, never going back.
pub type HookClock = fn() -> u64;

/// What a hook was used for and what that cost, on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookCost {
    /// Calls: of lifecycle callbacks one each for `init`, `update` and `finish`.
    pub calls: u64,
    /// Calls that were timed: the first and every [`SAMPLE`]th after it, given a clock.
    pub timed: u64,
    /// Nanoseconds that the timed ones took.
    pub nanos: u64,
    /// Calls that panicked: at most one, after which the hook is disabled.
    pub panics: u64,
}

/// One hook on one worker.
pub(crate) struct Hook<H: ?Sized> {
    name: String,
    run: Box<H>,
    cost: HookCost,
    enabled: bool,
}

impl<H: ?Sized> Hook<H> {
    pub(crate) fn new(name: &str, run: Box<H>) -> Self {
        Self { name: name.to_owned(), run, cost: HookCost::default(), enabled: true }
    }

    fn call(&mut self, clock: Option<HookClock>, call: impl FnOnce(&mut H)) {
        if !self.enabled {
            return;
        }
        let clock = clock.filter(|_| self.cost.calls.is_multiple_of(SAMPLE));
        self.cost.calls += 1;
        let start = clock.map(|now| now());
        // What a panic may leave half done is the hook's own value, which is never used again, and the
        // flow's plain fields, each of which is valid by itself.
        if catch_unwind(AssertUnwindSafe(|| call(self.run.as_mut()))).is_err() {
            self.cost.panics += 1;
            self.enabled = false;
        }
        if let (Some(now), Some(start)) = (clock, start) {
            self.cost.timed += 1;
            self.cost.nanos += now().saturating_sub(start);
        }
    }
}

/// The lifecycle callbacks and removal hooks of one worker.
#[derive(Default)]
pub struct Callbacks {
    pub(crate) lifecycle: Vec<Hook<dyn FlowCallbacks>>,
    /// By number of their [`HookId`], from 1.
    pub(crate) removal: Vec<Hook<dyn RemovalHook>>,
    pub(crate) removal_names: Arc<[String]>,
    pub(crate) storage: Storage,
    pub(crate) clock: Option<HookClock>,
}

impl Callbacks {
    /// Are there no lifecycle callbacks to run?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lifecycle.is_empty()
    }

    /// The columns that the hooks use, for [`FlowTable::with_storage`](crate::FlowTable::with_storage).
    /// There is one set: later calls give an empty one.
    pub fn take_storage(&mut self) -> Storage {
        std::mem::take(&mut self.storage)
    }

    /// The context that the worker's hooks are called with.
    #[must_use]
    pub fn context(&self, worker: WorkerId) -> WorkerContext {
        WorkerContext::with_hooks(worker, Arc::clone(&self.removal_names))
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

    /// Runs the removal hooks of a flow that has left the table, each once, in the order of
    /// registration, those registered meanwhile included.
    pub fn removed(&mut self, context: &mut WorkerContext, flow: &mut Flow<'_>) {
        while let Some(id) = flow.next_removal_hook() {
            if let Some(hook) = self.removal.get_mut(id.place()) {
                hook.call(self.clock, |hook| hook.removed(context, flow));
            }
        }
    }

    /// Runs every `finish`, in order.
    pub fn finish(&mut self, context: &mut WorkerContext, flow: &mut Flow<'_>) {
        self.run(|hook| hook.finish(context, flow));
    }

    /// Names and costs, first of the lifecycle callbacks, then of the removal hooks, each in the
    /// order in which they were added to the registry.
    pub fn costs(&self) -> impl Iterator<Item = (&str, HookCost)> {
        let lifecycle = self.lifecycle.iter().map(|hook| (hook.name.as_str(), hook.cost));
        lifecycle.chain(self.removal.iter().map(|hook| (hook.name.as_str(), hook.cost)))
    }

    /// Panics caught so far, by name; each hook has at most one, after which it is disabled.
    pub fn panics(&self) -> impl Iterator<Item = (&str, u64)> {
        self.costs().map(|(name, cost)| (name, cost.panics))
    }

    fn run(&mut self, mut call: impl FnMut(&mut (dyn FlowCallbacks + 'static))) {
        for hook in &mut self.lifecycle {
            hook.call(self.clock, &mut call);
        }
    }
}

impl HookId {
    fn place(self) -> usize {
        usize::from(self.number()) - 1
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.costs()).finish()
    }
}
