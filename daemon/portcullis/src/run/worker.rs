//! The threads that judge. Each has a CPU of its own where there are enough, takes its flow memory
//! there, and is lent its queues only then, so that no packet waits for memory.

use super::AbortOnPanic;
use super::start::wall_clock;
use super::supervisor::Event;
use super::wires::{Module, ModuleError};
use super::witness::KernelNotes;
use crate::exit::Failure;
use core_affinity::CoreId;
use crossbeam::channel::{Receiver, Sender, bounded, select};
use portcullis_capture::PacketModule as _;
use portcullis_engine::{
    Command, EngineSettings, FlowWorker, OffloadLink, Published, WorkerParts, drive, publish,
};
use std::task::Waker;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Commands that may wait for a worker; more are refused, for it takes one a burst.
const COMMANDS: usize = 16;

/// How often one that waits for packets to come tells that it lives.
const STAY: Duration = Duration::from_millis(5);

/// A worker's thread, seen from the supervisor.
#[derive(Debug)]
pub(crate) struct Worker {
    thread: JoinHandle<Option<Ended>>,
    seat: Sender<Seat>,
    go: Sender<()>,
    /// `None` once it was told to end without the others.
    commands: Option<Sender<Command>>,
    waker: Option<Waker>,
    /// Its counters.
    pub(crate) published: Published,
}

/// What a worker leaves behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Why it ended before it was told to.
    pub(crate) error: Option<ModuleError>,
    /// Its queues: closed where this is dropped.
    pub(crate) module: Module,
}

/// What a thread is started with.
#[derive(Debug)]
struct Start {
    index: u8,
    cpu: Option<usize>,
    settings: EngineSettings,
    seated: Seated,
    ready: Sender<Result<(), String>>,
    seat: Receiver<Seat>,
    go: Receiver<()>,
    commands: Receiver<Command>,
    events: Sender<Event>,
}

/// Queues, and where decided flows are put forward, if that is known only with the queues.
type Seat = (Module, Option<OffloadLink>);

/// What a worker is made of, and whom in the kernel it deals with.
#[derive(Debug)]
pub(crate) struct Seated {
    pub(crate) parts: WorkerParts,
    /// Where it puts decided flows forward.
    pub(crate) offload: Option<OffloadLink>,
    /// What passed unjudged.
    pub(crate) notes: Option<KernelNotes>,
}

/// Starts a thread for each of `parts` and waits until all have their memory.
///
/// # Errors
/// A thread or its memory cannot be had.
pub(crate) fn spawn(
    settings: &EngineSettings,
    cpus: Option<&[usize]>,
    parts: Vec<Seated>,
    published: Vec<Published>,
    events: &Sender<Event>,
) -> Result<Vec<Worker>, Failure> {
    let (ready, readiness) = bounded(parts.len());
    let mut workers = Vec::with_capacity(parts.len());
    for ((index, seated), published) in (0_u8..).zip(parts).zip(published) {
        let cpu = cpus.and_then(|cpus| cpus.get(usize::from(index)).copied());
        let (commands, orders) = bounded(COMMANDS);
        let (seat, taken) = bounded(1);
        let (go, begun) = bounded(1);
        let start = Start {
            index,
            cpu,
            settings: settings.clone(),
            seated,
            ready: ready.clone(),
            seat: taken,
            go: begun,
            commands: orders,
            events: events.clone(),
        };
        let thread = Builder::new().name(format!("worker-{index}")).spawn(move || run(start));
        let thread =
            thread.map_err(|error| Failure::Runtime(format!("cannot start worker {index}: {error}")))?;
        workers.push(Worker { thread, seat, go, commands: Some(commands), waker: None, published });
    }
    drop(ready);
    for _ in &workers {
        match readiness.recv() {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(Failure::Input(reason)),
            Err(_) => return Err(Failure::Runtime("a worker ended while it started".to_owned())),
        }
    }
    Ok(workers)
}

impl Worker {
    /// Lends the worker its queues, and tells it where it may put decided flows forward: from now on it tells that it
    /// lives.
    pub(crate) fn seat(&mut self, module: Module, offload: Option<OffloadLink>) {
        self.waker = Some(module.waker());
        // A thread that is gone tells by its end.
        let _ = self.seat.send((module, offload));
    }

