//! Timeouts and exception policies that change while the gate stands. Nothing changes where the
//! configuration has a fault anywhere; rules are read anew by `reload`.

use super::start::Running;
use crate::config::{self, Config, Inline};
use crate::settings;
use portcullis_engine::Command;
use std::sync::Arc;

/// Takes over what of the configuration file can change, and says whether more of it has.
///
/// # Errors
/// The file has a fault: everything stays as it was.
pub(crate) fn reload(gate: &mut Running) -> Result<String, String> {
    let loaded = config::load(&gate.source, Inline::ByCopyMode).map_err(|error| {
        let reason = format!("{error}: everything stays as it was");
        tracing::error!("{reason}");
        reason
    })?;
    if !loaded.warnings.is_empty() {
        tracing::warn!("{}", loaded.sources.render(&loaded.warnings, false));
    }
    let (config, needs_restart) = merged(&gate.config, &loaded.config);
    gate.config = config;
    let live = Arc::new(settings::live(&gate.config));
    for (index, worker) in gate.workers.iter().enumerate() {
        if !worker.tell(Command::Settings(Arc::clone(&live))) {
            tracing::error!("worker {index} takes no commands: it keeps the old settings");
        }
    }
    let mut done = "done: timeouts and exception policies are in force".to_owned();
    if needs_restart {
        done.push_str("; what else has changed needs a restart, or reload-rules");
    }
    tracing::info!("{done}");
    Ok(done)
}

/// The old configuration with what can change taken from the new one; and is there more that differs?
fn merged(old: &Config, new: &Config) -> (Config, bool) {
    let mut config = old.clone();
    config.flow_timeouts = new.flow_timeouts.clone();
    config.flow.memcap_policy = new.flow.memcap_policy;
    config.defrag.memcap_policy = new.defrag.memcap_policy;
    config.stream.memcap_policy = new.stream.memcap_policy;
    config.stream.reassembly.memcap_policy = new.stream.reassembly.memcap_policy;
    config.stream.midstream_policy = new.stream.midstream_policy;
    config.app_layer.error_policy = new.app_layer.error_policy;
    let differs = config != *new;
    (config, differs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ExceptionPolicy, Sources, parse};

    #[test]
    fn what_cannot_change_stays_and_is_noticed() {
        let config = |overrides: &[&str]| {
            let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
            parse(Sources { overrides, ..Sources::default() }, Inline::Yes).unwrap().config
        };
        let old = config(&["flow.memcap=64mb"]);
        let live = ["flow.memcap=64mb", "flow-timeouts.udp.new=7", "exception-policy=pass-flow"];
        let (taken, restart) = merged(&old, &config(&live));
        assert_eq!(taken.flow_timeouts.udp.normal.new.as_secs(), 7);
        assert_eq!(settings::policies(&taken), settings::policies(&config(&live)));
        assert!(!restart);
        let (taken, restart) = merged(&old, &config(&["flow.memcap=65mb", "flow.memcap-policy=ignore"]));
        assert_eq!((taken.flow.memcap, taken.flow.memcap_policy), (64 << 20, ExceptionPolicy::Ignore));
        assert!(restart);
    }
}
