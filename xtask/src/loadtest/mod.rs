//! The load test: Portcullis and its peers between the same hosts, under the same load, in turn; and a report of it
//! that says on what machine, with what and how often. It never judges by time: only counts that do not add up, peers
//! that do not run and things that are left are errors.

mod bench;
mod figures;
mod gates;
mod machine;
mod plan;
mod report;
mod results;
mod scenario;
mod search;
mod stand;
mod statistics;
mod subject;
mod usage;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::gate::children;
use crate::program::Interrupt;
use crate::{privilege, say, setup, workspace};
use bench::Bench;
use machine::Machine;
use plan::Plan;
use results::Results;
use scenario::Scenario;
use stand::Tools;
use subject::Subject;

/// Where the profile of the cost by stage is, if there is one.
const PROFILE: &str = "profile.json";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What to measure; everything where none is named.
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// Everything once and briefly, in under three minutes: shows that it works, not how fast.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// All frame sizes of RFC 2544, finer searches, more rounds; takes hours.
    #[arg(long)]
    full: bool,
    /// One more peer: a command for the shell that forwards between the interfaces $PORT_A and $PORT_B of its namespace
    /// until it is sent SIGTERM.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<String>,
    /// How many rounds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Where the report goes [default: target/loadtest].
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// The CPU that sends.
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    sender_cpu: u32,
    /// The CPU that forwards.
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    worker_cpu: u32,
    /// Only make tables and plots anew, of the numbers that are there.
    #[arg(long)]
    redraw: bool,
    /// Measure what the tests have built anyway: only to see that it works.
    #[arg(long, hide = true)]
    unoptimised: bool,
    /// What must be built is built (set when the task starts itself again as root).
    #[arg(long, hide = true)]
    built: bool,
}

/// What the tests of the project do of this, in a process of its own, which may become root.
pub(crate) fn test() -> Result<()> {
    let program = std::env::current_exe().context("cannot find out where this program is")?;
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let mut command = Command::new(program);
    let status = command.args(["loadtest", "--quick", "--unoptimised", "--out"]).arg(folder.path()).status();
    ensure!(status.context("cannot start the load test")?.success(), "the load test went badly");
    Ok(())
}

/// Measures and reports.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => workspace::target()?.join("loadtest"),
    };
    if options.redraw {
        return report::write(&report::read(&folder)?, &folder);
    }
    if !options.built {
        build(!options.unoptimised)?;
    }
    let mut words = vec!["loadtest".to_owned(), "--built".to_owned()];
    words.extend(std::env::args().skip(2));
    privilege::become_root(words)?;
    let interrupt = Interrupt::listen()?;
    ensure!(
        options.sender_cpu != options.worker_cpu,
        "who sends and who forwards need a CPU each (--sender-cpu, --worker-cpu)"
    );
    let start = Instant::now();
    let mut bench = prepare(options, interrupt)?;
    let everything = Scenario::value_variants();
    let wanted = if options.scenarios.is_empty() { everything } else { &options.scenarios };
    let measured = scenario::measure(&mut bench, wanted);
    // However it ended, also by Ctrl-C.
    let left = left_behind();
    if let Err(error) = measured {
        return Err(keep(&bench.results, &folder, error));
    }
    ensure!(left.is_empty(), "the load test left something: {}", left.join(", "));
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    bench.results.notes.push(format!("Measuring took {minutes:.1} minutes."));
    if let (all, behind @ 1..) = bench.results.behind() {
        bench.results.notes.push(format!(
            "In {behind} of {all} trials at a set rate the sender fell behind by more than a tenth: this machine was too \
             busy, or is too slow, for these rates."
        ));
    }
    report::write(&bench.results, &folder)?;
    privilege::give_back(&folder)?;
    for figure in figures::all(&bench.results) {
        let met = match figure.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => continue,
        };
        say::detail(&format!("{}: {} ({}): {met}", figure.what, figure.measured, figure.mark));
    }
    say::step(&format!("{minutes:.1} minutes; see {}", folder.join(report::PAGE).display()));
    Ok(())
}

