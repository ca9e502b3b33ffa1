//! `[security]`: what the gate may still ask of the kernel once it has its queues.

use super::Place;
use super::section::Section;
use super::value::words;
use std::path::{Path, PathBuf};

words! {
    /// `security.seccomp.action`: what comes of a system call that the gate has no business with.
    pub SyscallAction {
        /// The gate dies at once, as of any other crash: the fail policy acts, and another gate is started.
        Kill = "kill",
        /// The call fails with "operation not permitted".
        Errno = "errno",
        /// The kernel's audit log has it, and it is done.
        Log = "log",
    }
}

words! {
    /// `security.seccomp.allow`: what plugins may need besides.
    pub SyscallGroup {
        /// Sockets of any kind.
        Network = "network",
    }
}

/// `[security.seccomp]`: the filter of system calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompConfig {
    /// `enabled`.
    pub enabled: bool,
    /// `action`.
    pub action: SyscallAction,
    /// `allow`.
    pub allow: Vec<SyscallGroup>,
}

/// `[security.landlock]`: the folders that the gate sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LandlockConfig {
    /// `enabled`: where the kernel has it.
    pub enabled: bool,
    /// `directories.read`: besides those of the configuration, rules and lists.
    pub read: Vec<PathBuf>,
    /// `directories.write`: besides that of `rules.state-file`.
    pub write: Vec<PathBuf>,
}

/// `[security]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityConfig {
    /// `limit-noproc`: the gate starts no programs and no processes.
    pub limit_noproc: bool,
    /// `[security.seccomp]`.
    pub seccomp: SeccompConfig,
    /// `[security.landlock]`.
    pub landlock: LandlockConfig,
}

impl SecurityConfig {
    pub(crate) fn read(section: &mut Section<'_>, folder: &Path) -> Self {
        Self {
            limit_noproc: section.or("limit-noproc", true),
            seccomp: section.section("seccomp", |section| SeccompConfig {
                enabled: section.or("enabled", true),
                action: section.or("action", SyscallAction::Kill),
                allow: section.or("allow", Vec::new()),
            }),
            landlock: section.section("landlock", |section| {
                let enabled = section.or("enabled", true);
                let read = |section: &mut Section<'_>| {
                    (directories(section, "read", folder), directories(section, "write", folder))
                };
                let (read, write) = section.section("directories", read);
                LandlockConfig { enabled, read, write }
            }),
        }
    }
}

fn directories(section: &mut Section<'_>, key: &'static str, folder: &Path) -> Vec<PathBuf> {
    let names: Vec<PathBuf> = section.or(key, Vec::new());
    let base = if let Place::File(_) = section.place(key) { folder } else { Path::new("") };
    names.iter().map(|name| base.join(name)).collect()
}
