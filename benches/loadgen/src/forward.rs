//! What can stand between two ports instead of a gate.
//!
//! - [`devmap`]: a program of one redirect: the least that there is
//! - [`xsk`]: the gate's own packet module without an engine: what an engine is to be measured against
//! - [`faulty`]: packet sockets that lose, delay, swap, double and change frames, and say exactly which

mod devmap;
mod faults;
mod faulty;
mod xsk;

use crate::stop::Stop;
use crate::{report, say};
use anyhow::{Result, ensure};
use portcullis_trial::{Forwarded, How};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// One interface of this namespace.
    #[arg(long)]
    iface: String,
    /// The other one.
    #[arg(long)]
    to: String,
    /// How to forward.
    #[arg(long, value_enum, default_value_t)]
    how: How,
    /// With `xsk`: the workers' CPUs, one worker each; by default one worker that runs anywhere.
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<u32>,
    #[command(flatten)]
    faults: faults::Faults,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { iface, to, how, cpus, faults } = arguments;
    ensure!(*how == How::Faulty || faults.are_none(), "only `--how faulty` does harm");
    ensure!(*how == How::Xsk || cpus.is_empty(), "only `--how xsk` has workers");
    let stop = Stop::on_signals()?;
    let ready = || report("state", "ready");
    let forwarded: Forwarded = match how {
        How::Devmap => devmap::run(iface, to, &stop, ready)?,
        How::Xsk => xsk::run(iface, to, cpus, &stop, ready)?,
        How::Faulty => faulty::run(iface, to, *faults, &stop, ready)?,
    };
    say(serde_json::to_string(&forwarded)?)?;
    Ok(())
}

/// Nothing was done yet.
const fn nothing(how: How) -> Forwarded {
    Forwarded {
        how,
        received: 0,
        forwarded: 0,
        overflowed: 0,
        lost: 0,
        doubled: 0,
        swapped: 0,
        corrupted: 0,
        cpu_seconds: 0.0,
        seconds: 0.0,
    }
}
