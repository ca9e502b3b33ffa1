//! One port: everything that is asked of it, as plain data, so that what is made of it needs no port.

use super::source::{cpus, link_name, names, read};
use portcullis_bpf::device::{HashedBy, HashedFlow};
use portcullis_bpf::facts::{self, Feature, Rss, XdpFacts};
use portcullis_bpf::{GateError, device};
use portcullis_capture_xdp::HostTies;
use std::path::{Path, PathBuf};

/// What an interface tells of itself. What it does not tell is empty or `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Port {
    /// Its name.
    pub(crate) name: String,
    /// Its MTU.
    pub(crate) mtu: u32,
    /// Receive queues in use.
    pub(crate) queues: u32,
    /// Its driver.
    pub(crate) driver: String,
    /// What it can do with XDP, and what stands there.
    pub(crate) xdp: XdpFacts,
    /// Offloads.
    pub(crate) features: Vec<Feature>,
    /// Switches of this driver.
    pub(crate) private_flags: Vec<Feature>,
    /// How packets are spread.
    pub(crate) rss: Option<Rss>,
    /// What of packets is hashed for that, by kind.
    pub(crate) hashed: Vec<(HashedFlow, HashedBy)>,
    /// Addresses, as `ip address` shows them.
    pub(crate) addresses: Vec<String>,
    /// Does a default route leave by it?
    pub(crate) default_route: bool,
    /// What `/sys` says.
    pub(crate) place: Place,
    /// Who manages it.
    pub(crate) managers: Managers,
}

/// What `/sys` and `/proc` say of a port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// Does `/sys` show this network namespace at all?
    pub(crate) known: bool,
    /// The bridge or bond that it is part of, and which of them that is.
    pub(crate) master: Option<(String, &'static str)>,
    /// The node whose memory is nearest.
    pub(crate) node: Option<u32>,
    /// The CPUs of that node.
    pub(crate) node_cpus: Vec<usize>,
    /// Its interrupts and the CPUs that serve each.
    pub(crate) interrupts: Vec<(u32, Vec<usize>)>,
}

/// Programs that believe an interface to be theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Managers {
    /// What NetworkManager keeps about it.
    pub(crate) network_manager: String,
    /// What systemd-networkd keeps about it.
    pub(crate) networkd: String,
}

impl Port {
    /// Asks the interface `name`.
    ///
    /// # Errors
    /// It is not there.
    pub(crate) fn gather(name: &str) -> Result<Self, GateError> {
        let index = device::ifindex(name)?;
        let ties = HostTies::of(name).unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            mtu: device::mtu(name)?,
            queues: device::queues(name)?,
            driver: facts::driver(name).unwrap_or_default(),
            xdp: facts::xdp(name).unwrap_or_default(),
            features: facts::features(name).unwrap_or_default(),
            private_flags: facts::private_flags(name).unwrap_or_default(),
            rss: facts::rss(name).ok(),
            hashed: hashed(name),
            addresses: ties.addresses.iter().map(ToString::to_string).collect(),
            default_route: ties.default_route,
            place: Place::of(&Path::new("/sys/class/net").join(name), index),
            managers: Managers::of(index),
        })
    }

    /// The offload `name`, if it is there and on.
    pub(crate) fn is_on(&self, name: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.name == name && feature.on)
    }
}

fn hashed(name: &str) -> Vec<(HashedFlow, HashedBy)> {
    HashedFlow::ALL.into_iter().filter_map(|flow| Some((flow, device::hashed_by(name, flow).ok()?))).collect()
}

impl Place {
    fn of(folder: &Path, index: u32) -> Self {
        // `/sys` is that of the namespace it was mounted in: names there may be those of other interfaces.
        if read(folder.join("ifindex")) != index.to_string() {
            return Self::default();
        }
        let master = folder.join("master");
        let kind = || if master.join("bonding").exists() { "bond" } else { "bridge" };
        let node = read(folder.join("device/numa_node")).parse().ok();
        let node_cpus =
            node.map(|node: u32| cpus(&read(format!("/sys/devices/system/node/node{node}/cpulist"))));
        let interrupts = names(folder.join("device/msi_irqs"));
        let interrupts = interrupts.iter().filter_map(|name| {
            let number: u32 = name.parse().ok()?;
            let place = PathBuf::from(format!("/proc/irq/{number}"));
            let effective = read(place.join("effective_affinity_list"));
            let wanted = || read(place.join("smp_affinity_list"));
            Some((number, cpus(&if effective.is_empty() { wanted() } else { effective })))
        });
        Self {
            known: true,
            master: link_name(&master).map(|name| (name, kind())),
            node,
            node_cpus: node_cpus.unwrap_or_default(),
            interrupts: interrupts.collect(),
        }
    }
}

impl Managers {
    /// They only know the first network namespace, and there interfaces by number.
    fn of(index: u32) -> Self {
        let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
        if namespace("thread-self") != namespace("1") {
            return Self::default();
        }
        Self {
            network_manager: read(format!("/run/NetworkManager/devices/{index}")),
            networkd: read(format!("/run/systemd/netif/links/{index}")),
        }
    }
}
