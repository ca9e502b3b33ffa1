//! `portcullis check`: loads the configuration and the rules as the daemon would, reports all that
//! is wrong, and changes nothing.

use crate::cli::CheckArgs;
use crate::config::{self, Inline};
use crate::exit::Failure;
use crate::lists::Lists;
use crate::{output, plugins, remarks, rules, run};

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
    let lists = Lists::read(&loaded.config)?;
    lists.remark();
    let plugins = plugins::check(&loaded)?;
    let rules = rules::load(&loaded.config, arguments.rules.as_deref())?;
    if arguments.json {
        output::line(&remarks::to_json(&rules).to_string());
    } else {
        output::rule_remarks(&rules);
    }
    rules.unless_fatal(true)?;
    if arguments.json {
        return Ok(());
    }
    let configuration = match &arguments.config.config {
        Some(path) => format!("{} is good", path.display()),
        None => "no configuration file".to_owned(),
    };
    let disabled = match rules.disabled {
        0 => String::new(),
        disabled => format!(" ({disabled} more commented out)"),
    };
    let plugins = match plugins {
        0 => String::new(),
        count => format!("; {}, not started", counted(count, "plugin")),
    };
    output::line(&format!(
        "{configuration}; {} from {}{disabled}{plugins}; {}",
        counted(rules.rules.len(), "rule"),
        counted(rules.files, "file"),
        counted(loaded.warnings.len() + rules.unmatched.len() + rules.remarks.len(), "warning"),
    ));
    Ok(())
}

/// `1 rule`, `2 rules`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
