//! `[rules]` and `action-order`.

use super::section::Section;
use super::value::words;
use std::path::{Path, PathBuf};

words! {
    /// An action of a rule, as `action-order` names it.
    pub Action {
        /// No further rules for this packet or flow.
        Pass = "pass",
        /// Drop.
        Drop = "drop",
        /// Drop and tell the sender.
        Reject = "reject",
        /// Report.
        Alert = "alert",
    }
}

/// Suricata's order.
const ACTION_ORDER: [Action; 4] = [Action::Pass, Action::Drop, Action::Reject, Action::Alert];

/// Reads `action-order`: each action once.
pub(crate) fn action_order(root: &mut Section<'_>) -> [Action; 4] {
    let Some(order) = root.optional::<Vec<Action>>("action-order") else { return ACTION_ORDER };
    let complete = ACTION_ORDER.iter().all(|action| order.contains(action));
    match <[Action; 4]>::try_from(order) {
        Ok(order) if complete => order,
        _ => {
            let reason = "expected each of pass, drop, reject, alert once";
            root.bad_value("action-order", reason, &root.place("action-order"));
            ACTION_ORDER
        }
    }
}

words! {
    /// `detect.budget-policy`: what happens inline to a packet of which a limit on work, or of a regular
    /// expression, left open whether a drop rule matches.
    pub BudgetPolicy {
        /// It is dropped, and its flow with it.
        DropFlow = "drop-flow",
        /// It is dropped.
        DropPacket = "drop-packet",
        /// It is let through.
        Ignore = "ignore",
    }
}

/// Reads `[detect]`.
pub(crate) fn budget_policy(section: &mut Section<'_>) -> BudgetPolicy {
    section.or("budget-policy", BudgetPolicy::DropFlow)
}

/// `[rules]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesConfig {
    /// Rule files, as patterns in which `*`, `?` and `[…]` stand for many.
    pub files: Vec<PathBuf>,
    /// Classes of rules with their priorities, in Suricata's `classification.config` format; `None`:
    /// those that Suricata ships.
    pub classification_file: Option<PathBuf>,
    /// `threshold-file`, beside `[rules]`: thresholds, rate filters and suppressions, in the format of
    /// Suricata's `threshold.config`.
    pub threshold_file: Option<PathBuf>,
    /// Where `ctl rule` keeps what it changes; `None`: it changes nothing.
    pub state_file: Option<PathBuf>,
}

impl RulesConfig {
    pub(crate) fn read(root: &mut Section<'_>, folder: &Path) -> Self {
        let threshold_file = path(root, "threshold-file", folder);
        let read = |section: &mut Section<'_>| {
            let files: Vec<PathBuf> = section.or("files", Vec::new());
            let base = base(section, "files", folder);
            let files = files.iter().map(|file| base.join(file)).collect();
            let classification_file = path(section, "classification-file", folder);
            let state_file = path(section, "state-file", folder);
            Self { files, classification_file, threshold_file, state_file }
        };
        root.section("rules", read)
    }
}

/// A file name, if it is given.
fn path(section: &mut Section<'_>, key: &'static str, folder: &Path) -> Option<PathBuf> {
    let file: PathBuf = section.optional(key)?;
    Some(base(section, key, folder).join(file))
}

/// Where relative names lead: those of the configuration file into its folder, others from here.
fn base<'f>(section: &Section<'_>, key: &str, folder: &'f Path) -> &'f Path {
    match section.place(key) {
        super::Place::File(_) => folder,
        _ => Path::new(""),
    }
}
