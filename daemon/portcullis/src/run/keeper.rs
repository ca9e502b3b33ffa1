//! The warden's process: starts the gate, serves its requests, starts another where it dies, passes signals on, and has
//! one gate follow another without the ports knowing.
//!
//! Invariants: at most one gate has the queues; whatever a gate sends that it should not, it is killed for and replaced;
//! nothing here blocks but the waiting for all of them at once.

mod requests;
mod succession;

use super::alive::Alive;
use super::backoff::Backoff;
use super::child::{Child, Stage, cause};
use super::setup::Setup;
use super::warden::{Order, Warden, permitted};
use super::watchdog::{Silence, Watchdog};
use super::{AbortOnPanic, signals::Signals};
use crate::cli::RunArgs;
use crate::control::{ControlSocket, ServerError};
use crate::exit::Failure;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::Timespec;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Where this very program is, also when its file was replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What there is to do.
#[derive(Debug)]
enum Happening {
    Signal(i32),
    /// A request of this process's.
    Request(u32),
    /// This process has ended.
    End(u32),
}

/// How it all ends.
type Outcome = Result<ExitCode, Failure>;

/// Runs the gate until it is told to end; gives the exit status.
///
/// # Errors
/// It cannot be started at all.
pub(crate) fn keep(arguments: &RunArgs) -> Outcome {
    let setup = Setup::load(arguments)?;
    if setup.plan.devices.is_none() {
        permitted().map_err(Failure::Runtime)?;
    }
    let fail = |error: std::io::Error| Failure::Runtime(format!("cannot watch for signals: {error}"));
    let signals = Signals::watch(&[SIGINT, SIGTERM, SIGHUP, SIGUSR2]).map_err(fail)?;
    let warden = match Warden::claim(&setup.plan.name) {
        Ok(warden) => warden,
        Err(reason) => {
            is_unused(setup.control.as_deref())?;
            return Err(Failure::Runtime(reason));
        }
    };
    let alive = Alive::claim(&setup.plan.name).map_err(Failure::Runtime)?;
    is_unused(setup.control.as_deref())?;
    let _guard = AbortOnPanic;
    let mut keeper = Keeper {
        arguments: arguments.clone(),
        program: std::env::current_exe().unwrap_or_else(|_| THIS_PROGRAM.into()),
        warden,
        children: Vec::new(),
        control: None,
        alive,
        backoff: Backoff::default(),
        restarts: 0,
        hangs: 0,
        watchdog: Watchdog::default(),
        first_began: None,
        next_start: None,
        handover_until: None,
        has_judged: false,
        ending: false,
    };
    keeper.start(Path::new(THIS_PROGRAM), Rc::new(setup))?;
    keeper.run(&signals)
}

