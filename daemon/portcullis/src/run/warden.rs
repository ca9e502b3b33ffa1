//! All that needs privileges: ports, the XDP program, its pins, the slots that sockets stand in.
//!
//! The gate, a process of its own without privileges, asks for it in [`Request`]s and gets [`Reply`]s: plain data, with
//! descriptors beside it. No request names a port, a path or a policy: those are the operator's, from the configuration
//! that the warden has read itself, so that a gate that was taken over can do no more than the one it was.

mod messages;

pub(crate) use messages::{GateFacts, Order, Past, PortFacts, Reply, Request, VERSION};

use super::link_watch::{LinkFacts, LinkWatch};
use super::memory::PortMemory;
use super::plan::Plan;
use portcullis_bpf::{BlindWindow, Gate, GateConfig, GateCounters};
use rustix::mount::{MountFlags, mount};
use rustix::thread::{CapabilitySet, capabilities};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The file system that pins live in.
const BPFFS: &str = "/sys/fs/bpf";

/// `BPF_FS_MAGIC` (linux/magic.h).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

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
