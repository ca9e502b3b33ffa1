//! Fuzz targets: built with the coverage counters of the stable compiler, and run. What is found by a long run
//! stays in `daemon/fuzz/corpus`, which is not committed; `daemon/fuzz/seeds` is, and small. What came of a run
//! is said in one line: executions, coverage, and whether that is at a plateau.

mod progress;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{say, workspace};
use progress::Progress;

/// Every target, as its file in `daemon/fuzz/targets` is called.
const TARGETS: [&str; 7] =
    ["decoder", "defragmenter", "reassembler", "parser", "matcher", "engine", "handover"];

/// Seconds that each target is run as part of the tests, the seeds first.
const BRIEF_SECONDS: u32 = 5;

/// What libFuzzer needs of the compiler: counters at every edge.
const FLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
];

/// And what is compared with what, so that it finds values that chance does not. That takes half of the time.
const COMPARES: &str = "-Cllvm-args=-sanitizer-coverage-trace-compares";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The targets, one after the other; all where none is named.
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// Executions of each; without end where neither this nor `--seconds` is given.
    #[arg(long)]
    runs: Option<u64>,
    /// Seconds for each.
    #[arg(long)]
    seconds: Option<u32>,
    /// Add to the seeds the smallest part of the corpus that reaches all that it reaches, and do nothing else.
    #[arg(long)]
    minimize: bool,
}

/// Runs targets for as long as is asked for.
pub(crate) fn run(options: &Options) -> Result<()> {
    let named =
        |target: &&str| options.targets.is_empty() || options.targets.iter().any(|name| name == target);
    for target in TARGETS.iter().filter(|target| named(target)) {
        let program = build(target)?;
        let (corpus, seeds) = (folder("corpus", target)?, folder("seeds", target)?);
        let mut command = Command::new(program);
        if options.minimize {
            command.arg("-merge=1").arg(seeds).arg(corpus);
        } else {
            command.args(options.runs.map(|runs| format!("-runs={runs}")));
            command.args(options.seconds.map(|seconds| format!("-max_total_time={seconds}")));
            command.args(["-print_final_stats=1", "-timeout=20"]).args(words(target)?).arg(corpus).arg(seeds);
        }
        let progress = perform(&mut command, target, say::line)?;
        if !options.minimize {
            say::line(&format!("{target}: {progress}"));
        }
    }
    Ok(())
}

/// Runs each target for a short while. Finds what was found before, and what is found easily.
pub(crate) fn brief() -> Result<()> {
    say::step("Running the fuzz targets for a while");
    for target in TARGETS {
        let program = build(target)?;
        let mut command = Command::new(program);
        // What is new is not kept.
        let new = tempfile::tempdir().context("cannot make a folder")?;
        command.args([
            &format!("-max_total_time={BRIEF_SECONDS}"),
            "-verbosity=0",
            "-print_funcs=0",
            "-timeout=60",
        ]);
        perform(command.arg(new.path()).arg(folder("seeds", target)?), target, |_| ())?;
        say::detail(target);
    }
    Ok(())
}

/// Rules are made of words, which chance does not find.
fn words(target: &str) -> Result<Option<String>> {
    let file = root()?.join("dictionaries").join("rules");
    Ok(matches!(target, "parser" | "matcher").then(|| format!("-dict={}", file.display())))
}

/// Runs a target, gives `tell` each line that it says, and returns how far it got.
fn perform(command: &mut Command, target: &str, tell: impl Fn(&str)) -> Result<Progress> {
    // Each execution sets up a worker and gives it back: memory that the system takes and gives costs more than
    // all else.
    command.env("MALLOC_MMAP_THRESHOLD_", "1073741824").env("MALLOC_TRIM_THRESHOLD_", "4294967296");
    command.env("MALLOC_TOP_PAD_", "67108864").arg(format!("-max_len={}", longest(target)));
    let artifacts = folder("artifacts", target)?;
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    let mut child =
        command.current_dir(&artifacts).stderr(Stdio::piped()).spawn().context("cannot start the target")?;
    let mut progress = Progress::default();
    let mut last = Vec::new();
    // What a failed assertion says may be bytes of any kind.
    let lines = child.stderr.take().map(|stderr| BufReader::new(stderr).split(b'\n'));
    for line in lines.into_iter().flatten() {
        let line = String::from_utf8_lossy(&line.context("cannot read what the target says")?).into_owned();
        tell(&line);
        progress.note(&line);
        last.push(line);
        // Enough for a panic's message and its input.
        last.drain(..last.len().saturating_sub(60));
    }
    let status = child.wait().context("cannot wait for the target")?;
    if !status.success() {
        say::line(&last.join("\n"));
    }
    ensure!(status.success(), "{target} found something: see {}", artifacts.display());
    Ok(progress)
}

/// Bytes of the longest input: enough for some hundred segments, fragments or frames. Longer ones find nothing more,
/// and take as much longer.
fn longest(target: &str) -> u32 {
    match target {
        "reassembler" | "defragmenter" | "handover" => 500,
        "engine" | "parser" | "matcher" => 700,
        _ => 2000,
    }
}

fn build(target: &str) -> Result<PathBuf> {
    // Inputs that are a list of choices have no values that would have to be found.
    let compares = matches!(target, "decoder" | "parser" | "matcher").then_some(COMPARES);
    let into = workspace::target()?.join(if compares.is_some() { "fuzz/compares" } else { "fuzz/edges" });
    let host = workspace::host()?;
    let mut cargo = workspace::cargo()?;
    cargo.args(["build", "--quiet", "--release", "--bin", target]).arg("--target").arg(&host);
    cargo.arg("--manifest-path").arg(root()?.join("Cargo.toml")).arg("--target-dir").arg(&into);
    let flags: Vec<_> = FLAGS.into_iter().chain(compares).collect();
    cargo.env("RUSTC_WRAPPER", root()?.join("rustc.sh")).env("FUZZ_FLAGS", flags.join(" "));
    let status = cargo.env("RUSTFLAGS", "--cfg=fuzzing").status().context("cannot start cargo")?;
    ensure!(status.success(), "{target} does not build");
    Ok(into.join(host).join("release").join(target))
}

fn root() -> Result<PathBuf> {
    Ok(workspace::root()?.join("daemon/fuzz"))
}

fn folder(kind: &str, target: &str) -> Result<PathBuf> {
    let folder = root()?.join(kind).join(target);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", Path::display(&folder)))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_named() {
        let files = fs::read_dir(root().unwrap().join("targets")).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        names.sort();
        let mut known =
            TARGETS.map(|target| root().unwrap().join("targets").join(target).with_extension("rs"));
        known.sort();
        assert_eq!(names, known);
    }
}
