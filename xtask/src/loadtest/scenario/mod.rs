//! What is measured, one scenario a name.

mod decided;
mod ends;
mod flood;
mod peers;
mod programs;
mod scaling;

use anyhow::Result;
use clap::ValueEnum;

use super::bench::Bench;
use crate::say;

/// A scenario, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// The fastest rate without loss, by size of frames, everyone in turn.
    Throughput,
    /// Percentiles of latency at fixed loads and at half of Portcullis's throughput, everyone in turn.
    Latency,
    /// CPU time of a packet at one fixed load, everyone in turn.
    Cost,
    /// The longest burst without loss, everyone in turn.
    Bursts,
    /// Throughput by number of flows.
    Flows,
    /// Throughput and CPU time by number of rules.
    Rules,
    /// Packets that each begin a flow, and what becomes of connections that are there already.
    Flood,
    /// What is dropped by rules, dropped by a blocklist, or bypassed.
    Decided,
    /// What reloads, restarts and kills cost, in packets.
    Ends,
    /// The worker with the engine and without, on the same packet module.
    Inline,
    /// The engine on frames in memory.
    Engine,
    /// Replay of a capture.
    Replay,
}

impl Scenario {
    /// Those in which all subjects take turns, and share their starts.
    const WITH_PEERS: [Self; 4] = [Self::Throughput, Self::Latency, Self::Cost, Self::Bursts];
}

/// Measures all that is `wanted`.
pub(crate) fn measure(bench: &mut Bench, wanted: &[Scenario]) -> Result<()> {
    let with_peers: Vec<Scenario> =
        Scenario::WITH_PEERS.into_iter().filter(|scenario| wanted.contains(scenario)).collect();
    if !with_peers.is_empty() {
        peers::measure(bench, &with_peers)?;
    }
    type Measure = fn(&mut Bench) -> Result<()>;
    let others: [(Scenario, Measure, &str); 8] = [
        (Scenario::Flows, scaling::flows, "Throughput by flows"),
        (Scenario::Rules, scaling::rules, "Throughput by rules"),
        (Scenario::Flood, flood::measure, "A flood in which every packet is new"),
        (Scenario::Decided, decided::measure, "What is dropped, listed or bypassed"),
        (Scenario::Ends, ends::measure, "Reload, restart and kill under load"),
        (Scenario::Inline, programs::inline, "The worker with and without the engine"),
        (Scenario::Engine, programs::engine, "The engine on frames in memory"),
        (Scenario::Replay, programs::replay, "Replay of a capture"),
    ];
    for (scenario, measure, title) in others {
        if wanted.contains(&scenario) {
            say::step(title);
            measure(bench)?;
        }
    }
    Ok(())
}
