//! Instructions of the packet path, as callgrind counts them: a figure that other work on the machine does not change.
//!
//! `cargo xtask instructions` compares those of pieces of work with fixed seeds (`benches/micro/src/works.rs`) with the
//! ones kept in `benches/micro/instructions.json`, and fails where one takes more; `test` does this, too. Compilers
//! differ in what they put in line, and so do C libraries in how they copy: with others than the kept counts are of,
//! nothing is compared, and that is said.
//!
//! gungraun was looked at for this: it compares with the last run in the target folder, so that a fresh clone has nothing
//! to compare with, tells the benchmark that grew and not the function, and its runner has to be installed in the version
//! of the library. What is left for us to do is reading a file of callgrind's, which the profile needs anyway.

mod baseline;
mod callgrind;
mod places;
pub(crate) mod profile;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{say, workspace};
use baseline::{Baseline, Builders, Finding, Work};
use callgrind::Counted;
use places::Place;

/// Who runs the pieces of work.
const PACKAGE: &str = "portcullis-bench-micro";
const BINARY: &str = "bench-micro";
/// What is counted of a run.
const COUNTED: &str = "*counted_part*";
/// Where the counts are kept, from the root of the workspace.
const KEPT: &str = "benches/micro/instructions.json";

/// Count the instructions of the packet path.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these pieces of work.
    #[arg(conflicts_with = "renew")]
    works: Vec<String>,
    /// Keep what is counted, to compare with from now on.
    #[arg(long)]
    renew: bool,
    /// Compare with the counts in this file.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
}

/// Counts, and compares or keeps.
pub(crate) fn run(options: &Options) -> Result<()> {
    let counted = count(&options.works)?;
    let kept = match &options.baseline {
        Some(file) => file.clone(),
        None => workspace::root()?.join(KEPT),
    };
    for (name, work) in &counted.works {
        say::detail(&format!("{name:<22} {:>9.1} instructions a {}", work.instructions, work.unit));
    }
    if options.renew {
        fs::write(&kept, counted.to_text()?).with_context(|| format!("cannot write {}", kept.display()))?;
        say::detail(&format!("kept in {}", kept.display()));
        return Ok(());
    }
    let text = fs::read_to_string(&kept).with_context(|| format!("cannot read {}", kept.display()))?;
    let kept = Baseline::from_text(&text)?;
    if kept.builders != counted.builders {
        let (was, is) = (&kept.builders, &counted.builders);
        say::detail(&format!("NOT COMPARED: the counts that are kept are of {was}, this is {is}"));
        return Ok(());
    }
    let findings = kept.compare(&counted);
    for finding in &findings {
        say::detail(&finding.to_string());
    }
    let worse = findings.iter().filter(|finding| matches!(finding, Finding::More { .. })).count();
    ensure!(
        worse == 0,
        "{worse} pieces of work take more instructions (`cargo xtask instructions --renew` accepts that)"
    );
    say::detail("no more instructions than before");
    Ok(())
}

/// The comparison, for `test`.
pub(crate) fn check() -> Result<()> {
    say::step("Counting instructions of the packet path");
    run(&Options { works: Vec::new(), renew: false, baseline: None })
}

/// Counts pieces of work: those named, or all.
fn count(works: &[String]) -> Result<Baseline> {
    let program = workspace::build(PACKAGE, BINARY, true)?;
    let list = Command::new(&program).arg("counted").output().context("cannot start the pieces of work")?;
    let list = String::from_utf8(list.stdout).context("the list of the pieces of work")?;
    let known: Vec<(&str, &str)> = list.lines().filter_map(|line| line.split_once(' ')).collect();
    for work in works {
        ensure!(known.iter().any(|(name, _)| name == work), "there is no `{work}` among {known:?}");
    }
    let mut counted = Baseline { builders: Builders::find()?, works: BTreeMap::new() };
    for (name, unit) in known {
        if works.is_empty() || works.iter().any(|work| work == name) {
            let (_, by_place) = count_one(&program, name)?;
            counted.works.insert(name.to_owned(), Work::new(unit, &by_place));
        }
    }
    Ok(counted)
}

/// Instructions of a unit of one piece of work, by function, and how many units were counted.
fn count_one(program: &std::path::Path, name: &str) -> Result<(u64, BTreeMap<Place, f64>)> {
    let run = callgrind::run(program, &["counted", name], Counted::Within(COUNTED))?;
    let units = run.output.lines().find_map(|line| line.strip_prefix("units="));
    let units: u64 = units.with_context(|| format!("`{name}` tells no units"))?.parse()?;
    let executed = run.threads.first().context("nothing was counted")?;
    let places = places::by_place(executed, program, &workspace::root()?)?;
    Ok((units, places.into_iter().map(|(place, count)| (place, per(count, units))).collect()))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per(count: u64, units: u64) -> f64 {
    count as f64 / units.max(1) as f64
}
