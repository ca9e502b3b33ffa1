//! A compiled rule set: what is loaded, and its entry points.

use std::collections::BTreeMap;

use crate::classification::Classifications;
use crate::error::RuleError;
use crate::signature::{Action, Signature};

/// One rule file.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its name, for errors.
    pub name: &'a str,
    /// Its bytes; rules need not be UTF-8 but in their texts.
    pub text: &'a [u8],
}

/// A rule's place in the order rules are asked in; valid for the rule set that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(crate) u32);

/// What rules are loaded with. [`Default`] has Suricata's defaults and no variables.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// `vars.address-groups`: name (without `$`) to text.
    pub address_groups: BTreeMap<String, String>,
    /// `vars.port-groups`: name (without `$`) to text.
    pub port_groups: BTreeMap<String, String>,
    /// What `classtype` may name.
    pub classifications: Classifications,
    /// `action-order`: all four actions, first decides first.
    pub action_order: [Action; 4],
    /// `packet-alert-max`: alerts logged for one packet at most.
    pub packet_alert_max: u16,
    /// Work on contents for one packet at most, in steps: one for each search begun and one for each 32
    /// bytes searched.
    pub packet_work_max: u32,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            address_groups: BTreeMap::new(),
            port_groups: BTreeMap::new(),
            classifications: Classifications::default(),
            action_order: Action::DEFAULT_ORDER,
            packet_alert_max: 15,
            packet_work_max: 200_000,
        }
    }
}

/// What loading gave: the rules that could be loaded, and why the others could not.
#[derive(Debug)]
pub struct Loaded {
    /// The rules. Whether to use them when there are errors is the caller's decision.
    pub rules: RuleSet,
    /// One for each rule refused, in the order of the files.
    pub errors: Vec<RuleError>,
}

/// Compiled rules: immutable, to be shared between workers by `Arc`.
#[derive(Debug, Default)]
pub struct RuleSet {
    signatures: Vec<Signature>,
    packet_alert_max: u16,
}

impl RuleSet {
    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.signatures.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signatures.is_empty()
    }

    /// The description of `rule`; `None` for an id of another rule set that is out of range here.
    #[must_use]
    pub fn signature(&self, rule: RuleId) -> Option<&Signature> {
        self.signatures.get(rule.0 as usize)
    }

    pub(crate) fn packet_alert_max(&self) -> usize {
        usize::from(self.packet_alert_max)
    }
}
