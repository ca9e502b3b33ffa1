//! Everything in its order: what can be checked without touching anything, then the ports and the program, which the
//! warden sets up, the log, the workers with their memory, their queues, and at last the control socket. Whatever
//! threads there are start without privileges and confined; the one thread that needs them, to bind queues, gives them up before it
//! publishes the queues. Where a step fails, the end of the process undoes it.

use super::AbortOnPanic;
use super::cache::CacheThread;
use super::confinement::Confinement;
use super::control::Desk;
use super::link::{WardenLink, listen};
use super::link_watch::LinkFacts;
use super::lists::{Force, ListKeeper};
use super::plan::{Devices, Plan};
use super::reload::Loader;
use super::supervisor::{Event, Restarted};
use super::wires::{Module, Wires};
use super::worker::{self, Worker};
use super::{announce, crew, dpdk, handover};
use crate::cli::{ConfigArgs, RunArgs};
use crate::config::{self, Config, Inline};
use crate::control::{Ruleset, Server};
use crate::exit::Failure;
use crate::lists::Lists;
use crate::log::Log;
use crate::output;
use crate::plugins;
use crossbeam::channel::{Receiver, Sender, bounded};
use portcullis_bpf::GateCounters;
use portcullis_capture_xdp::{InlineSet, Prepared, XdpError};
use portcullis_engine::handover::Router;
use portcullis_engine::{Command, Rules};
use portcullis_event::{Reporter, RingMode};
use portcullis_flow::Blind;
use portcullis_wire::Timestamp;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
    pub(crate) ruleset: Ruleset,
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
    if !loaded.config.liveness.outlive_warden {
        warden.die_with()?;
    }
    let plugins = plugins::load(&loaded)?;
    let config = loaded.config;
    let confinement = Confinement::new(&config, &arguments.config)?;
    let (rules, ruleset) =
        crew::load_rules(&config, arguments.init_errors_fatal, None, crew::first_generation())?;
    let lists = Lists::read(&config)?;
    lists.remark();
    let (count, cpus) = crew::places(&plan)?;

    let guard = AbortOnPanic;
    let (sender, events) = bounded(EVENTS);
    let lists = set_up_gate(&plan, &config, lists, &mut warden)?;
    // As the ports spread packets now: the warden may have changed that.
    plan.engine.spread = crew::spread(&plan, count);
    let folder = arguments.log_dir.as_deref().unwrap_or(&config.log_dir);
    let (signals, mut log, reporters) = confinement.within(|| {
        let signals = SignalWatch::start(sender.clone())?;
        listen(orders, sender.clone())?;
        let (log, reporters) = open_log(&config, folder, &plan, count, warden.clone())?;
        Ok((signals, log, reporters))
    })?;
    let (parts, published) = crew::parts(&rules, &plugins, count, reporters);
    let (parts, cache) = crew::linked(parts, warden.facts(), &plan);
    let (mut workers, cache, loader) = confinement.within(|| {
        let workers = worker::spawn(&plan.engine, cpus.as_deref(), parts, published, &sender)?;
        let cache = cache.map(CacheThread::start).transpose()?;
        Ok((workers, cache, Loader::start(config.clone(), &rules, ruleset.counts, sender.clone())?))
    })?;
    let memory = memory(&plan, count, &warden)?;
    let before = Before { since: wall_clock(), seen: unseen(&plan, &warden)? };
    if let Some(flows) = warden.prepared()?
        && handover::take(&workers, &Router::new(&plan.engine, count), flows)
    {
        let until = grace_of_the_first(&config, &warden);
        for worker in &workers {
            worker.hand(Command::Follow(until));
        }
    }
    warden.follow()?;
    if let Some(cache) = &cache {
        cache.begin(rules.generation());
    }
    let mut lists = confinement.within(|| {
        let listed = log.take_listed();
        lists.map(|lists| ListKeeper::start(lists, listed)).transpose()
    })?;
    if let Some(lists) = &mut lists {
        lists.begin(|| warden.counters().ok());
    }
    let (set, by_ports) =
        take_queues(&plan, memory, (&mut workers, before), &mut warden, (&confinement, rules.generation()))?;
    let cache = cache.or(by_ports);
    let server = match &config.control_socket {
        Some(_) => Some(serve(&warden, Desk::new(sender.clone(), plan.about(loaded.sources)))?),
        None => None,
    };
    warden.settle()?;
    if let Some(set) = set.sockets() {
        announce::announce_gate(&plan, warden.facts(), set);
    }
    announce::announce(&plan, count, cpus.as_deref(), ruleset.counts);
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
        ruleset,
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

