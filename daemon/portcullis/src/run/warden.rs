//! All that needs privileges: ports, the XDP program, its pins, the slots that sockets stand in.
//!
//! The gate, a process of its own without privileges, asks for it in [`Request`]s and gets [`Reply`]s: plain data, with
//! descriptors beside it. No request names a port, a path or a policy: those are the operator's, from the configuration
//! that the warden has read itself, so that a gate that was taken over can do no more than the one it was.

use super::link_watch::{LinkFacts, LinkWatch};
use super::memory::PortMemory;
use super::plan::Plan;
use portcullis_bpf::{
    AttachedMode, BlindWindow, Gate, GateConfig, GateCounters, ListMaps, Passed, Pulses, VerdictCache,
};
use rustix::mount::{MountFlags, mount};
use rustix::thread::{CapabilitySet, capabilities};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Raised whenever a message changes: a gate of another version is refused.
pub(crate) const VERSION: u32 = 3;

/// The file system that pins live in.
const BPFFS: &str = "/sys/fs/bpf";

/// `BPF_FS_MAGIC` (linux/magic.h).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// What a gate can ask for; nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The first of all. Answered by [`Reply::Welcome`], beside it the socket that [`Order`]s come by and a
    /// descriptor to hold as long as the process lives.
    Hello { version: u32 },
    /// Make the ports fit for inspection and load, attach and pin the XDP program, unless that is done. The fail policy
    /// acts on all traffic from then on. Answered by [`Reply::Gate`], beside it the maps of [`GateFacts`].
    SetUp,
    /// Open the log for appending; its descriptor is beside the answer.
    OpenLog,
    /// Open the control socket; the listener is beside the answer.
    OpenControl,
    /// All is ready but for the queues. Where another gate has them, it is told to leave; beside the answer is the pipe
    /// that its flows come by.
    Prepared,
    /// There are no more flows to come. Answered when no other gate has the queues any more.
    Follow,
    /// Let a queue's frames go to the socket beside the request.
    Publish { port: u8, queue: u32 },
    /// Let the fail policy act on a queue.
    Withdraw { port: u8, queue: u32 },
    /// Take the interface of a port down and up again.
    RestartPort { port: u8 },
    /// The start has come to its end: what a predecessor left is ours from now on.
    Settle,
    /// What did the kernel count?
    Counters,
    /// Which times passed in which no worker saw a frame?
    Windows,
    /// What was seen of the ports' links?
    Links,
    /// Nothing: only so that something was said.
    Alive,
    /// Have another gate take over; with `upgrade`, one of the program that is installed now. How that went is told by
    /// [`Order::Restarted`].
    Restart { upgrade: bool },
    /// The queues are free for the next gate.
    HandedOver,
    /// This is the end: take everything back, program off, pins removed, ports as they were.
    TakeDown,
}

/// The answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It is done.
    Done,
    /// Come in.
    Welcome(Past),
    /// The gate stands.
    Gate(GateFacts),
    /// Frames by outcome.
    Counters(GateCounters),
    /// Blind windows that have ended.
    Windows(Vec<BlindWindow>),
    /// What was seen of the links.
    Links(LinkFacts),
    /// It could not be done; the text says why.
    Refused(String),
}

/// What became of the gates before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// How many have died so far.
    pub(crate) restarts: u64,
    /// How many of them were killed because they hung.
    pub(crate) hangs: u64,
    /// How long ago one began that had no flows from another.
    pub(crate) age: Duration,
}

/// What the warden tells a gate unasked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// End gracefully.
    End,
    /// Open the log files anew.
    ReopenLogs,
    /// Judge by the rules and lists as the files have them now.
    ReloadRules,
    /// The next gate is prepared: give it your flows by the pipe beside the order, and leave the queues to it.
    HandOver,
    /// What came of a restart: the next gate judges, or why this one goes on.
    Restarted(Result<(), String>),
}

/// What came of loading the gate.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct GateFacts {
    /// The interfaces by port, with the queues of each and how the program is attached.
    pub(crate) ports: Vec<PortFacts>,
    /// Does the kernel side send to peers?
    pub(crate) forwards: bool,
    /// Were links and maps of a dead predecessor adopted?
    pub(crate) adopted: bool,
    /// An older heartbeat is a dead worker's.
    pub(crate) beat_limit: Duration,
    /// Lines of the maps of lists.
    pub(crate) list_sizes: [u32; 2],
    /// What puts lists in force: the last three descriptors.
    #[serde(skip)]
    pub(crate) lists: Option<Arc<ListMaps>>,
    /// Where workers tell that they live: mapped by the gate, from the first descriptor beside the answer.
    #[serde(skip)]
    pub(crate) pulses: Option<Pulses>,
    /// What passed unjudged: mapped from the second descriptor.
    #[serde(skip)]
    pub(crate) passed: Option<Passed>,
    /// Lines of the verdict cache's map.
    pub(crate) cache_lines: u32,
    /// The verdict cache, of the third descriptor.
    #[serde(skip)]
    pub(crate) cache: Option<Arc<VerdictCache>>,
}

