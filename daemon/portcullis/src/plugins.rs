//! Plugins: from `[plugins]` to hooks that every worker gets. Faults are shown where the configuration names
//! the plugin.

use crate::config::{ConfigError, Diagnostic, Loaded, PluginConfig, PluginPath, PluginsConfig};
use crate::exit::Failure;
use crate::output;
use portcullis_flow::{HookCost, Registry};
use portcullis_plugin::{LoadError, PluginFile, Settings};
use std::sync::OnceLock;
use std::time::Instant;

/// The hooks of all plugins, with nothing to be added any more.
#[derive(Debug)]
pub struct Plugins {
    /// What workers get their hooks from.
    pub registry: Registry,
    /// The hooks' names, in the order of their costs.
    pub hooks: Vec<String>,
}

/// Looks whether the plugins are there and fit, without starting any of them.
///
/// # Errors
/// Everything that is wrong.
pub fn check(loaded: &Loaded) -> Result<usize, Failure> {
    open(loaded).map(|plugins| plugins.len())
}

/// Loads the plugins and has them register themselves, in the order of the configuration.
///
/// # Errors
/// Everything that is wrong; no plugin is started where one cannot be loaded.
pub fn load(loaded: &Loaded) -> Result<Plugins, Failure> {
    let config = &loaded.config.plugins;
    let mut registry = Registry::default();
    if !config.files.is_empty() {
        output::start_log();
        registry.measure_with(nanoseconds);
    }
    let mut faults = Vec::new();
    for (file, plugin) in config.files.iter().zip(open(loaded)?) {
        let own = config.config.iter().find(|own| own.name == plugin.name());
        let (name, version) = (plugin.name().to_owned(), plugin.version().to_owned());
        match start(plugin, file, own, &mut registry) {
            Ok(()) => tracing::info!("plugin {name} {version}: {}", file.path.display()),
            Err(fault) => faults.extend(fault),
        }
    }
    refuse(loaded, faults)?;
    registry.freeze();
    let hooks = registry.names().map(str::to_owned).collect();
    Ok(Plugins { registry, hooks })
}

/// Loads every file; in the order of the configuration.
fn open(loaded: &Loaded) -> Result<Vec<PluginFile>, Failure> {
    let PluginsConfig { files, config } = &loaded.config.plugins;
    let (mut plugins, mut faults) = (Vec::<PluginFile>::new(), Vec::new());
    for file in files {
        match PluginFile::open(&file.path) {
            Ok(plugin) => {
                if plugins.iter().any(|other| other.name() == plugin.name()) {
                    let path = file.path.display();
                    let message = format!("{path}: a plugin {} is loaded already", plugin.name());
                    faults.push(Diagnostic::error(message, file.place.clone()));
                }
                plugins.push(plugin);
            }
            Err(error) => faults.push(fault(&error, file)),
        }
    }
    for own in config {
        if faults.is_empty() && !plugins.iter().any(|plugin| plugin.name() == own.name) {
            let message = format!("settings for a plugin {}, which none of plugins.files is", own.name);
            let names: Vec<&str> = plugins.iter().map(PluginFile::name).collect();
            let loaded = if names.is_empty() { "none is loaded".to_owned() } else { names.join(", ") };
            let error = Diagnostic::error(message, own.place.clone());
            faults.push(error.with_help(format!("plugins that are: {loaded}")));
        }
    }
    refuse(loaded, faults)?;
    Ok(plugins)
}

fn start(
    plugin: PluginFile,
    file: &PluginPath,
    own: Option<&PluginConfig>,
    registry: &mut Registry,
) -> Result<(), Vec<Diagnostic>> {
    let mut settings = Settings::default();
    for value in own.iter().flat_map(|own| &own.values) {
        if !settings.add(&value.key, &value.value) {
            let message = format!("{:?} has a NUL in it, which cannot be passed on", value.key);
            return Err(vec![Diagnostic::error(message, value.place.clone())]);
        }
    }
    let name = plugin.name().to_owned();
    let plugin = plugin.start(&settings).map_err(|error| vec![fault(&error, file)])?;
    let values = own.iter().flat_map(|own| &own.values);
    let unknown: Vec<Diagnostic> = values
        .filter(|value| plugin.unknown_settings().contains(&value.key))
        .map(|value| {
            let message = format!("plugin {name} has no setting `{}`", value.key);
            Diagnostic::error(message, value.place.clone())
        })
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    plugin.register(registry).map_err(|error| vec![fault(&error, file)])
}

fn fault(error: &LoadError, file: &PluginPath) -> Diagnostic {
    Diagnostic::error(error.to_string(), file.place.clone())
}

fn refuse(loaded: &Loaded, diagnostics: Vec<Diagnostic>) -> Result<(), Failure> {
    if diagnostics.is_empty() {
        return Ok(());
    }
    Err(ConfigError { sources: loaded.sources.clone(), diagnostics }.into())
}

/// The costs of all workers' hooks, added up.
pub fn add_costs(total: &mut Vec<HookCost>, worker: &[HookCost]) {
    total.resize(total.len().max(worker.len()), HookCost::default());
    for (total, cost) in total.iter_mut().zip(worker) {
        total.calls += cost.calls;
        total.timed += cost.timed;
        total.nanos += cost.nanos;
        total.panics += cost.panics;
    }
}

/// What hooks are measured with.
fn nanoseconds() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}
