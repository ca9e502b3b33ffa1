//! The soak: a gate between two hosts that exchange data all the time, while it is killed, stopped, restarted,
//! reloaded, flooded and passed by, and links go down. Every transfer has to end as it began, byte for byte, whatever
//! the gate counts has to balance, and nothing may be left at the end.

mod chaos;
mod gate;
mod table;
mod transfers;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use portcullis_testkit::Lab;

use crate::program::Interrupt;
use crate::{privilege, say, workspace};
use chaos::{Chaos, Random};
use gate::{Gate, SMALL};
use transfers::Transfers;

/// How long transfers may take to end once nothing happens any more.
const LAST_TRANSFERS: Duration = Duration::from_secs(120);

/// What `cargo xtask test` does of it.
const IN_TESTS: &str = "--for=60s";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// How long, as in 90s, 5m or 2h; half of it with fail = "open", half with "closed".
    #[arg(long = "for", value_name = "TIME", default_value = "5m", value_parser = time)]
    time: Duration,
    /// What happens when follows from this number; another one each time by default.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Measure instead what each kind of end costs, in packets, and print a table.
    #[arg(long)]
    table: bool,
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
        words.extend(self.table.then(|| "--table".to_owned()));
        words.extend(self.release.then(|| "--release".to_owned()));
        words
    }
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
    }
    privilege::become_root(options.arguments())?;
    let interrupt = Interrupt::listen()?;
    let binary = workspace::binary_path("portcullis", options.release)?;
    if options.table {
        return table::measure(&binary, &interrupt);
    }
    let seed = options.seed.unwrap_or_else(Random::fresh);
    say::step(&format!("Soaking for {} seconds; --seed {seed} repeats it", options.time.as_secs()));
    for (number, fail) in [(0, "open"), (1, "closed")] {
        soak(&binary, fail, options.time / 2, Random::new(seed.wrapping_add(number)), &interrupt)
            .with_context(|| format!("fail = {fail:?}, --seed {seed}"))?;
    }
    Ok(())
}

fn soak(
    binary: &std::path::Path,
    fail: &str,
    time: Duration,
    random: Random,
    interrupt: &Interrupt,
) -> Result<()> {
    let lab = Lab::inline().context("cannot make the lab")?;
    let folder =
        tempfile::Builder::new().prefix("portcullis-soak-").tempdir().context("no temporary folder")?;
    let gate = Gate::start(binary, &lab, folder.path(), SMALL, fail, interrupt)?;
    let transfers = Transfers::start(&lab)?;
    let mut chaos = Chaos::new(&lab, &gate, random);
    let end = Instant::now() + time;
    while Instant::now() < end {
        chaos.strike(interrupt)?;
        transfers.check()?;
    }
    chaos.calm(interrupt)?;
    let done = transfers.finish(LAST_TRANSFERS, interrupt)?;
    say::detail(&format!("fail = {fail:?}: {done}"));
    say::detail(&format!("while {}", chaos.told()));
    ensure!(done.transfers > 0, "no transfer came to its end");
    let counters = gate.counters()?;
    say::detail(&format!(
        "{} packets judged by the last gate; the kernel passed {} uninspected and dropped {}",
        counters.number("decoder.pkts")?,
        counters.number("gate.passed_uninspected")?,
        counters.number("gate.dropped_closed")?,
    ));
    let (passed, switched) = (counters.number("gate.passed_uninspected")?, counters.number("gate.switched")?);
    if fail == "closed" {
        ensure!(passed == 0, "{passed} packets passed a closed gate uninspected");
        ensure!(switched > 0 || chaos.panics() == 0, "the panic switch let nothing pass");
    }
    let faults = gate.end(&lab)?;
    if faults.is_empty() { Ok(()) } else { bail!("the gate complains:\n{}", faults.join("\n")) }
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
