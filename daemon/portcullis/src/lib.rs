//! The binary's own parts, as a library so that tests can reach them: command line, configuration,
//! control socket, and the composition of the engine with a packet module and the outputs.
//!
//! - [`cli`]: the command line
//! - [`config`]: the TOML file and `--set`, as typed settings
//! - [`run`](mod@run) with its `gate`, [`check`], [`replay`], [`ctl`], [`doctor`]: one module a subcommand
//! - [`control`]: the control socket, its protocol, server and client
//! - [`plugins`]: from `[plugins]` to hooks that every worker gets
//! - [`output`]: the only module that prints
//! - [`remarks`]: faults of rules, underlined for people and as JSON for programs
//! - [`exit`]: which failure ends with which exit status
//!
//! Invariants: only this crate knows TOML; only [`output`] prints; JSON is spoken here on the
//! control socket, by `check --json` and `doctor --json` (records are the `eve` crate's).
#![forbid(unsafe_code)]

mod bypass;
pub mod changes;
pub mod check;
pub mod cli;
pub mod config;
pub mod control;
pub mod ctl;
mod detach;
pub mod doctor;
pub mod exit;
mod lists;
pub mod log;
pub mod output;
pub mod plugins;
pub mod progress;
pub mod remarks;
pub mod replay;
pub mod report;
pub mod rules;
pub mod run;
pub mod settings;
pub mod workers;

use clap::Parser as _;
use cli::Command;
use std::process::ExitCode;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = cli::Cli::parse();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            output::failure(&failure);
            failure.code()
        }
    }
}

fn dispatch(arguments: &cli::Cli) -> Result<ExitCode, exit::Failure> {
    let done = match &arguments.command {
        Command::Run(arguments) => return run::run(arguments),
        Command::Gate(arguments) => run::gate(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Ctl(arguments) => ctl::run(arguments),
        // Its exit status tells what it found.
        Command::Doctor(arguments) => return doctor::run(arguments),
    };
    done.map(|()| ExitCode::SUCCESS)
}
