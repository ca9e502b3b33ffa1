//! Removal hooks: registered on a flow, run when it has left the table.

use crate::packets::{Outcome, at, packets_of, table_with, track, track_and, udp};
use portcullis_capture::WorkerId;
use portcullis_flow::{
    Callbacks, EndReason, Flow, FlowCallbacks, FlowSettings, FlowTable, HookId, RegisterError, Registry,
    RemovalHook, WorkerContext,
};
use std::sync::{Arc, Mutex};

type Log = Arc<Mutex<Vec<String>>>;
type Act = fn(&mut WorkerContext, &mut Flow<'_>);

/// Hooks "a" to "d", which write down that they ran and then do what the test says.
struct Hooks {
    ids: [HookId; 4],
    log: Log,
    callbacks: Callbacks,
    context: WorkerContext,
    table: FlowTable,
}

impl Hooks {
    fn new(acts: [Act; 4]) -> Self {
        let (mut registry, log) = (Registry::default(), Log::default());
        let ids = [0, 1, 2, 3].map(|place| {
            let (name, act) = (["a", "b", "c", "d"][place], acts[place]);
            let log = Arc::clone(&log);
            let make = move |_| {
                let log = Arc::clone(&log);
                let hook = move |context: &mut WorkerContext, flow: &mut Flow<'_>| {
                    log.lock().expect("not held while a hook panics").push(name.to_owned());
                    act(context, flow);
                };
                Box::new(hook) as Box<dyn RemovalHook>
            };
            registry.removal_hook(name, Box::new(make)).expect("a new name")
        });
        let mut callbacks = registry.instantiate(WorkerId(2));
        let table = table_with(&FlowSettings::default(), callbacks.take_storage());
        Self { ids, log, context: callbacks.context(WorkerId(2)), callbacks, table }
    }

    /// Registers hooks on flow `port`; what the registrations said.
    fn register(&mut self, port: u16, hooks: &[usize]) -> Vec<bool> {
        let ids: Vec<HookId> = hooks.iter().map(|hook| self.ids[*hook]).collect();
        let mut said = Vec::new();
        track_and(&mut self.table, &udp((1, port), (2, 2)), at(0), |flow| {
            said = ids.iter().map(|id| flow.register_removal_hook(*id)).collect();
        });
        said
    }

    /// Ends everything; which hooks ran since the last time.
    fn end(&mut self) -> String {
        assert!(self.table.retire_all(at(1), usize::MAX));
        self.finish()
    }

    fn finish(&mut self) -> String {
        let Self { table, callbacks, context, .. } = self;
        table.finish(usize::MAX, &mut |flow| {
            assert!(flow.end().is_some(), "it has left the table");
            callbacks.removed(context, flow);
            callbacks.removed(context, flow);
        });
        std::mem::take(&mut *self.log.lock().expect("not held")).concat()
    }
}

const NOTHING: Act = |_, _| {};

fn hook(context: &WorkerContext, name: &str) -> HookId {
    context.removal_hook(name).expect("a hook of the test")
}

#[test]
fn register_and_unregister_say_what_zeek_says() {
    let mut hooks = Hooks::new([NOTHING; 4]);
    assert_eq!(hooks.register(1, &[0, 0, 0]), [true, false, false]);
    let id = hooks.ids[0];
    track_and(&mut hooks.table, &udp((1, 1), (2, 2)), at(0), |flow| {
        let said = [(); 3].map(|()| flow.unregister_removal_hook(id));
        assert_eq!(said, [true, false, false]);
        assert_eq!(flow.removal_hooks().count(), 0);
        assert!(flow.register_removal_hook(id), "it is new again");
    });
    assert_eq!(hooks.end(), "a");
}

#[test]
fn hooks_run_once_in_the_order_of_registration_and_only_for_their_flows() {
    let mut hooks = Hooks::new([NOTHING; 4]);
    hooks.register(1, &[3, 0, 2, 0, 1]);
    hooks.register(2, &[]);
    let expected = [3, 0, 2, 1].map(|place| hooks.ids[place]);
    track_and(&mut hooks.table, &udp((1, 1), (2, 2)), at(0), |flow| {
        assert!(flow.removal_hooks().eq(expected));
    });
    assert_eq!(hooks.end(), "dacb");
    assert!(hooks.callbacks.costs().all(|(_, cost)| cost.calls == 1));
}

