//! The gate between DPDK's ports. There is no program in the kernel: without this process the ports are dark, whatever
//! `fail` says, until the warden has started another. DPDK needs its privileges to the end, so this process keeps them;
//! only the threads that judge have none.

use super::flow_rules::FlowRules;
use super::plan::Devices;
use super::verdict_table::VerdictTable;
use super::wires::{Module, Wires};
use crate::exit::Failure;
use portcullis_capture_dpdk::{
    CopyMode, DpdkConfig, DpdkError, DpdkPort, DpdkSet, Eal, EalConfig, FlowAbilities, FlowDrops, Link,
    OpenPort,
};
use std::sync::Arc;

/// Can this build serve DPDK's ports?
pub(crate) const fn supported() -> Result<(), &'static str> {
    Ok(())
}

/// Starts DPDK with its devices, which no other process may have, opens all ports, and says what really stands. One
/// module a worker. DPDK's own thread sleeps on one of `cpus`.
///
/// # Errors
/// DPDK's, or a port's.
pub(crate) fn open(
    devices: &Devices,
    copy_mode: CopyMode,
    workers: u8,
    cpus: &[usize],
) -> Result<(Wires, Vec<Module>), Failure> {
    let settings = &devices.settings;
    let eal = EalConfig {
        devices: devices.ports.iter().map(|(_, device)| device.clone()).collect(),
        huge_pages: settings.huge_pages,
        memory_mb: u32::try_from(settings.memory >> 20).unwrap_or(u32::MAX),
        cpu: cpus.first().copied().unwrap_or(0),
        arguments: settings.eal_args.clone(),
    };
    let eal = Eal::start(&eal).map_err(failure)?;
    let port = |(name, device): &(String, String)| DpdkPort { name: name.clone(), device: device.clone() };
    let config = DpdkConfig {
        ports: devices.ports.iter().map(port).collect(),
        workers,
        queues: settings.queues,
        copy_mode,
        rx_descriptors: settings.rx_descriptors,
        tx_descriptors: settings.tx_descriptors,
        mempool_size: settings.mempool_size,
        buffer_size: settings.mbuf_size,
        checksum_offload: settings.checksum_offload,
        promiscuous: settings.promisc,
        mtu: settings.mtu,
        busy_poll_us: settings.busy_poll_us,
        longest_sleep_us: settings.longest_sleep_us,
    };
    let (set, modules) = DpdkSet::open(&config, &eal).map_err(failure)?;
    let links = set.links();
    tracing::info!("{}: without this process the ports are dark, whatever `fail` says", Eal::version());
    for (port, link) in set.ports().zip(&links) {
        let OpenPort { name, driver, queues, descriptors: (rx, tx), mtu, hashes, .. } = port;
        let spread = if *hashes { ", spread by the device" } else { "" };
        let link = describe(*link);
        tracing::info!("{name}: {driver}, {queues} queues of {rx} and {tx}{spread}, MTU {mtu}, {link}");
    }
    let drops = match set.flow_drops() {
        Ok(drops) => {
            tracing::info!("{}", abilities(drops.abilities()));
            Some(drops)
        }
        Err(error) => {
            tracing::info!("the verdict cache is not available with these ports: {error}");
            None
        }
    };
    let modules = modules.into_iter().map(Box::new).map(Module::Dpdk).collect();
    Ok((Wires::Dpdk(DpdkWires { set, links, drops }), modules))
}

/// DPDK's ports, while the workers have their queues.
#[derive(Debug)]
pub(crate) struct DpdkWires {
    set: DpdkSet,
    /// As they were last seen.
    links: Vec<Link>,
    /// Where the ports drop flows by themselves.
    drops: Option<FlowDrops>,
}

impl DpdkWires {
    /// Begins the graceful end.
    pub(crate) fn quiesce(&self) {
        self.set.quiesce();
    }

    /// Closes the ports; says what of the packet memory did not come back.
    pub(crate) fn close(self, modules: Vec<Module>) -> Option<String> {
        let modules = modules.into_iter().filter_map(|module| match module {
            Module::Dpdk(module) => Some(*module),
            Module::Xdp(_) => None,
        });
        let count = self.set.close(modules);
        let missing = count.missing();
        if count.is_kept {
            tracing::info!("{missing} of {} buffers are with drivers that keep them", count.size);
            return None;
        }
        (missing > 0).then(|| format!("buffers do not balance: {missing} of {} are nowhere", count.size))
    }

    /// Tells of links that went down or came up.
    pub(crate) fn glance(&mut self) {
        let now = self.set.links();
        for ((port, before), now) in self.set.ports().zip(&self.links).zip(&now) {
            if before != now {
                tracing::warn!("{}: {}", port.name, describe(*now));
            }
        }
        self.links = now;
    }

    /// Where the ports drop flows by themselves: a table of at most so many, for ports of these inline sets.
    pub(crate) fn verdict_table(&self, inline_sets: &[u8], most: u32) -> Option<Arc<dyn VerdictTable>> {
        let drops = self.drops.clone()?;
        Some(Arc::new(FlowRules::new(drops, inline_sets.to_vec(), most)))
    }

    /// The drivers' own statistics, and whether there can be a verdict cache.
    pub(crate) fn extended(&self) -> Vec<(String, u64)> {
        let named = |(port, stats): (String, Vec<(String, u64)>)| {
            stats.into_iter().map(move |(name, value)| (format!("dpdk.{port}.{name}"), value))
        };
        let available = ("dpdk.verdict_cache_available".to_owned(), u64::from(self.drops.is_some()));
        self.set.extended().into_iter().flat_map(named).chain([available]).collect()
    }
}

fn abilities(of: FlowAbilities) -> String {
    let counts = if of.counts { "" } else { ", which none of them counts" };
    let ends = if of.keeps_ends { "" } else { ", SYN, FIN and RST with the rest" };
    format!("the verdict cache: the ports drop what is of condemned flows by themselves{counts}{ends}")
}

fn describe(link: Link) -> String {
    match link {
        Link::Down => "link down".to_owned(),
        Link::Up(None) => "link up".to_owned(),
        Link::Up(Some(speed)) => format!("link up, {speed} Mbit/s"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failure(error: DpdkError) -> Failure {
    match error {
        DpdkError::Invalid(_) | DpdkError::PoolTooSmall { .. } => Failure::Input(error.to_string()),
        _ => Failure::Runtime(error.to_string()),
    }
}
