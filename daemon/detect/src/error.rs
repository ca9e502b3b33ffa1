//! Why a rule was refused, and where.

/// A fault in a rule or classification file. The rest of the file is still loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct RuleError {
    /// Name of the file, as given in [`Source::name`](crate::Source::name).
    pub file: String,
    /// Line of the fault, from 1. In a rule that is continued over several lines, the one it is on.
    pub line: usize,
    /// Column of the fault, from 1, in bytes.
    pub column: usize,
    /// What is wrong, naming what was found.
    pub reason: String,
}

/// A fault inside one rule: an offset into its text and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }
}
