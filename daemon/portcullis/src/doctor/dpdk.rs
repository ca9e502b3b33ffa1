//! Ports that DPDK is to drive: whether their devices are there and free for it, and what a gate over them cannot do.

use super::finding::Finding;
use super::offloads;
use super::port::Port;
use super::source::{link_name, read};
use crate::config::{Config, FailPolicy};
use crate::run;
use portcullis_bpf::GateError;
use std::path::Path;

/// Drivers of the kernel that lend a card to programs.
const LENDERS: [&str; 3] = ["vfio-pci", "uio_pci_generic", "igb_uio"];
/// Drivers of the kernel beside which DPDK drives the same card.
const SHARERS: [&str; 3] = ["mlx4_core", "mlx5_core", "mana"];
/// Where the kernel shows PCI devices.
const PCI: &str = "/sys/bus/pci/devices";

/// What is known of a port's device.
#[derive(Debug)]
pub(crate) enum Device {
    /// On the PCI bus.
    Pci { address: String, there: bool, driver: Option<String>, behind_iommu: bool },
    /// Virtual, on an interface of the kernel.
    Over { interface: Box<Result<Port, GateError>> },
    /// Virtual, and of nothing that could be looked at.
    Virtual,
    /// None was named.
    Missing,
}

/// Everything about the gate that is configured.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Why this build cannot do it.
    supported: Result<(), &'static str>,
    /// Is a set to fail open, or with its links down?
    promises: bool,
    huge_pages: bool,
    /// `/proc/meminfo`.
    meminfo: String,
    ports: Vec<(String, Device)>,
}

impl Facts {
    /// Asks the machine.
    pub(crate) fn gather(config: &Config) -> Self {
        let settings = &config.capture.dpdk;
        let fails = config.inline_sets.iter().map(|set| set.fail.unwrap_or(config.fail));
        let names = config.inline_sets.iter().flat_map(|set| set.pairs.iter().flatten());
        let device = |name: &String| {
            let known = settings.ports.iter().find(|(other, _)| other == name);
            (name.clone(), known.map_or(Device::Missing, |(_, device)| Device::gather(device)))
        };
        Self {
            supported: run::has_dpdk(),
            promises: fails.into_iter().any(|fail| fail != FailPolicy::Closed),
            huge_pages: settings.huge_pages,
            meminfo: read("/proc/meminfo"),
            ports: names.map(device).collect(),
        }
    }

    /// What is to be said about it.
    pub(crate) fn check(&self) -> Vec<Finding> {
        let mut findings = vec![self.build(), self.death()];
        findings.push(Finding::ok(
            "verdict-cache",
            "condemned flows are dropped by the ports where their drivers take rules for it (rte_flow): `run` says at its \
             start whether these do",
        ));
        if self.huge_pages {
            findings.push(self.memory());
        }
        findings.extend(self.ports.iter().flat_map(|(name, device)| device.check(name)));
        findings
    }

    fn build(&self) -> Finding {
        match self.supported {
            Ok(()) => Finding::ok("dpdk", "this build has DPDK"),
            Err(reason) => Finding::fault("dpdk", reason).advise("cargo build --release --features dpdk"),
        }
    }

    /// There is no program in the kernel that acts when no process does.
    fn death(&self) -> Finding {
        let text = "the ports go dark when the gate ends or dies, until another has started: nothing passes meanwhile";
        if self.promises {
            return Finding::warning("fail", format!("{text}, whatever `fail` says"))
                .advise("fail = \"closed\" says what happens; a bypass NIC, or capture.module = \"af-xdp\", lets pass");
        }
        Finding::ok("fail", text)
    }

    fn memory(&self) -> Finding {
        let line = self.meminfo.lines().find_map(|line| line.strip_prefix("HugePages_Free:"));
        let free = line.and_then(|line| line.trim().parse::<u64>().ok()).unwrap_or(0);
        if free > 0 {
            return Finding::ok("huge-pages", format!("{free} free"));
        }
        let text =
            "none are free, and DPDK shall take its memory from them (a running gate has its own already)";
        Finding::fault("huge-pages", text)
            .advise("sysctl -w vm.nr_hugepages=512, or capture.dpdk.huge-pages = false")
    }
}

impl Device {
    fn gather(device: &str) -> Self {
        let mut parts = device.split(',');
        let name = parts.next().unwrap_or_default();
        if name.contains(':') {
            let address =
                if name.matches(':').count() == 1 { format!("0000:{name}") } else { name.to_owned() };
            let address = address.to_ascii_lowercase();
            let folder = Path::new(PCI).join(&address);
            return Self::Pci {
                there: folder.exists(),
                driver: link_name(folder.join("driver")),
                behind_iommu: folder.join("iommu_group").exists(),
                address,
            };
        }
        match parts.find_map(|part| part.strip_prefix("iface=")) {
            Some(interface) if !name.starts_with("net_tap") => {
                Self::Over { interface: Box::new(Port::gather(interface)) }
            }
            _ => Self::Virtual,
        }
    }

