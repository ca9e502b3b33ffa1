//! The main thread while the gate stands: orders, signals, commands, statistics, and how it ends.

mod event;

pub(crate) use event::{Ask, Event, Restarted};

use super::cache::CacheThread;
use super::reload::{Fresh, Retired};
use super::start::{Running, wall_clock};
use super::warden::Order;
use super::{asking, blind, counters, ending, handover, live};
use crate::exit::Failure;
use crate::report::Summary;
use crossbeam::channel::{RecvTimeoutError, bounded};
use portcullis_engine::{Command, NewRules};
use portcullis_event::{Counters, StatsRecord};
use portcullis_flow::FlowSelector;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often to look up where no statistics are wanted.
const LONG: Duration = Duration::from_secs(60);

/// How often to look whether workers were blind.
const GLANCE: Duration = Duration::from_secs(1);

/// What to do after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Stay,
    Drain,
    HandOver,
    Broken,
}

/// Looks after the gate until it ends; gives the summary, or nothing where another goes on.
///
/// # Errors
/// A worker failed, or the end was not as it must be.
pub(crate) fn supervise(mut gate: Running) -> Result<Option<Summary>, Failure> {
    let mut watch = Watch::new(&gate);
    let mut glanced = Instant::now();
    loop {
        let event = gate.events.recv_timeout(watch.left().min(GLANCE));
        let next = match event {
            Ok(Event::Signal(signal)) => on_signal(&mut gate, signal),
            Ok(Event::Order(order, beside)) => on_order(&mut gate, order, beside),
            Ok(Event::Copied) if gate.leaving => Next::HandOver,
            Ok(Event::Copied) => Next::Stay,
            Ok(Event::Orphaned) => {
                tracing::error!(
                    "the warden is gone: packets are judged on, but nothing is set up or restored"
                );
                gate.orphaned = true;
                Next::Stay
            }
            Ok(Event::Ask(ask)) => on_ask(&mut gate, ask),
            Ok(Event::Loaded(fresh)) => {
                take_over(&mut gate, fresh);
                Next::Stay
            }
            Ok(Event::Ended { .. }) | Err(RecvTimeoutError::Disconnected) => Next::Broken,
            Err(RecvTimeoutError::Timeout) => Next::Stay,
        };
        // Also where somebody wants something all the time.
        if glanced.elapsed() >= GLANCE {
            glanced = Instant::now();
            glance(&mut gate, &mut watch);
        }
        match next {
            Next::Stay => {}
            Next::Drain => return ending::drain(gate).map(Some),
            Next::HandOver => return ending::hand_over(gate).map(|()| None),
            Next::Broken => return Err(ending::broken(gate)),
        }
    }
}

/// Looks after all that nobody tells of, and tells the warden that somebody is here.
fn glance(gate: &mut Running, watch: &mut Watch) {
    if !gate.orphaned
        && let Err(failure) = gate.warden.alive()
    {
        tracing::error!("{failure}");
    }
    blind::tell(gate);
    gate.set.glance();
    if watch.left().is_zero() {
        watch.tick(gate);
    }
}

/// Whoever ends a whole group of processes ends the warden, too, which then says so.
fn on_signal(gate: &mut Running, signal: i32) -> Next {
    match signal {
        SIGINT | SIGTERM if gate.orphaned => return Next::Drain,
        SIGHUP => reopen(gate),
        SIGUSR2 => read_anew(gate),
        _ => {}
    }
    Next::Stay
}

fn on_order(gate: &mut Running, order: Order, beside: Option<OwnedFd>) -> Next {
    match order {
        Order::End => return Next::Drain,
        Order::HandOver => {
            gate.leaving = true;
            let given = beside.map(|pipe| handover::give(&gate.workers, pipe, gate.sender.clone()));
            match given {
                Some(Ok(())) => tracing::info!("flows are copied to another gate"),
                Some(Err(error)) => {
                    tracing::error!("flows are not handed over: {error}");
                    return Next::HandOver;
                }
                None => return Next::HandOver,
            }
        }
        Order::ReopenLogs => reopen(gate),
        Order::ReloadRules => read_anew(gate),
        Order::Restarted(outcome) => {
            gate.leaving = false;
            if let (Some(answer), Err(reason)) = (gate.restart.take(), outcome) {
                let _ = answer.send(Restarted { is_over: false, outcome: Err(reason) });
            }
        }
    }
    Next::Stay
}

fn on_ask(gate: &mut Running, ask: Ask) -> Next {
    // Whoever asked may have gone away; then the answer is nobody's.
    match ask {
        Ask::Counters(answer) => {
            let _ = answer.send(dump(gate));
        }
        Ask::ReopenLogs(answer) => {
            reopen(gate);
            let _ = answer.send(());
        }
        Ask::ReloadRules(answer) => {
            gate.loader.load(Some(answer));
        }
        Ask::ReloadRulesLater => gate.loader.load(None),
        Ask::Ruleset(answer) => {
            let _ = answer.send(gate.ruleset.clone());
        }
        Ask::ChangeRule { ids, change, answer } => {
            let set = gate.rules.set();
            let known = set.signatures().iter().any(|rule| (rule.gid, rule.sid) == ids);
            gate.loader.change(ids, change, known, answer);
        }
        Ask::ReloadConfig(answer) => {
            let _ = answer.send(live::reload(gate));
        }
        Ask::ReloadLists { name, force, answer } => {
            if let Some(lists) = &gate.lists {
                lists.reload(name, force, Some(answer));
            }
        }
        Ask::ShowLists(answer) => {
            if let Some(lists) = &gate.lists {
                lists.show(answer);
            }
        }
        Ask::EndFlows(which, answer) => {
            let _ = answer.send(end_flows(gate, &which));
        }
        Ask::Explain(question, answer) => {
            let _ = answer.send(asking::explain(gate, &question));
        }
        Ask::Drops(most, answer) => {
            let _ = answer.send(asking::drops(gate, most));
        }
        Ask::Restart { upgrade, answer } => match gate.warden.restart(upgrade) {
            Ok(()) => gate.restart = Some(answer),
            Err(failure) => {
                let _ = answer.send(Restarted { is_over: false, outcome: Err(failure.to_string()) });
            }
        },
        Ask::Shutdown => return Next::Drain,
    }
    Next::Stay
}