#[test]
fn memory_that_is_used_again_has_no_hooks_of_the_flow_before() {
    let mut hooks = Hooks::new([NOTHING; 4]);
    hooks.register(1, &[0, 1]);
    assert_eq!(hooks.end(), "ab");
    for port in 0..200 {
        assert_eq!(hooks.register(port, &[]), []);
        track_and(&mut hooks.table, &udp((1, port), (2, 2)), at(0), |flow| {
            assert_eq!(flow.removal_hooks().count(), 0);
        });
    }
    assert_eq!(hooks.register(3, &[1]), [true]);
    assert_eq!(hooks.end(), "b");
}

#[test]
fn one_registered_during_removal_runs_too_and_none_runs_twice() {
    let register: Act = |context, flow| {
        assert!(flow.register_removal_hook(hook(context, "d")));
        assert!(!flow.register_removal_hook(hook(context, "b")), "it waits already");
        assert!(!flow.register_removal_hook(hook(context, "a")), "it is the one that runs");
    };
    let again: Act = |context, flow| {
        assert!(!flow.register_removal_hook(hook(context, "a")), "it has run");
        assert!(!flow.unregister_removal_hook(hook(context, "a")), "too late");
    };
    let mut hooks = Hooks::new([register, again, NOTHING, again]);
    hooks.register(1, &[0, 1]);
    assert_eq!(hooks.end(), "abd");
}

#[test]
fn one_unregistered_during_removal_does_not_run() {
    let unregister: Act = |context, flow| {
        assert!(flow.unregister_removal_hook(hook(context, "b")));
        assert_eq!(context.removal_hook_name(hook(context, "b")), Some("b"));
    };
    let mut hooks = Hooks::new([unregister, NOTHING, NOTHING, NOTHING]);
    hooks.register(1, &[0, 1, 2]);
    assert_eq!(hooks.end(), "ac");
}

#[test]
fn one_that_panics_is_counted_and_disabled_and_the_others_run() {
    let mut hooks = Hooks::new([NOTHING, |_, _| panic!("as the test asked"), NOTHING, NOTHING]);
    hooks.register(1, &[0, 1, 2]);
    assert_eq!(hooks.end(), "abc");
    hooks.register(1, &[0, 1, 2]);
    assert_eq!(hooks.end(), "ac");
    let costs: Vec<_> = hooks.callbacks.costs().map(|(name, cost)| (name, cost.calls, cost.panics)).collect();
    assert_eq!(costs, [("a", 2, 0), ("b", 1, 1), ("c", 2, 0), ("d", 0, 0)]);
}

