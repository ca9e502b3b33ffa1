//! What does not change about a gate while it runs.

use crate::config::{Sources, written};

/// What does not change about a gate while it runs.
#[derive(Clone, Debug)]
pub struct About {
    /// How threads share the work, in Suricata's words.
    pub running_mode: &'static str,
    /// Where packets come from, in Suricata's words.
    pub capture_mode: &'static str,
    /// The ports' interfaces, by number.
    pub interfaces: Vec<String>,
    /// The configuration as it was read at start.
    pub sources: Sources,
}

impl About {
    /// A setting as it was written, by its dotted name.
    pub(super) fn setting(&self, name: &str) -> Option<String> {
        written(&self.sources, name)
    }
}
