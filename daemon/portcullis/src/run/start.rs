//! Everything in its order: what can be checked without touching anything, then the ports and the program, which the
//! warden sets up, the log, the workers with their memory, their queues, and at last the control socket. Whatever
//! threads there are start without privileges; the one thread that needs them, to bind queues, gives them up before it
//! publishes the queues. Where a step fails, the end of the process undoes it.

use super::AbortOnPanic;
use super::cache::{CacheParts, CacheThread};
use super::control::Desk;
use super::dpdk;
use super::handover;
use super::link::{WardenLink, listen};
use super::link_watch::LinkFacts;
use super::lists::{Force, ListKeeper};
use super::plan::Plan;
use super::privileges::Identity;
use super::reload::Loader;
use super::supervisor::{Event, Restarted};
use super::warden::GateFacts;
use super::wires::{Module, Wires};
use super::worker::{self, Seated, Worker};
use crate::cli::{ConfigArgs, RunArgs};
use crate::config::{self, AfXdpRequire, Config, Inline};
use crate::control::Server;
use crate::exit::Failure;
use crate::lists::Lists;
use crate::log::Log;
use crate::output;
use crate::plugins::{self, Plugins};
use crate::rules::{self, LoadedRules};
use crossbeam::channel::{Receiver, Sender, bounded};
use portcullis_bpf::{AttachedMode, GateCounters, device};
use portcullis_capture::WorkerId;
use portcullis_capture_xdp::{InlineSet, XdpError};
use portcullis_engine::handover::Router;
use portcullis_engine::{Command, Rules, Spread, WorkerParts, offload};
use portcullis_event::{Reporter, RingMode, RuleCounts};
use portcullis_flow::Blind;
use portcullis_host::HostTable;
use portcullis_wire::Timestamp;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Events that may wait for the supervisor; whoever has one more waits.
const EVENTS: usize = 256;

/// Why there are none without the XDP program.
const LISTS_NEED_XDP: &str =
    "bypass, allowlist and blocklist are carried out by the XDP program: with these ports there is none";

/// A gate that stands.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) guard: AbortOnPanic,
    /// Where the configuration came from.
    pub(crate) source: ConfigArgs,
    pub(crate) config: Config,
    pub(crate) events: Receiver<Event>,
    pub(crate) signals: SignalWatch,
    pub(crate) server: Option<Server>,
    pub(crate) workers: Vec<Worker>,
    /// Who keeps the verdict cache, where there is one.
    pub(crate) cache: Option<CacheThread>,
    pub(crate) set: Wires,
    pub(crate) log: Log,
    pub(crate) rules: Arc<Rules>,
    /// Names of hooks, in the order of their costs.
    pub(crate) hooks: Vec<String>,
    /// Reads rules anew, and frees those that workers have left, so that none of them has to.
    pub(crate) loader: Loader,
    pub(crate) rule_counts: RuleCounts,
    /// Reads lists anew, and tells what they decided.
    pub(crate) lists: Option<ListKeeper>,
    pub(crate) started: Instant,
    pub(crate) warden: WardenLink,
    /// Is the warden gone?
    pub(crate) orphaned: bool,
    /// What the kernel had counted when it was asked last.
    pub(crate) kernel: GateCounters,
    /// Hands events to whoever gets `events`.
    pub(crate) sender: Sender<Event>,
    /// Is it handing its flows over?
    pub(crate) leaving: bool,
    /// What the warden saw of the links.
    pub(crate) links: LinkFacts,
    /// Who waits for a restart.
    pub(crate) restart: Option<Sender<Restarted>>,
}

/// Turns signals into events while it lives.
#[derive(Debug)]
pub(crate) struct SignalWatch {
    handle: Handle,
    at_once: Arc<AtomicBool>,
}

