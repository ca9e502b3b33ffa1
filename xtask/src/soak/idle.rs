//! What a gate takes of a CPU that has nothing to do.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use portcullis_testkit::Lab;

use super::measures::Measures;
use crate::program::Interrupt;
use crate::say;

/// A worker may take so much of a core, in thousandths.
const MOST: u128 = 10;

/// Waits `time` and tells what each thread of the gate took, by what the scheduler says.
pub(crate) fn measure(
    binary: &Path,
    measures: &Measures,
    time: Duration,
    interrupt: &Interrupt,
) -> Result<()> {
    let lab = Lab::inline().context("cannot make the lab")?;
    let folder = super::folder()?;
    let gate = measures.start(binary, &lab, folder.path(), "open", interrupt)?;
    let judge = gate.judge().context("nobody judges")?.as_raw_nonzero().get();
    interrupt.pause(Duration::from_secs(2))?;
    say::step(&format!("Looking at an idle gate for {} seconds", time.as_secs()));
    let (before, started) = (threads(judge)?, Instant::now());
    interrupt.pause(time)?;
    let (after, elapsed) = (threads(judge)?, started.elapsed());
    let mut most = 0;
    for thread in after {
        let Some(earlier) = before.iter().find(|earlier| earlier.id == thread.id) else { continue };
        let took = thread.nanos.saturating_sub(earlier.nanos);
        let share = took * 100_000 / elapsed.as_nanos().max(1);
        say::detail(&format!("{:<16} {}.{:03} % of a core", thread.name, share / 1000, share % 1000));
        if thread.name.starts_with("worker") {
            most = most.max(share / 100);
        }
    }
    gate.end(&lab)?;
    ensure!(most < MOST, "a worker takes more than 1 % of a core");
    Ok(())
}

/// A thread and how long it has run.
#[derive(Debug)]
struct Thread {
    id: String,
    name: String,
    nanos: u128,
}

fn threads(process: i32) -> Result<Vec<Thread>> {
    let folder = format!("/proc/{process}/task");
    let tasks = fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))?;
    let mut threads = Vec::new();
    for task in tasks.flatten() {
        let read = |file: &str| fs::read_to_string(task.path().join(file));
        let (name, stat) = (read("comm").context("no name")?, read("schedstat").context("no schedstat")?);
        let nanos = stat.split_whitespace().next().and_then(|word| word.parse().ok());
        threads.push(Thread {
            id: task.file_name().to_string_lossy().into_owned(),
            name: name.trim().to_owned(),
            nanos: nanos.context("schedstat holds no time")?,
        });
    }
    Ok(threads)
}
