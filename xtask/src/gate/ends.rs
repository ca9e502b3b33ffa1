//! Ways in which a gate stops judging, and how each is brought about under load. What it costs is the task's to measure.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Signal, kill_process};

use super::{Counters, Gate};
use crate::program::Interrupt;

/// How long the gate may take to judge again: with many rules and much memory, a while.
pub(crate) const RECOVERY: Duration = Duration::from_secs(120);

/// How long one that hangs does.
const HANG: Duration = Duration::from_secs(1);

/// What happens to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing, for comparison.
    Nothing,
    /// Its rules are read anew.
    Reload,
    /// Another one takes its place, and its flows.
    Restart,
    /// The same, by another program file.
    Upgrade,
    /// SIGKILL
    Kill,
    /// SIGSEGV
    Crash,
    /// SIGABRT
    Abort,
    /// It is stopped for a second.
    Hang,
}

impl End {
    /// For tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Reload => "rules read anew",
            Self::Restart => "restart",
            Self::Upgrade => "upgrade",
            Self::Kill => "kill -9",
            Self::Crash => "SIGSEGV",
            Self::Abort => "abort",
            Self::Hang => "hang of 1 s",
        }
    }

    /// Brings it about. A gate that died of it has been followed by another one when this returns.
    pub(crate) fn happen(self, gate: &Gate, interrupt: &Interrupt) -> Result<()> {
        let signal = match self {
            Self::Nothing => return Ok(()),
            Self::Reload => return gate.ctl(&["reload-rules"]).map(drop),
            Self::Restart => return gate.ctl(&["restart"]).map(drop),
            Self::Upgrade => return gate.ctl(&["upgrade"]).map(drop),
            Self::Hang => {
                gate.signal(Signal::STOP);
                interrupt.pause(HANG)?;
                gate.signal(Signal::CONT);
                return Ok(());
            }
            Self::Kill => Signal::KILL,
            Self::Crash => Signal::SEGV,
            Self::Abort => Signal::ABORT,
        };
        let judge = gate.judge().context("nobody judges")?;
        kill_process(judge, signal).context("cannot signal the process that judges")?;
        interrupt.wait_for("another gate", RECOVERY, || {
            let next = gate.judge().filter(|next| *next != judge);
            Ok((next.is_some() && gate.ctl(&["version"]).is_ok()).then_some(()))
        })
    }
}

/// Waits until one process judges, and the one before it is gone.
pub(crate) fn wait_until_one_judges(gate: &Gate, interrupt: &Interrupt) -> Result<()> {
    interrupt.wait_for("the gate before to end", RECOVERY, || Ok(gate.judge().map(drop)))
}

/// Packets that passed while nobody judged. The counter is the kernel's and goes on from gate to gate.
pub(crate) fn uninspected(counters: &Counters) -> Result<u64> {
    counters.number("gate.passed_uninspected")
}