/// The counters of all workers and of the kernel.
pub(crate) fn totals(gate: &mut Running) -> Counters {
    let mut totals = counters::merged(&mut gate.workers);
    if !gate.orphaned && gate.set.has_gate() {
        match gate.warden.counters() {
            Ok(kernel) => gate.kernel = kernel,
            Err(failure) => tracing::error!("{failure}"),
        }
        match gate.warden.links() {
            Ok(links) => gate.links = links,
            Err(failure) => tracing::error!("{failure}"),
        }
    }
    counters::set_gate(&mut totals, &gate.kernel);
    counters::set_links(&mut totals, &gate.links);
    totals.worker_imbalance = counters::imbalance(&counters::packets_by_worker(&mut gate.workers));
    blind::count(gate, &mut totals);
    if let Some(cache) = &gate.cache {
        cache.count(&mut totals);
    }
    totals.log_lines_lost = gate.log.lost();
    totals
}

/// All counters by name.
fn dump(gate: &mut Running) -> BTreeMap<String, u64> {
    let mut all: BTreeMap<_, _> = totals(gate).iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let hooks = counters::hooks(&gate.hooks, &mut gate.workers);
    all.extend(hooks.into_iter().flat_map(counters::hook_entries));
    all.extend(gate.set.extended());
    all
}

/// Has rules and lists read anew.
fn read_anew(gate: &Running) {
    gate.loader.load(None);
    if let Some(lists) = &gate.lists {
        lists.reload(None, false, None);
    }
}

fn reopen(gate: &Running) {
    gate.log.reopen();
    tracing::info!("opening the log files anew");
}

/// Has all workers judge by other rules.
fn take_over(gate: &mut Running, fresh: Fresh) {
    let Fresh { rules, ruleset, answer } = fresh;
    // First, so that no packet is answered by rules that are no more.
    if let Some(cache) = &gate.cache {
        cache.set_generation(rules.generation());
    }
    let (back, left) = bounded(gate.workers.len().max(1));
    for (index, worker) in gate.workers.iter().enumerate() {
        // Not on the worker is allocated what the rules need to be asked, nor freed what the old ones needed.
        let new = NewRules::from(Arc::clone(&rules)).returning(back.clone());
        if !worker.tell(Command::Rules(Box::new(new))) {
            tracing::error!("worker {index} takes no commands: it keeps the old rules");
        }
    }
    let old = std::mem::replace(&mut gate.rules, rules);
    let loaded = ruleset.counts.loaded;
    gate.ruleset = ruleset;
    gate.loader.retire(Retired { rules: old, left }, loaded, answer);
}

/// Has all workers look for the flows.
fn end_flows(gate: &Running, which: &FlowSelector) -> Result<usize, String> {
    // What was answered in the kernel is of their records.
    gate.cache.iter().for_each(CacheThread::report);
    let told = gate.workers.iter().filter(|worker| worker.tell(Command::EndFlows(which.clone()))).count();
    match gate.workers.len() {
        all if told == all => Ok(told),
        all => Err(format!("only {told} of {all} workers take commands: try again")),
    }
}

/// A statistics record of these counters.
pub(crate) fn stats(gate: &Running, counters: Counters) -> StatsRecord {
    StatsRecord {
        timestamp: wall_clock(),
        uptime: gate.started.elapsed().as_secs(),
        counters: Box::new(counters),
        rules: Some(gate.ruleset.counts),
    }
}

/// What is done every `stats.interval`.
#[derive(Debug)]
struct Watch {
    interval: Option<Duration>,
    next: Instant,
    lost: [u64; 3],
    refused: u64,
}

impl Watch {
    fn new(gate: &Running) -> Self {
        let interval = gate.config.stats_interval;
        let next = Instant::now() + interval.unwrap_or(LONG);
        Self { interval, next, lost: [0; 3], refused: 0 }
    }

    fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    fn tick(&mut self, gate: &mut Running) {
        self.next = Instant::now() + self.interval.unwrap_or(LONG);
        let counters = totals(gate);
        let lost =
            [counters.capture_kernel_drops, counters.worker_steer_refused, counters.capture_send_errors];
        let [received, steered, sent] = [0, 1, 2].map(|way: usize| lost[way].saturating_sub(self.lost[way]));
        if received > 0 {
            tracing::warn!("{received} packets were lost before the workers could take them");
        }
        if steered > 0 {
            tracing::warn!("{steered} packets were lost between workers: their owners are too busy");
        }
        if sent > 0 {
            tracing::warn!("{sent} packets were lost at sending: the port took no more");
        }
        let refused = counters.log_evidence_refused.saturating_add(counters.log_flow_refused);
        let unwritten = refused.saturating_sub(self.refused);
        if unwritten > 0 {
            tracing::warn!("{unwritten} records were refused: the log is too slow");
        }
        if let Some(trouble) = gate.log.trouble() {
            tracing::error!("{trouble}");
        }
        (self.lost, self.refused) = (lost, refused);
        if self.interval.is_some() {
            let record = stats(gate, counters);
            gate.log.stats(record);
        }
    }
}
