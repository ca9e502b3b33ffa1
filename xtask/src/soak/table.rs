//! What each kind of end costs, in packets: a steady stream from host to host meets it in the middle, and what did not
//! arrive was lost. What passed while nobody judged is the kernel's to tell.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use portcullis_testkit::Lab;

use super::cores::{Cores, Dumping};
use super::measures::Measures;
use super::stream::Stream;
use crate::gate::Gate;
use crate::gate::ends::{End, uninspected, wait_until_one_judges};
use crate::program::Interrupt;
use crate::say;

/// How long the stream is steady before and after.
const AROUND: Duration = Duration::from_millis(500);

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent<'a> {
    /// Packets a second.
    pub(crate) rate: u32,
    /// How often each is tried; the middle one counts.
    pub(crate) turns: usize,
    /// Only those ends whose names have this in them.
    pub(crate) only: Option<&'a str>,
    /// Do crashes dump the gate's memory?
    pub(crate) cores: Option<Cores>,
}

const ENDS: [End; 7] =
    [End::Nothing, End::Kill, End::Crash, End::Abort, End::Hang, End::Restart, End::Upgrade];

/// What one of them came to. What counts first decides which is the middle one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    /// Packets that did not arrive.
    lost: u64,
    /// Packets that nobody judged.
    uninspected: u64,
    sent: u64,
    /// Of those lost, the ones that the last gate and the kernel tell of.
    known: Lost,
}

/// Where packets were lost, as far as that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Lost {
    /// By a fail policy.
    closed: u64,
    /// By an overload policy.
    overload: u64,
    /// They waited for a worker that was taken for dead.
    late: u64,
    /// There was no room on a ring.
    ring: u64,
    /// The port took no more.
    unsent: u64,
}

impl Lost {
    fn of(gate: &Gate) -> Result<Self> {
        let counters = gate.counters()?;
        Ok(Self {
            closed: counters.number("gate.dropped_closed")?,
            overload: counters.number("gate.overload_dropped")?,
            late: counters.number("capture.late_drops")?,
            ring: counters.number("capture.kernel_drops")?,
            unsent: counters.number("capture.send_errors")?,
        })
    }

    /// What came to it; a gate that is new counts from 0, but for what the kernel counts.
    fn since(self, before: Self) -> Self {
        Self {
            closed: self.closed.saturating_sub(before.closed),
            overload: self.overload.saturating_sub(before.overload),
            ..self
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { closed, overload, late, ring, unsent } = *self;
        let parts =
            [(closed, "closed"), (overload, "overload"), (late, "late"), (ring, "ring"), (unsent, "unsent")];
        let told: Vec<String> = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        f.write_str(&told.join(", "))
    }
}

/// Measures all of them and prints the table.
pub(crate) fn measure(
    binary: &Path,
    measures: &Measures,
    extent: Extent<'_>,
    interrupt: &Interrupt,
) -> Result<()> {
    let Extent { rate, turns, only, cores } = extent;
    say::step(&format!(
        "Meeting a stream of {rate} packets a second, each {turns} times: {} flow slots, {} rules",
        measures.flows, measures.rule_count
    ));
    say::line(
        "| what happens | fail | lost | in ms | least and most | of them, as counted | uninspected | of sent |",
    );
    say::line("|---|---|---|---|---|---|---|---|");
    for fail in ["open", "closed"] {
        for end in ENDS.into_iter().filter(|end| only.is_none_or(|only| end.name().contains(only))) {
            let mut costs = Vec::new();
            for _ in 0..turns {
                // A new one each time: those that die often are replaced later.
                let lab = Lab::inline()?;
                let folder = super::folder()?;
                let _dumping = cores.map(|cores| Dumping::start(cores, folder.path())).transpose()?;
                let gate = measures.start(binary, &lab, folder.path(), fail, interrupt)?;
                costs.push(meet(&lab, &gate, end, rate, interrupt)?);
                if cores.is_some() && matches!(end, End::Crash | End::Abort) {
                    let said = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
                    ensure!(said.contains("core dumped"), "no core was dumped: {said}");
                }
                gate.end(&lab)?;
            }
            costs.sort_unstable();
            if let (Some(middle), Some(first), Some(last)) =
                (costs.get(turns / 2), costs.first(), costs.last())
            {
                let Cost { lost, uninspected, sent, known } = *middle;
                let time = lost * 10_000 / u64::from(rate.max(1));
                say::line(&format!(
                    "| {} | {fail} | {lost} | {}.{} | {} to {} | {known} | {uninspected} | {sent} |",
                    end.name(),
                    time / 10,
                    time % 10,
                    first.lost,
                    last.lost
                ));
            }
        }
    }
    Ok(())
}

fn meet(lab: &Lab, gate: &Gate, end: End, rate: u32, interrupt: &Interrupt) -> Result<Cost> {
    let before = uninspected(&gate.counters()?)?;
    let known = Lost::of(gate)?;
    let stream = Stream::start(lab, rate)?;
    let happened = happen(gate, end, interrupt);
    let counts = stream.finish()?;
    happened?;
    let after = uninspected(&gate.counters()?)?;
    Ok(Cost {
        lost: counts.sent.saturating_sub(counts.received),
        uninspected: after.saturating_sub(before),
        sent: counts.sent,
        known: Lost::of(gate)?.since(known),
    })
}

/// In the middle of the stream.
fn happen(gate: &Gate, end: End, interrupt: &Interrupt) -> Result<()> {
    interrupt.pause(AROUND)?;
    end.happen(gate, interrupt)?;
    interrupt.pause(AROUND)?;
    wait_until_one_judges(gate, interrupt)
}
