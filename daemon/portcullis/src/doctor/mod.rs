//! `portcullis doctor`: looks whether this machine and its ports are fit for the gate, says what mends what is not,
//! and with `--fix` applies the mends that are safe.
//!
//! - `finding`: one line of what is said
//! - `system`: the machine; `confinement`: what it has to confine the gate with
//! - `port`: one port as plain data; `xdp`, `offloads`, `owners`, `spread`, `rss`, `pair`: what is made of it, by topic
//! - `dpdk`: ports that DPDK is to drive
//! - `fix`: applying mends
//! - `source`: reading files of the kernel
//!
//! Invariants: what is asked for and what is made of it are apart, so that every check is a function of plain data;
//! without `--fix` nothing is changed; nothing here needs a daemon, or disturbs one that runs.

mod confinement;
mod dpdk;
mod finding;
mod fix;
mod offloads;
mod owners;
mod pair;
mod port;
mod rss;
mod source;
mod spread;
mod system;
mod xdp;

pub use finding::{Finding, Level, Mend};

use crate::cli::{ConfigArgs, DoctorArgs};
use crate::config::{self, AfXdpRequire, BindMode, CaptureModule, Config, Inline, RssMode};
use crate::exit::Failure;
use crate::output;
use fix::Mended;
use port::Port;
use portcullis_bpf::GateError;
use serde_json::json;
use std::process::ExitCode;
use system::System;

/// Bytes of a frame, and how many a queue has for each entry of its rings.
const FRAME: u64 = 4096;
const FRAMES_AN_ENTRY: u64 = 2;

/// Looks, mends if it is to, and says what it found.
///
/// The exit status is 0 where all is as it should be, 1 where there are warnings, 2 where there are faults, or the
/// configuration cannot be read.
///
/// # Errors
/// None: what goes wrong is said.
pub fn run(arguments: &DoctorArgs) -> Result<ExitCode, Failure> {
    let wanted = match Wanted::new(arguments) {
        Ok(wanted) => wanted,
        Err(failure) => {
            output::failure(&failure);
            return Ok(ExitCode::from(2));
        }
    };
    let mut findings = wanted.examine();
    let mut mended = Vec::new();
    if arguments.fix {
        mended = wanted.mend(&findings);
        if !mended.is_empty() {
            findings = wanted.examine();
        }
    }
    let level = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    if arguments.json {
        output::line(&to_json(level, &findings, &mended));
    } else {
        mended.iter().for_each(|mended| output::line(&mended.to_string()));
        findings.iter().for_each(|finding| output::line(&finding.to_string()));
        output::line(&summary(&findings));
    }
    Ok(ExitCode::from(match level {
        Level::Ok => 0,
        Level::Warning => 1,
        Level::Fault => 2,
    }))
}

/// What is to be looked at.
#[derive(Debug)]
struct Wanted {
    /// Pairs of ports; the last may lack its peer.
    pairs: Vec<Vec<String>>,
    config: Option<Config>,
}

impl Wanted {
    fn new(arguments: &DoctorArgs) -> Result<Self, Failure> {
        let config = match &arguments.config {
            None => None,
            Some(path) => {
                let source = ConfigArgs { config: Some(path.clone()), set: Vec::new() };
                let loaded = config::load(&source, Inline::ByCopyMode)?;
                output::warnings(&loaded);
                Some(loaded.config)
            }
        };
        let over_xdp = config.iter().filter(|config| config.capture.module == CaptureModule::AfXdp);
        let sets = over_xdp.flat_map(|config| &config.inline_sets);
        let configured = sets.flat_map(|set| set.pairs.iter().map(|pair| pair.to_vec()));
        let named = arguments.interfaces.chunks(2).map(<[String]>::to_vec);
        Ok(Self { pairs: configured.chain(named).collect(), config })
    }

