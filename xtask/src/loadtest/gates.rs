//! Portcullis between the hosts, configured for one measurement.

use std::path::Path;

use anyhow::Result;
use portcullis_testkit::Lab;

use crate::gate::{Config, Gate};
use crate::program::Interrupt;

/// What differs between gates.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// What happens to packets that nobody judges. Closed, so that whatever arrives was judged.
    pub(crate) fail: &'static str,
    /// Rules, in their language.
    pub(crate) rules: String,
    /// More of the configuration: whole tables.
    pub(crate) more: String,
    /// `flow.memcap`
    pub(crate) memcap_mib: u32,
    /// Does what is sent arrive at all?
    pub(crate) passes: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { fail: "closed", rules: String::new(), more: String::new(), memcap_mib: 1024, passes: true }
    }
}

impl Setup {
    /// Starts such a gate between the lab's ports, its worker on the CPU `worker`; what it writes goes into `folder`.
    pub(crate) fn start(
        &self,
        binary: &Path,
        lab: &Lab,
        folder: &Path,
        worker: u32,
        interrupt: &Interrupt,
    ) -> Result<Gate> {
        let Self { fail, rules, more, memcap_mib, .. } = self;
        let more = format!(
            r#"capture = {{ cpus = [{worker}] }}
flow = {{ memcap = "{memcap_mib}mb" }}
stream = {{ memcap = "512mb" }}
{more}"#
        );
        Gate::between(lab, binary, folder, Config { set: set(), fail, rules, more: &more }, interrupt)
    }
}

/// The inline set of every gate of this run: the name of its pins and files.
pub(crate) fn set() -> String {
    format!("loadtest-{}", std::process::id())
}
