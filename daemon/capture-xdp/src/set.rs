//! Opens the queues of all pairs for all workers, publishes them, and ends them gracefully.

use crate::config::XdpConfig;
use crate::error::XdpError;
use crate::frames::Frame;
use crate::links::{Links, Shared};
use crate::module::{Parts, XdpModule};
use crate::port::{Arena, Lane, Shape};
use crate::slots::SocketSlots;
use crate::wake;
use portcullis_bpf::{GatePort, device};
use portcullis_capture::PortId;
use std::num::NonZeroU32;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Frames are counted in multiples of this, so that a UMEM is made of whole huge pages whatever the frame size.
const FRAMES_A_HUGE_PAGE: u32 = 1024;

/// Ethernet header: what an MTU does not count.
const ETHERNET: u32 = 14;

/// What a socket was really bound as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The interface.
    pub interface: String,
    /// The queue.
    pub queue: u32,
    /// The worker that has it.
    pub worker: u8,
    /// Does the device work on our memory?
    pub zero_copy: bool,
}

/// The pairs of one inline set as a whole: what the supervisor keeps while the workers have their modules.
#[derive(Debug)]
pub struct InlineSet {
    shared: Arc<Shared>,
    bound: Vec<Bound>,
    /// Sockets that are to be published: port, queue, and the socket once more.
    sockets: Vec<(u8, u32, OwnedFd)>,
    /// Those that were.
    slots: Vec<(u8, u32)>,
    frames: u64,
    huge_pages: bool,
    busy_poll: bool,
}

impl InlineSet {
    /// Opens every queue of every pair ([`prepare`](Self::prepare) and [`bind`](Prepared::bind)) and has them get
    /// traffic ([`publish`](Self::publish)).
    ///
    /// # Errors
    /// As for the three; no socket is then left open.
    pub fn open(config: &XdpConfig, gate: &mut impl SocketSlots) -> Result<(Self, Vec<XdpModule>), XdpError> {
        let (mut set, modules) = Self::prepare(config, gate)?.bind(gate)?;
        set.publish(gate)?;
        Ok((set, modules))
    }

    /// Takes and registers the memory, which needs no queue to be free. The gate must have been loaded with
    /// [`XdpConfig::gate_ports`].
    ///
    /// # Errors
    /// Each way in which this can fail is an [`XdpError`] of its own.
    pub fn prepare(config: &XdpConfig, gate: &impl SocketSlots) -> Result<Prepared, XdpError> {
        config.validate()?;
        let ports = config.gate_ports()?;
        let wanted = ports.iter().map(|port| (port.name.as_str(), port.queues));
        let loaded = gate.ports().iter().map(|(name, queues)| (name.as_str(), *queues)).eq(wanted);
        if !loaded || gate.forwards() != config.copy_mode.forwards() {
            let names: Vec<&str> = config.interfaces().collect();
            return Err(XdpError::OtherGate(names.join(", ")));
        }
        let workers = workers(config, &ports)?;
        let plan = Plan::new(config, &ports, workers)?;
        let (arena, frames, huge_pages) = plan.memory(config)?;
        Ok(Prepared { config: config.clone(), ports, plan, arena, frames, huge_pages })
    }

    /// Publishes the sockets of all of the set's modules in the gate, so that traffic goes from the fail policy to the
    /// workers at once: they should be at it by now ([`XdpModule::stay`]).
    ///
    /// # Errors
    /// The gate's; some sockets may be published then.
    pub fn publish(&mut self, gate: &mut impl SocketSlots) -> Result<(), XdpError> {
        for (port, queue, socket) in self.sockets.drain(..) {
            gate.set_socket(port, queue, socket.as_fd())?;
            self.slots.push((port, queue));
        }
        Ok(())
    }

