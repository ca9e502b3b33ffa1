//! After start a worker allocates nothing: not for packets, flows, rules of any kind, hooks and what they
//! store, alerts, drops, answers and records; not when a ring or the memory for flows is full; not for
//! steering; not when flows expire, are evicted, replaced or ended by order; not when
//! rules are swapped, and not at the end.

mod count;
mod hooks;
mod traffic;

use count::allocations;
use portcullis_capture::memory::LoopModule;
use portcullis_capture::{PacketModule, Poll, WorkerId};
use portcullis_defrag::DefragSettings;
use portcullis_engine::offload::{self, Answered, Offer, OffloadDesk, OffloadRequest};
use portcullis_engine::{
    EngineSettings, ExceptionPolicies, ExceptionPolicy, FlowWorker, NewRules, Published, RecordSettings,
    Rules, WorkerParts, publish,
};
use portcullis_event::{Counters, Record, RecordConsumer, RingMode, ring};
use portcullis_flow::{FlowMatch, FlowSelector, FlowSettings, RateTracking, Registry, TimeoutOverride};
use portcullis_stream::StreamSettings;
use portcullis_wire::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Each is longer than any timeout, so that all flows of the one before end in it.
const ROUNDS: u64 = 3;
const RING_BYTES: usize = 1 << 22;
/// Bursts between two orders to end flows.
const ORDER_EACH: usize = 64;
/// Bursts between two swaps of rules.
const SWAP_EACH: usize = 50;

struct Setup {
    module: LoopModule,
    worker: FlowWorker,
    published: Published,
    rings: [RecordConsumer; 2],
    /// Who answers for flows that are put forward, if they are: then there are no hooks, which would see all packets.
    desk: Option<OffloadDesk>,
}

fn setup(settings: &EngineSettings, workers: u8, rules: &Arc<Rules>) -> Setup {
    let (reporter, rings) = ring::rings(RING_BYTES, RING_BYTES, RingMode::Live);
    let (publisher, published) = publish::channel();
    let registry = if settings.offload { Registry::default() } else { hooks::registry() };
    let parts = WorkerParts {
        id: WorkerId(0),
        workers,
        rules: Arc::clone(rules),
        callbacks: registry.instantiate(WorkerId(0)),
        reporter,
        publisher,
        start: Timestamp::from_secs(1),
    };
    let mut worker = FlowWorker::new(settings, parts).expect("memory for flows");
    let (link, desk) = offload::channel();
    let desk = settings.offload.then(|| {
        worker.offload_to(link);
        desk
    });
    Setup { module: LoopModule::new(traffic::frames(), ROUNDS), worker, published, rings, desk }
}

/// Which records are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    All,
    /// None, so that the rings are soon full.
    None,
}

/// What came of a run.
struct Ran {
    counters: Counters,
    /// Rules that alerted.
    sids: BTreeSet<u32>,
    /// Calls of each hook.
    calls: Vec<u64>,
}

