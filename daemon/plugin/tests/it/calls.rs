//! What a plugin sees, and what becomes of what it does.

use crate::built::{compile, source};
use crate::rig::{registry, run, settings, udp};
use portcullis_flow::Registry;
use portcullis_plugin::LoadedPlugin;
use portcullis_plugin::abi::{Direction, DropReason, EndReason, FlowFlags, FlowState};
use portcullis_plugin::sdk::{Flow, Packet, PacketView, Plugin, RemovalHook, Setup, StorageId, Worker};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Looks at everything there is, and fails by panicking, which the test sees as a count.
struct Looker;

#[derive(Clone)]
struct Looking {
    value: StorageId<Arc<u64>>,
    other: StorageId<[u8; 100]>,
    hooks: [RemovalHook; 2],
}

static ORDER: Mutex<String> = Mutex::new(String::new());

impl Plugin for Looker {
    type Shared = Looking;
    type Worker = Looking;

    fn register(setup: &mut Setup<'_>) -> Result<Looking, String> {
        let (value, other) = (setup.storage()?, setup.storage()?);
        Ok(Looking { value, other, hooks: [setup.removal_hook("a")?, setup.removal_hook("b")?] })
    }

    fn worker(shared: &Looking, number: u32) -> Looking {
        assert_eq!(number, 0);
        shared.clone()
    }
}

impl Worker for Looking {
    fn init(&mut self, flow: &mut Flow<'_>, packet: &PacketView<'_>) {
        ORDER.lock().unwrap().push('i');
        assert_eq!(packet.direction(), Some(Direction::ToServer));
        assert_eq!((packet.payload(), packet.ingress()), (&b"hello"[..], 0));
        assert_eq!(packet.timestamp(), flow.start());
        assert!(flow.stored(self.value).is_none() && flow.stored(self.other).is_none());
        assert!(flow.store(self.value, Arc::new(5)).is_none());
        let [a, b] = self.hooks;
        assert!(flow.register_removal_hook(b) && !flow.register_removal_hook(b));
        assert!(flow.register_removal_hook(a) && flow.unregister_removal_hook(a));
        assert!(!flow.unregister_removal_hook(a));
        assert!(flow.has_removal_hook(b) && !flow.has_removal_hook(a));
    }

    fn update(&mut self, flow: &mut Flow<'_>, packet: &mut Packet<'_>) {
        ORDER.lock().unwrap().push('u');
        let (client, server) = (flow.client(), flow.server());
        assert_eq!(client, (IpAddr::from([10, 0, 0, 9]), 9));
        assert_eq!(server, (IpAddr::from([10, 0, 1, 2]), 53));
        assert_eq!((flow.ip_version(), flow.protocol(), flow.ingress(), flow.vlans().1), (4, 17, 0, 0));
        assert!(flow.id() > 0 && flow.end_reason() == Some(EndReason::None));
        assert!(flow.now() >= flow.last_seen() && flow.last_seen() >= flow.start());
        assert_eq!(usize::try_from(packet.wire_length()).unwrap(), packet.bytes().len());
        *Arc::make_mut(flow.stored_mut(self.value).unwrap()) += 1;
        match packet.direction().unwrap() {
            Direction::ToServer => {
                assert_eq!(flow.state(), Some(FlowState::New));
                assert_eq!(flow.counts(Direction::ToServer).packets, 1);
                assert_eq!(flow.idle_timeout(), None);
                flow.set_idle_timeout(Some(Duration::from_secs(3)));
                assert_eq!(flow.idle_timeout(), Some(Duration::from_secs(3)));
                let last = packet.bytes().len() - 1;
                packet.bytes_mut()[last] = b'!';
                assert_eq!(packet.payload(), b"hell!");
            }
            Direction::ToClient => {
                assert_eq!(flow.state(), Some(FlowState::Established));
                assert!(flow.is(FlowFlags::SeenToClient) && !flow.is(FlowFlags::Bypassed));
                assert_eq!(flow.counts(Direction::ToClient).packets, 1);
                flow.bypass();
                assert!(flow.is(FlowFlags::Bypassed));
                assert!(flow.pass_flow() && !flow.drop_flow(DropReason::Rules));
            }
        }
    }