#[test]
fn hooks_run_whatever_way_the_flow_ends() {
    let settings = FlowSettings { memcap: 20_000, ..FlowSettings::default() };
    let mut hooks = Hooks::new([NOTHING; 4]);
    let mut reasons = Vec::new();
    let mut registry = Registry::default();
    let factory = |_| Box::new(|_: &mut WorkerContext, _: &mut Flow<'_>| {}) as Box<dyn RemovalHook>;
    let id = registry.removal_hook("count", Box::new(factory)).expect("a new name");
    hooks.callbacks = registry.instantiate(WorkerId(0));
    let mut table = table_with(&settings, hooks.callbacks.take_storage());
    let (mut made, mut ended) = (0, 0);
    let mut finish = |table: &mut FlowTable| {
        table.finish(usize::MAX, &mut |flow| {
            hooks.callbacks.removed(&mut hooks.context, flow);
            reasons.push(flow.end().expect("it has ended"));
            ended += 1;
        });
    };
    for step in 0..4_000u64 {
        let now = portcullis_wire::Timestamp::from_nanos(at(0).as_nanos() + step * 30_000_000);
        for packet in packets_of(step) {
            let outcome = track_and(&mut table, &packet, now, |flow| {
                flow.register_removal_hook(id);
            });
            made += u64::from(matches!(outcome, Outcome::New(..)));
        }
        table.sweep(now, 4);
        finish(&mut table);
    }
    while !table.retire_all(at(120), 7) {}
    finish(&mut table);
    assert_eq!((ended, table.active()), (made, 0));
    assert_eq!(hooks.callbacks.costs().map(|(_, cost)| cost.calls).collect::<Vec<_>>(), [made]);
    for reason in [EndReason::TcpReuse, EndReason::Forced, EndReason::Shutdown, EndReason::Timeout] {
        assert!(reasons.contains(&reason), "{reason:?} was not tried");
    }
}

#[test]
fn hooks_cost_memory_only_where_there_are_hooks() {
    let without =
        table_with(&FlowSettings::default(), Registry::default().instantiate(WorkerId(0)).take_storage());
    let with = Hooks::new([NOTHING; 4]).table;
    let memuse = |table: &FlowTable| table.stats().memuse;
    assert_eq!(memuse(&without), memuse(&crate::packets::table(&FlowSettings::default())));
    assert!(with.capacity() < without.capacity(), "the lists are charged");
}

#[test]
fn registration_is_bounded_and_ends_at_start() {
    let mut registry = Registry::default();
    let add = |registry: &mut Registry, name: &str| {
        let make = |_| Box::new(|_: &mut WorkerContext, _: &mut Flow<'_>| {}) as Box<dyn RemovalHook>;
        registry.removal_hook(name, Box::new(make))
    };
    for number in 0..HookId::MOST {
        assert!(add(&mut registry, &format!("hook {number}")).is_ok());
    }
    let error = add(&mut registry, "one more").expect_err("no room");
    assert_eq!(
        error.to_string(),
        "\"one more\" cannot be registered: there are 15 of its kind already, no more can be"
    );
    registry.freeze();
    assert_eq!(add(&mut registry, "late"), Err(RegisterError::Started("late".into())));
    let mut other = Registry::default();
    let few = add(&mut other, "hook").expect("room");
    assert_eq!(add(&mut other, "hook"), Err(RegisterError::Duplicate("hook".into())));
    // Any id of a larger registry than that of the table is refused.
    let last =
        registry.instantiate(WorkerId(0)).context(WorkerId(0)).removal_hook("hook 14").expect("registered");
    let mut table = table_with(&FlowSettings::default(), other.instantiate(WorkerId(0)).take_storage());
    track_and(&mut table, &udp((1, 1), (2, 2)), at(0), |flow| {
        assert!(flow.register_removal_hook(few) && !flow.register_removal_hook(last));
    });
    assert!(matches!(track(&mut table, &udp((1, 1), (2, 2)), at(0)), Outcome::Known(..)));
    assert!(table.retire_all(at(0), 1));
    assert_eq!(table.finish(1, &mut |_| {}), 1);
}

/// A clock that takes seven nanoseconds a look.
fn clock() -> u64 {
    thread_local!(static NOW: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
    NOW.with(|now| {
        now.set(now.get() + 7);
        now.get()
    })
}

#[test]
fn calls_are_counted_and_one_in_many_is_timed_by_the_clock_that_was_given() {
    struct Idle;
    impl FlowCallbacks for Idle {}
    for measured in [false, true] {
        let mut registry = Registry::default();
        registry.register("idle", Box::new(|_| Box::new(Idle))).expect("a new name");
        if measured {
            registry.measure_with(clock);
        }
        let mut callbacks = registry.instantiate(WorkerId(0));
        let mut context = callbacks.context(WorkerId(0));
        let mut table = table_with(&FlowSettings::default(), callbacks.take_storage());
        for _ in 0..2049 {
            track_and(&mut table, &udp((1, 1), (2, 2)), at(0), |flow| callbacks.finish(&mut context, flow));
        }
        let costs: Vec<_> = callbacks.costs().map(|(_, cost)| (cost.calls, cost.timed, cost.nanos)).collect();
        assert_eq!(costs, [if measured { (2049, 3, 21) } else { (2049, 0, 0) }]);
        assert!(table.retire_all(at(0), 1));
        table.finish(1, &mut |_| {});
    }
}
