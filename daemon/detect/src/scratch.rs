//! One worker's working memory.

use crate::outcome::Alert;
use crate::ruleset::RuleSet;

/// Largest payload an IP packet can carry.
const PAYLOAD_MAX: usize = 65_535;

/// Working memory for [`RuleSet::inspect`]: one a worker, made for a rule set before it is used.
#[derive(Debug)]
pub struct Scratch {
    pub(crate) alerts: Vec<Alert>,
    /// The payload in lower case.
    pub(crate) lower: Vec<u8>,
}

impl Scratch {
    /// Memory enough for any packet under `rules`.
    #[must_use]
    pub fn new(rules: &RuleSet) -> Self {
        Self { alerts: Vec::with_capacity(rules.packet_alert_max()), lower: Vec::with_capacity(PAYLOAD_MAX) }
    }
}
