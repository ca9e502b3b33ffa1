//! The gate's end of the conversation with the warden.

use super::link_watch::LinkFacts;
use super::message::{Link, MessageError};
use super::supervisor::Event;
use super::warden::{GateFacts, Order, Past, Reply, Request, VERSION};
use crate::exit::Failure;
use crossbeam::channel::Sender;
use portcullis_bpf::{BlindWindow, CacheMap, GateCounters, ListMaps, Passed, Pulses, VerdictCache};
use portcullis_capture_xdp::{SocketSlots, XdpError};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Asks the warden. Cheap to clone; whoever asks waits for whoever is asking.
#[derive(Clone, Debug)]
pub(crate) struct WardenLink {
    socket: Arc<Mutex<Link>>,
    facts: Arc<GateFacts>,
    /// Of the gates before this one.
    past: Past,
    /// Tells a later warden that this process lives.
    _alive: Arc<OwnedFd>,
}

impl WardenLink {
    /// Takes up the conversation over the socket that the warden gave this process for its standard input; gives the
    /// orders that come, too.
    ///
    /// # Errors
    /// No warden is there, or one of another version.
    pub(crate) fn take_up() -> Result<(Self, Link), Failure> {
        let fail = |error: io::Error| Failure::Runtime(format!("no warden is there: {error}"));
        let socket = io::stdin().as_fd().try_clone_to_owned().map_err(fail)?;
        let nothing = File::open("/dev/null").map_err(fail)?;
        rustix::stdio::dup2_stdin(&nothing).map_err(|error| fail(error.into()))?;
        let link = Link::from_socket(socket);
        let (reply, descriptors) = exchange(&link, Request::Hello { version: VERSION }, &[])?;
        match (reply, <[OwnedFd; 2]>::try_from(descriptors)) {
            (Reply::Welcome(past), Ok([orders, alive])) => {
                let this = Self {
                    socket: Arc::new(Mutex::new(link)),
                    facts: Arc::default(),
                    past,
                    _alive: Arc::new(alive),
                };
                Ok((this, Link::from_socket(orders)))
            }
            (Reply::Refused(reason), _) => Err(Failure::Runtime(reason)),
            (other, _) => Err(strange(&other)),
        }
    }

    /// Has the kernel kill this process when the warden dies.
    ///
    /// # Errors
    /// The kernel's, or it has died.
    pub(crate) fn die_with(&self) -> Result<(), Failure> {
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|error| Failure::Runtime(format!("cannot tie this gate to its warden: {error}")))?;
        // It may have been dead by then.
        self.alive()
    }

    fn ask(&self, request: Request, beside: &[BorrowedFd<'_>]) -> Result<(Reply, Vec<OwnedFd>), Failure> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let (reply, descriptors) = exchange(&socket, request, beside)?;
        match reply {
            Reply::Refused(reason) => Err(Failure::Runtime(reason)),
            reply => Ok((reply, descriptors)),
        }
    }

    fn command(&self, request: Request) -> Result<Option<OwnedFd>, Failure> {
        self.ask(request, &[]).map(|(_, descriptors)| descriptors.into_iter().next())
    }

    fn descriptor(&self, request: Request) -> Result<OwnedFd, Failure> {
        let missing = || Failure::Runtime("the warden's answer lacks a descriptor".to_owned());
        self.command(request)?.ok_or_else(missing)
    }

    /// Has ports and program set up and tells how.
    pub(crate) fn set_up(&mut self) -> Result<&GateFacts, Failure> {
        let (reply, mut descriptors) = self.ask(Request::SetUp, &[])?;
        let Reply::Gate(mut facts) = reply else { return Err(strange(&reply)) };
        let queues = facts.ports.iter().map(|port| port.queues).max().unwrap_or(1);
        let slots = u32::try_from(facts.ports.len()).unwrap_or(u32::MAX).saturating_mul(queues);
        let lists = descriptors.split_off(descriptors.len().saturating_sub(3));
        if let Ok([lines, hits, samples]) = <[OwnedFd; 3]>::try_from(lists) {
            let [line_count, hit_count] = facts.list_sizes;
            facts.lists = Some(Arc::new(ListMaps { lines, hits, samples, line_count, hit_count }));
        }
        let mut descriptors = descriptors.into_iter();
        if let Some(pulses) = descriptors.next() {
            let pulses = Pulses::map(pulses.as_fd(), slots, queues, facts.beat_limit);
            facts.pulses = Some(pulses.map_err(|error| Failure::Runtime(error.to_string()))?);
        }
        if let Some(passed) = descriptors.next() {
            let passed = Passed::map(passed.as_fd());
            facts.passed = Some(passed.map_err(|error| Failure::Runtime(error.to_string()))?);
        }
        if let Some(lines) = descriptors.next() {
            let fail = |error: io::Error| Failure::Runtime(format!("no verdict cache: {error}"));
            let map = CacheMap { lines, line_count: facts.cache_lines };
            facts.cache = Some(Arc::new(VerdictCache::open(&map).map_err(fail)?));
        }
        self.facts = Arc::new(facts);
        Ok(&self.facts)
    }

    /// How the gate is attached.
    pub(crate) fn facts(&self) -> &GateFacts {
        &self.facts
    }

    /// What became of the gates before this one.
    pub(crate) const fn past(&self) -> Past {
        self.past
    }

    /// How long the first gate has been judging that this one has its flows from, by way of others; none where there is
    /// no such gate.
    pub(crate) const fn age(&self) -> Duration {
        self.past.age
    }

    /// Says that somebody is here.
    pub(crate) fn alive(&self) -> Result<(), Failure> {
        self.command(Request::Alive).map(drop)
    }

    /// Opens the log for appending.
    pub(crate) fn open_log(&self) -> io::Result<File> {
        self.descriptor(Request::OpenLog)
            .map(File::from)
            .map_err(|failure| io::Error::other(failure.to_string()))
    }

    /// Opens the control socket.
    pub(crate) fn open_control(&self) -> Result<UnixListener, Failure> {
        self.descriptor(Request::OpenControl).map(UnixListener::from)
    }

    /// All is ready but for the queues; gives the pipe that another gate's flows come by, where there is one.
    pub(crate) fn prepared(&self) -> Result<Option<OwnedFd>, Failure> {
        self.command(Request::Prepared)
    }

    /// Waits until no other gate has the queues.
    pub(crate) fn follow(&self) -> Result<(), Failure> {
        self.command(Request::Follow).map(drop)
    }

    /// The start has come to its end.
    pub(crate) fn settle(&self) -> Result<(), Failure> {
        self.command(Request::Settle).map(drop)
    }

    /// What the kernel counted.
    pub(crate) fn counters(&self) -> Result<GateCounters, Failure> {
        match self.ask(Request::Counters, &[])?.0 {
            Reply::Counters(counters) => Ok(counters),
            other => Err(strange(&other)),
        }
    }

    /// The blind windows that have ended since the last call.
    pub(crate) fn windows(&self) -> Result<Vec<BlindWindow>, Failure> {
        match self.ask(Request::Windows, &[])?.0 {
            Reply::Windows(windows) => Ok(windows),
            other => Err(strange(&other)),
        }
    }

    /// What was seen of the links.
    pub(crate) fn links(&self) -> Result<LinkFacts, Failure> {
        match self.ask(Request::Links, &[])?.0 {
            Reply::Links(facts) => Ok(facts),
            other => Err(strange(&other)),
        }
    }

    /// Begins a restart.
    pub(crate) fn restart(&self, upgrade: bool) -> Result<(), Failure> {
        self.command(Request::Restart { upgrade }).map(drop)
    }

    /// The queues are free.
    pub(crate) fn handed_over(&self) -> Result<(), Failure> {
        self.command(Request::HandedOver).map(drop)
    }

    /// Has everything taken back, and tells what could not be.
    pub(crate) fn take_down(&self) -> Result<(), Failure> {
        self.command(Request::TakeDown).map(drop)
    }
}

