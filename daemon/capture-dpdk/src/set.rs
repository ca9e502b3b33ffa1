//! Opens all ports for all workers, and ends them gracefully.

use crate::config::DpdkConfig;
use crate::error::DpdkError;
use crate::links::{Bell, Links, Shared};
use crate::module::{DpdkModule, Parts};
use crate::rules::FlowDrops;
use crate::sys::{Eal, Extended, Lane, Pool, Port, PortFacts, PortRequest};
use crossbeam::sync::Parker;
use portcullis_capture::PortId;
use std::sync::Arc;

/// Ethernet header: what an MTU does not count.
const ETHERNET: u32 = 14;

/// What a port was really opened as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPort {
    /// Its name in the configuration.
    pub name: String,
    /// The driver.
    pub driver: String,
    /// Pairs of queues.
    pub queues: u16,
    /// Entries of its receive and its transmit rings.
    pub descriptors: (u16, u16),
    /// Its MTU.
    pub mtu: u32,
    /// Does the device spread flows over its queues by itself?
    pub hashes: bool,
    /// Does the device check checksums?
    pub checks: bool,
}

/// A port's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// No peer.
    Down,
    /// Up; megabits a second where that is known.
    Up(Option<u32>),
}

/// Drivers that do not give back what lies in their rings when they are closed.
const KEEPERS: [&str; 1] = ["net_af_xdp"];

/// A pool's buffers, counted when nobody had any business with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolCount {
    /// All there are.
    pub size: u32,
    /// Those in the pool.
    pub available: u32,
    /// Does a driver keep buffers when it is closed, so that nobody can say where each is?
    pub is_kept: bool,
}

impl PoolCount {
    /// Buffers that are not in the pool.
    #[must_use]
    pub const fn missing(&self) -> u32 {
        self.size.saturating_sub(self.available)
    }
}

/// The ports as a whole: what the supervisor keeps while the workers have their modules.
#[derive(Debug)]
pub struct DpdkSet {
    shared: Arc<Shared>,
    ports: Vec<(OpenPort, Arc<Port>)>,
    pool: Arc<Pool>,
}

impl DpdkSet {
    /// Opens every queue of every port. Queue *q* of both ports of a pair is worker *q* mod *workers*'s. The devices
    /// must have been named to the environment, or made in it.
    ///
    /// Answers one module a worker, by worker.
    ///
    /// # Errors
    /// Each way in which this can fail is a [`DpdkError`] of its own; no port is then left open.
    pub fn open(config: &DpdkConfig, eal: &Arc<Eal>) -> Result<(Self, Vec<DpdkModule>), DpdkError> {
        config.validate()?;
        let plan = Plan::new(config, eal)?;
        let mut opened = Vec::with_capacity(config.ports.len());
        for port in &config.ports {
            opened.push(Port::start(&port.dpdk_name(), &plan.request, &plan.pool)?);
        }
        let rings: Vec<(u16, u16)> = opened.iter().map(|(port, _)| port.descriptors()).collect();
        let least = config.least_buffers(&rings);
        if plan.pool.size() < least {
            return Err(DpdkError::PoolTooSmall { size: plan.pool.size(), least });
        }
        let mut lanes = Vec::with_capacity(opened.len());
        let mut ports = Vec::with_capacity(opened.len());
        for ((port, of_port), known) in opened.into_iter().zip(&config.ports) {
            lanes.push(of_port);
            ports.push((plan.describe(config, &known.name, &port), port));
        }
        let (shared, modules) = modules(config, &plan, lanes);
        Ok((Self { shared, ports, pool: plan.pool }, modules))
    }

    /// What every port was really opened as.
    pub fn ports(&self) -> impl Iterator<Item = &OpenPort> {
        self.ports.iter().map(|(port, _)| port)
    }

    /// The links now, by port.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        let link = |(_, port): &(OpenPort, Arc<Port>)| match port.link() {
            0 => Link::Down,
            u32::MAX => Link::Up(None),
            speed => Link::Up(Some(speed)),
        };
        self.ports.iter().map(link).collect()
    }

    /// The drivers' own statistics (DPDK's xstats), by the ports' names.
    #[must_use]
    pub fn extended(&self) -> Vec<(String, Extended)> {
        self.ports.iter().map(|(open, port)| (open.name.clone(), port.extended())).collect()
    }

    /// Flows whose packets the devices drop by themselves.
    ///
    /// # Errors
    /// A device cannot; its driver's reason.
    pub fn flow_drops(&self) -> Result<FlowDrops, DpdkError> {
        FlowDrops::find(self.ports.iter().map(|(_, port)| port))
    }

    /// Begins the graceful end: each worker judges and sends what its rings hold now, and then answers
    /// [`Poll::End`](portcullis_capture::Poll::End). What arrives later is lost: nobody is there any more.
    pub fn quiesce(&self) {
        self.shared.drain();
    }

    /// Closes all ports, given all modules of the set, and counts the buffers. Where some are missing and no driver
    /// keeps any, this crate errs.
    #[must_use]
    pub fn close(self, modules: impl IntoIterator<Item = DpdkModule>) -> PoolCount {
        modules.into_iter().for_each(drop);
        let Self { ports, pool, .. } = self;
        let is_kept = ports.iter().any(|(port, _)| KEEPERS.contains(&port.driver.as_str()));
        drop(ports);
        PoolCount { size: pool.size(), available: pool.available(), is_kept }
    }
}

/// How all ports are opened.
#[derive(Debug)]
struct Plan {
    request: PortRequest,
    pool: Arc<Pool>,
    /// MTU by port.
    mtu: Vec<u32>,
}