    /// Looks at everything.
    fn examine(&self) -> Vec<Finding> {
        let ports: Vec<Vec<Result<Port, (String, GateError)>>> = self
            .pairs
            .iter()
            .map(|pair| {
                pair.iter().map(|name| Port::gather(name).map_err(|error| (name.clone(), error))).collect()
            })
            .collect();
        let there = || ports.iter().flatten().flatten();
        let mut findings = Vec::new();
        if let Some(config) = self.dpdk() {
            findings.extend(dpdk::Facts::gather(config).check());
        }
        if self.dpdk().is_none() || !ports.is_empty() {
            findings.extend(System::gather(self.packet_memory(there())).check());
            findings.extend(confinement::Facts::gather().check(self.security()));
        }
        for pair in &ports {
            for port in pair {
                match port {
                    Ok(port) => findings.extend(self.check(port)),
                    Err((name, error)) => findings.push(missing(name, error)),
                }
            }
            if let [Ok(first), Ok(second)] = pair.as_slice() {
                findings.extend(pair::check(first, second));
            }
        }
        findings
    }

    /// What of the gate's rights it is to give up: all, unless the configuration says otherwise.
    fn security(&self) -> confinement::Asked {
        self.config.as_ref().map_or(confinement::Asked { seccomp: true, landlock: true }, |config| {
            let wanted = &config.security;
            let seccomp = wanted.seccomp.enabled || wanted.limit_noproc;
            confinement::Asked { seccomp, landlock: wanted.landlock.enabled }
        })
    }

    /// The configuration, where its sets are DPDK's.
    fn dpdk(&self) -> Option<&Config> {
        self.config.as_ref().filter(|config| config.capture.module == CaptureModule::Dpdk)
    }

    fn check(&self, port: &Port) -> Vec<Finding> {
        let af_xdp = self.config.as_ref().map(|config| &config.capture.af_xdp);
        let zero_copy = af_xdp.is_some_and(|af_xdp| {
            af_xdp.require == AfXdpRequire::ZeroCopy || af_xdp.bind_mode == BindMode::ZeroCopy
        });
        let cpus = self.config.as_ref().map(|config| config.capture.cpus.as_slice()).unwrap_or_default();
        let mut findings = xdp::check(port, zero_copy);
        findings.push(pair::check_mtu(port));
        let rss = af_xdp.map_or(RssMode::Symmetric, |af_xdp| af_xdp.rss);
        findings.extend(spread::check(port, cpus, rss));
        findings.extend(offloads::check(port));
        findings.extend(owners::check(port));
        findings
    }

    /// Bytes of packet memory that the configured gate wants in huge pages.
    fn packet_memory<'a>(&self, ports: impl Iterator<Item = &'a Port>) -> u64 {
        let Some(config) = self.config.as_ref().filter(|config| config.capture.af_xdp.huge_pages) else {
            return 0;
        };
        let queues: u64 = ports.map(|port| u64::from(port.queues)).sum();
        queues * u64::from(config.capture.af_xdp.ring_size) * FRAMES_AN_ENTRY * FRAME
    }

    /// Applies what is safe: never to an interface that this host itself talks through.
    fn mend(&self, findings: &[Finding]) -> Vec<Mended> {
        let in_use = |name: &str| {
            Port::gather(name).is_ok_and(|port| port.default_route || !port.addresses.is_empty())
        };
        fix::apply(findings, in_use)
    }
}

fn missing(name: &str, error: &GateError) -> Finding {
    Finding::fault("interface", error.to_string()).advise("ip link shows what there is").at(name)
}

fn to_json(level: Level, findings: &[Finding], mended: &[Mended]) -> String {
    json!({
        "level": level.word(),
        "findings": findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
        "mended": mended.iter().map(Mended::to_json).collect::<Vec<_>>(),
    })
    .to_string()
}

fn summary(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    format!("{} ok, {} warnings, {} faults", count(Level::Ok), count(Level::Warning), count(Level::Fault))
}
