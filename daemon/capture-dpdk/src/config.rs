//! What to open.

use crate::error::DpdkError;
use crate::links::STEERING;
use portcullis_capture::outbox::MAX_FORGED;
use portcullis_capture::{BURST, CopyMode};
use std::time::Duration;

/// Most queues of one worker.
const MAX_LANES: usize = 256;

/// Ethernet header and two VLAN tags: what an MTU does not count.
const LINK_HEADER: u32 = 22;

/// What DPDK's environment is started with.
#[derive(Clone, Debug, Default)]
pub struct EalConfig {
    /// Devices: PCI addresses, or virtual devices with their arguments.
    pub devices: Vec<String>,
    /// Memory from huge pages?
    pub huge_pages: bool,
    /// Mebibytes of memory where it is not from huge pages; taken as far as used.
    pub memory_mb: u32,
    /// The CPU that DPDK's own thread sleeps on.
    pub cpu: usize,
    /// DPDK's own arguments, after ours.
    pub arguments: Vec<String>,
}

impl EalConfig {
    /// The command line, the program's name first.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut words: Vec<String> = vec!["portcullis".to_owned()];
        let mut add = |new: &[&str]| words.extend(new.iter().map(|word| (*word).to_owned()));
        // Nothing of it is shared with other processes, and only what went wrong is said.
        add(&["--no-telemetry", "--log-level", "5", "-l", &self.cpu.to_string()]);
        if self.huge_pages {
            add(&["--in-memory"]);
        } else {
            // DPDK refuses the two together.
            add(&["--no-huge", "--no-shconf", "-m", &self.memory_mb.to_string()]);
        }
        if !self.devices.iter().any(|device| is_pci(device)) {
            add(&["--no-pci"]);
        }
        for device in &self.devices {
            add(&[if is_pci(device) { "-a" } else { "--vdev" }, device]);
        }
        words.extend(self.arguments.iter().cloned());
        words
    }
}

/// Is it a PCI address (`0000:03:00.0`, `03:00.0`), with arguments or without? Else it is a virtual device.
#[must_use]
pub fn is_pci(device: &str) -> bool {
    let address = device.split(',').next().unwrap_or_default();
    let Some((bus, function)) = address.rsplit_once('.') else { return false };
    let parts: Vec<&str> = bus.split(':').collect();
    let is_hex = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(parts.len(), 2 | 3) && parts.iter().all(is_hex) && matches!(function.as_bytes(), [b'0'..=b'7'])
}

/// One port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpdkPort {
    /// What it is called in messages and records.
    pub name: String,
    /// The device: a PCI address, or the name of a virtual device, with its arguments or without.
    pub device: String,
}

impl DpdkPort {
    /// The name that DPDK gives the port: the device without its arguments, a PCI address with its domain.
    #[must_use]
    pub fn dpdk_name(&self) -> String {
        let name = self.device.split(',').next().unwrap_or_default();
        if is_pci(name) && name.matches(':').count() == 1 {
            return format!("0000:{name}").to_ascii_lowercase();
        }
        if is_pci(name) { name.to_ascii_lowercase() } else { name.to_owned() }
    }
}

/// What [`DpdkSet::open`](crate::DpdkSet::open) is asked for.
#[derive(Clone, Debug)]
pub struct DpdkConfig {
    /// The ports: 2*n* and 2*n*+1 are pair *n*.
    pub ports: Vec<DpdkPort>,
    /// Worker threads, 1 to 64.
    pub workers: u8,
    /// Pairs of queues of each port, at least one a worker; `None`: one a worker.
    pub queues: Option<u16>,
    /// What becomes of judged packets.
    pub copy_mode: CopyMode,
    /// Entries of each receive ring, 32 to 32768. The driver may round.
    pub rx_descriptors: u16,
    /// Entries of each transmit ring, 32 to 32768.
    pub tx_descriptors: u16,
    /// Buffers in the pool; `None`: enough.
    pub mempool_size: Option<u32>,
    /// Bytes of a packet that one buffer takes, 1024 to 16384; `None`: a whole packet. With less, a long one is
    /// received into several.
    pub buffer_size: Option<u16>,
    /// Should devices check checksums, where they can?
    pub checksum_offload: bool,
    /// Should ports receive what is not addressed to them? A gate must.
    pub promiscuous: bool,
    /// MTU of all ports, 68 to 9710; `None`: what they have.
    pub mtu: Option<u16>,
    /// Microseconds a worker looks at its rings before it sleeps, 0 to 1000.
    pub busy_poll_us: u32,
    /// Longest sleep of an idle worker in microseconds, 0 to 10000; 0: it never sleeps.
    pub longest_sleep_us: u32,
}

