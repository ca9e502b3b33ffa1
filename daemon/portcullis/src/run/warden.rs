//! All that needs privileges: ports, the XDP program, its pins, the slots that sockets stand in.
//!
//! The rest of the gate speaks to it in [`Request`]s and [`Reply`]s only, which are plain data and
//! descriptors, so that it can become a process of its own without anything else changing.

use super::memory::PortMemory;
use crate::exit::Failure;
use portcullis_bpf::{AttachedMode, BlindWindow, Gate, GateConfig, GateCounters, Pulses};
use portcullis_capture_xdp::{SocketSlots, XdpError};
use rustix::mount::{MountFlags, mount};
use rustix::thread::{CapabilitySet, capabilities};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// The file system that pins live in.
const BPFFS: &str = "/sys/fs/bpf";

/// `BPF_FS_MAGIC` (linux/magic.h).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// What the warden can be asked for; nothing else.
#[derive(Debug)]
pub(crate) enum Request {
    /// May this process do what the gate needs?
    Permitted,
    /// Make these interfaces fit for inspection, as the gate of this name.
    SetUpPorts { gate: String, ports: Vec<String> },
    /// Load, attach and pin the XDP program. The fail policy acts on all traffic from then on.
    LoadGate(GateConfig),
    /// Let a queue's frames go to this socket.
    Publish { port: u8, queue: u32, socket: OwnedFd },
    /// Let the fail policy act on a queue.
    Withdraw { port: u8, queue: u32 },
    /// The start has come to its end: what a predecessor left is ours from now on.
    Settle,
    /// What did the kernel count?
    Counters,
    /// Which times passed in which no worker saw a frame?
    Windows,
    /// Take everything back: program off, pins removed, ports as they were.
    TakeDown,
    /// Leave everything as it is, so that the fail policy goes on acting.
    Leave,
}

/// The answers.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It is done.
    Done,
    /// The gate stands.
    Gate(GateFacts),
    /// Frames by outcome.
    Counters(GateCounters),
    /// Blind windows that have ended.
    Windows(Vec<BlindWindow>),
    /// It could not be done; the text says why.
    Refused(String),
}

/// What came of loading the gate.
#[derive(Clone, Debug, Default)]
pub(crate) struct GateFacts {
    /// The interfaces by port, with the queues of each and how the program is attached.
    pub(crate) ports: Vec<PortFacts>,
    /// Does the kernel side send to peers?
    pub(crate) forwards: bool,
    /// Were links and maps of a dead predecessor adopted?
    pub(crate) adopted: bool,
    /// Where workers tell that they live.
    pub(crate) pulses: Option<Pulses>,
}

/// One port of the gate.
#[derive(Clone, Debug)]
pub(crate) struct PortFacts {
    pub(crate) name: String,
    pub(crate) queues: u32,
    pub(crate) mode: AttachedMode,
}

/// Serves the requests, here in the process that asks.
#[derive(Debug, Default)]
struct Warden {
    gate: Option<Gate>,
    ports: Option<PortMemory>,
    /// A predecessor's gate was taken over, and this start has not come to its end yet.
    adopted: bool,
}

impl Warden {
    fn serve(&mut self, request: Request) -> Reply {
        let result = match request {
            Request::Permitted => permitted(),
            Request::SetUpPorts { gate, ports } => self.set_up_ports(&gate, &ports),
            Request::LoadGate(config) => return self.load(&config),
            Request::Publish { port, queue, socket } => {
                self.with_gate(|gate| gate.set_socket(port, queue, socket.as_fd()))
            }
            Request::Withdraw { port, queue } => self.with_gate(|gate| gate.clear_socket(port, queue)),
            Request::Settle => {
                self.adopted = false;
                Ok(())
            }
            Request::Counters => return self.counters(),
            Request::Windows => return self.windows(),
            Request::TakeDown => self.take_down(),
            Request::Leave => {
                if let Some(gate) = self.gate.take() {
                    gate.leave_pinned();
                }
                self.ports = None;
                Ok(())
            }
        };
        match result {
            Ok(()) => Reply::Done,
            Err(reason) => Reply::Refused(reason),
        }
    }

