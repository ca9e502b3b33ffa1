//! Lifecycle callbacks over a table.

use crate::packets::{at, keyed, table, udp};
use portcullis_capture::{DropReason, Packet, PacketMeta, PortId, WorkerId};
use portcullis_flow::{
    Callbacks, Direction, Flow, FlowCallbacks, FlowSettings, PacketAccess, RegisterError, Registry, Tracked,
    TrackedInput, WorkerContext,
};
use portcullis_wire::Decoded;
use std::sync::{Arc, Mutex};

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down what it is called for; panics at its `fatal` call.
struct Scribe {
    name: &'static str,
    log: Log,
    fatal: &'static str,
}

impl Scribe {
    fn note(&self, call: &str) {
        self.log.lock().expect("no panic while it is held").push(format!("{} {call}", self.name));
        assert!(call != self.fatal, "as the test asked");
    }
}

impl FlowCallbacks for Scribe {
    fn init(&mut self, context: &mut WorkerContext, _: &mut Flow<'_>, packet: &Packet<'_>, _: &Decoded) {
        assert_eq!((context.worker, packet.bytes()), (WorkerId(3), &[1, 2, 3][..]));
        self.note("init");
    }

    fn update(&mut self, _: &mut WorkerContext, _: &mut Flow<'_>, packet: &mut PacketAccess<'_, '_>) {
        packet.bytes_mut()[0] += 10;
        self.note("update");
    }

    fn finish(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>) {
        assert!(flow.end().is_some());
        self.note("finish");
    }
}

fn scribes(fatal: [&'static str; 2]) -> (Callbacks, Log) {
    let log = Log::default();
    let mut registry = Registry::default();
    for (name, fatal) in ["one", "two"].into_iter().zip(fatal) {
        let log = Arc::clone(&log);
        let make = move |_| Box::new(Scribe { name, log: Arc::clone(&log), fatal }) as Box<dyn FlowCallbacks>;
        registry.register(name, Box::new(make)).expect("a new name");
    }
    (registry.instantiate(WorkerId(3)), log)
}

/// A flow of two packets, from beginning to end; the bytes after it.
fn run(callbacks: &mut Callbacks) -> [u8; 3] {
    let mut table = table(&FlowSettings::default());
    let mut context = WorkerContext::new(WorkerId(3));
    let mut bytes = [1, 2, 3];
    for secs in 0..2 {
        let decoded = udp((1, 1), (2, 2));
        let keyed = keyed(&decoded);
        let hash = table.hash(&keyed.key);
        let (now, ingress) = (at(secs), PortId(0));
        let input = TrackedInput {
            keyed: &keyed,
            hash,
            decoded: &decoded,
            length: 3,
            now,
            ingress,
            may_create: true,
        };
        let mut packet = Packet::new(&mut bytes, PacketMeta::default());
        let (mut flow, direction) = match table.track(&input) {
            Tracked::New(mut flow, direction) => {
                callbacks.init(&mut context, &mut flow, &packet, &decoded);
                (flow, direction)
            }
            Tracked::Known(flow, direction) => (flow, direction),
            other => panic!("{other:?}"),
        };
        callbacks.update(&mut context, &mut flow, &mut PacketAccess::new(&mut packet, &decoded, direction));
        assert!(packet.is_modified());
    }
    assert!(table.retire_all(at(2), 1));
    assert_eq!(table.finish(1, &mut |flow| callbacks.finish(&mut context, flow)), 1);
    bytes
}

#[test]
fn they_run_in_order_through_a_flow_s_life() {
    let (mut callbacks, log) = scribes(["", ""]);
    assert!(!callbacks.is_empty());
    assert_eq!(run(&mut callbacks), [41, 2, 3], "both changed both packets");
    let calls = log.lock().expect("nobody panicked").join(", ");
    let expected =
        "one init, two init, one update, two update, one update, two update, one finish, two finish";
    assert_eq!(calls, expected);
    assert!(callbacks.panics().all(|(_, panics)| panics == 0));
}

#[test]
fn one_that_panics_is_counted_and_never_runs_again() {
    let (mut callbacks, log) = scribes(["update", ""]);
    assert_eq!(run(&mut callbacks), [31, 2, 3]);
    let calls = log.lock().expect("not held while it panics").join(", ");
    assert_eq!(calls, "one init, two init, one update, two update, two update, two finish");
    assert_eq!(callbacks.panics().collect::<Vec<_>>(), [("one", 1), ("two", 0)]);
}

#[test]
fn registration_ends_at_start() {
    let (mut registry, log) = (Registry::default(), Log::default());
    assert!(registry.instantiate(WorkerId(0)).is_empty());
    let register = |registry: &mut Registry, name| {
        let log = Arc::clone(&log);
        let make = move |_| {
            Box::new(Scribe { name: "", log: Arc::clone(&log), fatal: "" }) as Box<dyn FlowCallbacks>
        };
        registry.register(name, Box::new(make))
    };
    assert_eq!(register(&mut registry, "a"), Ok(()));
    assert_eq!(register(&mut registry, "a"), Err(RegisterError::Duplicate("a".into())));
    registry.freeze();
    let refused = register(&mut registry, "b").expect_err("too late");
    assert_eq!(refused, RegisterError::Started("b".into()));
    assert_eq!(refused.to_string(), "flow callbacks \"b\" cannot be registered: the workers have started");
    assert!(!registry.instantiate(WorkerId(0)).is_empty());
}

#[test]
fn the_first_reason_to_drop_counts() {
    let decoded = udp((1, 1), (2, 2));
    let mut bytes = [0; 3];
    let mut packet = Packet::new(&mut bytes, PacketMeta { id: 9, ..PacketMeta::default() });
    let mut access = PacketAccess::new(&mut packet, &decoded, Direction::ToClient);
    assert_eq!(access.direction(), Direction::ToClient);
    assert_eq!((access.dropped(), access.meta().id, access.bytes().len()), (None, 9, 3));
    assert_eq!(access.decoded().source_port, 1);
    access.drop_packet();
    access.drop_with(DropReason::Rules);
    assert_eq!(access.dropped(), Some(DropReason::Callback));
    assert!(!packet.is_modified(), "looking changes nothing");
}
