//! `[[inline-set]]` and `[capture]`: which ports, how they are served, by how many workers.

use super::diagnostic::Diagnostic;
use super::dpdk::DpdkConfig;
use super::section::Section;
use super::tree::{Node, Value};
use super::value::{Setting, expected, words};
use super::{FailPolicy, OverloadPolicy};
use std::collections::BTreeSet;
use std::num::NonZeroU8;

/// Most ports of all inline sets together: they are numbered in a byte, two a pair.
const MAX_PORTS: usize = 256;

/// Longest name of a network interface on Linux, in bytes (`IFNAMSIZ` less the zero).
const MAX_INTERFACE_NAME: usize = 15;

/// `[[inline-set]]`: port pairs whose traffic belongs together, so that a flow may take any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineSet {
    /// Its name in logs and counters.
    pub name: String,
    /// The pairs, by interface name.
    pub pairs: Vec<[String; 2]>,
    /// `fail` for this set alone.
    pub fail: Option<FailPolicy>,
    /// `overload` for this set alone.
    pub overload: Option<OverloadPolicy>,
    /// `would-drop`: is nothing dropped that comes in by its ports, and alerts tell what would have been?
    pub would_drop: bool,
}

/// An interface name as the kernel accepts it.
struct Interface(String);

impl Setting for Interface {
    fn read(node: &Node) -> Result<Self, String> {
        let Value::String(name) = &node.value else { return expected("an interface name", node) };
        let odd = |c: char| c == '/' || c.is_whitespace();
        if name.is_empty() || name.len() > MAX_INTERFACE_NAME || name.contains(odd) {
            return Err(format!("{name:?} cannot be the name of an interface"));
        }
        Ok(Self(name.clone()))
    }
}

/// Two different interfaces.
struct Pair([String; 2]);

impl Setting for Pair {
    fn read(node: &Node) -> Result<Self, String> {
        let Value::Array(items) = &node.value else { return expected("a pair of interface names", node) };
        let names: Vec<Interface> = items.iter().map(Interface::read).collect::<Result<_, _>>()?;
        match <[Interface; 2]>::try_from(names) {
            Ok([one, other]) if one.0 == other.0 => Err(format!("{:?} cannot be its own peer", one.0)),
            Ok([one, other]) => Ok(Self([one.0, other.0])),
            Err(names) => Err(format!("expected a pair of interface names, found {} of them", names.len())),
        }
    }
}

/// Reads every `[[inline-set]]` and looks for ports that are used twice.
pub(crate) fn inline_sets(root: &mut Section<'_>) -> Vec<InlineSet> {
    let sets = root.sections("inline-set", |section| {
        let place = section.place("pairs");
        let pairs: Option<Vec<Pair>> = section.optional("pairs");
        if !section.is_set("pairs") || pairs.as_ref().is_some_and(Vec::is_empty) {
            section.bad_value("pairs", "an inline set needs at least one pair of interfaces", &place);
        }
        let pairs = pairs.unwrap_or_default();
        let name = section.or("name", "inline".to_owned());
        InlineSet {
            name,
            pairs: pairs.into_iter().map(|pair| pair.0).collect(),
            fail: section.optional("fail"),
            overload: section.optional("overload"),
            would_drop: section.or("would-drop", false),
        }
    });
    let mut seen = BTreeSet::new();
    let ports = sets.iter().flat_map(|set| set.pairs.iter().flatten());
    if let Some(twice) = ports.clone().find(|port| !seen.insert(port.as_str())) {
        let message = format!("the interface {twice:?} is in more than one pair");
        root.note(Diagnostic::error(message, root.place("inline-set")));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = sets.iter().find(|set| !names.insert(set.name.as_str())) {
        let message = format!("two inline sets are named {:?}", twice.name);
        root.note(Diagnostic::error(message, root.place("inline-set")));
    }
    if ports.count() > MAX_PORTS {
        let message = format!("there are more than {MAX_PORTS} interfaces in all inline sets");
        root.note(Diagnostic::error(message, root.place("inline-set")));
    }
    sets
}

words! {
    /// `capture.module`: who brings packets.
    pub CaptureModule {
        /// AF_XDP sockets.
        AfXdp = "af-xdp",
        /// DPDK's poll-mode drivers.
        Dpdk = "dpdk",
    }
}

words! {
    /// `capture.af-xdp.xdp-mode`: where the XDP program runs.
    pub XdpMode {
        /// In the driver where it can, else in the kernel.
        Auto = "auto",
        /// In the driver.
        Native = "native",
        /// In the kernel, on copied packets.
        Generic = "generic",
    }
}

words! {
    /// `capture.af-xdp.bind-mode`: how packets reach the socket.
    pub BindMode {
        /// Without a copy where the driver can, else with one.
        Auto = "auto",
        /// Without a copy.
        ZeroCopy = "zero-copy",
        /// With a copy.
        Copy = "copy",
    }
}

words! {
    /// `capture.af-xdp.require`: the least that must be reached, or the start fails.
    pub AfXdpRequire {
        /// Anything will do, copies and the generic mode too.
        Copy = "copy",
        /// The XDP program must run in the driver.
        Native = "native",
        /// And the socket must be bound without copying.
        ZeroCopy = "zero-copy",
    }
}

words! {
    /// `capture.af-xdp.rss`: what becomes of a NIC's own way to spread packets over its queues.
    pub RssMode {
        /// Both directions of a flow to the same queue, as far as the driver lets that be set; restored at the end.
        Symmetric = "symmetric",
        /// As it is.
        Keep = "keep",
    }
}

/// How many workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One for each queue pair.
    Auto,
    /// So many.
    Exactly(NonZeroU8),
}