    /// Has it judge: after what it was told before.
    pub(crate) fn begin(&self) {
        // As above.
        let _ = self.go.send(());
    }

    /// Gives the worker a command; false where it does not take any.
    pub(crate) fn tell(&self, command: Command) -> bool {
        let sent = self.commands.as_ref().is_some_and(|orders| orders.try_send(command).is_ok());
        self.wake();
        sent
    }

    /// Gives the worker a command and waits where many are waiting; false where it takes none.
    pub(crate) fn hand(&self, command: Command) -> bool {
        self.commands.as_ref().is_some_and(|orders| orders.send(command).is_ok())
    }

    /// Has the worker end as soon as it has nothing to judge, whether others have or not: one that
    /// failed never tells them that it has.
    pub(crate) fn end_alone(&mut self) {
        self.commands = None;
        self.wake();
    }

    /// Waits for the end of the thread; `None` where it never had queues.
    pub(crate) fn join(mut self) -> Option<Ended> {
        self.end_alone();
        let Self { thread, seat, go, .. } = self;
        drop((seat, go));
        thread.join().ok().flatten()
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

fn run(start: Start) -> Option<Ended> {
    let _guard = AbortOnPanic;
    let Start { index, cpu, settings, seated, ready, seat, go, commands, events } = start;
    let Seated { parts, offload, notes } = seated;
    if let Some(id) = cpu
        && !core_affinity::set_for_current(CoreId { id })
    {
        let _ = ready.send(Err(format!("worker {index} cannot be pinned to CPU {id}")));
        return None;
    }
    let mut worker = match FlowWorker::new(&settings, parts) {
        Ok(worker) => worker,
        Err(error) => {
            let _ = ready.send(Err(error.to_string()));
            return None;
        }
    };
    if let Some(link) = offload {
        worker.offload_to(link);
    }
    if let Some(notes) = notes {
        worker.ask(Box::new(notes));
    }
    let _ = ready.send(Ok(()));
    drop(ready);
    // Without queues something else went wrong, which is told elsewhere.
    let (mut module, offload) = wait_for_queues(&mut worker, &seat, &commands)?;
    if let Some(link) = offload {
        worker.offload_to(link);
    }
    let _hold = module.hold().inspect_err(|error| {
        tracing::warn!("worker {index}: only its heartbeat will tell of its death: {error}");
    });
    wait_for_packets(&mut worker, &mut module, &go, &commands);
    let error = drive(&mut module, &mut worker, &commands).err();
    // The supervisor outlives its workers but where it gave up.
    let _ = events.send(Event::Ended { failed: error.is_some() });
    Some(Ended { error, module })
}

/// Takes the flows of another gate until there are queues.
fn wait_for_queues(
    worker: &mut FlowWorker,
    seat: &Receiver<Seat>,
    commands: &Receiver<Command>,
) -> Option<Seat> {
    loop {
        select! {
            recv(commands) -> command => prepare(worker, command.ok()?),
            recv(seat) -> seat => return seat.ok(),
        }
    }
}

/// Looks after the queues until there may be packets on them; commands go first, for packets may be of flows that are
/// taken over.
fn wait_for_packets(
    worker: &mut FlowWorker,
    module: &mut Module,
    go: &Receiver<()>,
    commands: &Receiver<Command>,
) {
    loop {
        module.stay();
        select! {
            recv(commands) -> command => match command {
                Ok(command) => prepare(worker, command),
                Err(_) => return,
            },
            recv(go) -> _ => break,
            default(STAY) => {}
        }
    }
    // Once more, now that packets may come: what is noticed from here on is after that.
    module.stay();
    commands.try_iter().for_each(|command| prepare(worker, command));
}

/// What a worker may be told before it judges.
fn prepare(worker: &mut FlowWorker, command: Command) {
    match command {
        Command::TakeOver(slice) => {
            if let Err(error) = worker.import(&slice, wall_clock()) {
                tracing::warn!("{error}");
            }
        }
        Command::Blind(time) => worker.blind(time),
        Command::Follow(until) => worker.follow(until),
        // Nobody gives any other before that.
        _ => {}
    }
}

/// Counters from each worker to the supervisor.
pub(crate) fn publishers(workers: u8) -> (Vec<publish::Publisher>, Vec<Published>) {
    (0..workers).map(|_| publish::channel()).unzip()
}