    /// What every socket was really bound as.
    #[must_use]
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// Frames there are over all workers: what the sum of [`XdpModule::account`] must be.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames that are in none of the places where a frame can be, given all modules of the set: 0, or this crate
    /// errs. For the end, when no worker polls any more.
    #[must_use]
    pub fn unaccounted<'a>(&self, modules: impl IntoIterator<Item = &'a XdpModule>) -> u64 {
        let there: u64 = modules.into_iter().map(|module| module.account().total()).sum();
        self.frames.abs_diff(there)
    }

    /// Does the UMEM lie in huge pages?
    #[must_use]
    pub const fn huge_pages(&self) -> bool {
        self.huge_pages
    }

    /// Do workers run the receive loops of their queues?
    #[must_use]
    pub const fn busy_poll(&self) -> bool {
        self.busy_poll
    }

    /// Begins the graceful end: the gate's fail policy takes over, each worker judges and sends what it still has
    /// and then answers [`Poll::End`](portcullis_capture::Poll::End). Loses nothing where the policy is open.
    ///
    /// # Errors
    /// The gate's. The workers end all the same.
    pub fn quiesce(&self, gate: &mut impl SocketSlots) -> Result<(), XdpError> {
        // First, so that no worker takes what passes it from here on for a sign that it was taken for dead.
        self.shared.leave();
        let mut result = Ok(());
        for (port, queue) in &self.slots {
            if let Err(error) = gate.clear_socket(*port, *queue) {
                result = Err(error);
            }
        }
        // A frame that was on its way to a socket is on its ring by then, however long its CPU was kept from it.
        portcullis_bpf::wait_for_readers();
        self.end();
        result
    }

    /// The same where the gate is gone already: only tells the workers.
    pub fn end(&self) {
        self.shared.drain();
    }
}

/// The memory of a set, before it has any queue.
#[derive(Debug)]
pub struct Prepared {
    config: XdpConfig,
    ports: Vec<GatePort>,
    plan: Plan,
    arena: Arena,
    frames: Vec<Frame>,
    huge_pages: bool,
}

impl Prepared {
    /// Opens every queue of every pair, fills the fill rings, and begins the heartbeats. Queue *q* of both ports of a pair
    /// is worker *q* mod *workers*'s.
    ///
    /// Answers one module a worker, by worker. Dropping them without [`quiesce`](InlineSet::quiesce) loses what is on
    /// their rings. All that needs privileges has been done then.
    ///
    /// # Errors
    /// Each way in which this can fail is an [`XdpError`] of its own; no socket is then left open.
    pub fn bind(self, gate: &mut impl SocketSlots) -> Result<(InlineSet, Vec<XdpModule>), XdpError> {
        let Self { config, ports, plan, arena, frames, huge_pages } = self;
        let mut lanes = plan.lanes(&config, &ports, &arena)?;
        let busy_poll = config.busy_poll.is_some_and(|settings| {
            lanes.iter_mut().flatten().all(|(_, lane)| lane.poll_busily(settings).is_ok())
        });
        let bound = bound(&lanes)?;
        let shared = Shared::new(plan.workers as usize)?;
        let mut modules = plan.modules(&config, lanes, (&arena, frames), &shared)?;
        wake::drivers(&mut modules, gate)?;
        if let Some(pulses) = gate.pulses() {
            modules.iter_mut().for_each(|module| module.watch(&pulses));
        }
        let mut sockets = Vec::new();
        for (port, lane) in modules.iter().flat_map(XdpModule::sockets) {
            // The modules will be on other threads by the time they are published.
            let socket = lane.fd().try_clone_to_owned();
            let socket = socket.map_err(|source| XdpError::System { action: "share a socket", source })?;
            sockets.push((port.0, lane.queue(), socket));
        }
        let frames = u64::from(plan.frames_per_worker) * u64::from(plan.workers);
        let set = InlineSet { shared, bound, sockets, slots: Vec::new(), frames, huge_pages, busy_poll };
        Ok((set, modules))
    }
}

/// Every worker needs a queue of every port, or it could not send what it judged.
fn workers(config: &XdpConfig, ports: &[GatePort]) -> Result<u32, XdpError> {
    let least = ports.iter().min_by_key(|port| port.queues);
    let least = least.ok_or_else(|| XdpError::Invalid("no ports".to_owned()))?;
    let workers = config.workers.map_or_else(|| least.queues.min(64), u32::from);
    if workers > least.queues {
        return Err(XdpError::FewerQueues { name: least.name.clone(), queues: least.queues, workers });
    }
    Ok(workers)
}

/// Who gets which queues, and how much memory.
#[derive(Debug)]
struct Plan {
    workers: u32,
    shape: Shape,
    frames_per_worker: u32,
    fill_target: u32,
    /// Largest frame of each port.
    mtu: Vec<u32>,
}