impl Setting for Workers {
    fn read(node: &Node) -> Result<Self, String> {
        if matches!(&node.value, Value::String(word) if word == "auto") {
            return Ok(Self::Auto);
        }
        let number =
            u8::read(node).map_err(|reason| reason.replace("a whole number", "auto or a whole number"))?;
        NonZeroU8::new(number)
            .map(Self::Exactly)
            .ok_or_else(|| "without workers nothing would be judged; expected auto or 1 to 255".to_owned())
    }
}

/// `[capture]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureConfig {
    /// Who brings packets.
    pub module: CaptureModule,
    /// How many workers.
    pub workers: Workers,
    /// The CPUs they are pinned to, in order; empty: those that the process may use.
    pub cpus: Vec<usize>,
    /// `[capture.af-xdp]`.
    pub af_xdp: AfXdpConfig,
    /// `[capture.dpdk]`.
    pub dpdk: DpdkConfig,
}

/// `[capture.af-xdp]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfXdpConfig {
    /// Where the XDP program runs.
    pub xdp_mode: XdpMode,
    /// How packets reach the socket.
    pub bind_mode: BindMode,
    /// The least that must be reached.
    pub require: AfXdpRequire,
    /// Entries of each ring; a power of two, 64 to 32,768.
    pub ring_size: u32,
    /// Packet memory from huge pages where there are any.
    pub huge_pages: bool,
    /// What becomes of the NICs' way to spread packets over queues.
    pub rss: RssMode,
    /// Workers run the receive loops of their queues; `None`: interrupts do.
    pub busy_poll: Option<BusyPollConfig>,
}

/// `capture.af-xdp.enable-busy-poll` and what goes with it, named as in suricata.yaml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPollConfig {
    /// `busy-poll-time`: microseconds that the kernel looks for packets.
    pub time: u32,
    /// `busy-poll-budget`: packets a round.
    pub budget: u16,
    /// `gro-flush-timeout`: nanoseconds after which the driver's loop is run by itself.
    pub gro_flush_timeout: u64,
    /// `napi-defer-hard-irq`: how often in a row interrupts are left off.
    pub napi_defer_hard_irq: u32,
}

impl BusyPollConfig {
    /// All settings are read, that none is unknown where they are not wanted.
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let enabled = section.or("enable-busy-poll", false);
        let settings = Self {
            time: section.within("busy-poll-time", 20, 1..=10_000),
            budget: section.within("busy-poll-budget", 64, 1..=u16::MAX),
            gro_flush_timeout: section.within("gro-flush-timeout", 2_000_000, 0..=1_000_000_000),
            napi_defer_hard_irq: section.within("napi-defer-hard-irq", 2, 0..=1000),
        };
        enabled.then_some(settings)
    }
}

impl CaptureConfig {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let workers = section.or("workers", Workers::Auto);
        let cpus: Vec<usize> = section.or("cpus", Vec::new());
        let mut seen = BTreeSet::new();
        if let Some(twice) = cpus.iter().find(|cpu| !seen.insert(**cpu)) {
            section.bad_value("cpus", &format!("CPU {twice} is named twice"), &section.place("cpus"));
        }
        if let Workers::Exactly(count) = workers
            && !cpus.is_empty()
            && cpus.len() < usize::from(count.get())
        {
            let reason = format!("{} CPUs are too few for {count} workers", cpus.len());
            section.bad_value("cpus", &reason, &section.place("cpus"));
        }
        Self {
            module: section.or("module", CaptureModule::AfXdp),
            workers,
            cpus,
            af_xdp: section.section("af-xdp", AfXdpConfig::read),
            dpdk: section.section("dpdk", DpdkConfig::read),
        }
    }
}

impl AfXdpConfig {
    fn read(section: &mut Section<'_>) -> Self {
        let ring_size: u32 = section.within("ring-size", 4096, 64..=32_768);
        if !ring_size.is_power_of_two() {
            section.bad_value(
                "ring-size",
                &format!("{ring_size} is not a power of two"),
                &section.place("ring-size"),
            );
        }
        Self {
            xdp_mode: section.or("xdp-mode", XdpMode::Auto),
            bind_mode: section.or("bind-mode", BindMode::Auto),
            require: section.or("require", AfXdpRequire::Copy),
            ring_size,
            huge_pages: section.or("huge-pages", true),
            rss: section.or("rss", RssMode::Symmetric),
            busy_poll: BusyPollConfig::read(section),
        }
    }
}
