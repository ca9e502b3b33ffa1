//! A plugin's functions as hooks of flows: made for each worker, called, their failures turned into those
//! that the flow engine counts and answers by not calling again.

use crate::abi;
use crate::handle::{FlowHandle, Ids, PacketHandle};
use portcullis_capture::{Packet, WorkerId};
use portcullis_flow::{
    Direction, Flow, FlowCallbacks, PacketAccess, RegisterError, Registry, RemovalHook, WorkerContext,
};
use portcullis_wire::Decoded;
use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::resume_unwind;
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, ThreadId};

/// A removal hook of a plugin.
#[derive(Debug)]
pub(crate) struct Removal {
    pub(crate) name: String,
    pub(crate) removed: unsafe extern "C" fn(*mut c_void, *mut abi::Flow, u32) -> i32,
}

/// Bytes beside each flow that a plugin asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) bytes: u32,
    pub(crate) free: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// A plugin that has been registered by its own account: its table, checked. Closed when the last of its
/// workers and columns is gone.
#[derive(Debug)]
pub(crate) struct Functions {
    pub(crate) name: String,
    pub(crate) table: abi::Plugin,
    pub(crate) removals: Vec<Removal>,
    pub(crate) rooms: Vec<Room>,
    ids: OnceLock<Ids>,
    /// The worker that each thread made last, for the removal hooks that it makes next.
    fresh: Mutex<HashMap<ThreadId, Weak<Worker>>>,
}

// SAFETY: the pointers in the table are the plugin's, which promises (see `abi::Plugin`) that `user` can be
// used by several threads at once and that the others point to what never changes.
unsafe impl Send for Functions {}
// SAFETY: as for `Send`.
unsafe impl Sync for Functions {}

impl Functions {
    /// Takes over a table whose pointers were checked.
    pub(crate) fn new(name: String, table: abi::Plugin, removals: Vec<Removal>, rooms: Vec<Room>) -> Self {
        Self { name, table, removals, rooms, ids: OnceLock::new(), fresh: Mutex::default() }
    }

    /// Adds the hooks and storages to a registry.
    pub(crate) fn register(self, registry: &mut Registry) -> Result<(), RegisterError> {
        let plugin = Arc::new(self);
        let mut ids = Ids::default();
        for room in &plugin.rooms {
            // The column keeps the plugin open until the last bytes are freed.
            let (room, open) = (*room, Arc::clone(&plugin));
            let words = usize::try_from(room.bytes.div_ceil(8)).unwrap_or(usize::MAX);
            let free = move |words: &mut [u64]| open.free(room, words);
            ids.storages.push(registry.words(&plugin.name, words, Arc::new(free))?);
        }
        for (number, removal) in (0_u32..).zip(&plugin.removals) {
            let shared = Arc::clone(&plugin);
            let make = move |_| {
                let worker = shared.latest_worker();
                Box::new(Removed { worker, number }) as Box<dyn RemovalHook>
            };
            let name = format!("{}/{}", plugin.name, removal.name);
            ids.hooks.push(registry.removal_hook(&name, Box::new(make))?);
        }
        // Set once: `self` was not shared before.
        let _ = plugin.ids.set(ids);
        let name = plugin.name.clone();
        let make = move |id| Box::new(Lifecycle(plugin.new_worker(id))) as Box<dyn FlowCallbacks>;
        registry.register(&name, Box::new(make))
    }

    /// The registry makes the lifecycle callbacks of a worker first, then its removal hooks, on one thread.
    fn new_worker(self: &Arc<Self>, id: WorkerId) -> Arc<Worker> {
        let mut state = self.table.user;
        let status = match self.table.worker_new {
            // SAFETY: called as the ABI says, with the plugin's own `user` and a place for the state.
            Some(make) => unsafe { make(self.table.user, u32::from(id.0), &raw mut state) },
            None => abi::OK,
        };
        if status != abi::OK {
            tracing::error!("plugin {}: worker_new of worker {} gave {status}", self.name, id.0);
        }
        let (made, ids) = (status == abi::OK, self.ids.get().cloned().unwrap_or_default());
        let worker = Arc::new(Worker { plugin: Arc::clone(self), state, made, ids, id });
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.retain(|_, worker| worker.strong_count() > 0);
        fresh.insert(thread::current().id(), Arc::downgrade(&worker));
        worker
    }

    fn latest_worker(&self) -> Option<Arc<Worker>> {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.get(&thread::current().id()).and_then(Weak::upgrade)
    }