    fn check(&self, name: &str) -> Vec<Finding> {
        let findings = match self {
            Self::Pci { address, there, driver, behind_iommu } => {
                vec![card(address, *there, driver.as_deref(), *behind_iommu)]
            }
            Self::Over { interface } => match interface.as_ref() {
                // What interfaces of the kernel put together is no frame that came by the wire.
                Ok(port) => return offloads::check(port),
                Err(error) => {
                    vec![Finding::fault("device", error.to_string()).advise("ip link shows what there is")]
                }
            },
            Self::Virtual => vec![Finding::ok("device", "a virtual one")],
            Self::Missing => vec![
                Finding::fault("device", "capture.dpdk.ports names none for it")
                    .advise(format!("{name} = \"0000:03:00.0\" there, or a virtual device")),
            ],
        };
        findings.into_iter().map(|finding| finding.at(name)).collect()
    }
}

fn card(address: &str, there: bool, driver: Option<&str>, behind_iommu: bool) -> Finding {
    let bind = format!("dpdk-devbind.py -b vfio-pci {address}");
    if !there {
        return Finding::fault("device", format!("there is no {address}"))
            .advise("lspci -D shows what there is");
    }
    match driver {
        Some(driver) if SHARERS.contains(&driver) => {
            Finding::ok("device", format!("{address} is {driver}'s, which DPDK shares it with"))
        }
        Some(driver) if LENDERS.contains(&driver) => {
            if behind_iommu {
                return Finding::ok("device", format!("{address} is {driver}'s, behind the IOMMU"));
            }
            let text =
                format!("{address} is {driver}'s, but behind no IOMMU: the card can write to all memory");
            Finding::warning("device", text)
                .advise("iommu=pt intel_iommu=on (or amd_iommu=on) on the kernel's command line")
        }
        Some(driver) => {
            Finding::fault("device", format!("{address} is driven by the kernel ({driver})")).advise(bind)
        }
        None => Finding::fault("device", format!("{address} has no driver")).advise(bind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn facts() -> Facts {
        let card = Device::Pci {
            address: "0000:03:00.0".to_owned(),
            there: true,
            driver: Some("vfio-pci".to_owned()),
            behind_iommu: true,
        };
        Facts {
            supported: Ok(()),
            promises: false,
            huge_pages: true,
            meminfo: "HugePages_Total:      40\nHugePages_Free:       40\n".to_owned(),
            ports: vec![("a".to_owned(), card), ("b".to_owned(), Device::Virtual)],
        }
    }

    /// The one finding that is not as it should be.
    fn check(facts: &Facts, topic: &str, level: Level, text: &str, mend: &str) {
        let bad: Vec<Finding> =
            facts.check().into_iter().filter(|finding| finding.level > Level::Ok).collect();
        let [finding] = bad.as_slice() else { panic!("{bad:?}") };
        assert_eq!((finding.topic, finding.level), (topic, level), "{finding}");
        assert!(finding.text.contains(text), "{finding}");
        assert!(finding.mend.as_ref().unwrap().to_string().contains(mend), "{finding}");
    }

    fn with(device: Device) -> Facts {
        Facts { ports: vec![("a".to_owned(), device)], ..facts() }
    }

    fn pci(there: bool, driver: Option<&str>, behind_iommu: bool) -> Device {
        let (address, driver) = ("0000:03:00.0".to_owned(), driver.map(str::to_owned));
        Device::Pci { address, there, driver, behind_iommu }
    }

    #[test]
    fn good_ports_are_found_good() {
        let good = |facts: &Facts| facts.check().iter().all(|finding| finding.level == Level::Ok);
        assert!(good(&facts()), "{:?}", facts().check());
        assert!(good(&with(pci(true, Some("mlx5_core"), false))));
        assert!(good(&Facts { huge_pages: false, meminfo: String::new(), ..facts() }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let old = Facts { supported: Err("this build has no DPDK"), ..facts() };
        check(&old, "dpdk", Level::Fault, "no DPDK", "--features dpdk");
        let open = Facts { promises: true, ..facts() };
        check(&open, "fail", Level::Warning, "go dark when the gate ends or dies", "closed");
        let poor = Facts { meminfo: "HugePages_Free:        0\n".to_owned(), ..facts() };
        check(&poor, "huge-pages", Level::Fault, "none are free", "vm.nr_hugepages");
        check(&with(pci(false, None, false)), "device", Level::Fault, "there is no 0000:03:00.0", "lspci");
        let bind = "dpdk-devbind.py -b vfio-pci 0000:03:00.0";
        check(&with(pci(true, None, true)), "device", Level::Fault, "no driver", bind);
        check(&with(pci(true, Some("igb"), true)), "device", Level::Fault, "by the kernel (igb)", bind);
        check(&with(pci(true, Some("vfio-pci"), false)), "device", Level::Warning, "no IOMMU", "intel_iommu");
        check(&with(Device::Missing), "device", Level::Fault, "names none", "a = \"0000:03:00.0\"");
        let nowhere = Device::gather("net_af_packet0,iface=pc-nowhere");
        check(&with(nowhere), "device", Level::Fault, "pc-nowhere", "ip link");
    }

    #[test]
    fn devices_are_told_apart() {
        let found = Device::gather("FF:1f.7,opt=1");
        assert!(
            matches!(&found, Device::Pci { address, there: false, .. } if address == "0000:ff:1f.7"),
            "{found:?}"
        );
        for device in ["net_null0", "net_pcap0,rx_pcap=a.pcap", "net_tap0,iface=made"] {
            assert!(matches!(Device::gather(device), Device::Virtual), "{device}");
        }
    }
}