impl Plan {
    fn new(config: &DpdkConfig, eal: &Arc<Eal>) -> Result<Self, DpdkError> {
        let facts = config.ports.iter().map(|port| Port::facts(eal, &port.dpdk_name()));
        let facts: Vec<PortFacts> = facts.collect::<Result<_, _>>()?;
        let mtu: Vec<u32> = facts.iter().map(|port| config.mtu.map_or(port.mtu, u32::from)).collect();
        let largest = mtu.iter().copied().max().unwrap_or(0);
        let room = config.room(largest);
        let scatter = DpdkConfig::longest(largest) > usize::from(room);
        fit(config, &facts, &mtu, scatter.then_some(room))?;
        let request = PortRequest {
            queues: config.queues(),
            rx_descriptors: config.rx_descriptors,
            tx_descriptors: config.tx_descriptors,
            mtu: config.mtu,
            checksum: config.checksum_offload,
            scatter,
            promiscuous: config.promiscuous,
        };
        let rings = vec![(config.rx_descriptors, config.tx_descriptors); facts.len()];
        let least = config.least_buffers(&rings);
        let size = match config.mempool_size {
            Some(size) if size < least => return Err(DpdkError::PoolTooSmall { size, least }),
            Some(size) => size,
            // A driver may round its rings up; one less than a power of two is what pools take least memory for.
            None => {
                least.saturating_add(least / 4).checked_next_power_of_two().map_or(u32::MAX, |size| size - 1)
            }
        };
        let socket = facts.first().map_or(-1, |port| port.socket);
        let pool = Pool::new(eal, size, room, socket)?;
        Ok(Self { request, pool, mtu })
    }

    fn describe(&self, config: &DpdkConfig, name: &str, port: &Port) -> OpenPort {
        let index = config.ports.iter().position(|other| other.name == name).unwrap_or(0);
        OpenPort {
            name: name.to_owned(),
            driver: port.known().driver.clone(),
            queues: self.request.queues,
            descriptors: port.descriptors(),
            mtu: self.mtu.get(index).copied().unwrap_or(0),
            hashes: port.known().can_hash && self.request.queues > 1,
            checks: port.known().can_check && config.checksum_offload,
        }
    }
}

/// Looks whether the ports can do what is asked, and fit each other.
fn fit(
    config: &DpdkConfig,
    facts: &[PortFacts],
    mtu: &[u32],
    segments_of: Option<u16>,
) -> Result<(), DpdkError> {
    for ((port, known), mtu) in config.ports.iter().zip(facts).zip(mtu.iter().copied()) {
        let name = port.name.clone();
        if known.max_queues < u32::from(config.queues()) {
            return Err(DpdkError::FewerQueues { name, max: known.max_queues, queues: config.queues() });
        }
        if mtu > known.max_mtu {
            return Err(DpdkError::MtuTooLarge { name, max: known.max_mtu, mtu });
        }
        if let Some(room) = segments_of {
            let lacks = [(known.can_scatter, "receive"), (known.can_send_segments, "send")];
            if let Some((_, action)) = lacks.into_iter().find(|(can, _)| !can) {
                return Err(DpdkError::Segments { name, room, mtu, action });
            }
        }
    }
    for (pair, mtu) in config.ports.chunks_exact(2).zip(mtu.chunks_exact(2)) {
        if let ([first, second], [mtu, other_mtu]) = (pair, mtu)
            && mtu != other_mtu
        {
            let (first, second) = (first.name.clone(), second.name.clone());
            return Err(DpdkError::DifferentMtus { first, mtu: *mtu, second, other_mtu: *other_mtu });
        }
    }
    Ok(())
}

/// One module a worker, of the lanes by port.
fn modules(config: &DpdkConfig, plan: &Plan, lanes: Vec<Vec<Lane>>) -> (Arc<Shared>, Vec<DpdkModule>) {
    let workers = usize::from(config.workers);
    let mut own: Vec<Vec<(PortId, Lane)>> = (0..workers).map(|_| Vec::new()).collect();
    // Of each pair and queue the two side by side.
    let mut by_port: Vec<_> = lanes.into_iter().map(Vec::into_iter).collect();
    for (pair, sides) in by_port.chunks_exact_mut(2).enumerate() {
        for queue in 0..usize::from(config.queues()) {
            let Some(of_worker) = own.get_mut(queue % workers) else { continue };
            for (side, lanes) in sides.iter_mut().enumerate() {
                let port = u8::try_from(pair * 2 + side).map(PortId).unwrap_or_default();
                of_worker.extend(lanes.next().map(|lane| (port, lane)));
            }
        }
    }
    let parkers: Vec<Parker> = (0..workers).map(|_| Parker::new()).collect();
    let bells = parkers.iter().map(|parker| Arc::new(Bell::new(parker.unparker().clone())));
    let shared = Shared::new(bells.collect());
    let largest = plan.mtu.iter().copied().max().unwrap_or(0);
    let each = own.into_iter().zip(Links::mesh(workers)).zip(parkers).zip(&shared.bells).enumerate();
    let modules = each.map(|(worker, (((own, links), parker), bell))| {
        let (ports, lanes) = own.into_iter().unzip();
        DpdkModule::new(Parts {
            worker,
            workers,
            copy_mode: config.copy_mode,
            lanes,
            ports,
            mtu: plan.mtu.iter().map(|mtu| mtu + ETHERNET).collect(),
            longest: DpdkConfig::longest(largest),
            links,
            shared: Arc::clone(&shared),
            parker,
            bell: Arc::clone(bell),
            busy_poll: config.busy_poll(),
            longest_sleep: config.longest_sleep(),
            pool: Arc::clone(&plan.pool),
        })
    });
    let modules = modules.collect();
    (shared, modules)
}