impl Default for DpdkConfig {
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            workers: 1,
            queues: None,
            copy_mode: CopyMode::default(),
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            mempool_size: None,
            buffer_size: None,
            checksum_offload: true,
            promiscuous: true,
            mtu: None,
            busy_poll_us: 0,
            longest_sleep_us: 200,
        }
    }
}

impl DpdkConfig {
    /// Pairs of queues of each port.
    pub(crate) fn queues(&self) -> u16 {
        self.queues.unwrap_or_else(|| u16::from(self.workers))
    }

    /// Refuses what could not work, before anything is opened.
    pub(crate) fn validate(&self) -> Result<(), DpdkError> {
        let invalid = |reason: String| Err(DpdkError::Invalid(reason));
        if self.ports.is_empty() || !self.ports.len().is_multiple_of(2) || self.ports.len() > 256 {
            return invalid("1 to 128 pairs of ports are needed".to_owned());
        }
        for (index, port) in self.ports.iter().enumerate() {
            if let Some(twin) =
                self.ports.iter().take(index).find(|twin| twin.dpdk_name() == port.dpdk_name())
            {
                return invalid(format!(
                    "{} and {} are the same device, {}",
                    twin.name,
                    port.name,
                    port.dpdk_name()
                ));
            }
        }
        if !(1..=64).contains(&self.workers) {
            return invalid("workers must be 1 to 64".to_owned());
        }
        if self.queues() < u16::from(self.workers) {
            return invalid(format!("{} queues are too few for {} workers", self.queues(), self.workers));
        }
        let lanes = usize::from(self.queues().div_ceil(u16::from(self.workers))) * self.ports.len();
        if lanes > MAX_LANES {
            return invalid(format!("{lanes} queues for one worker, but at most {MAX_LANES}"));
        }
        for (what, count) in [("rx", self.rx_descriptors), ("tx", self.tx_descriptors)] {
            if !(32..=32_768).contains(&count) {
                return invalid(format!("{what}-descriptors must be 32 to 32768"));
            }
        }
        if self.buffer_size.is_some_and(|size| !(1024..=16_384).contains(&size)) {
            return invalid("mbuf-size must be 1024 to 16384".to_owned());
        }
        if self.mtu.is_some_and(|mtu| !(68..=9710).contains(&mtu)) {
            return invalid("mtu must be 68 to 9710".to_owned());
        }
        if self.busy_poll_us > 1000 || self.longest_sleep_us > 10_000 {
            return invalid("busy-poll-us is at most 1000 and longest-sleep-us at most 10000".to_owned());
        }
        Ok(())
    }

    /// Bytes of a packet that a buffer takes where the largest MTU is this.
    pub(crate) fn room(&self, mtu: u32) -> u16 {
        let whole = (mtu + LINK_HEADER).next_multiple_of(64).max(2048);
        self.buffer_size.unwrap_or_else(|| u16::try_from(whole).unwrap_or(u16::MAX - 1024))
    }

    /// The longest packet that ports of this MTU bring.
    pub(crate) const fn longest(mtu: u32) -> usize {
        (mtu + LINK_HEADER) as usize
    }

    /// The fewest buffers that do: all rings full, and what every worker and every thread's cache holds. Fewer, and
    /// a ring runs dry without anybody saying so.
    pub(crate) fn least_buffers(&self, rings: &[(u16, u16)]) -> u32 {
        let queues = u32::from(self.queues());
        let workers = u32::from(self.workers);
        let of_rings: u32 =
            rings.iter().map(|(rx, tx)| (u32::from(*rx) + u32::from(*tx)).saturating_mul(queues)).sum();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let steering = (workers * (workers - 1)).saturating_mul(count(STEERING));
        let held = workers * count(BURST + 2 * MAX_FORGED);
        let cached = (workers + 1) * (crate::sys::CACHE + crate::sys::CACHE / 2);
        of_rings.saturating_add(steering).saturating_add(held).saturating_add(cached)
    }

    pub(crate) fn busy_poll(&self) -> Duration {
        Duration::from_micros(u64::from(self.busy_poll_us))
    }

    pub(crate) fn longest_sleep(&self) -> Duration {
        Duration::from_micros(u64::from(self.longest_sleep_us))
    }
}
