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

/// `[rules]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesConfig {
    /// Rule files, as patterns in which `*`, `?` and `[…]` stand for many.
    pub files: Vec<PathBuf>,
    /// Classes of rules with their priorities, in Suricata's `classification.config` format; `None`:
    /// those that Suricata ships.
    pub classification_file: Option<PathBuf>,
}

impl RulesConfig {
    pub(crate) fn read(section: &mut Section<'_>, folder: &Path) -> Self {
        let files: Vec<PathBuf> = section.or("files", Vec::new());
        let base = |key: &str| match section.place(key) {
            super::Place::File(_) => folder,
            _ => Path::new(""),
        };
        let files = files.iter().map(|file| base("files").join(file)).collect();
        let classification_base = base("classification-file").to_owned();
        let classification: Option<PathBuf> = section.optional("classification-file");
        Self { files, classification_file: classification.map(|file| classification_base.join(file)) }
    }
}
