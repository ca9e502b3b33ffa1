//! Bytes of an idle flow: what the system gave, and what the table says of itself.

use anyhow::Context;
use clap::Args;
use portcullis_bench_micro::tables::{Ours, START, fill, memory_for};
use portcullis_flow::{FlowSettings, FlowTable, Share};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Flows.
    #[arg(long, default_value_t = 10_000_000)]
    flows: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let flows = arguments.flows;
    for ip_version in [4, 6] {
        let before = resident()?;
        // As a gate has it: as much memory as flows of this number need, provided as they come.
        let settings = FlowSettings { memcap: memory_for(flows), ..FlowSettings::default() };
        let table = FlowTable::new(&settings, Share { worker: 0, workers: 1 }, 1, START)?;
        let mut table = Ours { table, sweeping: false };
        fill(&mut table, flows, ip_version, |_| START);
        let (stats, after) = (*table.table.stats(), resident()?);
        println!(
            "{} flows, IPv{ip_version}: {} bytes a flow resident, {} by flow.memuse",
            stats.active,
            of_one(after.saturating_sub(before), stats.active),
            of_one(stats.memuse, stats.active),
        );
    }
    Ok(())
}

/// With two decimals.
fn of_one(bytes: u64, flows: u64) -> String {
    let hundredths = (bytes * 100).div_ceil(flows);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Resident memory of this process in bytes (`VmRSS` in proc(5)).
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}