impl SignalWatch {
    fn start(events: Sender<Event>) -> Result<Self, Failure> {
        let fail = |error: std::io::Error| Failure::Runtime(format!("cannot watch for signals: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR2]).map_err(fail)?;
        let handle = signals.handle();
        let at_once = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&at_once)).map_err(fail)?;
        }
        let watch = move || {
            for signal in signals.forever() {
                if events.send(Event::Signal(signal)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(fail)?;
        Ok(Self { handle, at_once })
    }

    /// From now on a signal to end kills the process, as it does by default.
    pub(crate) fn let_kill(&self) {
        self.at_once.store(true, Ordering::Relaxed);
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// Starts the gate.
///
/// # Errors
/// Any step's; what was done before is undone.
pub(crate) fn start(arguments: &RunArgs) -> Result<Running, Failure> {
    // Only for who looks at lists of processes: it is started by another name.
    let _ = rustix::thread::set_name(c"portcullis-gate");
    let (mut warden, orders) = WardenLink::take_up()?;
    let source = ConfigArgs { config: Some(arguments.config.clone()), set: arguments.set.clone() };
    let loaded = config::load(&source, Inline::ByCopyMode)?;
    output::warnings(&loaded);
    let mut plan = Plan::new(&loaded.config)?;
    let identity = Identity::find(&loaded.config.run_as)?;
    let plugins = plugins::load(&loaded)?;
    let config = loaded.config;
    let (rules, counts) = load_rules(&config, arguments.init_errors_fatal, None, first_generation())?;
    let lists = Lists::read(&config)?;
    lists.remark();
    let (count, cpus) = places(&plan)?;
    plan.engine.spread = spread(&plan, count);

    let guard = AbortOnPanic;
    let (sender, events) = bounded(EVENTS);
    if plan.devices.is_none() {
        set_up_gate(&plan, &mut warden)?;
    } else if !config.lists.is_empty() {
        return Err(Failure::Input(LISTS_NEED_XDP.to_owned()));
    }
    let maps = warden.facts().lists.clone();
    let lists = maps.map(|maps| Force::put(&config, lists, &maps, plan.engine.decoder)).transpose()?;
    let folder = arguments.log_dir.as_deref().unwrap_or(&config.log_dir);
    let (signals, mut log, reporters) = identity.without(|| {
        let signals = SignalWatch::start(sender.clone())?;
        listen(orders, sender.clone())?;
        let (log, reporters) = open_log(&config, folder, &plan, count, warden.clone())?;
        Ok((signals, log, reporters))
    })?;
    let (parts, published) = parts(&rules, &plugins, count, reporters);
    let (parts, cache) = offloading(parts, warden.facts(), &plan);
    let (mut workers, cache, loader) = identity.without(|| {
        let workers = worker::spawn(&plan.engine, cpus.as_deref(), parts, published, &sender)?;
        let cache = cache.map(CacheThread::start).transpose()?;
        Ok((workers, cache, Loader::start(config.clone(), &rules, counts, sender.clone())?))
    })?;
    let (since, seen) = (wall_clock(), unseen(&plan, &warden)?);
    if let Some(flows) = warden.prepared()? {
        handover::take(&workers, &Router::new(&plan.engine, count), flows);
    }
    warden.follow()?;
    if let Some(cache) = &cache {
        cache.begin(rules.generation());
    }
    let lists = identity.without(|| {
        let listed = log.take_listed();
        lists.map(|lists| ListKeeper::start(lists, listed)).transpose()
    })?;
    let (set, modules) = match &plan.devices {
        Some(devices) => dpdk::open(devices, plan.capture.copy_mode, count, &allowed_cpus())?,
        None => bind_sockets(&plan, count, &mut warden, identity)?,
    };
    if unseen(&plan, &warden)? > seen {
        // Between the gate before and this one: flows that were taken over have gone on.
        let time = Blind { since, until: wall_clock() };
        for worker in &workers {
            worker.hand(Command::Blind(time));
        }
    }
    for (worker, module) in workers.iter_mut().zip(modules) {
        worker.seat(module);
    }
    let server = match &config.control_socket {
        Some(_) => Some(serve(&warden, Desk::new(sender.clone(), plan.interfaces()))?),
        None => None,
    };
    warden.settle()?;
    if let Some(set) = set.sockets() {
        announce_gate(&plan, warden.facts(), set);
    }
    announce(&plan, count, cpus.as_deref(), counts);
    Ok(Running {
        guard,
        source,
        config,
        events,
        signals,
        server,
        workers,
        cache,
        set,
        log,
        loader,
        lists,
        rules,
        hooks: plugins.hooks,
        rule_counts: counts,
        started: Instant::now(),
        warden,
        orphaned: false,
        kernel: GateCounters::default(),
        sender,
        leaving: false,
        links: LinkFacts::default(),
        restart: None,
    })
}

/// How many packets have passed that nobody judged.
fn unseen(plan: &Plan, warden: &WardenLink) -> Result<u64, Failure> {
    if plan.devices.is_some() {
        // The ports were dark.
        return Ok(0);
    }
    let GateCounters { uninspected, switched, overload_bypassed, .. } = warden.counters()?;
    Ok(uninspected.saturating_add(switched).saturating_add(overload_bypassed))
}

/// How all ports spread packets, if they do so alike and tell.
fn spread(plan: &Plan, workers: u8) -> Option<Arc<Spread>> {
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
fn places(plan: &Plan) -> Result<(u8, Option<Vec<usize>>), Failure> {
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

fn set_up_gate(plan: &Plan, warden: &mut WardenLink) -> Result<(), Failure> {
    let facts = warden.set_up()?;
    require_native(plan.require, facts)?;
    if let Some(pulses) = facts.pulses.clone() {
        portcullis_bpf::stop_on_crash(pulses)
            .map_err(|error| Failure::Runtime(format!("cannot watch for crashes: {error}")))?;
    }
    Ok(())
}

/// Binds the queues, gives up privileges, and lets packets come.
fn bind_sockets(
    plan: &Plan,
    count: u8,
    warden: &mut WardenLink,
    identity: Identity,
) -> Result<(Wires, Vec<Module>), Failure> {
    let mut capture = plan.capture.clone();
    capture.workers = Some(count);
    let (mut set, mut modules) = InlineSet::bind(&capture, warden).map_err(set_failure)?;
    require_zero_copy(plan.require, &set)?;
    identity.assume()?;
    set.publish(&mut modules, warden).map_err(set_failure)?;
    let modules = modules.into_iter().map(Box::new).map(Module::Xdp).collect();
    Ok((Wires::Xdp(set), modules))
}

fn serve(warden: &WardenLink, desk: Desk) -> Result<Server, Failure> {
    let listener = warden.open_control()?;
    Server::start(listener, desk)
        .map_err(|error| Failure::Runtime(format!("cannot serve the control socket: {error}")))
}

/// Loads the rules; with `fatal`, one that cannot be loaded is a failure. State about hosts is `hosts`, or new
/// where there is none and they need it. What is decided by them is known as decided by this `generation`.
pub(crate) fn load_rules(
    config: &Config,
    fatal: bool,
    hosts: Option<Arc<HostTable>>,
    generation: u32,
) -> Result<(Arc<Rules>, RuleCounts), Failure> {
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
    Ok((Arc::new(Rules::with_hosts(loaded.rules, hosts).of_generation(generation)), counts))
}

/// The generation of the first rules of this process: not one that a predecessor's verdicts are of.
fn first_generation() -> u32 {
    let millis = (wall_clock().as_nanos() / 1_000_000) & u64::from(u32::MAX);
    u32::try_from(millis).unwrap_or(1).max(1)
}

/// The time now.
pub(crate) fn wall_clock() -> Timestamp {
    Timestamp::ZERO.after(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn open_log(
    config: &Config,
    folder: &Path,
    plan: &Plan,
    workers: u8,
    warden: WardenLink,
) -> Result<(Log, Vec<Reporter>), Failure> {
    let opener = Box::new(move || warden.open_log());
    let workers = usize::from(workers);
    Log::start_over(config, folder, plan.interfaces(), workers, RingMode::Live, Some(opener))
}

fn parts(
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

/// Links each worker to the verdict cache, where there is one.
fn offloading(parts: Vec<WorkerParts>, facts: &GateFacts, plan: &Plan) -> (Vec<Seated>, Option<CacheParts>) {
    let Some(cache) = facts.cache.clone().filter(|_| plan.engine.offload) else {
        return (parts.into_iter().map(|parts| (parts, None)).collect(), None);
    };
    let mut desks = Vec::with_capacity(parts.len());
    let link = |parts| {
        let (link, desk) = offload::channel();
        desks.push(desk);
        (parts, Some(link))
    };
    let seated = parts.into_iter().map(link).collect();
    let (inline_sets, lifetime) = (plan.engine.inline_sets.clone(), plan.cache_lifetime);
    (seated, Some(CacheParts { cache, desks, inline_sets, lifetime }))
}

fn allowed_cpus() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

fn require_native(require: AfXdpRequire, facts: &GateFacts) -> Result<(), Failure> {
    let generic = facts.ports.iter().find(|port| port.mode == AttachedMode::Generic);
    match generic {
        Some(port) if require != AfXdpRequire::Copy => Err(Failure::Runtime(format!(
            "{} has XDP in generic mode only, but capture.af-xdp.require asks for more",
            port.name
        ))),
        _ => Ok(()),
    }
}

fn require_zero_copy(require: AfXdpRequire, set: &InlineSet) -> Result<(), Failure> {
    let copying = set.bound().iter().find(|bound| !bound.zero_copy);
    match copying {
        Some(bound) if require == AfXdpRequire::ZeroCopy => Err(Failure::Runtime(format!(
            "queue {} of {} could be bound with copying only, but capture.af-xdp.require asks for zero-copy",
            bound.queue, bound.interface
        ))),
        _ => Ok(()),
    }
}

/// Says how the gate really stands.
fn announce_gate(plan: &Plan, facts: &GateFacts, set: &InlineSet) {
    for port in &facts.ports {
        let own = || set.bound().iter().filter(|bound| bound.interface == port.name);
        let zero_copy = own().filter(|bound| bound.zero_copy).count();
        let queues = own().count();
        let memory = if zero_copy == queues { "zero-copy" } else { "copy" };
        let mode = match port.mode {
            AttachedMode::Native => "native",
            AttachedMode::Generic => "generic",
            AttachedMode::Offloaded => "offloaded",
        };
        tracing::info!("{}: XDP {mode}, {queues} queues, {memory}", port.name);
    }
    if facts.adopted {
        tracing::info!("took over the gate that a predecessor left pinned");
    }
    if plan.capture.huge_pages && !set.huge_pages() {
        tracing::info!("no huge pages are free: packet memory lies in ordinary ones");
    }
    if plan.capture.busy_poll.is_some() && !set.busy_poll() {
        tracing::warn!("the kernel has no busy polling for AF_XDP: interrupts go on to bring packets");
    }
}

/// Says what runs.
fn announce(plan: &Plan, workers: u8, cpus: Option<&[usize]>, rules: RuleCounts) {
    let pinned = match cpus {
        Some(cpus) => format!("on CPUs {cpus:?}"),
        None => "not pinned, for there are fewer CPUs than workers".to_owned(),
    };
    let sets = plan.sets.iter().map(|set| format!("{:?} (fail {})", set.name, set.fail.word()));
    tracing::info!(
        "running: inline set{} {}, {}, {workers} workers {pinned}, {} rules",
        if plan.sets.len() == 1 { "" } else { "s" },
        sets.collect::<Vec<_>>().join(", "),
        match plan.capture.copy_mode {
            portcullis_capture_xdp::CopyMode::Ips => "ips",
            portcullis_capture_xdp::CopyMode::Tap => "tap",
            portcullis_capture_xdp::CopyMode::Ids => "ids",
        },
        rules.loaded,
    );
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn set_failure(error: XdpError) -> Failure {
    Failure::Runtime(error.to_string())
}
