//! What the numbers were measured on: machine, kernel, versions, commit, commands.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::workspace;

/// Where, when and with what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// When the run began.
    pub(crate) date: String,
    /// The commit, and whether something was changed since.
    pub(crate) commit: String,
    /// How the run was started.
    pub(crate) command: String,
    /// What kind of CPU, and how many.
    pub(crate) cpu: String,
    /// Its caches and clock, where the machine tells.
    pub(crate) memory: String,
    pub(crate) kernel: String,
    /// The processes that wanted to run when it began: what else the machine does.
    pub(crate) load: String,
    /// What does the machine's virtual hardware, where it is a guest.
    pub(crate) virtualization: String,
    /// Programs and their versions.
    pub(crate) versions: Vec<(String, String)>,
    /// Which commands peers were started with.
    pub(crate) peers: Vec<(String, String)>,
}

impl Machine {
    /// What there is to know before anything is measured.
    pub(crate) fn look() -> Result<Self> {
        let now = jiff::Zoned::now();
        let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
        let words: Vec<String> = std::env::args().skip(1).collect();
        let versions = [
            ("rustc", first_line("rustc", &["--version"])),
            ("clang", first_line("clang", &["--version"])),
            ("iproute2", first_line("ip", &["-Version"])),
            ("nftables", first_line("nft", &["--version"])),
            ("DPDK", package("dpdk-dev")),
            ("netsniff-ng (trafgen)", package("netsniff-ng")),
        ];
        Ok(Self {
            date: now.strftime("%Y-%m-%d %H:%M:%S %Z").to_string(),
            commit: commit()?,
            command: format!("cargo xtask {}", words.join(" ")),
            cpu: format!("{cpus} × {model}"),
            memory,
            kernel: fs::read_to_string("/proc/version").unwrap_or_default().trim().to_owned(),
            load: fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned(),
            virtualization: virtualization(),
            versions: versions.into_iter().map(|(name, version)| (name.to_owned(), version)).collect(),
            peers: Vec::new(),
        })
    }
}

/// The first value of a field of a file of the form `name : value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn virtualization() -> String {
    let is_guest = fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains(" hypervisor"));
    let product = fs::read_to_string("/sys/class/dmi/id/product_name").unwrap_or_default();
    match (is_guest, product.trim()) {
        (false, _) => "none seen".to_owned(),
        (true, "") => "a virtual machine".to_owned(),
        (true, product) => format!("a virtual machine ({product})"),
    }
}

/// The first line that a program says about itself.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("not installed").trim().to_owned()
}

/// The version of a Debian package.
fn package(name: &str) -> String {
    match first_line("dpkg-query", &["--show", "--showformat=${Version}\n", name]) {
        version if version.is_empty() => "not installed".to_owned(),
        version => version,
    }
}

fn commit() -> Result<String> {
    let root = workspace::root()?;
    let git = |arguments: &[&str]| {
        // Under sudo the folder is another user's, which git refuses without being told.
        let safe = format!("safe.directory={}", root.display());
        let output = Command::new("git").arg("-C").arg(&root).args(["-c", &safe]).args(arguments).output();
        output
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return Ok("unknown (no git here)".to_owned());
    };
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    Ok(if changed { format!("{commit} with changes") } else { commit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let machine = Machine::look().unwrap();
        for text in [&machine.date, &machine.commit, &machine.cpu, &machine.memory, &machine.kernel] {
            assert!(!text.trim().is_empty(), "{machine:?}");
        }
        let rustc = &machine.versions.first().unwrap().1;
        assert!(rustc.starts_with("rustc 1."), "{rustc}");
    }

    #[test]
    fn what_is_not_installed_is_said_to_be_so() {
        assert_eq!(first_line("no-such-program", &[]), "not installed");
        assert_eq!(package("no-such-package-at-all"), "not installed");
    }
}