/// One port of the gate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PortFacts {
    pub(crate) name: String,
    pub(crate) queues: u32,
    pub(crate) mode: AttachedMode,
}

/// What an inline set has in the kernel and on its ports. Dropping it takes that down.
#[derive(Debug)]
pub(crate) struct Warden {
    gate: Option<Gate>,
    ports: Option<PortMemory>,
    links: Option<LinkWatch>,
    /// The ports that were set up.
    done: Vec<String>,
    /// A predecessor's gate was taken over, and this start has not come to its end yet.
    adopted: bool,
}

impl Warden {
    /// Claims the name of an inline set.
    ///
    /// # Errors
    /// Another warden has it.
    pub(crate) fn claim(name: &str) -> Result<Self, String> {
        let memory = PortMemory::open(Path::new(GateConfig::LOCK_DIR), name)?;
        Ok(Self { gate: None, ports: Some(memory), links: None, done: Vec::new(), adopted: false })
    }

    /// Sets up ports and program, unless they stand.
    pub(crate) fn set_up(&mut self, plan: &Plan) -> Result<GateFacts, String> {
        if self.gate.is_none() {
            let names = plan.interfaces();
            let memory = self.ports.as_mut().ok_or_else(|| NO_GATE.to_owned())?;
            for name in names {
                if !self.done.contains(&name) {
                    memory.set_up(&name, plan.napi, plan.symmetric_rss)?;
                    self.done.push(name);
                }
            }
            mount_bpffs()?;
            let ports = plan.capture.gate_ports().map_err(|error| error.to_string())?;
            let segments = plan.capture.segments().map_err(|error| error.to_string())?;
            let gate = Gate::load(&plan.gate(ports, segments)).map_err(|error| error.to_string())?;
            self.adopted = gate.adopted();
            self.gate = Some(gate);
        }
        let gate = self.gate.as_ref().ok_or_else(|| NO_GATE.to_owned())?;
        let ports = gate.ports().zip(gate.modes());
        let ports =
            ports.map(|((name, queues), (_, mode))| PortFacts { name: name.to_owned(), queues, mode });
        Ok(GateFacts {
            ports: ports.collect(),
            forwards: gate.forwards(),
            adopted: gate.adopted(),
            beat_limit: plan.liveness.beat_limit,
            list_sizes: gate.list_sizes(),
            cache_lines: gate.cache_lines(),
            lists: None,
            pulses: None,
            passed: None,
            cache: None,
        })
    }

