#![deny(unsafe_code)]
//! Load that is counted frame by frame: senders, receivers, and the least that can stand between them.
//!
//! - `trial`: sends from one interface to another and says, as JSON, what came of each frame
//! - `send`, `receive`: one end alone, in the present namespace, with `key=value` lines as results
//! - `forward`: peers for a gate to be compared with, and one that does known harm
//! - [`thread`]: CPUs and clocks, for whoever carries this generator within itself, too
//!
//! Frames carry a number and a time (`maker`); the sender (`sender`) puts both in where frames leave, the receiver
//! (`counts`) looks at them in the XDP program of the interface that they come to, by the same clock. Nothing else is
//! written to standard output than results.

mod counts;
mod forward;
mod maker;
mod pace;
mod place;
mod receive;
mod send;
mod sender;
mod skeleton;
mod stop;
pub mod thread;
mod trial;

pub use portcullis_trial::{Forwarded, Outcome, Trial};

use clap::Parser;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Senders, receivers and forwarders of frames that are counted one by one.
#[derive(Debug, Parser)]
#[command(name = "portcullis-loadgen", version)]
enum Arguments {
    /// Send from one interface to another; print as JSON what came of each frame.
    Trial(Box<Trial>),
    /// Send live frames onto an interface of this namespace, until told to stop.
    Send(send::Arguments),
    /// Count and eat the frames that arrive at an interface, until told to stop.
    Receive(receive::Arguments),
    /// Send on what arrives at either of two interfaces by the other one, until told to stop; print as JSON what was done.
    Forward(forward::Arguments),
}

/// Runs the program with these arguments, the first of which is its name: a benchmark carries its load
/// generator within itself and starts it by running itself.
#[must_use]
pub fn main_from(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = match Arguments::parse_from(arguments) {
        Arguments::Trial(trial) => trial::run(&trial),
        Arguments::Send(arguments) => send::run(&arguments),
        Arguments::Receive(arguments) => receive::run(&arguments),
        Arguments::Forward(arguments) => forward::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(io::stderr(), "portcullis-loadgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints one result; flushed at once, since a caller may be waiting for it.
fn report(key: &str, value: impl std::fmt::Display) -> io::Result<()> {
    say(format_args!("{key}={value}"))
}

/// Prints one line likewise.
fn say(line: impl std::fmt::Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}