/// What packets lie in, before there are any.
#[derive(Debug)]
enum Memory<'a> {
    /// That of AF_XDP sockets.
    Sockets(Box<Prepared>),
    /// DPDK takes its own, with the devices, for so many workers.
    Devices(&'a Devices, u8),
}

/// Takes it while another gate may still have the queues, so that it need not be waited for.
fn memory<'a>(plan: &'a Plan, count: u8, warden: &WardenLink) -> Result<Memory<'a>, Failure> {
    if let Some(devices) = &plan.devices {
        return Ok(Memory::Devices(devices, count));
    }
    let mut capture = plan.capture.clone();
    capture.workers = Some(count);
    let memory = InlineSet::prepare(&capture, warden).map_err(set_failure)?;
    Ok(Memory::Sockets(Box::new(memory)))
}

/// When the queues were still another gate's, and how many packets nobody had judged by then.
#[derive(Clone, Copy, Debug)]
struct Before {
    since: Timestamp,
    seen: u64,
}

/// Binds the queues, gives up privileges, and lets packets come. By then the workers tell that they live, but they judge
/// only once they know what passed before. Answers also who keeps verdicts that the ports themselves carry out, by rules
/// of this generation.
fn take_queues(
    plan: &Plan,
    memory: Memory<'_>,
    (workers, before): (&mut [Worker], Before),
    warden: &mut WardenLink,
    (confinement, generation): (&Confinement, u32),
) -> Result<(Wires, Option<CacheThread>), Failure> {
    let (mut set, modules) = match memory {
        Memory::Sockets(memory) => {
            let (set, modules) = memory.bind(warden).map_err(set_failure)?;
            announce::require_zero_copy(plan.require, &set)?;
            if !confinement.assume()? {
                tracing::warn!("this kernel has no Landlock: the gate can read what its user can read");
            }
            (Wires::Xdp(set), modules.into_iter().map(Box::new).map(Module::Xdp).collect())
        }
        Memory::Devices(devices, count) => {
            dpdk::open(devices, plan.capture.copy_mode, count, &crew::allowed_cpus())?
        }
    };
    let (links, cache) = crew::over_ports(&set, plan, workers.len(), generation)?;
    let links = links.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
    for ((worker, module), link) in workers.iter_mut().zip(modules).zip(links) {
        worker.seat(module, link);
    }
    set.publish(warden).map_err(set_failure)?;
    if unseen(plan, warden)? > before.seen {
        // Between the gate before and this one: flows that were taken over have gone on.
        let time = Blind { since: before.since, until: wall_clock() };
        for worker in workers.iter() {
            worker.hand(Command::Blind(time));
        }
    }
    workers.iter().for_each(Worker::begin);
    Ok((set, cache))
}

/// Until when connections may be there that no gate has seen the beginning of, though all hand their flows on: as long as
/// the grace lasts that the first of them had.
fn grace_of_the_first(config: &Config, warden: &WardenLink) -> Timestamp {
    let begun =
        wall_clock().as_nanos().saturating_sub(u64::try_from(warden.age().as_nanos()).unwrap_or(u64::MAX));
    let grace = Duration::from_secs(u64::from(config.stream.midstream_grace));
    Timestamp::from_nanos(begun).after(grace)
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

/// Has ports and program set up, and puts lists in force: they hold whether or not a worker lives.
fn set_up_gate(
    plan: &Plan,
    config: &Config,
    lists: Lists,
    warden: &mut WardenLink,
) -> Result<Option<Force>, Failure> {
    if plan.devices.is_some() {
        let none = config.lists.is_empty();
        return if none { Ok(None) } else { Err(Failure::Input(LISTS_NEED_XDP.to_owned())) };
    }
    let facts = warden.set_up()?;
    announce::require_native(plan.require, facts)?;
    if let Some(pulses) = facts.pulses.clone() {
        portcullis_bpf::stop_on_crash(pulses)
            .map_err(|error| Failure::Runtime(format!("cannot watch for crashes: {error}")))?;
    }
    let maps = facts.lists.clone();
    maps.map(|maps| Force::put(config, lists, &maps, plan.engine.decoder)).transpose()
}

fn serve(warden: &WardenLink, desk: Desk) -> Result<Server, Failure> {
    let listener = warden.open_control()?;
    Server::start(listener, desk)
        .map_err(|error| Failure::Runtime(format!("cannot serve the control socket: {error}")))
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

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn set_failure(error: XdpError) -> Failure {
    Failure::Runtime(error.to_string())
}
