#![deny(unsafe_code)]
//! `loadgen`: sends live frames onto an interface and counts what arrives at another, each run
//! inside the namespace it is to work in (`nsenter --net=…`).
//!
//! Results go to standard output as `key=value` lines for programs to read; nothing else does.

mod forward;
mod frame;
mod pace;
mod receive;
mod send;
mod skeleton;
mod stop;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

/// Senders and receivers of live frames.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version)]
enum Arguments {
    /// Send UDP frames onto an interface.
    Send(send::Arguments),
    /// Count and eat the UDP frames that arrive at an interface, until told to stop.
    Receive(receive::Arguments),
    /// Send what arrives at one interface out of another, with nothing but a redirect, until told to stop.
    Forward(forward::Arguments),
}

/// Runs the program with these arguments, the first of which is its name: a benchmark carries its load
/// generator within itself and starts it by running itself.
#[must_use]
pub fn main_from(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = match Arguments::parse_from(arguments) {
        Arguments::Send(arguments) => send::run(&arguments),
        Arguments::Receive(arguments) => receive::run(&arguments),
        Arguments::Forward(arguments) => forward::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(io::stderr(), "loadgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints one result; flushed at once, since a caller may be waiting for it.
fn report(key: &str, value: impl std::fmt::Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{key}={value}")?;
    output.flush()
}