    fn set_up_ports(&mut self, gate: &str, names: &[String]) -> Result<(), String> {
        let memory = PortMemory::open(Path::new(GateConfig::LOCK_DIR), gate)?;
        let memory = self.ports.insert(memory);
        names.iter().try_for_each(|name| memory.set_up(name))
    }

    fn load(&mut self, config: &GateConfig) -> Reply {
        if config.pin_dir.is_some()
            && let Err(reason) = mount_bpffs()
        {
            return Reply::Refused(reason);
        }
        let gate = match Gate::load(config) {
            Ok(gate) => gate,
            Err(error) => return Reply::Refused(error.to_string()),
        };
        let ports = gate.ports().zip(gate.modes());
        let ports =
            ports.map(|((name, queues), (_, mode))| PortFacts { name: name.to_owned(), queues, mode });
        let facts = GateFacts {
            ports: ports.collect(),
            forwards: gate.forwards(),
            adopted: gate.adopted(),
            pulses: Some(gate.pulses()),
        };
        self.adopted = facts.adopted;
        self.gate = Some(gate);
        Reply::Gate(facts)
    }

    fn with_gate<E: std::fmt::Display>(
        &mut self,
        act: impl FnOnce(&mut Gate) -> Result<(), E>,
    ) -> Result<(), String> {
        let gate = self.gate.as_mut().ok_or_else(|| NO_GATE.to_owned())?;
        act(gate).map_err(|error| error.to_string())
    }

    fn counters(&self) -> Reply {
        match self.gate.as_ref().map(Gate::counters) {
            Some(Ok(counters)) => Reply::Counters(counters),
            Some(Err(error)) => Reply::Refused(error.to_string()),
            None => Reply::Refused(NO_GATE.to_owned()),
        }
    }

    fn windows(&self) -> Reply {
        match self.gate.as_ref().map(Gate::windows) {
            Some(Ok(windows)) => Reply::Windows(windows),
            Some(Err(error)) => Reply::Refused(error.to_string()),
            None => Reply::Refused(NO_GATE.to_owned()),
        }
    }

    /// Goes on after an error, and tells the first.
    fn take_down(&mut self) -> Result<(), String> {
        let mut result = Ok(());
        if let Some(gate) = self.gate.take() {
            result = gate.detach().map_err(|error| error.to_string());
        }
        if let Some(ports) = self.ports.take() {
            let restored = ports.restore();
            result = result.and(restored);
        }
        result
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        if self.adopted
            && let Some(gate) = self.gate.take()
        {
            // Traffic goes as the predecessor's fail policy says: a start that fails must not cut it.
            tracing::warn!("the gate that a predecessor left stays, and its fail policy acts");
            return gate.leave_pinned();
        }
        if let Err(reason) = self.take_down() {
            tracing::error!("{reason}");
        }
    }
}

const NO_GATE: &str = "no gate is loaded";

/// The rest of the gate's end of the conversation. Dropping it takes down what was set up.
#[derive(Debug, Default)]
pub(crate) struct WardenLink {
    warden: Warden,
    facts: GateFacts,
}

impl WardenLink {
    fn ask(&mut self, request: Request) -> Reply {
        self.warden.serve(request)
    }

    fn command(&mut self, request: Request) -> Result<(), Failure> {
        match self.ask(request) {
            Reply::Refused(reason) => Err(Failure::Runtime(reason)),
            _ => Ok(()),
        }
    }

    /// Looks whether everything will be permitted.
    pub(crate) fn permitted(&mut self) -> Result<(), Failure> {
        self.command(Request::Permitted)
    }

    /// Makes interfaces fit for inspection.
    pub(crate) fn set_up_ports(&mut self, gate: &str, ports: Vec<String>) -> Result<(), Failure> {
        self.command(Request::SetUpPorts { gate: gate.to_owned(), ports })
    }

    /// Loads the gate and tells how it is attached.
    pub(crate) fn load_gate(&mut self, config: GateConfig) -> Result<&GateFacts, Failure> {
        match self.ask(Request::LoadGate(config)) {
            Reply::Gate(facts) => {
                self.facts = facts;
                Ok(&self.facts)
            }
            Reply::Refused(reason) => Err(Failure::Runtime(reason)),
            other => Err(Failure::Runtime(format!("the warden answered {other:?}"))),
        }
    }

