//! Formatting, lints and every test, with one line at the end that sums them up.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use portcullis_testkit::is_root;

use crate::{fuzz, instructions, loadtest, privilege, sanitize, say, setup, soak, vm, workspace};

/// The build that has DPDK. Of the whole workspace, so that nothing is built anew but what differs.
const WITH_DPDK: [&str; 3] = ["--workspace", "--features", "portcullis/dpdk,portcullis-capture-dpdk/rings"];

/// What ends a test program that hangs, with the seconds it has: many times what the longest needs on a slow machine.
const LIMITED: &str = "timeout --foreground --kill-after=10 1200";

/// What cargo's test programs said of themselves, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// Checks and tests everything; an error when anything is wrong.
pub(crate) fn run() -> Result<()> {
    say::step("Checking the formatting");
    succeed(workspace::cargo()?.args(["fmt", "--all", "--check"]), "cargo fmt")?;
    succeed(Command::new("rustfmt").args(["--check", "--edition=2024"]).args(keywords()?), "rustfmt")?;
    say::step("Checking the lints");
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    succeed(workspace::cargo()?.args(clippy), "cargo clippy")?;
    say::step("Running the tests, as root where they make interfaces");
    let mut tally = Tally::default();
    let mut success = test(&["--workspace"], &mut tally)?;
    success &= test_dpdk(&mut tally).inspect_err(say::error).unwrap_or(false);
    success &= sanitize::run().inspect_err(say::error).is_ok();
    success &= fuzz::brief().inspect_err(say::error).is_ok();
    success &= instructions::check().inspect_err(say::error).is_ok();
    let soak = soak::test().inspect_err(say::error).is_ok();
    success &= soak;
    let soak = if soak { "well" } else { "failed" };
    let load = loadtest::test().inspect_err(say::error).is_ok();
    success &= load;
    let load = if load { "well" } else { "failed" };
    let machine = vm::test().inspect_err(say::error).is_ok();
    success &= machine;
    let machine = if machine { "well" } else { "failed" };
    say::line(&format!(
        "{} passed, {} failed; soak: {soak}; load test: {load}; virtual machine: {machine}",
        tally.passed, tally.failed
    ));
    ensure!(tally.ignored == 0, "{} tests were skipped; each must run", tally.ignored);
    ensure!(success && tally.failed == 0, "tests failed");
    ensure!(tally.passed > 0, "cargo ran no test");
    Ok(())
}

/// The files of the rules' keywords: a macro declares them, and `cargo fmt` does not look into macros.
fn keywords() -> Result<Vec<PathBuf>> {
    let folder = workspace::root()?.join("daemon/detect/src/keywords");
    let files = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    files.map(|file| Ok(file?.path())).collect()
}

/// Lints and tests of DPDK's packet module and of the gate over it: what is not there without the feature.
fn test_dpdk(tally: &mut Tally) -> Result<bool> {
    say::step("Checking and testing the packet module for DPDK");
    setup::dpdk()?;
    let lints = ["--all-targets", "--", "-D", "warnings"];
    succeed(workspace::cargo()?.args(["clippy", "--quiet"]).args(WITH_DPDK).args(lints), "cargo clippy")?;
    test(&[&WITH_DPDK[..], &["--test", "ports", "--test", "dpdk"]].concat(), tally)
}

/// Runs tests and adds what they say to `tally`; did all succeed?
fn test(which: &[&str], tally: &mut Tally) -> Result<bool> {
    let mut command = workspace::cargo()?;
    command.args(["test", "--no-fail-fast"]).args(which);
    if is_root() {
        command.env(runner_variable()?, LIMITED);
    } else {
        // The build stays the user's; only the test programs run as root.
        privilege::require_sudo()?;
        command.env(runner_variable()?, format!("sudo -E {LIMITED}"));
    }
    let mut cargo = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = cargo.stdout.take().context("cargo's output was asked for")?;
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read what cargo says")?;
        tally.add(&line);
        say::line(&line);
    }
    let status = cargo.wait().context("cannot wait for cargo")?;
    Ok(status.success())
}

/// The variable by which cargo learns how to run programs built for this machine.
fn runner_variable() -> Result<String> {
    Ok(format!("CARGO_TARGET_{}_RUNNER", workspace::host()?.replace('-', "_").to_uppercase()))
}

fn succeed(command: &mut Command, name: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    ensure!(status.success(), "{name} is not content");
    Ok(())
}

impl Tally {
    /// Takes in one line of output, if it is a test program's summary:
    /// `test result: ok. 9 passed; 0 failed; 0 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some(summary) = line.strip_prefix("test result: ") else { return };
        for part in summary.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], passed: u64, failed: u64, ignored: u64) {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.add(line));
        assert_eq!(tally, Tally { passed, failed, ignored }, "{lines:?}");
    }

    #[test]
    fn summaries_are_summed_and_nothing_else() {
        check(&[], 0, 0, 0);
        check(&["test a::b ... ok", "running 3 tests", "3 passed; 1 failed"], 0, 0, 0);
        let good =
            "test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.02s";
        let bad = "test result: FAILED. 8 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 30.19s";
        check(&[good], 9, 0, 0);
        check(&[good, "", bad], 17, 1, 2);
    }

    #[test]
    fn the_runner_variable_is_spelt_as_cargo_wants_it() {
        let name = runner_variable().unwrap();
        assert!(name.starts_with("CARGO_TARGET_") && name.ends_with("_RUNNER"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'));
    }
}
