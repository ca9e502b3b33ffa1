//! What reloads, restarts and kills under load cost: what of a steady stream did not arrive, and what passed while
//! nobody judged.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Signal, kill_process};

use super::super::bench::{Bench, Traffic, float, per_second};
use super::super::gate::{Gate, Setup};
use super::super::results::Key;
use super::super::stand::{self, Stand};
use super::super::subject::{PORTCULLIS, Subject};

/// Packets a second.
const RATE: f64 = 20_000.0;

/// How long the gate may take to judge again.
const RECOVERY: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Nothing,
    Reload,
    Restart,
    Upgrade,
    Kill,
}

const EVENTS: [(Event, &str); 5] = [
    (Event::Nothing, "nothing"),
    (Event::Reload, "rules read anew"),
    (Event::Restart, "restart"),
    (Event::Upgrade, "upgrade"),
    (Event::Kill, "kill -9"),
];

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let rules = "alert udp any any -> any any (content:\"never sent\"; sid:1;)\n".to_owned();
    for round in 0..bench.plan.rounds {
        for fail in ["open", "closed"] {
            let setup = Setup { fail, rules: rules.clone(), ..Setup::default() };
            let mut stand = bench.stand(&Subject::portcullis(), &setup)?;
            for (event, name) in EVENTS {
                let key = Key::new("ends", PORTCULLIS, format!("{name}, fail {fail}"), None);
                meet(bench, &mut stand, &key, round, event).with_context(|| key.case.clone())?;
            }
            stand.end()?;
        }
    }
    Ok(())
}

fn meet(bench: &mut Bench, stand: &mut Stand, key: &Key, round: usize, event: Event) -> Result<()> {
    let around = bench.plan.around_end;
    let interrupt = bench.tools.interrupt.clone();
    // The counter is the kernel's and goes on from gate to gate.
    let before = uninspected(stand.gate()?)?;
    let seconds = (around * 2).as_secs_f64();
    let running = stand.begin(&Traffic::default().trial(stand, per_second(RATE), seconds))?;
    interrupt.pause(around)?;
    happen(stand.gate()?, event, &interrupt)?;
    let finished = running.finish(around * 2 + RECOVERY, &interrupt)?;
    anyhow::ensure!(finished.status.success(), "portcullis-loadgen failed: {}", finished.text.trim());
    let outcome = stand::outcome(&finished.text)?;
    interrupt.wait_for("the gate before to end", RECOVERY, || Ok(stand.gate()?.judge().map(drop)))?;
    let after = uninspected(stand.gate()?)?;
    bench.keep(key, round, &outcome);
    bench.results.add(key, round, "sent", "packets", float(outcome.sent));
    bench.results.add(key, round, "lost", "packets", float(outcome.lost));
    bench.results.add(key, round, "uninspected", "packets", float(after.saturating_sub(before)));
    Ok(())
}

fn uninspected(gate: &Gate) -> Result<u64> {
    gate.counters()?.number("gate.passed_uninspected")
}

fn happen(gate: &Gate, event: Event, interrupt: &crate::program::Interrupt) -> Result<()> {
    let judge = gate.judge().context("nobody judges")?;
    match event {
        Event::Nothing => {}
        Event::Reload => drop(gate.ctl(&["reload-rules"])?),
        Event::Restart => drop(gate.ctl(&["restart"])?),
        Event::Upgrade => drop(gate.ctl(&["upgrade"])?),
        Event::Kill => {
            kill_process(judge, Signal::KILL).context("cannot kill the process that judges")?;
            interrupt.wait_for("another gate", RECOVERY, || {
                let next = gate.judge().filter(|next| *next != judge);
                Ok((next.is_some() && gate.ctl(&["version"]).is_ok()).then_some(()))
            })?;
        }
    }
    Ok(())
}
