#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one module that talks to the user")]
//! What the user reads. Everything is flushed line by line, so that it stands in order with what
//! other programs print.

use anyhow::Error;

/// A new step of a task.
pub(crate) fn step(text: &str) {
    println!("==> {text}");
}

/// What came of a step, or a word on how it is done.
pub(crate) fn detail(text: &str) {
    println!("    {text}");
}

/// A line as it is.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Why a task failed, with its causes.
pub(crate) fn error(error: &Error) {
    eprintln!("error: {error:#}");
}