/// Builds everything that is measured or measures, and installs the peers.
fn build(release: bool) -> Result<()> {
    setup::peers()?;
    say::step("Building what is measured and what measures");
    for (package, binary) in [
        ("portcullis", "portcullis"),
        ("portcullis-loadgen", "portcullis-loadgen"),
        ("portcullis-bench-inline", "bench-inline"),
    ] {
        workspace::build(package, binary, release)?;
    }
    Ok(())
}

fn prepare(options: &Options, interrupt: Interrupt) -> Result<Bench> {
    let mut plan = match (options.quick, options.full) {
        (true, _) => Plan::quick(),
        (_, true) => Plan::full(),
        _ => Plan::whole(),
    };
    if let Some(rounds) = options.rounds {
        (plan.rounds, plan.short_rounds) = (usize::from(rounds), usize::from(rounds));
    }
    let mut subjects = Subject::all();
    for peer in &options.peers {
        let peer = Subject::parse(peer)?;
        ensure!(!subjects.contains(&peer), "the peer \"{}\" is given twice", peer.name);
        subjects.push(peer);
    }
    let release = !options.unoptimised;
    let tools = Tools {
        portcullis: workspace::binary_path("portcullis", release)?,
        loadgen: workspace::binary_path("portcullis-loadgen", release)?,
        inline: workspace::binary_path("bench-inline", release)?,
        sender: options.sender_cpu,
        worker: options.worker_cpu,
        interrupt,
    };
    let mut results = Results { machine: Machine::look()?, ..Results::default() };
    results.machine.peers =
        subjects.iter().map(|peer| (peer.name.clone(), stand::words(&tools, &peer.kind).join(" "))).collect();
    if options.unoptimised {
        results.notes.push("What was measured was built without optimisations.".to_owned());
    }
    if options.quick {
        results.notes.push("A quick run: it shows that everything works, not how fast it is.".to_owned());
    }
    results.profile = profile(&workspace::target()?.join("loadtest"))?;
    Ok(Bench { plan, tools, subjects, results })
}

/// Keeps what was measured before something went wrong, beside what an earlier run may have left.
fn keep(results: &Results, folder: &Path, error: anyhow::Error) -> anyhow::Error {
    if results.samples.is_empty() {
        return error;
    }
    let folder = folder.join("incomplete");
    let kept = report::write(results, &folder).and_then(|()| privilege::give_back(&folder));
    match kept {
        Ok(()) => error.context(format!("the load test is incomplete; so far: {}", folder.display())),
        Err(_) => error,
    }
}

/// What should be gone: programs that we started and that still run, pins and files of gates.
fn left_behind() -> Vec<String> {
    let programs = children(std::process::id()).into_iter().map(|id| format!("process {}", id.as_raw_pid()));
    let own = gates::set();
    let entries = ["/sys/fs/bpf/portcullis", "/run/portcullis"].map(std::fs::read_dir);
    let files = entries.into_iter().flatten().flatten().flatten().map(|entry| entry.path());
    let is_own = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().split('.').next() == Some(own.as_str()))
    };
    programs.chain(files.filter(is_own).map(|path| path.display().to_string())).collect()
}

/// What `cargo xtask profile` has left.
fn profile(folder: &Path) -> Result<Option<serde_json::Value>> {
    match std::fs::read_to_string(folder.join(PROFILE)) {
        Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| format!("{PROFILE} is no JSON"))?)),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_still_runs_is_seen() {
        let mut program = Command::new("sleep").arg("1000").spawn().unwrap();
        let name = format!("process {}", program.id());
        assert!(left_behind().contains(&name), "{:?}", left_behind());
        program.kill().unwrap();
        program.wait().unwrap();
        assert!(!left_behind().contains(&name));
    }

    #[test]
    fn what_was_measured_is_kept_when_something_goes_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = || anyhow::anyhow!("no luck");
        let mut results = Results::default();
        assert_eq!(keep(&results, folder.path(), wrong()).to_string(), "no luck");
        results.add(
            &results::Key::new("flows", "portcullis", "1", Some(1.0)),
            0,
            "throughput",
            "packets/s",
            7.0,
        );
        let error = format!("{:#}", keep(&results, folder.path(), wrong()));
        assert!(error.contains("incomplete") && error.ends_with("no luck"), "{error}");
        assert_eq!(report::read(&folder.path().join("incomplete")).unwrap().samples, results.samples);
    }
}