    /// The maps that go to the gate, in the order of [`GateFacts`].
    pub(crate) fn maps(&self) -> Vec<BorrowedFd<'_>> {
        let Some(gate) = &self.gate else { return Vec::new() };
        let own = [gate.pulses_map(), gate.passed_map(), gate.cache_map()];
        own.into_iter().chain(gate.list_maps()).collect()
    }

    /// Lets a queue's frames go to this socket.
    pub(crate) fn publish(&mut self, port: u8, queue: u32, socket: &OwnedFd) -> Result<(), String> {
        self.with_gate(|gate| gate.set_socket(port, queue, socket.as_fd()))
    }

    /// Lets the fail policy act on a queue. From then on a gate that ends is no dead one.
    pub(crate) fn withdraw(&mut self, port: u8, queue: u32) -> Result<(), String> {
        self.expect_silence(true);
        self.with_gate(|gate| gate.clear_socket(port, queue))
    }

    /// Takes the interface of a port down and up again.
    pub(crate) fn restart_port(&mut self, port: u8) -> Result<(), String> {
        self.with_gate(|gate| gate.restart_port(port))
    }

    /// Puts other policies in force.
    pub(crate) fn set_policies(&mut self, plan: &Plan) -> Result<(), String> {
        let segments = plan.capture.segments().map_err(|error| error.to_string())?;
        self.with_gate(|gate| gate.set_policies(&plan.gate(Vec::new(), segments)))
    }

    /// The start has come to its end. The links are looked after from now on.
    pub(crate) fn settle(&mut self, plan: &Plan) {
        self.adopted = false;
        if plan.devices.is_none()
            && let Err(reason) = self.watch_links(plan)
        {
            tracing::error!("{reason}");
        }
        self.expect_silence(false);
    }

    fn watch_links(&mut self, plan: &Plan) -> Result<(), String> {
        let gate = self.gate.as_ref().ok_or_else(|| NO_GATE.to_owned())?;
        let queues: Vec<u32> = gate.ports().map(|(_, queues)| queues).collect();
        let max_mtu = plan.capture.max_mtu().map_err(|error| error.to_string())?;
        let plan = plan.links(&queues, max_mtu);
        // One that goes on knows which ports are down on our account.
        if self.links.as_ref().is_none_or(|links| links.plan() != &plan) {
            let pulses = gate.pulses();
            self.links = None;
            self.links = Some(LinkWatch::start(plan, Some(pulses))?);
        }
        Ok(())
    }

    /// Says whether workers are silent because they were told to end, or hand over, or because they are dead.
    pub(crate) fn expect_silence(&self, expected: bool) {
        if let Some(links) = &self.links {
            links.expect_silence(expected);
        }
    }

    /// How long the worker has been silent that has been silent longest; `None` where nobody looks.
    pub(crate) fn silence(&self) -> Option<Duration> {
        let gate = self.gate.as_ref()?;
        let pulses = gate.pulses();
        if pulses.limit().is_zero() {
            return None;
        }
        // Of a pair with different numbers of queues only those are served that both have.
        let queues: Vec<u32> = gate.ports().map(|(_, queues)| queues).collect();
        let served = queues.chunks(2).map(|pair| pair.iter().copied().min().unwrap_or(0));
        let ports =
            served.enumerate().flat_map(|(pair, queues)| [(2 * pair, queues), (2 * pair + 1, queues)]);
        ports.filter_map(|(port, queues)| pulses.silence(u8::try_from(port).ok()?, queues)).max()
    }

    /// What was seen of the links.
    pub(crate) fn links(&self) -> LinkFacts {
        self.links.as_ref().map(LinkWatch::facts).unwrap_or_default()
    }

    /// What the kernel counted.
    pub(crate) fn counters(&self) -> Result<GateCounters, String> {
        let gate = self.gate.as_ref().ok_or_else(|| NO_GATE.to_owned())?;
        gate.counters().map_err(|error| error.to_string())
    }

    /// The blind windows that have ended since the last call.
    pub(crate) fn windows(&self) -> Result<Vec<BlindWindow>, String> {
        let gate = self.gate.as_ref().ok_or_else(|| NO_GATE.to_owned())?;
        gate.windows().map_err(|error| error.to_string())
    }

    /// Has every queue fail as `liveness.latched-fail` says, or again as `fail` does.
    pub(crate) fn latch(&self, on: bool) {
        match (self.gate.as_ref().map(Gate::pulses), on) {
            (Some(pulses), true) => pulses.latch(),
            (Some(pulses), false) => pulses.unlatch(),
            (None, _) => {}
        }
    }

    /// Is there still an interface for each port?
    pub(crate) fn has_all_ports(&self) -> bool {
        self.gate.as_ref().is_none_or(Gate::has_all_ports)
    }

    /// Takes everything back. Goes on after an error, and tells the first.
    pub(crate) fn take_down(&mut self) -> Result<(), String> {
        // First, or it would find the ports without a worker.
        self.links = None;
        let mut result = Ok(());
        if let Some(gate) = self.gate.take() {
            result = gate.detach().map_err(|error| error.to_string());
        }
        // What a predecessor kept of ports that were not touched stays for whoever comes next.
        if let Some(ports) = self.ports.take()
            && !self.done.is_empty()
        {
            let restored = ports.restore();
            result = result.and(restored);
        }
        result
    }

    /// Leaves everything as it is, so that the fail policy goes on acting.
    pub(crate) fn leave(&mut self) {
        self.links = None;
        if let Some(gate) = self.gate.take() {
            gate.leave_pinned();
        }
        self.ports = None;
    }

    fn with_gate<E: std::fmt::Display>(
        &mut self,
        act: impl FnOnce(&mut Gate) -> Result<(), E>,
    ) -> Result<(), String> {
        let gate = self.gate.as_mut().ok_or_else(|| NO_GATE.to_owned())?;
        act(gate).map_err(|error| error.to_string())
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        if self.adopted && self.gate.is_some() {
            // Traffic goes as the predecessor's fail policy says: a start that fails must not cut it.
            tracing::warn!("the gate that a predecessor left stays, and its fail policy acts");
            return self.leave();
        }
        if let Err(reason) = self.take_down() {
            tracing::error!("{reason}");
        }
    }
}

const NO_GATE: &str = "no gate is loaded";

/// Names everything that is missing at once, before anything is touched.
pub(crate) fn permitted() -> Result<(), String> {
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
