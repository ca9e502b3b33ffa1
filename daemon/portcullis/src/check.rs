//! `portcullis check`: loads the configuration and the rules as the daemon would, reports all that
//! is wrong, and changes nothing.

use crate::cli::CheckArgs;
use crate::config::{self, Inline};
use crate::exit::Failure;
use crate::{output, rules, run};

/// Runs the check.
///
/// # Errors
/// Where anything is wrong; it has been shown but for the failure itself.
pub fn run(arguments: &CheckArgs) -> Result<(), Failure> {
    let loaded = config::load(&arguments.config, Inline::ByCopyMode)?;
    output::warnings(&loaded);
    // Without ports it is a configuration for replays.
    if !loaded.config.inline_sets.is_empty() {
        run::check(&loaded.config)?;
    }
    let rules = rules::load(&loaded.config, arguments.rules.as_deref())?;
    output::rule_remarks(&rules);
    let (good, bad) = (rules.rules.len(), rules.errors.len());
    if bad > 0 {
        return Err(Failure::Input(format!("{} cannot be loaded, {good} can", counted(bad, "rule"))));
    }
    let configuration = match &arguments.config.config {
        Some(path) => format!("{} is good", path.display()),
        None => "no configuration file".to_owned(),
    };
    output::line(&format!(
        "{configuration}; {} from {}; {}",
        counted(good, "rule"),
        counted(rules.files, "file"),
        counted(loaded.warnings.len() + rules.unmatched.len(), "warning"),
    ));
    Ok(())
}

/// `1 rule`, `2 rules`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
