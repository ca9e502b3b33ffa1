#![forbid(unsafe_code)]
//! `cargo xtask`: everything that is done with the project beside using it. Each task says what it
//! does and ends with a nonzero status when something is not as it should be.
//!
//! xtask has no native dependency, so that it builds before `setup` has installed any.

mod demo;
mod fuzz;
mod gate;
mod instructions;
mod lab;
mod loadtest;
mod privilege;
mod program;
mod sanitize;
mod say;
mod setup;
mod soak;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Set-up, lab, demo and tests of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install the Debian packages that building, testing and the demo need, as far as they are missing.
    Setup,
    /// Hosts to play with: a client, a gate and a server in namespaces of their own.
    #[command(subcommand)]
    Lab(lab::Task),
    /// Put the gate between two hosts and send real traffic through it.
    Demo(demo::Options),
    /// Put the gate between two ports of a real driver in its zero-copy mode, in a virtual machine; `test` does
    /// this, too.
    Vm(vm::Options),
    /// Kill, stop, restart and flood the gate while hosts exchange data through it; `test` does this for a minute.
    Soak(soak::Options),
    /// Measure the gate beside its peers, and make a report of it; `test` does this briefly.
    Loadtest(loadtest::Options),
    /// Check formatting and lints and run every test.
    Test,
    /// Run the tests of plugins under the address sanitizer; `test` does this, too.
    Sanitize,
    /// Run a fuzz target; `test` runs each for a few seconds.
    Fuzz(fuzz::Options),
    /// Count instructions of the packet path and compare them with those kept; `test` does this, too.
    Instructions(instructions::Options),
    /// Attribute what a packet costs to decoding, look-up, detection and so on, by callgrind.
    Profile(instructions::profile::Options),
    /// All that must hold before a change is taken in: the tests, then the demo.
    Ci,
}

fn main() -> ExitCode {
    match perform(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            say::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup => setup::run()?,
        Task::Lab(task) => return lab::run(&task),
        Task::Demo(options) => demo::run(&options)?,
        Task::Vm(options) => vm::run(&options)?,
        Task::Soak(options) => soak::run(&options)?,
        Task::Loadtest(options) => loadtest::run(&options)?,
        Task::Test => test::run()?,
        Task::Sanitize => sanitize::run()?,
        Task::Fuzz(options) => fuzz::run(&options)?,
        Task::Instructions(options) => instructions::run(&options)?,
        Task::Profile(options) => instructions::profile::run(&options)?,
        Task::Ci => {
            test::run()?;
            demo::run(&demo::Options::default())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