    fn free(&self, room: Room, words: &mut [u64]) {
        if let Some(free) = room.free {
            // SAFETY: called as the ABI says, with the bytes of a flow that has ended.
            unsafe { free(words.as_mut_ptr().cast()) };
        }
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        if let Some(close) = self.table.close {
            // SAFETY: called as the ABI says: whoever could call the plugin held it by `Arc`.
            unsafe { close(self.table.user) };
        }
    }
}

/// A plugin's state of one worker; freed when the worker's hooks are gone.
#[derive(Debug)]
struct Worker {
    plugin: Arc<Functions>,
    state: *mut c_void,
    /// Did `worker_new` succeed?
    made: bool,
    ids: Ids,
    id: WorkerId,
}

// SAFETY: the state is only used by the hooks of one worker, which one thread runs one after another; the
// plugin promises that this thread need not be the one that made it.
unsafe impl Send for Worker {}
// SAFETY: as for `Send`: the hooks of one worker, which share it, never run at the same time.
unsafe impl Sync for Worker {}

impl Worker {
    /// Calls a function of the plugin with the flow.
    fn call(
        &self,
        what: &str,
        context: &WorkerContext,
        flow: &mut Flow<'_>,
        call: impl FnOnce(*mut c_void, *mut abi::Flow) -> i32,
    ) {
        let mut handle = FlowHandle { flow, now: context.now, ids: &self.ids };
        let status = if self.made { call(self.state, (&raw mut handle).cast()) } else { abi::FAILED };
        if status != abi::OK {
            let (name, worker) = (&self.plugin.name, self.id.0);
            tracing::error!("plugin {name}: {what} gave {status} and is not run again on worker {worker}");
            // As a panic of a hook in Rust, which the engine counts and answers; without the message that
            // `panic!` writes.
            resume_unwind(Box::new(PluginFailed));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(free) = self.plugin.table.worker_free.filter(|_| self.made) {
            // SAFETY: called as the ABI says: the worker's hooks are gone.
            unsafe { free(self.state) };
        }
    }
}

/// What a failed call of a plugin unwinds with.
#[derive(Debug)]
struct PluginFailed;

/// The lifecycle callbacks of a plugin on one worker.
#[derive(Debug)]
struct Lifecycle(Arc<Worker>);

impl FlowCallbacks for Lifecycle {
    fn init(
        &mut self,
        context: &mut WorkerContext,
        flow: &mut Flow<'_>,
        packet: &Packet<'_>,
        decoded: &Decoded,
    ) {
        let Some(init) = self.0.plugin.table.init else { return };
        // It is the flow's only packet yet.
        let to_server = flow.counts(Direction::ToServer).packets > 0;
        let direction = if to_server { Direction::ToServer } else { Direction::ToClient };
        let handle = PacketHandle::Read { packet, decoded, direction };
        // SAFETY: called as the ABI says, with pointers to handles that outlive the call.
        self.0.call("init", context, flow, |state, flow| unsafe {
            init(state, flow, ptr::from_ref(&handle).cast())
        });
    }

    fn update(
        &mut self,
        context: &mut WorkerContext,
        flow: &mut Flow<'_>,
        packet: &mut PacketAccess<'_, '_>,
    ) {
        let Some(update) = self.0.plugin.table.update else { return };
        let mut handle = PacketHandle::Write(packet);
        // SAFETY: called as the ABI says, with pointers to handles that outlive the call.
        self.0.call("update", context, flow, |state, flow| unsafe {
            update(state, flow, (&raw mut handle).cast())
        });
    }

    fn finish(&mut self, context: &mut WorkerContext, flow: &mut Flow<'_>) {
        let Some(finish) = self.0.plugin.table.finish else { return };
        // SAFETY: called as the ABI says, with a pointer to a handle that outlives the call.
        self.0.call("finish", context, flow, |state, flow| unsafe { finish(state, flow) });
    }
}

/// A removal hook of a plugin on one worker.
#[derive(Debug)]
struct Removed {
    worker: Option<Arc<Worker>>,
    number: u32,
}

impl RemovalHook for Removed {
    fn removed(&mut self, context: &mut WorkerContext, flow: &mut Flow<'_>) {
        let Some(worker) = &self.worker else { return };
        let place = usize::try_from(self.number).unwrap_or(usize::MAX);
        let Some(removal) = worker.plugin.removals.get(place) else { return };
        let removed = removal.removed;
        // SAFETY: called as the ABI says, with a pointer to a handle that outlives the call.
        worker.call(&removal.name, context, flow, |state, flow| unsafe { removed(state, flow, self.number) });
    }
}
