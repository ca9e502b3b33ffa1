//! After start nothing is allocated: not for packets, not for new flows, not at ends, not when full.

#[expect(dead_code, reason = "shared with tests that use more of it")]
#[path = "table/packets.rs"]
mod packets;

use packets::{at, table_with, tcp, track_and, udp};
use portcullis_capture::WorkerId;
use portcullis_flow::{
    Callbacks, Flow, FlowSettings, FlowTable, HookId, Registry, RemovalHook, StorageId, WorkerContext,
};
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::TcpFlags;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting what this thread asks of it.
struct Counting;

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps alloc's contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps dealloc's contract, and alloc took the memory from there.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// Many short flows, some TCP, so that blocks are opened, flows expire, are reused and evicted.
fn churn(table: &mut FlowTable, hooks: &mut Hooks) {
    for step in 0..50_000u32 {
        let now = Timestamp::from_nanos(at(0).as_nanos() + u64::from(step) * 10_000_000);
        let port = u16::try_from(step % 20_000).unwrap_or(0);
        let packet = match step % 3 {
            0 => udp((1, port), (2, 53)),
            1 if step < 25_000 => udp((2, 53), (1, port.saturating_sub(1))),
            1 => udp((3, port), (2, 53)),
            // A SYN, and 75 steps later the reset of what it began.
            _ if step / 3 % 2 == 0 => tcp((1, port % 25), (2, 80), TcpFlags::SYN, step, 0),
            _ => tcp((1, port % 25), (2, 80), TcpFlags::RST, step.saturating_sub(74), 0),
        };
        track_and(table, &packet, now, |flow| {
            flow.set_alerted();
            hooks.packet(flow);
        });
        table.sweep(now, 16);
        table.finish(2, &mut |flow| hooks.end(flow));
    }
    while !table.retire_all(at(10_000), 100) {}
    table.finish(usize::MAX, &mut |flow| hooks.end(flow));
    assert_eq!(table.active(), 0);
}

/// Two removal hooks and a counter beside each flow.
struct Hooks {
    callbacks: Callbacks,
    context: WorkerContext,
    ids: [HookId; 2],
    counter: StorageId<u64>,
}

impl Hooks {
    fn new() -> Self {
        let mut registry = Registry::default();
        let make = |_| Box::new(|_: &mut WorkerContext, _: &mut Flow<'_>| {}) as Box<dyn RemovalHook>;
        let ids = ["one", "two"].map(|name| registry.removal_hook(name, Box::new(make)).expect("a new name"));
        let counter = registry.storage().expect("room");
        let callbacks = registry.instantiate(WorkerId(0));
        Self { context: callbacks.context(WorkerId(0)), callbacks, ids, counter }
    }

    fn packet(&mut self, flow: &mut Flow<'_>) {
        let count = flow.take_stored(self.counter).unwrap_or(0);
        let _ = flow.store(self.counter, count + 1);
        self.ids.iter().for_each(|id| assert_eq!(flow.register_removal_hook(*id), count == 0));
    }

    fn end(&mut self, flow: &mut Flow<'_>) {
        self.callbacks.removed(&mut self.context, flow);
        assert!(flow.end().is_some() && flow.stored(self.counter).is_some());
    }
}

#[test]
fn nothing_is_allocated_after_start() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1, "the counter counts");
    for memcap in [128 << 20, 100_000] {
        let settings = FlowSettings { memcap, prealloc: 0, ..FlowSettings::default() };
        let mut hooks = Hooks::new();
        let mut table = table_with(&settings, hooks.callbacks.take_storage());
        assert_eq!(allocations(|| churn(&mut table, &mut hooks)), 0, "memcap {memcap}");
        assert!(hooks.callbacks.costs().all(|(_, cost)| cost.calls == table.stats().total));
        let stats = table.stats();
        assert!(stats.total > 10_000 && stats.tcp_reuse > 0, "{stats:?}");
        assert_eq!(stats.get_used > 0, memcap == 100_000, "{stats:?}");
    }
}
