//! The only module that prints.

use std::fmt::Display;
use std::io::{self, Write};

/// Prints a line of results; at once, for somebody is waiting for it.
pub(crate) fn line(text: impl Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()
}

/// Says why there are no results.
pub(crate) fn complain(error: &anyhow::Error) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "bench-inline: {error:#}");
}
