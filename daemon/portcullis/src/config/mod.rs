//! The configuration: one TOML file and `--set` overrides, read into typed settings, with every
//! fault found at once and shown where it stands.
//!
//! Names, places, types and defaults are those of the suricata.yaml that Suricata ships; what it
//! does not have is described in `configs/portcullis.toml`. A module a section; [`Config`] is the
//! whole. Nothing here opens anything but the file itself.

mod capture;
mod decoder;
mod defrag;
mod diagnostic;
mod dpdk;
mod eve;
mod flow;
mod host;
mod host_os;
mod known;
mod links;
mod lists;
mod liveness;
mod overriding;
mod plugins;
mod policy;
mod rules;
mod run_as;
mod section;
mod security;
mod stream;
mod tree;
mod value;
mod vars;
mod verdict_cache;
mod written;

pub use capture::{
    AfXdpConfig, AfXdpRequire, BindMode, CaptureConfig, CaptureModule, InlineSet, RssMode, Workers, XdpMode,
};
pub use decoder::{DecoderConfig, InvalidPolicy};
pub use defrag::DefragConfig;
pub use diagnostic::{ConfigError, Diagnostic, Place, Severity, Sources};
pub use dpdk::DpdkConfig;
pub use eve::{AlertConfig, AlertMetadata, DropConfig, DropFlows, EveConfig, FileType, RecordType};
pub use flow::{FlowConfig, FlowTimeouts, StateTimeouts, Timeouts, Tracking};
pub use host::HostConfig;
pub use host_os::HostOsPolicy;
pub use links::LinksConfig;
pub use lists::{ALLOWLIST, BypassConfig, ListAction, ListConfig, ListDirection, ListsConfig};
pub use liveness::LivenessConfig;
pub(crate) use overriding::{network, protocol};
pub use plugins::{PluginConfig, PluginPath, PluginValue, PluginsConfig};
pub use policy::ExceptionPolicy;
pub use rules::{Action, BudgetPolicy, RulesConfig};
pub use run_as::RunAsConfig;
pub use security::{LandlockConfig, SeccompConfig, SecurityConfig, SyscallAction, SyscallGroup};
pub use stream::{AppLayerConfig, StreamConfig, UrgentWord};
pub use vars::Vars;
pub use verdict_cache::VerdictCacheConfig;
pub use written::written;

use crate::cli::ConfigArgs;
use policy::Master;
use section::{Notes, Section};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tree::Table;

/// Where the control socket is unless configured otherwise.
pub const DEFAULT_SOCKET: &str = "/run/portcullis/control.sock";

/// Largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

value::words! {
    /// What happens to packets between the ports of a pair.
    pub CopyMode {
        /// Accepted packets leave through the peer port, dropped ones do not.
        Ips = "ips",
        /// Every packet leaves through the peer port; what would be dropped is reported.
        Tap = "tap",
        /// Packets are only received.
        Ids = "ids",
    }
}

value::words! {
    /// What the kernel does with packets when no worker lives.
    pub FailPolicy {
        /// They leave through the peer port, uninspected.
        Open = "open",
        /// They are dropped.
        Closed = "closed",
        /// The ports are taken down.
        LinkDown = "link-down",
    }
}

value::words! {
    /// What happens to packets that a living worker is too busy for.
    pub OverloadPolicy {
        /// They are dropped.
        Drop = "drop",
        /// They leave through the peer port, uninspected.
        Bypass = "bypass",
    }
}