impl Plan {
    fn new(config: &XdpConfig, ports: &[GatePort], workers: u32) -> Result<Self, XdpError> {
        let mut mtu = Vec::with_capacity(ports.len());
        for port in ports {
            let of_port = device::mtu(&port.name)?;
            mtu.push(of_port + ETHERNET);
        }
        // The worker with the most queues; the others get as many frames.
        let own = |port: &GatePort| port.queues.div_ceil(workers) as usize;
        let lanes: usize = ports.iter().map(own).sum();
        let wanted = config.frames_for(lanes)?;
        let total = wanted.saturating_mul(workers);
        let total = total.checked_next_multiple_of(FRAMES_A_HUGE_PAGE.saturating_mul(workers));
        let total = total.ok_or_else(|| XdpError::Invalid("too many frames".to_owned()))?;
        let frames_per_worker = total / workers;
        // The other half is for what is being judged and sent.
        let share = frames_per_worker / u32::try_from(lanes * 2).unwrap_or(u32::MAX).max(1);
        let fill_target = share.min(config.ring_size);
        Ok(Self { workers, shape: config.shape()?, frames_per_worker, fill_target, mtu })
    }

    /// The memory, in huge pages if asked for and there.
    fn memory(&self, config: &XdpConfig) -> Result<(Arena, Vec<Frame>, bool), XdpError> {
        let total = self.frames_per_worker.saturating_mul(self.workers);
        let total = NonZeroU32::new(total).ok_or_else(|| XdpError::Invalid("no frames".to_owned()))?;
        if config.huge_pages
            && let Ok((arena, frames)) = Arena::new(total, self.shape, config.ring_size, true)
        {
            return Ok((arena, frames, true));
        }
        let (arena, frames) = Arena::new(total, self.shape, config.ring_size, false)?;
        Ok((arena, frames, false))
    }

    /// The sockets of each worker: of each pair and queue the two side by side.
    fn lanes(
        &self,
        config: &XdpConfig,
        ports: &[GatePort],
        arena: &Arena,
    ) -> Result<Vec<Vec<(PortId, Lane)>>, XdpError> {
        let mut lanes: Vec<Vec<(PortId, Lane)>> = (0..self.workers).map(|_| Vec::new()).collect();
        for (pair, (first, second)) in config.pairs.iter().enumerate() {
            let port = u8::try_from(pair * 2).map(PortId).unwrap_or_default();
            let queues = ports.get(pair * 2).map_or(0, |port| port.queues);
            for queue in 0..queues {
                let Some(own) = lanes.get_mut((queue % self.workers) as usize) else { continue };
                for (port, name) in [(port, first), (port.peer(), second)] {
                    let lane = Lane::open(arena, name, queue, config.bind_mode, config.ring_size)?;
                    own.push((port, lane));
                }
            }
        }
        Ok(lanes)
    }

    /// One module a worker, by worker.
    fn modules(
        &self,
        config: &XdpConfig,
        mut lanes: Vec<Vec<(PortId, Lane)>>,
        (arena, frames): (&Arena, Vec<Frame>),
        shared: &Arc<Shared>,
    ) -> Result<Vec<XdpModule>, XdpError> {
        let workers = self.workers as usize;
        let mut modules = Vec::with_capacity(workers);
        let mut links = Links::mesh(workers, self.frames_per_worker as usize);
        let mut frames = frames.into_iter();
        for worker in (0..workers).rev() {
            let own: Vec<(PortId, Lane)> = lanes.pop().unwrap_or_default();
            let (ports, lanes) = own.into_iter().unzip();
            let bell = shared.bells.get(worker).cloned();
            let parts = Parts {
                worker,
                workers,
                copy_mode: config.copy_mode,
                lanes,
                ports,
                mtu: self.mtu.clone(),
                arena: arena.clone(),
                frames: Vec::new(),
                fill_target: self.fill_target,
                links: links.pop().ok_or_else(|| XdpError::Invalid("no worker".to_owned()))?,
                shared: Arc::clone(shared),
                bell: bell.ok_or_else(|| XdpError::Invalid("no worker".to_owned()))?,
                busy_poll: Duration::from_micros(u64::from(config.busy_poll_us)),
                bypass: config.bypass.clone(),
            };
            modules.push(parts);
        }
        let modules = modules.into_iter().rev().map(|mut parts| {
            // Frame n is worker n / frames_per_worker's: in order of the workers.
            parts.frames = frames.by_ref().take(self.frames_per_worker as usize).collect();
            XdpModule::new(parts)
        });
        modules.collect()
    }
}

fn bound(lanes: &[Vec<(PortId, Lane)>]) -> Result<Vec<Bound>, XdpError> {
    let mut bound = Vec::new();
    for (worker, own) in (0_u8..).zip(lanes) {
        for (_, lane) in own {
            let interface = lane.name().to_owned();
            let zero_copy = lane.is_zero_copy();
            let zero_copy =
                zero_copy.map_err(|source| XdpError::PortLost { name: interface.clone(), source })?;
            bound.push(Bound { interface, queue: lane.queue(), worker, zero_copy });
        }
    }
    Ok(bound)
}