    /// How the gate is attached.
    pub(crate) const fn facts(&self) -> &GateFacts {
        &self.facts
    }

    /// The start has come to its end.
    pub(crate) fn settle(&mut self) -> Result<(), Failure> {
        self.command(Request::Settle)
    }

    /// What the kernel counted.
    pub(crate) fn counters(&mut self) -> Result<GateCounters, Failure> {
        match self.ask(Request::Counters) {
            Reply::Counters(counters) => Ok(counters),
            Reply::Refused(reason) => Err(Failure::Runtime(reason)),
            other => Err(Failure::Runtime(format!("the warden answered {other:?}"))),
        }
    }

    /// The blind windows that have ended since the last call.
    pub(crate) fn windows(&mut self) -> Result<Vec<BlindWindow>, Failure> {
        match self.ask(Request::Windows) {
            Reply::Windows(windows) => Ok(windows),
            Reply::Refused(reason) => Err(Failure::Runtime(reason)),
            other => Err(Failure::Runtime(format!("the warden answered {other:?}"))),
        }
    }

    /// Takes everything back, and tells what could not be.
    pub(crate) fn take_down(&mut self) -> Result<(), Failure> {
        self.command(Request::TakeDown)
    }

    /// Leaves ports and pins to the fail policy.
    pub(crate) fn leave(&mut self) {
        self.ask(Request::Leave);
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
        let socket = socket.try_clone_to_owned();
        let socket = socket.map_err(|source| XdpError::System { action: "hand over a socket", source })?;
        match self.ask(Request::Publish { port, queue, socket }) {
            Reply::Refused(reason) => Err(XdpError::Slot(reason)),
            _ => Ok(()),
        }
    }

    fn clear_socket(&mut self, port: u8, queue: u32) -> Result<(), XdpError> {
        match self.ask(Request::Withdraw { port, queue }) {
            Reply::Refused(reason) => Err(XdpError::Slot(reason)),
            _ => Ok(()),
        }
    }
}

/// Names everything that is missing at once, before anything is touched.
fn permitted() -> Result<(), String> {
    let Ok(sets) = capabilities(None) else { return Ok(()) };
    let has = |capability| sets.effective.contains(capability);
    // CAP_SYS_ADMIN stands for both of BPF, as it did before Linux 5.8.
    let is_admin = has(CapabilitySet::SYS_ADMIN);
    let needed = [
        ("CAP_NET_ADMIN", has(CapabilitySet::NET_ADMIN)),
        ("CAP_NET_RAW", has(CapabilitySet::NET_RAW)),
        ("CAP_BPF", is_admin || has(CapabilitySet::BPF)),
        ("CAP_PERFMON", is_admin || has(CapabilitySet::PERFMON)),
    ];
    let missing: Vec<&str> = needed.iter().filter_map(|(name, has)| (!has).then_some(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("not permitted to stand between ports: this needs {} (run as root)", missing.join(", ")))
}

/// Mounts the BPF file system where no service manager has done it.
fn mount_bpffs() -> Result<(), String> {
    let magic = rustix::fs::statfs(BPFFS).map(|stat| u64::try_from(stat.f_type).unwrap_or(0));
    if magic == Ok(BPF_FS_MAGIC) {
        return Ok(());
    }
    mount("bpf", BPFFS, "bpf", MountFlags::empty(), None)
        .map_err(|error| format!("cannot mount the BPF file system on {BPFFS}: {error}"))?;
    tracing::info!("mounted the BPF file system on {BPFFS}");
    let own = std::fs::read_link("/proc/self/ns/mnt");
    let first = std::fs::read_link("/proc/1/ns/mnt");
    match (own, first) {
        (Ok(own), Ok(first)) if own == first => {}
        (Ok(_), Ok(_)) => tracing::warn!(
            "it is in this process's mount namespace only (ip netns exec makes one): pins will not \
             outlive it, and without pins no fail policy acts after a crash"
        ),
        _ => tracing::warn!(
            "whether it outlives this process cannot be told: in a mount namespace of its own (ip netns \
             exec makes one) pins go with it, and without pins no fail policy acts after a crash"
        ),
    }
    Ok(())
}
