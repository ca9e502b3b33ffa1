//! What the workers of a gate are made of: how many there are and where, the rules, and their links to the others.

use super::cache::{CacheParts, CacheThread};
use super::plan::Plan;
use super::start::{set_failure, wall_clock};
use super::warden::GateFacts;
use super::wires::Wires;
use super::witness::KernelNotes;
use super::worker::{self, Seated};
use crate::config::Config;
use crate::control::Ruleset;
use crate::exit::Failure;
use crate::output;
use crate::plugins::Plugins;
use crate::rules::{self, LoadedRules};
use portcullis_bpf::device;
use portcullis_capture::WorkerId;
use portcullis_capture_xdp::XdpError;
use portcullis_engine::{OffloadLink, Rules, Spread, WorkerParts, offload};
use portcullis_event::{Reporter, RuleCounts};
use portcullis_host::HostTable;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

/// How all ports spread packets, if they do so alike and tell.
pub(crate) fn spread(plan: &Plan, workers: u8) -> Option<Arc<Spread>> {
    if plan.devices.is_some() {
        return None;
    }
    let mut ports = plan.capture.interfaces().map(device::rss);
    let first = ports.next()?.ok()?;
    if !ports.all(|port| port.is_ok_and(|port| port == first)) {
        return None;
    }
    let spread = Spread::new(&first.key, &first.table, workers)?;
    tracing::info!("packets are owned by the worker whose queue the NICs choose by their addresses");
    Some(Arc::new(spread))
}

/// How many workers there will be, and on which CPUs.
pub(crate) fn places(plan: &Plan) -> Result<(u8, Option<Vec<usize>>), Failure> {
    let allowed = allowed_cpus();
    if let Some(devices) = &plan.devices {
        let count = devices.workers(&allowed);
        return Ok((count, plan.affinity(count, &allowed)?));
    }
    let ports = plan.capture.gate_ports().map_err(set_failure)?;
    let count = plan.workers(&ports);
    let least = ports.iter().min_by_key(|port| port.queues);
    if let Some(port) = least.filter(|port| port.queues < u32::from(count)) {
        let (name, queues) = (port.name.clone(), port.queues);
        return Err(set_failure(XdpError::FewerQueues { name, queues, workers: count.into() }));
    }
    Ok((count, plan.affinity(count, &allowed)?))
}

/// Loads the rules; with `fatal`, one that cannot be loaded is a failure. State about hosts is `hosts`, or new
/// where there is none and they need it. What is decided by them is known as decided by this `generation`.
pub(crate) fn load_rules(
    config: &Config,
    fatal: bool,
    hosts: Option<Arc<HostTable>>,
    generation: u32,
) -> Result<(Arc<Rules>, Ruleset), Failure> {
    let loaded: LoadedRules = rules::load(config, None)?;
    output::rule_remarks(&loaded);
    loaded.unless_fatal(fatal)?;
    let counts = RuleCounts {
        last_reload: wall_clock(),
        loaded: loaded.rules.len() as u64,
        failed: loaded.refused as u64,
        skipped: 0,
    };
    // The standard library seeds it from the system's entropy.
    let seed = || RandomState::new().hash_one(0_u8);
    let hosts = hosts.or_else(|| rules::hosts(config, &loaded.rules, seed()));
    let ruleset = Ruleset { counts, faults: loaded.errors.into() };
    Ok((Arc::new(Rules::with_hosts(loaded.rules, hosts).of_generation(generation)), ruleset))
}

/// The generation of the first rules of this process: not one that a predecessor's verdicts are of.
pub(crate) fn first_generation() -> u32 {
    let millis = (wall_clock().as_nanos() / 1_000_000) & u64::from(u32::MAX);
    u32::try_from(millis).unwrap_or(1).max(1)
}

pub(crate) fn parts(
    rules: &Arc<Rules>,
    plugins: &Plugins,
    workers: u8,
    reporters: Vec<Reporter>,
) -> (Vec<WorkerParts>, Vec<portcullis_engine::Published>) {
    let (publishers, published) = worker::publishers(workers);
    let start = wall_clock();
    let parts = (0_u8..).zip(reporters).zip(publishers).map(|((index, reporter), publisher)| WorkerParts {
        id: WorkerId(index),
        workers,
        rules: Arc::clone(rules),
        callbacks: plugins.registry.instantiate(WorkerId(index)),
        reporter,
        publisher,
        start,
    });
    (parts.collect(), published)
}

/// Links each worker to the verdict cache and to the program's notes, where there are any.
pub(crate) fn linked(
    parts: Vec<WorkerParts>,
    facts: &GateFacts,
    plan: &Plan,
) -> (Vec<Seated>, Option<CacheParts>) {
    let inline_sets = &plan.engine.inline_sets;
    let notes = facts.passed.clone().map(|passed| KernelNotes { passed, inline_sets: inline_sets.clone() });
    let cache = facts.cache.clone().filter(|_| plan.engine.offload);
    let mut desks = Vec::with_capacity(parts.len());
    let link = |parts| {
        let offload = cache.is_some().then(|| {
            let (link, desk) = offload::channel();
            desks.push(desk);
            link
        });
        Seated { parts, offload, notes: notes.clone() }
    };
    let seated = parts.into_iter().map(link).collect();
    let (inline_sets, lifetime) = (inline_sets.clone(), plan.cache_lifetime);
    (seated, cache.map(|cache| CacheParts { cache, desks, inline_sets, lifetime }))
}

/// The same where ports carry out verdicts by themselves, which they say only once they are open.
pub(crate) fn over_ports(
    set: &Wires,
    plan: &Plan,
    workers: usize,
    generation: u32,
) -> Result<(Vec<OffloadLink>, Option<CacheThread>), Failure> {
    let inline_sets = plan.engine.inline_sets.clone();
    let table = if plan.engine.offload { set.verdict_table(&inline_sets, plan.cache) } else { None };
    let Some(cache) = table else { return Ok((Vec::new(), None)) };
    let (links, desks) = (0..workers).map(|_| offload::channel()).unzip();
    let thread = CacheThread::start(CacheParts { cache, desks, inline_sets, lifetime: plan.cache_lifetime })?;
    thread.begin(generation);
    Ok((links, Some(thread)))
}

pub(crate) fn allowed_cpus() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}
