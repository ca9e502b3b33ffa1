//! What an operator decided about single rules while they were in use.

use std::collections::BTreeMap;

use crate::rule::Rule;
use crate::signature::{Action, Signature};

/// What is changed about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleChange {
    /// It is left out.
    Disable,
    /// It alerts where it would drop or reject; a rule that does neither stays as it is.
    AlertOnly,
    /// It keeps its action and its place in the order, but drops nothing: its alerts tell what it would have
    /// done ([`Alert::simulated`](crate::Alert::simulated)).
    WouldDrop,
}

/// Changes by the rules' `gid` and `sid`, for [`LoadOptions::changes`](crate::LoadOptions::changes).
pub type RuleChanges = BTreeMap<(u32, u32), RuleChange>;

/// Carries the changes out; gives how many rules were left out.
pub(crate) fn apply(rules: &mut Vec<(Signature, Rule)>, changes: &RuleChanges) -> usize {
    let before = rules.len();
    rules.retain_mut(|(signature, rule)| match changes.get(&(signature.gid, signature.sid)) {
        None => true,
        Some(RuleChange::Disable) => false,
        Some(RuleChange::AlertOnly) => {
            if matches!(signature.action, Action::Drop | Action::Reject) {
                (signature.action, rule.header.action) = (Action::Alert, Action::Alert);
                rule.header.reject = None;
            }
            true
        }
        Some(RuleChange::WouldDrop) => {
            (signature.would_drop, rule.would_drop) = (true, true);
            true
        }
    });
    before - rules.len()
}
