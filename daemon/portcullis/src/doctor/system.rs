//! The machine: kernel, BTF, capabilities, the BPF file system, locked memory, huge pages.

use super::finding::Finding;
use super::source::read;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// Oldest kernel that the gate is made for.
const OLDEST: (u32, u32) = (5, 15);
/// From here on AF_XDP takes frames of several buffers.
const MULTI_BUFFER: (u32, u32) = (6, 6);
/// Where pins are.
const BPFFS: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` (linux/magic.h).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// What the machine tells of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct System {
    /// The kernel's release, as `uname -r` has it.
    pub(crate) release: String,
    /// Does the kernel describe its types?
    pub(crate) btf: bool,
    /// Capabilities that this process lacks.
    pub(crate) missing: Vec<&'static str>,
    /// Is the BPF file system mounted?
    pub(crate) bpffs: bool,
    /// Bytes of memory that may be locked; `None`: any number.
    pub(crate) memlock: Option<u64>,
    /// `/proc/meminfo`.
    pub(crate) meminfo: String,
    /// Bytes of packet memory that the gate will ask for in huge pages; 0 where it is not to.
    pub(crate) packet_memory: u64,
}

impl System {
    /// Asks the machine.
    pub(crate) fn gather(packet_memory: u64) -> Self {
        let missing = missing_capabilities();
        let may_lock = has(CapabilitySet::IPC_LOCK);
        let magic = rustix::fs::statfs(BPFFS).map(|stat| u64::try_from(stat.f_type).unwrap_or(0));
        Self {
            release: read("/proc/sys/kernel/osrelease"),
            btf: std::path::Path::new("/sys/kernel/btf/vmlinux").exists(),
            missing,
            bpffs: magic == Ok(BPF_FS_MAGIC),
            memlock: if may_lock { None } else { getrlimit(Resource::Memlock).current },
            meminfo: read("/proc/meminfo"),
            packet_memory,
        }
    }

    /// What is to be said about it.
    pub(crate) fn check(&self) -> Vec<Finding> {
        vec![
            self.kernel(),
            self.types(),
            self.permitted(),
            self.file_system(),
            self.locked(),
            self.huge_pages(),
        ]
    }

    fn kernel(&self) -> Finding {
        let release = &self.release;
        match version(release) {
            Some(version) if version < OLDEST => {
                let (major, minor) = OLDEST;
                Finding::fault("kernel", format!("Linux {release} is older than {major}.{minor}"))
                    .advise("install a newer kernel")
            }
            Some(version) if version < MULTI_BUFFER => {
                let (major, minor) = MULTI_BUFFER;
                let text = format!("Linux {release}: jumbo frames over AF_XDP need {major}.{minor}");
                Finding::warning("kernel", text)
                    .advise("install a newer kernel, where frames are larger than a page")
            }
            Some(_) => Finding::ok("kernel", format!("Linux {release}")),
            None => Finding::warning("kernel", format!("{release:?} is no version of Linux that is known")),
        }
    }

    fn types(&self) -> Finding {
        if self.btf {
            return Finding::ok("btf", "the kernel describes its types");
        }
        let text = "the kernel does not describe its types (no /sys/kernel/btf/vmlinux), so tracing tools cannot look \
                    into the gate's programs";
        Finding::warning("btf", text).advise("use a kernel with CONFIG_DEBUG_INFO_BTF=y")
    }

    fn permitted(&self) -> Finding {
        if self.missing.is_empty() {
            return Finding::ok("capabilities", "all that the gate needs");
        }
        let text = format!("this process lacks {}", self.missing.join(", "));
        Finding::fault("capabilities", text)
            .advise("run it as root, or give the service these AmbientCapabilities=")
    }

    fn file_system(&self) -> Finding {
        if self.bpffs {
            return Finding::ok("bpffs", format!("mounted on {BPFFS}"));
        }
        let text = format!("the BPF file system is not mounted on {BPFFS}: `run` mounts it, if it may");
        Finding::warning("bpffs", text).mended_by(&format!("mount -t bpf bpf {BPFFS}"))
    }

    fn locked(&self) -> Finding {
        match self.memlock {
            None => Finding::ok("memlock", "any amount of memory may be locked"),
            Some(limit) if limit >= self.packet_memory.max(LITTLE) => {
                Finding::ok("memlock", format!("{} may be locked", size(limit)))
            }
            Some(limit) => {
                let text = format!("only {} may be locked: too little for packet memory", size(limit));
                Finding::fault("memlock", text)
                    .advise("LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited")
            }
        }
    }

    fn huge_pages(&self) -> Finding {
        let value = |key: &str| {
            let line = self.meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        let (total, free) = (value("HugePages_Total"), value("HugePages_Free"));
        let page = value("Hugepagesize") * 1024;
        if self.packet_memory == 0 || page == 0 {
            return Finding::ok("huge-pages", format!("{free} free of {total}"));
        }
        let needed = self.packet_memory.div_ceil(page);
        if free >= needed {
            return Finding::ok("huge-pages", format!("{free} free, {needed} are needed"));
        }
        let text = format!(
            "{free} free, but {needed} are needed: packet memory lies in ordinary pages, which are slower, and slower to \
             free after a crash (a running gate has its own already)"
        );
        Finding::warning("huge-pages", text)
            .advise(format!("sysctl -w vm.nr_hugepages={}", total + needed - free))
    }
}

/// Locked memory that the smallest gate needs.
const LITTLE: u64 = 64 << 20;

fn missing_capabilities() -> Vec<&'static str> {
    // CAP_SYS_ADMIN stands for both of BPF, as it did before Linux 5.8.
    let is_admin = has(CapabilitySet::SYS_ADMIN);
    let needed = [
        ("CAP_NET_ADMIN", has(CapabilitySet::NET_ADMIN)),
        ("CAP_NET_RAW", has(CapabilitySet::NET_RAW)),
        ("CAP_BPF", is_admin || has(CapabilitySet::BPF)),
        ("CAP_PERFMON", is_admin || has(CapabilitySet::PERFMON)),
    ];
    needed.iter().filter_map(|(name, has)| (!has).then_some(*name)).collect()
}

fn has(capability: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}

/// `6.12.90+deb13-amd64` is 6.12.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn good() -> System {
        System {
            release: "6.12.90+deb13-amd64".to_owned(),
            btf: true,
            missing: Vec::new(),
            bpffs: true,
            memlock: None,
            meminfo:
                "MemTotal: 1 kB\nHugePages_Total:      40\nHugePages_Free:       40\nHugepagesize: 2048 kB\n"
                    .to_owned(),
            packet_memory: 64 << 20,
        }
    }

    /// The one finding that is not as it should be: topic, level, part of the text, command.
    fn check(system: &System, topic: &str, level: Level, text: &str, command: &str) {
        let bad: Vec<Finding> =
            system.check().into_iter().filter(|finding| finding.level > Level::Ok).collect();
        let [finding] = bad.as_slice() else { panic!("{bad:?}") };
        assert_eq!((finding.topic, finding.level), (topic, level));
        assert!(finding.text.contains(text), "{finding}");
        assert_eq!(finding.mend.as_ref().unwrap().to_string(), command);
    }

    #[test]
    fn a_good_machine_is_found_good() {
        assert!(good().check().iter().all(|finding| finding.level == Level::Ok), "{:?}", good().check());
    }

    #[test]
    fn every_fault_is_found() {
        let old = System { release: "5.10.0-28-amd64".to_owned(), ..good() };
        check(&old, "kernel", Level::Fault, "older than 5.15", "install a newer kernel");
        let older = System { release: "6.1.0".to_owned(), ..good() };
        let advice = "install a newer kernel, where frames are larger than a page";
        check(&older, "kernel", Level::Warning, "jumbo frames over AF_XDP need 6.6", advice);
        let untyped = System { btf: false, ..good() };
        check(&untyped, "btf", Level::Warning, "types", "use a kernel with CONFIG_DEBUG_INFO_BTF=y");
        let unmounted = System { bpffs: false, ..good() };
        check(&unmounted, "bpffs", Level::Warning, "not mounted", "mount -t bpf bpf /sys/fs/bpf");
        let weak = System { missing: vec!["CAP_BPF", "CAP_NET_RAW"], ..good() };
        let advice = "run it as root, or give the service these AmbientCapabilities=";
        check(&weak, "capabilities", Level::Fault, "lacks CAP_BPF, CAP_NET_RAW", advice);
        let unlocked = System { memlock: Some(8 << 20), ..good() };
        let advice = "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited";
        check(&unlocked, "memlock", Level::Fault, "only 8 MiB may be locked", advice);
        let small = System { packet_memory: 100 << 20, ..good() };
        check(&small, "huge-pages", Level::Warning, "40 free, but 50", "sysctl -w vm.nr_hugepages=50");
    }

    #[test]
    fn versions_are_read() {
        for (release, expected) in
            [("6.18.44-fc-v669", Some((6, 18))), ("7.0", Some((7, 0))), ("", None), ("x.y", None)]
        {
            assert_eq!(version(release), expected, "{release}");
        }
    }
}