    fn removed(&mut self, hook: RemovalHook, flow: &mut Flow<'_>) {
        ORDER.lock().unwrap().push('r');
        // One that is registered meanwhile runs, too; each once.
        let [a, b] = self.hooks;
        assert_eq!(flow.register_removal_hook(a), hook == b);
        assert_eq!(flow.end_reason(), Some(EndReason::Shutdown));
    }

    fn finish(&mut self, flow: &mut Flow<'_>) {
        ORDER.lock().unwrap().push('f');
        assert_eq!(flow.take_stored(self.value).as_deref(), Some(&7));
        assert!(flow.store(self.other, [1; 100]).is_none());
        assert!(flow.is(FlowFlags::Passed) && flow.has_removal_hook(self.hooks[0]));
    }
}

#[test]
fn everything_that_a_plugin_can_see_and_do() {
    let mut registry = Registry::default();
    LoadedPlugin::built_in::<Looker>("looker", &settings(&[])).unwrap().register(&mut registry).unwrap();
    let ran = run(registry, vec![udp(0, 9, true, b"hello"), udp(1, 9, false, b"you")], 1);
    assert_eq!(ran.counters.worker_callback_panics, 0);
    assert_eq!(*ORDER.lock().unwrap(), "iuurrf");
    assert_eq!((ran.hook("looker").calls, ran.hook("looker/b").calls), (4, 1));
    assert_eq!(ran.left, 2);
}

/// Panics at payloads that say so; keeps a value beside each flow that counts itself.
struct Fragile;

static LIVING: AtomicU32 = AtomicU32::new(0);

struct Living;

impl Living {
    fn new() -> Self {
        LIVING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        LIVING.fetch_sub(1, Ordering::Relaxed);
    }
}

struct FragileWorker {
    value: StorageId<Living>,
    _counted: Living,
}

impl Plugin for Fragile {
    type Shared = (StorageId<Living>, Living);
    type Worker = FragileWorker;

    fn register(setup: &mut Setup<'_>) -> Result<Self::Shared, String> {
        assert_ne!(setup.setting("mood").as_deref(), Some("bad"), "not today");
        Ok((setup.storage()?, Living::new()))
    }

    fn worker(shared: &Self::Shared, _: u32) -> FragileWorker {
        FragileWorker { value: shared.0, _counted: Living::new() }
    }
}

impl Worker for FragileWorker {
    fn update(&mut self, flow: &mut Flow<'_>, packet: &mut Packet<'_>) {
        flow.store(self.value, Living::new());
        assert_ne!(packet.payload(), b"panic", "a packet of the test");
    }
}

#[test]
fn a_panic_in_rust_is_counted_and_crosses_nothing() {
    let mut registry = Registry::default();
    let fragile = |mood| LoadedPlugin::built_in::<Fragile>("fragile", &settings(&[("mood", mood)]));
    fragile("good").unwrap().register(&mut registry).unwrap();
    let payloads: [&[u8]; 4] = [b"fine", b"fine", b"panic", b"fine"];
    let frames = (0..).zip(payloads).map(|(at, payload)| udp(at, 1, true, payload)).collect();
    let ran = run(registry, frames, 1);
    assert_eq!((ran.hook("fragile").calls, ran.hook("fragile").panics), (1 + 3, 1));
    assert_eq!((ran.counters.worker_callback_panics, ran.left), (1, 4));
    assert_eq!(LIVING.load(Ordering::Relaxed), 0, "everything was dropped: values, worker, plugin");
    let message = fragile("bad").unwrap_err().to_string();
    assert!(
        message.contains("plugin fragile refuses to start (1): it panicked: ")
            && message.contains("not today")
    );
}

