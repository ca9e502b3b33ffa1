//! Portcullis with more and more flows, and more and more rules.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use portcullis_trial::{Protocol, Size};

use super::super::bench::{Bench, Traffic};
use super::super::gates::Setup;
use super::super::results::Key;
use super::super::statistics::order;
use super::super::subject::{PORTCULLIS, Subject};
use super::super::usage;
use super::peers::cost;
use crate::program::run_well;

/// How long making rules may take.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn flows(bench: &mut Bench) -> Result<()> {
    for round in 0..bench.plan.rounds {
        for flows in order(&bench.plan.flows.clone(), round) {
            // A gate of its own each, or flows of the run before would be there, too.
            let mut stand = bench.stand(&Subject::portcullis(), &Setup::default())?;
            let key = Key::new("flows", PORTCULLIS, flows.to_string(), Some(f64::from(flows)));
            bench.throughput(&mut stand, &key, round, Traffic { flows, ..Traffic::default() })?;
            let memuse = stand.gate()?.counters()?.number("flow.memuse")?;
            bench.results.add(&key, round, "flow.memuse", "MB", super::super::bench::float(memuse) / 1e6);
            stand.end()?;
        }
    }
    Ok(())
}

pub(super) fn rules(bench: &mut Bench) -> Result<()> {
    for round in 0..bench.plan.rounds {
        for count in order(&bench.plan.rules.clone(), round) {
            let rules = if count == 0 { String::new() } else { made(bench, count)? };
            let mut stand = bench.stand(&Subject::portcullis(), &Setup { rules, ..Setup::default() })?;
            let key = Key::new("rules", PORTCULLIS, count.to_string(), Some(f64::from(count)));
            // Connections, since that is what most rules are for; with payload, since they look into it.
            let traffic = Traffic {
                size: Size::Bytes(508),
                flows: 100,
                protocol: Protocol::TcpEstablished,
                ..Traffic::default()
            };
            bench.throughput(&mut stand, &key, round, traffic)?;
            cost(bench, &mut stand, &key, round, traffic)?;
            let (_, most) = usage::memory(&stand.processes());
            bench.results.add(&key, round, "peak memory", "MB", most / 1e6);
            stand.end()?;
        }
    }
    Ok(())
}

/// So many rules, as the other measurements have them.
fn made(bench: &Bench, count: u32) -> Result<String> {
    let mut command = Command::new(&bench.tools.inline);
    run_well(command.args(["rules", &count.to_string()]), "bench-inline", LIMIT, &bench.tools.interrupt)
}