/// Every setting, with its default where nothing was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `copy-mode`.
    pub copy_mode: CopyMode,
    /// `fail`.
    pub fail: FailPolicy,
    /// `overload`.
    pub overload: OverloadPolicy,
    /// `[run-as]`.
    pub run_as: RunAsConfig,
    /// `[security]`.
    pub security: SecurityConfig,
    /// `[liveness]`.
    pub liveness: LivenessConfig,
    /// `[verdict-cache]`.
    pub verdict_cache: VerdictCacheConfig,
    /// `[links]`.
    pub links: LinksConfig,
    /// `[[bypass]]`, `[allowlist]`, `[[blocklist]]` and `[lists]`.
    pub lists: ListsConfig,
    /// `packet-alert-max`: most alerts kept for a packet.
    pub packet_alert_max: u16,
    /// `action-order`: which action comes first when several rules match a packet.
    pub action_order: [Action; 4],
    /// `default-log-dir`: where relative log file names lead.
    pub log_dir: PathBuf,
    /// `[[inline-set]]`.
    pub inline_sets: Vec<InlineSet>,
    /// `[capture]`.
    pub capture: CaptureConfig,
    /// `[flow]`.
    pub flow: FlowConfig,
    /// `[host]`.
    pub host: HostConfig,
    /// `[flow-timeouts]`.
    pub flow_timeouts: FlowTimeouts,
    /// The `use-for-tracking` switches of `[vlan]`, `[livedev]` and `[decoder]`.
    pub tracking: Tracking,
    /// `[stream]`.
    pub stream: StreamConfig,
    /// `[defrag]`.
    pub defrag: DefragConfig,
    /// `[host-os-policy]`: how overlaps are settled by destination, where nothing is dropped.
    pub host_os: HostOsPolicy,
    /// `[app-layer]`.
    pub app_layer: AppLayerConfig,
    /// `[decoder]`.
    pub decoder: DecoderConfig,
    /// `detect.budget-policy`.
    pub budget_policy: BudgetPolicy,
    /// `[vars]`.
    pub vars: Vars,
    /// `[rules]` and `threshold-file`.
    pub rules: RulesConfig,
    /// `[outputs.eve-log]`.
    pub eve: EveConfig,
    /// `[stats]`: how often counters are reported; `None` where they are not.
    pub stats_interval: Option<Duration>,
    /// `[control]`: the control socket; `None` where there is none.
    pub control_socket: Option<PathBuf>,
    /// `[plugins]`.
    pub plugins: PluginsConfig,
}

/// A configuration that can be used, and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Warnings only.
    pub warnings: Vec<Diagnostic>,
    /// The texts they point into.
    pub sources: Sources,
}

/// Whether packets can be dropped, which decides what `auto` policies mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inline {
    /// As `copy-mode` says: in `ips`, and in `tap`, which reports what `ips` would do.
    ByCopyMode,
    /// Always (`replay --simulate-ips`).
    Yes,
    /// Never (`replay` without it).
    No,
}

/// Reads the file and the overrides that the command line names. Paths in the file are taken from
/// the file's folder, those in overrides from the current one.
///
/// # Errors
/// Everything that is wrong, each with its place; also where the file cannot be read.
pub fn load(arguments: &ConfigArgs, inline: Inline) -> Result<Loaded, ConfigError> {
    let mut sources =
        Sources { path: arguments.config.clone(), text: String::new(), overrides: arguments.set.clone() };
    if let Some(path) = &arguments.config {
        match read_file(path) {
            Ok(text) => sources.text = text,
            Err(reason) => {
                let message = format!("cannot read the configuration {}: {reason}", path.display());
                let diagnostics = vec![Diagnostic::error(message, Place::Nowhere)];
                return Err(ConfigError { sources, diagnostics });
            }
        }
    }
    parse(sources, inline)
}

/// Reads settings from texts already at hand; the path is used for messages and for the paths in
/// the file.
///
/// # Errors
/// As for [`load`].
pub fn parse(sources: Sources, inline: Inline) -> Result<Loaded, ConfigError> {
    let mut notes = Vec::new();
    let mut table = match tree::parse_file(&sources.text) {
        Ok(table) => table,
        Err(fault) => {
            notes.push(*fault);
            return Err(ConfigError { sources, diagnostics: notes });
        }
    };
    for (index, text) in sources.overrides.iter().enumerate() {
        if let Err(fault) = tree::apply_override(&mut table, index, text) {
            notes.push(*fault);
        }
    }
    let notes: Notes = RefCell::new(notes);
    let folder = sources.path.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new(""));
    let config = Config::read(&table, folder, inline, &notes);
    let mut diagnostics = notes.into_inner();
    diagnostics.sort_by_key(|diagnostic| diagnostic.place.order());
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(ConfigError { sources, diagnostics });
    }
    Ok(Loaded { config, warnings: diagnostics, sources })
}

