//! `[run-as]`: whom the gate goes on as once it needs no privileges any more.

use super::section::Section;

/// `[run-as]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunAsConfig {
    /// `user`: its name; where there is none the gate stays the user it was, without capabilities.
    pub user: Option<String>,
    /// `group`: its name; where there is none, the user's own.
    pub group: Option<String>,
}

impl RunAsConfig {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self { user: section.optional("user"), group: section.optional("group") }
    }
}