/// Runs to the end as `drive` does, with the logger's part, which may allocate, in the same thread.
fn check(what: &str, settings: &EngineSettings, workers: u8, read: Read) -> Ran {
    let rules = Arc::new(Rules::new(traffic::rules()));
    let Setup { mut module, mut worker, mut published, mut rings, mut desk } =
        setup(settings, workers, &rules);
    let (mut record, mut sids, mut allocated) = (Vec::new(), BTreeSet::new(), 0);
    for burst in 1.. {
        let some = FlowSelector {
            flows: FlowMatch { ports: Some(1024..=1200), ..FlowMatch::default() },
            ..FlowSelector::default()
        };
        // Made where rules are loaded.
        let (back, old) = crossbeam::channel::bounded(1);
        let new = |back| Box::new(NewRules::from(Arc::clone(&rules)).returning(back));
        let swap = (burst % SWAP_EACH == 0).then(|| new(back));
        let swaps = swap.is_some();
        let mut polled = Ok(Poll::End);
        allocated += allocations(|| {
            if let Some(new) = swap {
                worker.exchange_rules(new);
            }
            polled = module.poll(&mut |burst| worker.inspect(burst));
            desk.iter_mut().for_each(answer);
            worker.keep_house(module.now(), &module.stats());
            if burst % ORDER_EACH == 0 {
                worker.end_flows(some);
                worker.idle(module.now(), &module.stats());
            }
        });
        assert_eq!(allocated, 0, "{what}, burst {burst}");
        assert_eq!(old.try_recv().is_ok(), swaps, "the old ones are not freed where packets are judged");
        if read == Read::All {
            drain(&mut rings, &mut record, &mut sids);
        }
        if polled == Ok(Poll::End) {
            break;
        }
    }
    // At its end a worker waits for room in the rings, so there has to be some.
    if read == Read::All {
        allocated = allocations(|| worker.finish(module.now(), &module.stats()));
        drain(&mut rings, &mut record, &mut sids);
    }
    assert_eq!(allocated, 0, "{what}, at the end");
    let calls = published.hook_costs().iter().map(|cost| cost.calls).collect();
    let counters = *published.latest();
    let judged = counters.decoder_pkts;
    assert_eq!(counters.ips_accepted + counters.ips_blocked + counters.ips_rejected, judged, "{what}");
    let steered = module.stats().errors;
    assert_eq!(judged + steered, module.stats().received, "{what}");
    assert_eq!(counters.worker_callback_panics, 0, "{what}");
    Ran { counters, sids, calls }
}

/// Answers a packet of each flow that is put forward.
fn answer(desk: &mut OffloadDesk) {
    while let Some(request) = desk.request() {
        if let OffloadRequest::Put(Offer { flow, key, direction, .. }) = request {
            desk.tell(Answered { flow, key, direction, packets: 1, bytes: 60 });
        }
    }
}

fn drain(rings: &mut [RecordConsumer; 2], bytes: &mut Vec<u8>, sids: &mut BTreeSet<u32>) {
    for ring in rings {
        while ring.pop(bytes) {
            if let Ok(Record::Alert(alert)) = Record::decode(bytes) {
                sids.insert(alert.alert.sid);
            }
        }
    }
}

/// With everything on that there is.
fn inline() -> EngineSettings {
    let dns = FlowMatch { ports: Some(53..=53), ..FlowMatch::default() };
    let rate_tracking = Some(RateTracking { bytes: 100, interval: Duration::from_secs(1) });
    EngineSettings {
        inline: true,
        stream: StreamSettings { inline: true, ..StreamSettings::default() },
        may_send: true,
        drop_invalid: true,
        defrag: DefragSettings { inline: true, ..DefragSettings::default() },
        flow: FlowSettings { rate_tracking, ..FlowSettings::default() },
        timeout_overrides: vec![TimeoutOverride { flows: dns, new: Some(5), ..TimeoutOverride::default() }],
        policies: ExceptionPolicies::all(ExceptionPolicy::Reject),
        records: RecordSettings {
            alert_payload: true,
            alert_packet: true,
            netflow: true,
            ethernet: true,
            exception_policy: true,
            ..RecordSettings::default()
        },
        ..EngineSettings::default()
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0_u8; 100]))), 1, "zeroed");
    assert_eq!(allocations(|| std::hint::black_box(vec![1_u8; 10]).reserve_exact(5000)), 2, "moved");
    assert_eq!(allocations(|| drop(traffic::rules())).min(1000), 1000);
}