/// Somebody who answers on the control socket is another daemon.
fn is_unused(control: Option<&Path>) -> Result<(), Failure> {
    match control {
        Some(path) if UnixStream::connect(path).is_ok() => {
            Err(Failure::Runtime(ServerError::InUse(path.to_owned()).to_string()))
        }
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct Keeper {
    arguments: RunArgs,
    /// Where the program is installed.
    program: PathBuf,
    children: Vec<Child>,
    warden: Warden,
    control: Option<ControlSocket>,
    alive: Alive,
    backoff: Backoff,
    /// Gates that died, and those of them that hung.
    restarts: u64,
    hangs: u64,
    watchdog: Watchdog,
    /// When the first gate began that the one that judges has its flows from, by way of others.
    first_began: Option<Instant>,
    /// When the next gate is to be started, after one has died.
    next_start: Option<Instant>,
    /// When a gate that hands over is made to.
    handover_until: Option<Instant>,
    /// Has any gate got through its start?
    has_judged: bool,
    /// It was told to end.
    ending: bool,
}

impl Keeper {
    fn run(mut self, signals: &Signals) -> Outcome {
        loop {
            for happening in self.wait(signals)? {
                let outcome = match happening {
                    Happening::Signal(signal) => self.on_signal(signal),
                    Happening::Request(process) => {
                        self.on_request(process);
                        None
                    }
                    Happening::End(process) => self.on_end(process),
                };
                if let Some(outcome) = outcome {
                    self.children.drain(..).for_each(Child::end);
                    return outcome;
                }
            }
            self.on_time();
        }
    }

    /// Waits until something has happened or is due.
    fn wait(&self, signals: &Signals) -> Result<Vec<Happening>, Failure> {
        let look = self.judging().and_then(|child| self.watchdog.due(child.setup.plan.replace_after));
        let due = [self.next_start, self.handover_until, look].into_iter().flatten().min();
        let timeout = due.map(|due| timespec(due.saturating_duration_since(Instant::now())));
        let mut fds = Vec::new();
        fds.extend(signals.pipes().map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN)));
        let mut places = Vec::new();
        for child in &self.children {
            fds.push(PollFd::from_borrowed_fd(child.handle(), PollFlags::IN));
            places.push(Happening::End(child.id()));
            if !child.is_deaf {
                fds.push(PollFd::from_borrowed_fd(child.requests(), PollFlags::IN));
                places.push(Happening::Request(child.id()));
            }
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(Failure::Runtime(format!("cannot wait for the gate: {error}"))),
        }
        let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let (signal_fds, child_fds) = fds.split_at(fds.len() - places.len());
        let mut happenings: Vec<Happening> = Vec::new();
        if signal_fds.iter().any(ready) {
            happenings.extend(signals.taken().map(Happening::Signal));
        }
        let places = places.into_iter().zip(child_fds).filter(|(_, fd)| ready(fd));
        let (ends, requests): (Vec<_>, Vec<_>) =
            places.map(|(place, _)| place).partition(|place| matches!(place, Happening::End(_)));
        // What a gate said before it ended comes first.
        happenings.extend(requests);
        happenings.extend(ends);
        Ok(happenings)
    }

    fn start(&mut self, program: &Path, setup: Rc<Setup>) -> Result<(), Failure> {
        let child = Child::start(program, &self.arguments, setup)?;
        self.alive.note(child.id());
        self.children.push(child);
        Ok(())
    }

    fn on_signal(&mut self, signal: i32) -> Option<Outcome> {
        match signal {
            SIGINT | SIGTERM => return self.end(),
            SIGHUP => self.order_all(&Order::ReopenLogs),
            SIGUSR2 => self.order_all(&Order::ReloadRules),
            _ => {}
        }
        None
    }

    fn order_all(&self, order: &Order) {
        self.children.iter().for_each(|child| child.order(order));
    }

    /// The first time gracefully, the second time at once.
    fn end(&mut self) -> Option<Outcome> {
        if self.ending {
            let reason = "ended at once: records may be missing".to_owned();
            return Some(Err(Failure::Runtime(reason)));
        }
        self.ending = true;
        self.next_start = None;
        for child in &mut self.children {
            match child.stage {
                Stage::Starting | Stage::Prepared => child.kill(),
                Stage::Judging => child.order(&Order::End),
                Stage::HandingOver | Stage::Over | Stage::Ending => {}
            }
        }
        if self.children.is_empty() { Some(self.all_down(ExitCode::SUCCESS)) } else { None }
    }

    /// Takes everything down.
    fn all_down(&mut self, code: ExitCode) -> Outcome {
        self.control = None;
        self.warden.take_down().map_err(Failure::Runtime)?;
        Ok(code)
    }

    fn on_end(&mut self, process: u32) -> Option<Outcome> {
        let place = self.place(process)?;
        let status = self.children.get_mut(place)?.status()?;
        let child = self.children.swap_remove(place);
        if !matches!(child.stage, Stage::Over | Stage::Ending) && !self.ending {
            self.warden.expect_silence(false);
        }
        match child.stage {
            Stage::Ending => return Some(self.all_down(code(status))),
            Stage::Over => {
                if !status.success() {
                    tracing::error!("the gate before (process {process}) {}", cause(status));
                }
            }
            Stage::Starting | Stage::Prepared => {
                let stands = self.children.iter().any(|child| child.stage.has_queues());
                if !stands && !self.ending {
                    return self.on_death(&child, status);
                }
                self.tell_waiting(Err(format!("the new gate {}: the old one goes on", cause(status))));
                for child in self.children.iter_mut().filter(|child| child.stage == Stage::HandingOver) {
                    child.stage = Stage::Judging;
                    self.watchdog.begin(Instant::now(), child.setup.plan.replace_after);
                }
                self.handover_until = None;
            }
            Stage::Judging | Stage::HandingOver => {
                if self.ending {
                    tracing::error!("the gate (process {process}) {} on its way to the end", cause(status));
                    return Some(self.all_down(code(status)));
                }
                return self.on_death(&child, status);
            }
        }
        (self.ending && self.children.is_empty()).then(|| self.all_down(ExitCode::SUCCESS))
    }

    /// A gate died that had the queues or was to have them.
    fn on_death(&mut self, child: &Child, status: ExitStatus) -> Option<Outcome> {
        let (process, cause) = (child.id(), cause(status));
        if !self.has_judged {
            // It has said why itself, unless it could not.
            if status.code().is_none() {
                tracing::error!("the gate (process {process}) {cause} while it started");
            }
            return Some(Ok(code(status)));
        }
        if !self.warden.has_all_ports() {
            tracing::error!("the gate (process {process}) {cause}, and an interface of it is gone");
            self.warden.leave();
            return Some(Ok(code(status)));
        }
        self.restarts += 1;
        let wait = self.backoff.died(Instant::now());
        if self.backoff.exceeds(child.setup.plan.liveness.latch_after) {
            self.warden.latch(true);
        }
        if self.children.iter().any(|child| child.stage.is_next()) {
            tracing::error!("the gate (process {process}) {cause}: the next one is on its way");
            self.follow();
            return None;
        }
        let when = if wait.is_zero() { "now".to_owned() } else { format!("in {} ms", wait.as_millis()) };
        tracing::error!("the gate (process {process}) {cause}: another is started {when}");
        self.next_start = Some(Instant::now() + wait);
        None
    }

    /// What is due.
    fn on_time(&mut self) {
        let now = Instant::now();
        self.watch(now);
        if self.handover_until.is_some_and(|until| until <= now) {
            self.handover_until = None;
            if let Some(child) = self.children.iter_mut().find(|child| child.stage == Stage::HandingOver) {
                tracing::error!("the gate (process {}) does not hand over: it is killed", child.id());
                child.kill();
            }
        }
        if self.next_start.is_some_and(|due| due <= now) {
            self.next_start = None;
            let started = Setup::load(&self.arguments)
                .and_then(|setup| self.start(Path::new(THIS_PROGRAM), Rc::new(setup)));
            if let Err(failure) = started {
                tracing::error!("no gate can be started: {failure}");
                self.next_start = Some(now + self.backoff.died(now).max(Duration::from_secs(1)));
            }
        }
    }

    /// The gate that judges and is to go on with it.
    fn judging(&self) -> Option<&Child> {
        self.children.iter().find(|child| child.stage == Stage::Judging && !self.ending)
    }

    /// Looks whether the gate that judges hangs.
    fn watch(&mut self, now: Instant) {
        let Some(child) = self.judging() else { return self.watchdog.rest() };
        let (process, limit) = (child.id(), child.setup.plan.replace_after);
        let gate = now.saturating_duration_since(child.heard);
        let silence = Silence { worker: self.warden.silence(), gate };
        let Some(reason) = self.watchdog.look(now, limit, silence) else { return };
        tracing::error!("the gate (process {process}) hangs: {reason}; it is killed");
        self.hangs += 1;
        if let Some(child) = self.place(process).and_then(|place| self.children.get_mut(place)) {
            child.kill();
        }
    }

    fn place(&self, process: u32) -> Option<usize> {
        self.children.iter().position(|child| child.id() == process)
    }
}

/// The exit status that stands for a gate's.
fn code(status: ExitStatus) -> ExitCode {
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => ExitCode::from(code),
        None => Failure::Runtime(String::new()).code(),
    }
}

fn timespec(time: Duration) -> Timespec {
    // Rounded up, so that what is waited for is due then.
    let time = time + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