fn read_file(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE {
        return Err(format!("it has {size} bytes, more than the {MAX_FILE} that are read"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

impl Config {
    fn read(table: &Table, folder: &Path, inline: Inline, notes: &Notes) -> Self {
        let mut root = Section::root(table, notes);
        let copy_mode = root.or("copy-mode", CopyMode::Ips);
        let live = inline == Inline::ByCopyMode;
        let inline = match inline {
            Inline::Yes => true,
            Inline::No => false,
            Inline::ByCopyMode => copy_mode != CopyMode::Ids,
        };
        let master = Master::read(&mut root, inline);
        let vars = root.section("vars", Vars::read);
        let config = Self {
            copy_mode,
            fail: root.or("fail", FailPolicy::Open),
            overload: root.or("overload", OverloadPolicy::Drop),
            run_as: root.section("run-as", RunAsConfig::read),
            security: root.section("security", |section| SecurityConfig::read(section, folder)),
            verdict_cache: root.section("verdict-cache", VerdictCacheConfig::read),
            liveness: root.section("liveness", LivenessConfig::read),
            links: root.section("links", LinksConfig::read),
            lists: ListsConfig::read(&mut root, folder),
            packet_alert_max: root.within("packet-alert-max", 15, 1..=1024),
            action_order: rules::action_order(&mut root),
            log_dir: root.or("default-log-dir", PathBuf::from("/var/log/portcullis")),
            inline_sets: capture::inline_sets(&mut root),
            capture: root.section("capture", CaptureConfig::read),
            flow: root.section("flow", |section| FlowConfig::read(section, master)),
            host: root.section("host", HostConfig::read),
            flow_timeouts: root.section("flow-timeouts", FlowTimeouts::read),
            tracking: Tracking {
                vlan: root.section("vlan", |section| section.or("use-for-tracking", true)),
                livedev: root.section("livedev", |section| section.or("use-for-tracking", true)),
                recursion_level: true,
            },
            stream: root.section("stream", |section| StreamConfig::read(section, master, inline, live)),
            defrag: root.section("defrag", |section| DefragConfig::read(section, master)),
            host_os: root.section("host-os-policy", HostOsPolicy::read),
            app_layer: root.section("app-layer", |section| AppLayerConfig::read(section, master)),
            decoder: root.section("decoder", |section| DecoderConfig::read(section, &vars)),
            budget_policy: root.section("detect", rules::budget_policy),
            vars,
            rules: RulesConfig::read(&mut root, folder),
            eve: root.section("outputs", |section| section.section("eve-log", EveConfig::read)),
            stats_interval: root.section("stats", stats_interval),
            control_socket: root.section("control", control_socket),
            plugins: root.section("plugins", |section| PluginsConfig::read(section, folder)),
        };
        root.finish();
        let tracking = Tracking { recursion_level: config.decoder.recursion_level, ..config.tracking };
        Self { tracking, ..config }
    }
}

fn stats_interval(section: &mut Section<'_>) -> Option<Duration> {
    let enabled = section.or("enabled", true);
    let seconds = section.within("interval", 8_u32, 1..=86_400);
    enabled.then(|| Duration::from_secs(u64::from(seconds)))
}

fn control_socket(section: &mut Section<'_>) -> Option<PathBuf> {
    let enabled = section.or("enabled", true);
    let socket = section.or("socket", PathBuf::from(DEFAULT_SOCKET));
    enabled.then_some(socket)
}

#[cfg(test)]
mod tests;
