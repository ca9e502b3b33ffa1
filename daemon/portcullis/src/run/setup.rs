//! What the warden itself reads of the configuration.

use super::plan::Plan;
use crate::cli::{ConfigArgs, RunArgs};
use crate::config::{self, Inline};
use crate::exit::Failure;
use std::path::PathBuf;

/// What a gate is started for.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) plan: Plan,
    /// The log; `None` where there is none.
    pub(crate) log: Option<PathBuf>,
    /// The control socket; `None` where there is none.
    pub(crate) control: Option<PathBuf>,
}

impl Setup {
    /// Reads the configuration; the gate tells the warnings.
    ///
    /// # Errors
    /// It has faults, or asks for what this build cannot do.
    pub(crate) fn load(arguments: &RunArgs) -> Result<Self, Failure> {
        let source = ConfigArgs { config: Some(arguments.config.clone()), set: arguments.set.clone() };
        let config = config::load(&source, Inline::ByCopyMode)?.config;
        let folder = arguments.log_dir.as_ref().unwrap_or(&config.log_dir);
        let log = config.eve.enabled.then(|| folder.join(&config.eve.filename));
        Ok(Self { plan: Plan::new(&config)?, log, control: config.control_socket })
    }

    /// Can a gate of this set-up take over what stands for `other`?
    pub(crate) fn fits(&self, other: &Self) -> bool {
        let (one, two) = (&self.plan, &other.plan);
        one.name == two.name
            && one.interfaces() == two.interfaces()
            && one.devices.is_some() == two.devices.is_some()
            && one.capture.copy_mode.forwards() == two.capture.copy_mode.forwards()
            && one.xdp_mode == two.xdp_mode
            && self.control == other.control
    }
}
