//! What can go wrong while a lab is built.

use std::io;

/// A step of building or using a lab that failed, with what was tried.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A system call or a file failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, as a phrase ("entering network namespace client").
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start `{command}`: {source}")]
    Start {
        /// The command line.
        command: String,
        /// Why not; mostly that it is not installed.
        source: io::Error,
    },
    /// A program ran and reported failure.
    #[error("`{command}` in {place} failed ({status}): {stderr}")]
    Program {
        /// The command line.
        command: String,
        /// The label of the namespace it ran in.
        place: String,
        /// Its exit status in words.
        status: String,
        /// The last it wrote to standard error, trimmed.
        stderr: String,
    },
    /// An interface that should be in a namespace is not there.
    #[error("no interface {interface} in {place}")]
    NoInterface {
        /// The name looked for.
        interface: String,
        /// The label of the namespace.
        place: String,
    },
}

impl LabError {
    /// Wraps `source` with what was tried; for `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source: source.into() }
    }
}
