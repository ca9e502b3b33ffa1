//! What all scenarios need: the plan, the tools, and a place for their numbers.

use anyhow::{Context, Result};
use portcullis_trial::{Outcome, Protocol, Rate, Size, Trial};

use super::gates::Setup;
use super::plan::Plan;
use super::results::{self, Key, Results};
use super::search::{Search, Seen, Throughput};
use super::stand::{Stand, Tools};
use super::subject::Subject;
use crate::say;

/// A run.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) plan: Plan,
    pub(crate) tools: Tools,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) results: Results,
}

/// What is sent in a measurement, beside how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) size: Size,
    pub(crate) flows: u32,
    pub(crate) churn: f64,
    pub(crate) protocol: Protocol,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { size: Size::default(), flows: 64, churn: 0.0, protocol: Protocol::Udp }
    }
}

impl Traffic {
    /// A trial of it.
    pub(crate) fn trial(self, stand: &Stand, rate: Rate, seconds: f64) -> Trial {
        let Self { size, flows, churn, protocol } = self;
        let trial = Trial { rate, size, flows, churn, protocol, seconds, ..stand.trial() };
        // Connections of the trial before are still open; whoever opens them once more is not to be believed.
        if protocol == Protocol::TcpEstablished { Trial { seed: stand.fresh_seed(), ..trial } } else { trial }
    }
}

impl Bench {
    /// Puts `subject` between hosts.
    pub(crate) fn stand(&self, subject: &Subject, setup: &Setup) -> Result<Stand> {
        self.tools.interrupt.check()?;
        Stand::make(&self.tools, subject, setup)
    }

    /// Makes a trial and keeps what came of it.
    pub(crate) fn run(
        &mut self,
        stand: &mut Stand,
        key: &Key,
        round: usize,
        trial: &Trial,
    ) -> Result<Outcome> {
        let about = || format!("{}, {}, {}", key.scenario, key.subject, key.case);
        let outcome = stand.run(trial).with_context(about)?;
        self.keep(key, round, &outcome);
        Ok(outcome)
    }

    /// Keeps what came of a trial.
    pub(crate) fn keep(&mut self, key: &Key, round: usize, outcome: &Outcome) {
        let mut outcome = outcome.clone();
        if key.scenario != "latency"
            && let Some(latency) = &mut outcome.latency
        {
            // Only of use where latency is what is looked for, and long.
            latency.histogram = portcullis_trial::Histogram::default();
        }
        let command = outcome.trial.arguments();
        self.results.trials.push(results::Trial { key: key.clone(), round, command, outcome });
    }

    /// Searches the throughput of `traffic` through `stand` and adds it under `key`; then looks whether anything is
    /// lost well below it.
    pub(crate) fn throughput(
        &mut self,
        stand: &mut Stand,
        key: &Key,
        round: usize,
        traffic: Traffic,
    ) -> Result<Throughput> {
        let (search, seconds) = (self.plan.search, self.plan.search_seconds);
        // Whatever has to be learnt about these flows is learnt before anything counts.
        let warm = traffic.trial(stand, Rate::PerSecond(warm_rate(traffic)), warm_seconds(traffic));
        stand.run(&warm)?;
        let found = search.run(|rate| {
            let trial = traffic.trial(stand, per_second(rate), seconds);
            let outcome = self.run(stand, key, round, &trial)?;
            Ok(seen(&outcome))
        })?;
        self.results.add(key, round, "throughput", "packets/s", found.rate);
        self.results.add(key, round, "sender was the limit", "", f64::from(u8::from(found.sender_limited)));
        let mut lost = 0.0;
        for share in [0.3, 0.6, 0.9] {
            if found.rate * share >= 1.0 {
                let trial = traffic.trial(stand, per_second(found.rate * share), seconds);
                lost += float(self.run(stand, key, round, &trial)?.lost);
            }
        }
        self.results.add(key, round, "lost below 0.9", "packets", lost);
        say::detail(&format!(
            "{:<16} {:<10} {:>9} packets/s{}",
            key.subject,
            key.case,
            super::report::plot::short(found.rate),
            if found.sender_limited { " (as fast as the sender goes)" } else { "" }
        ));
        Ok(found)
    }

    /// Searches the longest burst of `traffic` that loses nothing, sent back to back (RFC 2544, 26.4).
    pub(crate) fn longest_burst(&mut self, stand: &mut Stand, key: &Key, round: usize) -> Result<()> {
        let most = f64::from(self.plan.longest_burst);
        let search = Search { least: 1.0, most, resolution: self.plan.search.resolution.max(0.1), tries: 2 };
        let found = search.run(|frames| {
            let frames = whole(frames);
            // Nobody knows how long that takes; the count ends it.
            let mut trial = Traffic::default().trial(stand, Rate::Max, 5.0);
            (trial.count, trial.burst) = (Some(frames), Some(frames));
            let outcome = self.run(stand, key, round, &trial)?;
            Ok(Seen { offered: float(outcome.sent), received: float(outcome.received), lost: outcome.lost })
        })?;
        self.results.add(key, round, "burst", "frames", found.rate);
        Ok(())
    }
}

/// What a search wants to know of a trial.
fn seen(outcome: &Outcome) -> Seen {
    let received = outcome.offered_pps * float(outcome.received) / float(outcome.sent.max(1));
    Seen { offered: outcome.offered_pps, received, lost: outcome.lost }
}

/// Slow enough for everyone.
fn warm_rate(traffic: Traffic) -> u32 {
    traffic.flows.clamp(10_000, 200_000)
}

/// Long enough for each flow to come by.
fn warm_seconds(traffic: Traffic) -> f64 {
    (f64::from(traffic.flows) / f64::from(warm_rate(traffic)) * 1.1).max(0.1)
}

/// A rate as the load generator takes it.
pub(crate) fn per_second(rate: f64) -> Rate {
    Rate::PerSecond(whole(rate))
}

/// A positive number without its fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to what fits")]
fn whole(number: f64) -> u32 {
    (number.clamp(1.0, f64::from(u32::MAX))) as u32
}

/// Counts of packets are far below the 2^52 that a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
