//! A compiled rule set: what is loaded, and its entry points.

use std::collections::BTreeMap;

use crate::changes::{self, RuleChanges};
use crate::classification::Classifications;
use crate::error::RuleError;
use crate::group::Groups;
use crate::loader::{self, Found};
use crate::rule::Rule;
use crate::signature::{Action, Signature};
use crate::thresholds::Thresholds;

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

impl RuleId {
    /// The rule's place in [`RuleSet::signatures`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What rules are loaded with. [`Default`] has Suricata's defaults and no variables.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// `vars.address-groups`: name (without `$`) to text.
    pub address_groups: BTreeMap<String, String>,
    /// `vars.port-groups`: name (without `$`) to text.
    pub port_groups: BTreeMap<String, String>,
    /// What `classtype` may name.
    pub classifications: Classifications,
    /// What is said about rules outside of them.
    pub thresholds: Thresholds,
    /// What was decided about single rules while they were in use.
    pub changes: RuleChanges,
    /// `action-order`: all four actions, first decides first.
    pub action_order: [Action; 4],
    /// `packet-alert-max`: alerts logged for one packet at most.
    pub packet_alert_max: u16,
    /// Work on contents for one packet at most, in steps: one for each search begun and one for each 32
    /// bytes searched; beside what the packet's own length grants. Most steps take up to 15 ns, those of
    /// expressions that look at a text again from each of its places more.
    pub packet_work_max: u32,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            address_groups: BTreeMap::new(),
            port_groups: BTreeMap::new(),
            classifications: Classifications::default(),
            thresholds: Thresholds::default(),
            changes: RuleChanges::new(),
            action_order: Action::DEFAULT_ORDER,
            packet_alert_max: 15,
            packet_work_max: 15_000,
        }
    }
}

/// What loading gave: the rules that could be loaded, and why the others could not.
#[derive(Debug)]
pub struct Loaded {
    /// The rules. Whether to use them when there are errors is the caller's decision.
    pub rules: RuleSet,
    /// Why the others were refused, in the order of the files: all that is wrong with each.
    pub errors: Vec<RuleError>,
    /// What of [`LoadOptions::thresholds`] is about no rule.
    pub remarks: Vec<RuleError>,
    /// How many were refused.
    pub refused: usize,
    /// How many are commented out, or left out by [`LoadOptions::changes`].
    pub disabled: usize,
}

/// Compiled rules: immutable, to be shared between workers by `Arc`.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// In the order rules are asked in, as `rules`.
    signatures: Vec<Signature>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) groups: Groups,
    packet_alert_max: u16,
    pub(crate) packet_work_max: u32,
    uses_bits: bool,
    uses_flow_age: bool,
    uses_hosts: bool,
}

impl RuleSet {
    /// Reads and compiles rule files. A rule that cannot be loaded is reported and left out; all others
    /// are loaded as they are written.
    #[must_use]
    pub fn load(sources: &[Source<'_>], options: &LoadOptions) -> Loaded {
        let Found { rules: mut found, errors, refused, mut disabled } = loader::read(sources, options);
        disabled += changes::apply(&mut found, &options.changes);
        let place = |action| options.action_order.iter().position(|&other| other == action);
        // Stable: rules alike in both stay in the order of the files.
        found.sort_by_key(|(signature, rule)| {
            (place(signature.action), rule.bit_order(), rule.host.order(), signature.priority)
        });
        let needs = found.iter_mut().map(|(signature, rule)| (&*signature, &mut rule.host));
        let remarks = options.thresholds.apply(needs);
        let (signatures, rules): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let rules = RuleSet {
            groups: Groups::build(&rules),
            uses_flow_age: rules.iter().any(|rule| rule.reads_age),
            uses_bits: rules.iter().any(|rule| rule.reads_bits || !rule.flow_changes.is_empty()),
            uses_hosts: rules.iter().any(|rule| rule.host.uses_table()),
            signatures,
            rules,
            packet_alert_max: options.packet_alert_max,
            packet_work_max: options.packet_work_max,
        };
        Loaded { rules, errors, remarks, refused, disabled }
    }

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

    /// How far back in a TCP stream rules have to look, in bytes; `None` where no rule looks at one. What has
    /// no bound is [`u64::MAX`].
    #[must_use]
    pub fn stream_reach(&self) -> Option<u64> {
        let looking = self.rules.iter().filter(|rule| rule.looks_at_streams());
        let reach = |rule: &Rule| rule.span.reach().map_or(u64::MAX, |reach| reach as u64);
        looking.map(reach).max()
    }

    /// Does any rule look at the flow's bits or change them?
    #[must_use]
    pub const fn uses_bits(&self) -> bool {
        self.uses_bits
    }

    /// Does any rule count by host, or look at hosts' bits or change them? Then [`inspect_with`] needs a
    /// table.
    ///
    /// [`inspect_with`]: Self::inspect_with
    #[must_use]
    pub const fn uses_hosts(&self) -> bool {
        self.uses_hosts
    }

    /// Does any rule ask for [`FlowFacts::age`](crate::FlowFacts::age)?
    #[must_use]
    pub const fn uses_flow_age(&self) -> bool {
        self.uses_flow_age
    }

    /// Bytes of memory that the structures take by which rules are found; the rules themselves not counted.
    #[must_use]
    pub fn search_memory(&self) -> usize {
        self.groups.memory()
    }

    /// The description of `rule`; `None` for an id of another rule set that is out of range here.
    #[must_use]
    pub fn signature(&self, rule: RuleId) -> Option<&Signature> {
        self.signatures.get(rule.index())
    }

    /// All rules' descriptions, in the order rules are asked in.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    pub(crate) fn packet_alert_max(&self) -> usize {
        usize::from(self.packet_alert_max)
    }
}

#[cfg(test)]
#[path = "ruleset_tests.rs"]
mod tests;
