//! Everyone in turn on the same traffic, round for round: throughput, latency, CPU time, bursts.

use anyhow::Result;
use portcullis_trial::Outcome;

use super::super::bench::{Bench, Traffic, float, per_second};
use super::super::figures::HALF_LOAD;
use super::super::gates::Setup;
use super::super::plan::size_case;
use super::super::results::Key;
use super::super::stand::Stand;
use super::super::statistics::order;
use super::super::subject::{PORTCULLIS, Subject};
use super::Scenario;
use crate::say;

pub(super) fn measure(bench: &mut Bench, wanted: &[Scenario]) -> Result<()> {
    for round in 0..bench.plan.rounds {
        say::step(&format!("Round {} of {}, everyone in turn", round + 1, bench.plan.rounds));
        let subjects: Vec<Subject> = bench.subjects.clone();
        let places: Vec<usize> = (0..subjects.len()).collect();
        // The first round begins with Portcullis: half of its throughput is the load for everyone.
        for place in order(&places, round) {
            if let Some(subject) = subjects.get(place) {
                turn(bench, wanted, subject, round)?;
            }
        }
    }
    Ok(())
}

fn turn(bench: &mut Bench, wanted: &[Scenario], subject: &Subject, round: usize) -> Result<()> {
    let mut stand = bench.stand(subject, &Setup::default())?;
    if wanted.contains(&Scenario::Throughput) {
        for size in bench.plan.sizes.clone() {
            let (case, x) = size_case(size);
            let key = Key::new("throughput", &subject.name, case, x);
            bench.throughput(&mut stand, &key, round, Traffic { size, ..Traffic::default() })?;
        }
    }
    if wanted.contains(&Scenario::Latency) {
        latency(bench, &mut stand, subject, round)?;
    }
    if wanted.contains(&Scenario::Cost) {
        let case = format!("{} packets/s of 64 bytes", bench.plan.cost_load);
        let key = Key::new("cost", &subject.name, case, None);
        let costs = bench.plan.costs;
        for again in 0..costs {
            cost(bench, &mut stand, &key, round * costs + again, Traffic::default())?;
        }
    }
    if wanted.contains(&Scenario::Bursts) {
        let key = Key::new("bursts", &subject.name, "64", Some(64.0));
        bench.longest_burst(&mut stand, &key, round)?;
    }
    stand.end()
}

fn latency(bench: &mut Bench, stand: &mut Stand, subject: &Subject, round: usize) -> Result<()> {
    for load in bench.plan.loads.clone() {
        let key = Key::new("latency", &subject.name, format!("{load}/s"), Some(f64::from(load)));
        at_load(bench, stand, &key, round, f64::from(load))?;
    }
    let half = half_load(bench, stand, subject, round)?;
    let key = Key::new("latency", &subject.name, HALF_LOAD, None);
    if half >= 1.0 {
        at_load(bench, stand, &key, round, half)?;
    }
    Ok(())
}

/// Half of Portcullis's throughput at 64 bytes: of the first round, so that the load is the same in all of them.
fn half_load(bench: &mut Bench, stand: &mut Stand, subject: &Subject, round: usize) -> Result<f64> {
    let key = Key::new("throughput", PORTCULLIS, "64", Some(64.0));
    let first =
        bench.results.samples.iter().find(|sample| sample.key == key && sample.quantity == "throughput");
    if let Some(first) = first {
        return Ok(first.value / 2.0);
    }
    // Throughput is not among what is wanted; Portcullis is the first one of the first round.
    if subject.name != PORTCULLIS {
        return Ok(0.0);
    }
    Ok(bench.throughput(stand, &key, round, Traffic::default())?.rate / 2.0)
}

fn at_load(bench: &mut Bench, stand: &mut Stand, key: &Key, round: usize, load: f64) -> Result<()> {
    let trial = Traffic::default().trial(stand, per_second(load), bench.plan.seconds);
    let outcome = bench.run(stand, key, round, &trial)?;
    bench.results.add(key, round, "sent", "packets/s", outcome.offered_pps);
    add_latency(bench, key, round, &outcome);
    bench.results.add(key, round, "lost", "packets", float(outcome.lost));
    Ok(())
}

fn add_latency(bench: &mut Bench, key: &Key, round: usize, outcome: &Outcome) {
    let Some(latency) = &outcome.latency else { return };
    for (name, nanos) in [
        ("p50", latency.p50_ns),
        ("p90", latency.p90_ns),
        ("p99", latency.p99_ns),
        ("p99.9", latency.p999_ns),
        ("max", latency.max_ns),
    ] {
        bench.results.add(key, round, name, "µs", float(nanos) / 1e3);
    }
}

/// CPU time of a packet of `traffic`: beyond what the same trial takes with hardly a packet.
pub(super) fn cost(
    bench: &mut Bench,
    stand: &mut Stand,
    key: &Key,
    round: usize,
    traffic: Traffic,
) -> Result<()> {
    let seconds = bench.plan.seconds;
    let load = per_second(f64::from(bench.plan.cost_load));
    let mut used = Vec::new();
    let mut sent = 0;
    for rate in [per_second(1.0), load] {
        let before = stand.usage()?;
        let outcome = bench.run(stand, key, round, &traffic.trial(stand, rate, seconds))?;
        used.push(stand.usage()?.since(before));
        sent = outcome.sent;
    }
    let [idle, loaded] = used[..] else { return Ok(()) };
    let nanos = |seconds: f64| seconds * 1e9 / float(sent.max(1));
    bench.results.add(key, round, "own CPU", "ns/packet", nanos(loaded.own - idle.own));
    bench.results.add(key, round, "machine CPU", "ns/packet", nanos(loaded.machine - idle.machine));
    Ok(())
}
