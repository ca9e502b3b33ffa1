//! The tests of plugins under the address sanitizer: C code that the compiler does not check runs in
//! them, and pointers go both ways.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{say, workspace};

/// The crate whose tests are run.
const PACKAGE: &str = "portcullis-plugin";

/// Builds the crate, its examples and tests with the sanitizer, and runs the tests: they build plugins in C with
/// it, and commit faults in some to see that they are found.
pub(crate) fn run() -> Result<()> {
    say::step("Running the tests of plugins under the address sanitizer");
    // The tests load the example in Rust, which cargo does not build for a choice of tests.
    perform(&["build", "--quiet", "--example", "drop_marked"])?;
    perform(&["test", "--quiet", "--lib", "--test", "it"])
}

fn perform(what: &[&str]) -> Result<()> {
    let status = command(what)?.status().context("cannot start cargo")?;
    ensure!(status.success(), "plugins fail under the address sanitizer");
    Ok(())
}

fn command(what: &[&str]) -> Result<Command> {
    let mut cargo = workspace::cargo()?;
    cargo.args(what).args(["--package", PACKAGE, "--features", "sanitized"]);
    // With a target of its own, what runs while building (macros, build scripts) is left alone.
    cargo.arg("--target").arg(workspace::host()?);
    cargo.arg("--target-dir").arg(workspace::target()?.join("sanitize"));
    // The sanitizer is in the stable compiler, behind a switch that only this opens.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    Ok(cargo)
}
