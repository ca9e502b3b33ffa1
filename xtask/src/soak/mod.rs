//! The soak: a gate between two hosts that exchange data all the time, while it is killed, stopped, restarted,
//! reloaded, flooded and passed by, and links go down. Every transfer has to end as it began, byte for byte, whatever
//! the gate counts has to balance, and nothing may be left at the end.

mod bfd;
mod chaos;
mod cores;
mod idle;
mod links;
mod measures;
mod stream;
mod table;
mod transfers;

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use portcullis_testkit::Lab;
use tempfile::TempDir;

use crate::program::Interrupt;
use crate::{privilege, say, setup, workspace};
use bfd::{Flaps, Session};
use chaos::{Chaos, Random};
use cores::Cores;
use measures::Measures;
use transfers::Transfers;

/// How long transfers may take to end once nothing happens any more.
const LAST_TRANSFERS: Duration = Duration::from_secs(120);

/// What `cargo xtask test` does of it.
const IN_TESTS: &str = "--for=60s";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// How long, as in 90s, 5m or 2h; half of it with fail = "open", half with "closed". With --idle, 30s is enough.
    #[arg(long = "for", value_name = "TIME", default_value = "5m", value_parser = time)]
    time: Duration,
    /// What happens when follows from this number; another one each time by default.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Have the hosts keep up a BFD session besides, 3 x 50 ms, which must not flap: fail = "open", and nothing happens
    /// that cuts the wire itself. Needs Debian's frr, which is installed.
    #[arg(long)]
    bfd: bool,
    /// Measure instead what each kind of end costs, in packets, and print a table.
    #[arg(long, group = "what")]
    table: bool,
    /// Measure instead what a gate takes of a CPU while nothing comes.
    #[arg(long, group = "what")]
    idle: bool,
    /// Measure instead how soon a link that is lost on one side is down on the other.
    #[arg(long, group = "what")]
    links: bool,
    /// Flow slots of the gate that is measured.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    flows: u32,
    /// Rules of the gate that is measured, made up in the shapes of public ones.
    #[arg(long, value_name = "N")]
    rules: Option<u32>,
    /// With --table, packets a second.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rate: u32,
    /// With --table, how often each end is met.
    #[arg(long, value_name = "N", default_value_t = 3)]
    turns: usize,
    /// With --table, only ends whose names have this in them, such as "restart".
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// With --table, have crashes dump the gate's memory.
    #[arg(long, value_name = "WHERE")]
    cores: Option<Cores>,
    /// With --idle, leave the drivers' receive loops to the workers (`enable-busy-poll`).
    #[arg(long)]
    busy_poll: bool,
    /// Build with all optimisations.
    #[arg(long)]
    release: bool,
    /// What must be built is built (set when the task starts itself again as root).
    #[arg(long, hide = true)]
    built: bool,
}

impl Options {
    fn arguments(&self) -> Vec<String> {
        let mut words =
            vec!["soak".to_owned(), "--built".to_owned(), format!("--for={}s", self.time.as_secs())];
        words.extend(self.seed.map(|seed| format!("--seed={seed}")));
        let flags = [
            (self.bfd, "--bfd"),
            (self.table, "--table"),
            (self.idle, "--idle"),
            (self.links, "--links"),
            (self.busy_poll, "--busy-poll"),
            (self.release, "--release"),
        ];
        words.extend(flags.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag.to_owned()));
        words.push(format!("--flows={}", self.flows));
        words.extend(self.cores.map(|cores| format!("--cores={}", cores.word())));
        words.extend(self.only.iter().map(|only| format!("--only={only}")));
        words.extend(self.rules.map(|rules| format!("--rules={rules}")));
        words.extend([format!("--rate={}", self.rate), format!("--turns={}", self.turns.max(1))]);
        words
    }

    /// The gate that is measured, with its rules in `folder`.
    fn measures(&self, folder: &Path) -> Result<Measures> {
        let mut measures = Measures {
            flows: self.flows,
            busy_poll: self.busy_poll,
            dumps: self.cores == Some(Cores::File),
            ..Measures::LARGE
        };
        if let Some(count) = self.rules {
            let path = folder.join("made-up.rules");
            let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
            let mut maker = Command::new(workspace::binary_path(RULE_MAKER, true)?);
            let status = maker.arg("rule-file").arg(count.to_string()).stdout(file).status();
            ensure!(status.context("cannot start the maker of rules")?.success(), "no rules were made");
            (measures.rules, measures.rule_count) = (Some(path), count);
        }
        Ok(measures)
    }
}

/// What makes rules up: the measuring program, which has a use for them, too.
const RULE_MAKER: &str = "bench-micro";

/// A folder that goes away by itself.
fn folder() -> Result<TempDir> {
    tempfile::Builder::new().prefix("portcullis-soak-").tempdir().context("no temporary folder")
}

/// What the tests of the project do of this, in a process of its own, which may become root.
pub(crate) fn test() -> Result<()> {
    let program = std::env::current_exe().context("cannot find out where this program is")?;
    let status = Command::new(program).args(["soak", IN_TESTS]).status().context("cannot start the soak")?;
    ensure!(status.success(), "the soak went badly");
    Ok(())
}

