//! Installing what building, testing and the demo need: Debian packages, only those that are
//! missing, and never without saying so.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use portcullis_testkit::is_root;

use crate::privilege::require_sudo;
use crate::program::is_installed;
use crate::say;

/// Something that must be there.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// How to see that it is there, however it came.
    sign: Sign,
    /// The Debian package that brings it.
    package: &'static str,
    /// What it is for.
    purpose: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Sign {
    /// A program on the search path.
    Program(&'static str),
    /// A C header below `/usr/include` or the folder of the machine's own headers.
    Header(&'static str),
}

const NEEDS: &[Need] = &[
    program("gcc", "gcc", "compiles libbpf and libxdp"),
    program("g++", "g++", "compiles libFuzzer"),
    program("make", "make", "builds libbpf and libxdp"),
    program("m4", "m4", "builds libxdp"),
    program("clang", "clang", "compiles the XDP program"),
    program("pkg-config", "pkg-config", "finds the libraries"),
    header("linux/bpf.h", "linux-libc-dev", "says how the kernel speaks BPF"),
    header("libelf.h", "libelf-dev", "reads BPF objects"),
    header("zlib.h", "zlib1g-dev", "is needed by libelf"),
    program("ip", "iproute2", "makes namespaces and interfaces"),
    program("ethtool", "ethtool", "switches offloads of interfaces"),
    program("nsenter", "util-linux", "runs programs in namespaces"),
    program("ping", "iputils-ping", "sends the demo's first packets"),
    program("curl", "curl", "downloads through the gate in the demo"),
    program("python3", "python3", "serves the demo's files"),
    program("tcpdump", "tcpdump", "captures the demo's traffic"),
    program("suricata-update", "suricata-update", "keeps the rules that a test loads"),
    program("tcprewrite", "tcpreplay", "cuts captures up to try evasions"),
    program("addr2line", "binutils", "tells which function instructions belong to"),
    program("valgrind", "valgrind", "counts instructions"),
    program("trafgen", "netsniff-ng", "turns captures into load and replays it"),
];

/// What the tests of DPDK's packet module need besides. Nothing else does.
const DPDK_NEEDS: &[Need] = &[
    header("dpdk/rte_ethdev.h", "libdpdk-dev", "brings DPDK and its drivers (over 200 packages)"),
    program("iperf3", "iperf3", "loads the gate over DPDK's ports"),
];

/// What a BFD session takes. Nothing else needs it.
const BFD_NEEDS: &[Need] = &[program("vtysh", "frr", "speaks BFD from host to host")];

/// What the load test puts beside the gate.
const PEER_NEEDS: &[Need] = &[
    program("nft", "nftables", "is a peer in the load test"),
    program("dpdk-testpmd", "dpdk-dev", "is a peer in the load test (over 200 packages)"),
];

const fn program(name: &'static str, package: &'static str, purpose: &'static str) -> Need {
    Need { sign: Sign::Program(name), package, purpose }
}

const fn header(name: &'static str, package: &'static str, purpose: &'static str) -> Need {
    Need { sign: Sign::Header(name), package, purpose }
}

/// Installs what is missing.
pub(crate) fn run() -> Result<()> {
    install(NEEDS)
}

/// Installs what is missing for DPDK.
pub(crate) fn dpdk() -> Result<()> {
    install(DPDK_NEEDS)
}

/// Installs what is missing for BFD.
pub(crate) fn bfd() -> Result<()> {
    install(BFD_NEEDS)
}

/// Installs what is missing of the load test's peers.
pub(crate) fn peers() -> Result<()> {
    install(PEER_NEEDS)
}

fn install(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        say::detail("every package that is needed is installed");
        return Ok(());
    }
    say::step("Installing Debian packages that are missing:");
    for need in &missing {
        say::detail(&format!("{:<16} {}", need.package, need.purpose));
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let list = packages.join(" ");
    if !is_installed("apt-get") {
        bail!("this is not Debian or Ubuntu (no apt-get); install what these packages hold by hand: {list}");
    }
    require_sudo().with_context(|| format!("cannot install {list}"))?;
    if lists_are_empty() {
        apt_get(&["update"])?;
    }
    let install = ["install", "--yes", "--no-install-recommends"];
    if apt_get(&[&install, packages.as_slice()].concat()).is_err() {
        say::detail("that failed; the package lists may be out of date, so they are fetched again");
        apt_get(&["update"])?;
        apt_get(&[&install, packages.as_slice()].concat())?;
    }
    let still = self::missing(needs);
    ensure!(still.is_empty(), "still missing after installing {list}: {}", names(&still));
    Ok(())
}

fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().copied().filter(|need| !is_there(need.sign)).collect()
}

fn names(needs: &[Need]) -> String {
    needs.iter().map(|need| need.package).collect::<Vec<_>>().join(" ")
}

fn is_there(sign: Sign) -> bool {
    match sign {
        Sign::Program(name) => is_installed(name),
        Sign::Header(name) => {
            let machine = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
            ["/usr/include", &machine].iter().any(|folder| Path::new(folder).join(name).exists())
        }
    }
}

/// A fresh container has no package lists until the first update.
fn lists_are_empty() -> bool {
    let entries = fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten();
    !entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().contains("Packages"))
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut words = vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    words.extend(arguments);
    if !is_root() {
        words.insert(0, "sudo");
    }
    say::detail(&format!("$ {}", words.join(" ")));
    let status = Command::new(words[0])
        .args(&words[1..])
        .status()
        .with_context(|| format!("cannot start {}", words[0]))?;
    ensure!(status.success(), "apt-get failed ({status})");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_seen_and_what_is_not_is_not() {
        assert!(is_there(Sign::Program("sh")));
        assert!(!is_there(Sign::Program("no-such-program")));
        assert!(!is_there(Sign::Header("no/such/header.h")));
    }

    #[test]
    fn each_package_is_named_once() {
        let all = || NEEDS.iter().chain(DPDK_NEEDS).chain(BFD_NEEDS).chain(PEER_NEEDS);
        let mut packages: Vec<&str> = all().map(|need| need.package).collect();
        packages.sort_unstable();
        packages.dedup();
        assert_eq!(packages.len(), all().count());
    }
}
