//! Failures of the program and their exit statuses.

use crate::config::ConfigError;
use std::process::ExitCode;

/// Why the program failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The input (a capture, a rule file) cannot be used.
    #[error("{0}")]
    Input(String),
    /// Something failed while running.
    #[error("{0}")]
    Runtime(String),
    /// No daemon answers, or it refused.
    #[error("{0}")]
    Control(String),
}

impl Failure {
    /// The exit status; 2 is clap's, for a wrong command line.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(_) | Self::Input(_) => 1,
            Self::Runtime(_) => 3,
            Self::Control(_) => 4,
        })
    }
}
