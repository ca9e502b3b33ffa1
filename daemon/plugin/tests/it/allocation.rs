//! Between the engine and a plugin nothing is allocated while packets are judged.

use crate::built::{compile, source};
use crate::rig::{registry, udp};
use allocation_counter::measure;
use portcullis_capture::{BURST, Burst, CaptureStats, Outbox, Packet, PacketMeta, WorkerId};
use portcullis_engine::{EngineSettings, FlowWorker, WorkerParts, publish};
use portcullis_event::{RingMode, ring};
use portcullis_wire::Timestamp;
use std::sync::Arc;

/// Uses some of everything.
const BUSY: &str = "
static int32_t init(void *worker UNUSED, PortcullisFlow *flow, const PortcullisPacket *packet)
{
    *(uint64_t *)host->flow_storage(flow, 0) = host->packet_timestamp(packet);
    return !host->flow_register_removal_hook(flow, 0);
}
static int32_t update(void *worker UNUSED, PortcullisFlow *flow, PortcullisPacket *packet)
{
    size_t length;
    uint8_t *bytes = host->packet_bytes_mut(packet, &length);
    bytes[length - 1] ^= (uint8_t)host->flow_client(flow).port;
    host->flow_set_idle_timeout(flow, 5);
    return !host->packet_drop(packet, PORTCULLIS_DROP_REASON_CALLBACK);
}
static int32_t removed(void *worker UNUSED, PortcullisFlow *flow, uint32_t hook)
{
    return hook != 0 || host->flow_end_reason(flow) == PORTCULLIS_END_REASON_NONE;
}
static int32_t finish(void *worker UNUSED, PortcullisFlow *flow)
{
    return *(uint64_t *)host->flow_storage(flow, 0) != host->flow_start(flow);
}
static void clear(void *bytes) { memset(bytes, 0, 8); }
static const PortcullisRemovalHook hooks[] = {{\"removed\", removed}};
static const PortcullisStorage storages[] = {{8, 0, clear}};";

const REGISTER: &str = "
plugin->init = init; plugin->update = update; plugin->finish = finish;
plugin->removal_hooks = hooks; plugin->removal_hook_count = 1;
plugin->storages = storages; plugin->storage_count = 1;";

#[test]
fn hooks_of_a_plugin_cost_no_allocation() {
    let folder = tempfile::tempdir().unwrap();
    let path = compile(folder.path(), "busy", &source("busy", BUSY, REGISTER));
    let (reporter, _rings) = ring::rings(1 << 20, 1 << 20, RingMode::Live);
    let (publisher, mut published) = publish::channel();
    let callbacks = registry(&path, &[]).instantiate(WorkerId(0));
    let (id, start) = (WorkerId(0), Timestamp::from_secs(1));
    let parts = WorkerParts { id, workers: 1, rules: Arc::default(), callbacks, reporter, publisher, start };
    let settings = EngineSettings { inline: true, ..EngineSettings::default() };
    let mut worker = FlowWorker::new(&settings, parts).unwrap();
    let mut outbox = Outbox::default();
    let stats = CaptureStats::default();
    let mut clients = 1..=u16::MAX;
    // Flows of one round are over in the next.
    for round in 0..4_u64 {
        let mut frames: Vec<_> =
            clients.by_ref().take(BURST).map(|client| udp(round * 60_000, client, true, b"x")).collect();
        let now = frames[0].0;
        let mut burst = Burst::new(&mut outbox);
        for (at, ingress, bytes) in &mut frames {
            let meta = PacketMeta { timestamp: *at, clock: *at, ingress: *ingress, ..PacketMeta::default() };
            assert!(burst.push(Packet::new(bytes, meta)));
        }
        let allocated = measure(|| {
            worker.inspect(&mut burst);
            // Often enough for the sweep to come round.
            (0..32).for_each(|_| worker.idle(now, &stats));
        });
        assert_eq!(allocated.count_total, 0, "in round {round}");
    }
    let counters = *published.latest();
    assert_eq!((counters.flow_total, counters.flow_callbacks_finish), (128, 96));
    assert_eq!((counters.ips_blocked, counters.worker_callback_panics), (128, 0));
    assert_eq!(
        published.hook_costs().iter().map(|cost| cost.calls).collect::<Vec<_>>(),
        [128 + 128 + 96, 96]
    );
}
