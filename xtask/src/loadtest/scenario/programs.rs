//! What programs of `benches/inline` measure by themselves: the worker beside the bare module, the engine on frames in
//! memory, replay. They leave their rounds as JSON.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::super::bench::Bench;
use super::super::results::Key;
use super::super::subject::PORTCULLIS;
use crate::program::run_well;

/// How long one of them may take.
const LIMIT: Duration = Duration::from_secs(600);

/// What they leave: numbers, round for round.
#[derive(Debug, Deserialize)]
struct Measured {
    case: String,
    quantity: String,
    unit: String,
    values: Vec<f64>,
}

pub(super) fn inline(bench: &mut Bench) -> Result<()> {
    let plan = &bench.plan;
    let words = [
        "--flows=1,100000".to_owned(),
        format!("--rounds={}", plan.short_rounds),
        format!("--round-ms={}", plan.inline_round_ms),
        format!("--sender-cpu={}", bench.tools.sender),
        format!("--worker-cpu={}", bench.tools.worker),
    ];
    measure(bench, "inline", "inline", &words)
}

pub(super) fn engine(bench: &mut Bench) -> Result<()> {
    let words = [format!("--rounds={}", bench.plan.short_rounds), format!("--cpu={}", bench.tools.worker)];
    measure(bench, "engine", "engine", &words)
}

pub(super) fn replay(bench: &mut Bench) -> Result<()> {
    let (packets, flows) = bench.plan.replayed;
    let words = [
        format!("--packets={packets}"),
        format!("--flows={flows}"),
        format!("--rounds={}", bench.plan.short_rounds),
        "--workers=1".to_owned(),
    ];
    measure(bench, "replay", "replay-figures", &words)
}

fn measure(bench: &mut Bench, scenario: &str, task: &str, words: &[String]) -> Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let file = folder.path().join("measured.json");
    let mut command = Command::new(&bench.tools.inline);
    command.arg(task).args(words).arg("--json").arg(&file);
    run_well(&mut command, &format!("bench-inline {task}"), LIMIT, &bench.tools.interrupt)?;
    let text = fs::read_to_string(&file).context("bench-inline left no numbers")?;
    let measured: Vec<Measured> =
        serde_json::from_str(&text).context("bench-inline left something else than numbers")?;
    for Measured { case, quantity, unit, values } in measured {
        let x = case.parse().ok();
        let key = Key::new(scenario, PORTCULLIS, case, x);
        for (round, value) in values.into_iter().enumerate() {
            bench.results.add(&key, round, &quantity, &unit, value);
        }
    }
    Ok(())
}