/// Soaks; an error when anything is not as it should be.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.built {
        say::step("Building the gate");
        workspace::build("portcullis", "portcullis", options.release)?;
        if options.rules.is_some() {
            workspace::build("portcullis-bench-micro", RULE_MAKER, true)?;
        }
        if options.bfd {
            setup::bfd()?;
        }
    }
    privilege::become_root(options.arguments())?;
    let interrupt = Interrupt::listen()?;
    let binary = workspace::binary_path("portcullis", options.release)?;
    let files = folder()?;
    let measures = options.measures(files.path())?;
    if options.table {
        let Options { rate, turns, cores, .. } = *options;
        let extent = table::Extent { rate, turns: turns.max(1), only: options.only.as_deref(), cores };
        return table::measure(&binary, &measures, extent, &interrupt);
    }
    if options.idle {
        return idle::measure(&binary, &measures, options.time, &interrupt);
    }
    if options.links {
        return links::measure(&binary, &measures, &interrupt);
    }
    let seed = options.seed.unwrap_or_else(Random::fresh);
    say::step(&format!("Soaking for {} seconds; --seed {seed} repeats it", options.time.as_secs()));
    if options.bfd {
        let measures = Measures { limit_ms: 50, ..measures };
        let soak = Soak { fail: "open", time: options.time, bfd: true, measures };
        return soak.run(&binary, Random::new(seed), &interrupt).with_context(|| format!("--seed {seed}"));
    }
    for (number, fail) in [(0, "open"), (1, "closed")] {
        let soak = Soak { fail, time: options.time / 2, bfd: false, measures: Measures::SMALL };
        soak.run(&binary, Random::new(seed.wrapping_add(number)), &interrupt)
            .with_context(|| format!("fail = {fail:?}, --seed {seed}"))?;
    }
    Ok(())
}

/// One gate that is soaked.
struct Soak {
    fail: &'static str,
    time: Duration,
    /// With a BFD session that must hold?
    bfd: bool,
    measures: Measures,
}

impl Soak {
    fn run(&self, binary: &Path, random: Random, interrupt: &Interrupt) -> Result<()> {
        let fail = self.fail;
        let lab = Lab::inline().context("cannot make the lab")?;
        let folder = folder()?;
        let gate = self.measures.start(binary, &lab, folder.path(), fail, interrupt)?;
        let session = self.bfd.then(|| Session::start(&lab, folder.path(), interrupt)).transpose()?;
        let before = session.as_ref().map(Session::flaps).transpose()?;
        let transfers = Transfers::start(&lab)?;
        let mut chaos = Chaos::new(&lab, &gate, random, self.bfd);
        let end = Instant::now() + self.time;
        while Instant::now() < end {
            chaos.strike(interrupt)?;
            transfers.check()?;
        }
        chaos.calm(interrupt)?;
        let done = transfers.finish(LAST_TRANSFERS, interrupt)?;
        say::detail(&format!("fail = {fail:?}: {done}"));
        say::detail(&format!("while {}", chaos.told()));
        ensure!(done.transfers > 0, "no transfer came to its end");
        if let (Some(session), Some(before)) = (session, before) {
            held(before, session.flaps()?)?;
        }
        let counters = gate.counters()?;
        say::detail(&format!(
            "{} packets judged by the last gate; the kernel passed {} uninspected and dropped {}",
            counters.number("decoder.pkts")?,
            counters.number("gate.passed_uninspected")?,
            counters.number("gate.dropped_closed")?,
        ));
        let passed = counters.number("gate.passed_uninspected")?;
        if fail == "closed" {
            ensure!(passed == 0, "{passed} packets passed a closed gate uninspected");
            let switched = counters.number("gate.switched")?;
            ensure!(switched > 0 || chaos.panics() == 0, "the panic switch let nothing pass");
        }
        gate.end(&lab)
    }
}

/// Has the session held all the time?
fn held(before: Flaps, after: Flaps) -> Result<()> {
    let down = after.down.saturating_sub(before.down);
    let received = after.received.saturating_sub(before.received);
    say::detail(&format!("BFD: {received} packets received by both hosts, {down} times down"));
    ensure!(down == 0 && after.up == before.up, "the BFD session went down");
    ensure!(received > 0, "no BFD packet was received");
    Ok(())
}

/// A time such as `90s`, `5m` or `2h`; a bare number is seconds.
fn time(text: &str) -> Result<Duration, &'static str> {
    const WANTED: &str = "a time such as 90s, 5m or 2h";
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.chars().last()),
        None => (text, None),
    };
    let number: u64 = number.parse().map_err(|_| WANTED)?;
    let factor = match unit {
        Some('m') => 60,
        Some('h') => 3600,
        _ => 1,
    };
    number.checked_mul(factor).filter(|seconds| *seconds >= 2).map(Duration::from_secs).ok_or(WANTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200)] {
            assert_eq!(time(text), Ok(Duration::from_secs(expected)), "{text}");
        }
        for text in ["", "m", "0", "1", "-1s", "1d", "99999999999999999999h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