impl SocketSlots for WardenLink {
    fn ports(&self) -> Vec<(String, u32)> {
        self.facts.ports.iter().map(|port| (port.name.clone(), port.queues)).collect()
    }

    fn forwards(&self) -> bool {
        self.facts.forwards
    }

    fn pulses(&self) -> Option<Pulses> {
        self.facts.pulses.clone()
    }

    fn set_socket(&mut self, port: u8, queue: u32, socket: BorrowedFd<'_>) -> Result<(), XdpError> {
        let done = self.ask(Request::Publish { port, queue }, &[socket]);
        done.map(drop).map_err(|failure| XdpError::Slot(failure.to_string()))
    }

    fn clear_socket(&mut self, port: u8, queue: u32) -> Result<(), XdpError> {
        let done = self.command(Request::Withdraw { port, queue });
        done.map(drop).map_err(|failure| XdpError::Slot(failure.to_string()))
    }

    fn restart_port(&mut self, port: u8) -> Result<(), XdpError> {
        let done = self.command(Request::RestartPort { port });
        done.map(drop).map_err(|failure| XdpError::Slot(failure.to_string()))
    }
}

/// Makes events of the orders that come, until the warden is gone.
///
/// # Errors
/// There is no thread to be had.
pub(crate) fn listen(orders: Link, events: Sender<Event>) -> Result<(), Failure> {
    let thread = std::thread::Builder::new().name("orders".to_owned());
    let listen = move || {
        loop {
            let event = match orders.receive::<Order>() {
                Ok((order, beside)) => Event::Order(order, beside.into_iter().next()),
                Err(_) => Event::Orphaned,
            };
            let is_last = matches!(event, Event::Orphaned);
            if events.send(event).is_err() || is_last {
                return;
            }
        }
    };
    let started = thread.spawn(listen);
    started.map(drop).map_err(|error| Failure::Runtime(format!("cannot listen to the warden: {error}")))
}

fn exchange(
    link: &Link,
    request: Request,
    beside: &[BorrowedFd<'_>],
) -> Result<(Reply, Vec<OwnedFd>), Failure> {
    let fail = |error: MessageError| Failure::Runtime(format!("the warden does not answer: {error}"));
    link.send(&request, beside).map_err(fail)?;
    link.receive().map_err(fail)
}

fn strange(reply: &Reply) -> Failure {
    Failure::Runtime(format!("the warden answered {reply:?}"))
}
