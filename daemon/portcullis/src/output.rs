//! The only module that prints. Results go to standard output; warnings and errors to standard
//! error, in colour where that is a terminal.

use crate::config::Loaded;
use crate::exit::Failure;
use crate::remarks;
use crate::report::Summary;
use crate::rules::LoadedRules;
use std::io::{IsTerminal as _, Write as _};
use tracing::level_filters::LevelFilter;

/// Writes to standard error. What cannot be written there has nowhere else to go.
fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Writes to standard output. A reader that went away (a closed pipe) ends the printing, not the
/// work.
fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Shows why the program fails.
pub fn failure(failure: &Failure) {
    match failure {
        Failure::Config(error) => {
            complain(&error.sources.render(&error.diagnostics, std::io::stderr().is_terminal()));
        }
        other => complain(&format!("error: {other}\n")),
    }
}

/// Shows what is to be said about a configuration.
pub fn warnings(loaded: &Loaded) {
    if !loaded.warnings.is_empty() {
        complain(&loaded.sources.render(&loaded.warnings, std::io::stderr().is_terminal()));
    }
}

/// Shows which rules could not be loaded and why, which keywords that was for, and which patterns no file
/// matches.
pub fn rule_remarks(rules: &LoadedRules) {
    complain(&remarks::render(rules, std::io::stderr().is_terminal()));
}

/// From now on what is logged is shown.
pub fn start_log() {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(LevelFilter::INFO);
    // It may have been started before.
    let _ = subscriber.try_init();
}

/// Shows what a replay came to.
pub fn summary(summary: &Summary) {
    say(&summary.table());
}

/// Shows a line of result.
pub fn line(text: &str) {
    say(&format!("{text}\n"));
}