#[test]
fn nothing_is_allocated_with_room() {
    let Ran { counters, sids, calls } = check("with room", &inline(), 1, Read::All);
    let quiet = [11, 12, 17];
    let expected: BTreeSet<u32> = (1..=19).filter(|sid| !quiet.contains(sid)).collect();
    assert_eq!(sids, expected, "rules that alerted");
    let used = |what: &str, count: u64| assert!(count > 100, "{what}: {count}");
    used("put together", counters.defrag_ipv4_reassembled);
    used("dropped within", counters.ips_drop_reason_tunnel_packet_drop);
    used("alerts", counters.detect_alert);
    used("suppressed", counters.detect_alerts_suppressed);
    used("pcre limit", counters.detect_pcre_limit_reached);
    used("blocked", counters.ips_blocked);
    used("rejected", counters.ips_rejected);
    used("answers", counters.reject_sent);
    used("invalid", counters.decoder_invalid);
    used("flow drop", counters.ips_drop_reason_flow_drop);
    used("dropped by a hook", counters.ips_drop_reason_callback);
    used("bypassed", counters.flow_bypassed_local_pkts);
    used("reused", counters.flow_tcp_reuse);
    used("ended by order", counters.flow_wrk_flows_injected);
    used("elephants", counters.flow_elephant);
    used("flow records", counters.log_flow_pushed);
    used("evidence", counters.log_evidence_pushed);
    assert!(counters.flow_total > 10_000 && counters.flow_active == 0, "{counters:?}");
    assert_eq!(counters.flow_callbacks_finish, counters.flow_total);
    assert!(calls.iter().all(|calls| *calls > 10_000), "{calls:?}");
    assert_eq!((counters.log_evidence_refused, counters.flow_memcap, counters.flow_get_used), (0, 0, 0));
}

#[test]
fn nothing_is_allocated_without_memory_for_flows() {
    use ExceptionPolicy as Policy;
    for policy in [Policy::Reject, Policy::RejectBoth, Policy::DropPacket, Policy::PassPacket] {
        let cramped = FlowSettings { memcap: 60_000, prealloc: 0, ..inline().flow };
        let policies = ExceptionPolicies::all(policy);
        let settings = EngineSettings { flow: cramped, policies, ..inline() };
        let Ran { counters, .. } = check(&format!("{policy:?}"), &settings, 1, Read::All);
        let counted = [
            counters.exception_policy_flow_memcap_reject,
            counters.exception_policy_flow_memcap_reject_both,
            counters.exception_policy_flow_memcap_drop_packet,
            counters.exception_policy_flow_memcap_pass_packet,
        ];
        assert_eq!(counted.iter().filter(|count| **count > 100).count(), 1, "{policy:?}: {counted:?}");
        assert!(counters.flow_get_used > 100 && counters.flow_emerg_mode_entered > 0, "{counters:?}");
    }
}

#[test]
fn nothing_is_allocated_with_full_rings() {
    let Ran { counters, .. } = check("with full rings", &inline(), 1, Read::None);
    assert!(counters.log_evidence_refused > 1000 && counters.log_flow_refused > 1000, "{counters:?}");
}

#[test]
fn nothing_is_allocated_with_packets_of_others() {
    let Ran { counters, .. } = check("with packets of others", &inline(), 3, Read::All);
    assert!(counters.decoder_pkts > 10_000, "{counters:?}");
}

/// As little as can be on, for what is off goes other ways.
#[test]
fn nothing_is_allocated_where_traffic_is_only_watched() {
    let records = RecordSettings { alert: false, flow: false, ..RecordSettings::default() };
    let settings = EngineSettings { records, ..EngineSettings::default() };
    let Ran { counters, .. } = check("only watched", &settings, 1, Read::All);
    assert!(counters.detect_alert > 1000 && counters.ips_blocked + counters.log_flow_pushed == 0);
}

#[test]
fn nothing_is_allocated_for_flows_that_are_put_forward() {
    let settings = EngineSettings { offload: true, drop_notes: 100, ..inline() };
    let Ran { counters, .. } = check("put forward", &settings, 1, Read::All);
    let used = |what: &str, count: u64| assert!(count > 100, "{what}: {count}");
    used("put forward", counters.verdict_cache_offered);
    used("answered", counters.flow_bypassed_pkts);
    used("over", counters.flow_bypassed_closed);
}
