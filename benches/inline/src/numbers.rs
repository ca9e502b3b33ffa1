//! Numbers for programs to read: what the load test makes its tables and plots of.

use anyhow::{Context, Result};
use serde::Serialize;
use std::fs;
use std::path::Path;

/// One quantity in one case, round for round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Numbers {
    /// What varies.
    pub(crate) case: String,
    /// What was measured.
    pub(crate) quantity: &'static str,
    /// In what.
    pub(crate) unit: &'static str,
    /// A number for each round.
    pub(crate) values: Vec<f64>,
}

impl Numbers {
    pub(crate) fn of(
        case: impl ToString,
        quantity: &'static str,
        unit: &'static str,
        values: impl Iterator<Item = f64>,
    ) -> Self {
        Self { case: case.to_string(), quantity, unit, values: values.collect() }
    }
}

/// Writes them as JSON into the file, where one is asked for.
pub(crate) fn write(numbers: &[Numbers], file: Option<&Path>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let text = serde_json::to_string_pretty(numbers)?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
