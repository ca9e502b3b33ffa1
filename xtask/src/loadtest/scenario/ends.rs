//! What reloads, restarts and kills under load cost: what of a steady stream did not arrive, and what passed while
//! nobody judged.

use anyhow::{Context, Result};

use super::super::bench::{Bench, Traffic, float, per_second};
use super::super::gates::Setup;
use super::super::results::Key;
use super::super::stand::{self, Stand};
use super::super::subject::{PORTCULLIS, Subject};
use crate::gate::ends::{End, RECOVERY, uninspected, wait_until_one_judges};

/// Packets a second.
const RATE: f64 = 20_000.0;

const ENDS: [End; 5] = [End::Nothing, End::Reload, End::Restart, End::Upgrade, End::Kill];

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let rules = "alert udp any any -> any any (content:\"never sent\"; sid:1;)\n".to_owned();
    for round in 0..bench.plan.rounds {
        for fail in ["open", "closed"] {
            let setup = Setup { fail, rules: rules.clone(), ..Setup::default() };
            let mut stand = bench.stand(&Subject::portcullis(), &setup)?;
            for end in ENDS {
                let key = Key::new("ends", PORTCULLIS, format!("{}, fail {fail}", end.name()), None);
                meet(bench, &mut stand, &key, round, end).with_context(|| key.case.clone())?;
            }
            stand.end()?;
        }
    }
    Ok(())
}

fn meet(bench: &mut Bench, stand: &mut Stand, key: &Key, round: usize, end: End) -> Result<()> {
    let around = bench.plan.around_end;
    let interrupt = bench.tools.interrupt.clone();
    let before = uninspected(&stand.gate()?.counters()?)?;
    let seconds = (around * 2).as_secs_f64();
    let running = stand.begin(&Traffic::default().trial(stand, per_second(RATE), seconds))?;
    interrupt.pause(around)?;
    end.happen(stand.gate()?, &interrupt)?;
    let finished = running.finish(around * 2 + RECOVERY, &interrupt)?;
    anyhow::ensure!(finished.status.success(), "portcullis-loadgen failed: {}", finished.text.trim());
    let outcome = stand::outcome(&finished.text)?;
    wait_until_one_judges(stand.gate()?, &interrupt)?;
    let after = uninspected(&stand.gate()?.counters()?)?;
    bench.keep(key, round, &outcome);
    bench.results.add(key, round, "sent", "packets", float(outcome.sent));
    bench.results.add(key, round, "lost", "packets", float(outcome.lost));
    bench.results.add(key, round, "uninspected", "packets", float(after.saturating_sub(before)));
    Ok(())
}