#[test]
fn a_failure_in_c_is_counted_and_ends_that_hook_only() {
    let folder = tempfile::tempdir().unwrap();
    let before = "
static int32_t update(void *worker UNUSED, PortcullisFlow *flow, PortcullisPacket *packet)
{
    host->flow_register_removal_hook(flow, 0);
    host->flow_register_removal_hook(flow, 1);
    return host->packet_payload(packet).length == 3 ? 77 : PORTCULLIS_OK;
}
static int32_t fails(void *worker UNUSED, PortcullisFlow *flow UNUSED, uint32_t hook) { return hook == 0; }
static const PortcullisRemovalHook hooks[] = {{\"bad\", fails}, {\"good\", fails}};";
    let body = "plugin->update = update; plugin->removal_hooks = hooks; plugin->removal_hook_count = 2;";
    let path = compile(folder.path(), "grumpy", &source("grumpy", before, body));
    let frames = vec![udp(0, 1, true, b"fine"), udp(1, 2, true, b"bad"), udp(2, 3, true, b"fine")];
    let ran = run(registry(&path, &[]), frames, 1);
    assert_eq!(ran.hook("grumpy").panics, 1);
    // Flows 1 and 2 have the hooks; the third was never seen.
    assert_eq!((ran.hook("grumpy/bad").calls, ran.hook("grumpy/bad").panics), (1, 1));
    assert_eq!((ran.hook("grumpy/good").calls, ran.hook("grumpy/good").panics), (2, 0));
    assert_eq!((ran.counters.worker_callback_panics, ran.left), (2, 3));
}

#[test]
fn a_worker_that_cannot_be_made_fails_at_its_first_call() {
    let folder = tempfile::tempdir().unwrap();
    let before = "
static int32_t worker_new(void *user UNUSED, uint32_t number, void **state UNUSED) { return number == 0 ? 3 : 0; }
static void worker_free(void *state) { if (state != host) abort(); }
static int32_t finish(void *state UNUSED, PortcullisFlow *flow UNUSED) { return 0; }";
    let body = "plugin->worker_new = worker_new; plugin->worker_free = worker_free; plugin->finish = finish;
        plugin->user = (void *)host;";
    let path = compile(folder.path(), "lame", &source("lame", before, body));
    let frames = (1..=40).map(|client| udp(u64::from(client), client, true, b"")).collect();
    let ran = run(registry(&path, &[]), frames, 2);
    assert_eq!(ran.hook("lame").panics, 1, "worker 1 goes on");
    assert_eq!((ran.counters.flow_callbacks_finish, ran.left), (40, 40));
}

/// With NULL for flow and packet, and numbers that mean nothing, the host does nothing.
#[test]
fn nonsense_is_answered_with_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let before = "
#define NOTHING(CALL) do { if (CALL) return __LINE__; } while (0)
static int32_t update(void *worker UNUSED, PortcullisFlow *flow, PortcullisPacket *packet)
{
    size_t length = 9;
    uint16_t ids[3];
    NOTHING(host->flow_id(NULL) || host->flow_client(NULL).port || host->flow_counts(NULL, 0).packets);
    NOTHING(host->flow_vlans(NULL, ids) || host->flow_vlans(flow, NULL) || host->flow_counts(flow, 2).packets);
    NOTHING(host->flow_storage(flow, 0) || host->flow_storage(NULL, 0));
    NOTHING(host->flow_drop(flow, 99) || host->flow_drop(NULL, 0) || host->packet_drop(packet, 99));
    NOTHING(host->flow_register_removal_hook(flow, 0) || host->flow_unregister_removal_hook(flow, 1u << 31));
    NOTHING(host->flow_has_removal_hook(flow, 0) || host->packet_drop(NULL, 0));
    NOTHING(host->packet_bytes(NULL, &length) || length || host->packet_bytes_mut(NULL, NULL));
    NOTHING(host->packet_bytes(packet, NULL) != host->packet_bytes_mut(packet, &length) || !length);
    NOTHING(host->packet_payload(NULL).length || host->packet_timestamp(NULL));
    host->flow_bypass(NULL);
    host->flow_set_idle_timeout(NULL, 1);
    host->log(77, NULL);
    return PORTCULLIS_OK;
}
static int32_t init(void *worker UNUSED, PortcullisFlow *flow UNUSED, const PortcullisPacket *packet)
{
    return host->packet_bytes_mut((PortcullisPacket *)packet, NULL) || host->packet_drop((PortcullisPacket *)packet, 0);
}";
    let body = "plugin->update = update; plugin->init = init;";
    let path = compile(folder.path(), "odd", &source("odd", before, body));
    let ran = run(registry(&path, &[]), vec![udp(0, 1, true, b"x")], 1);
    assert_eq!((ran.hook("odd").calls, ran.hook("odd").panics, ran.left), (3, 0, 1));
}
