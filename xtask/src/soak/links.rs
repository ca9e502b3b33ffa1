//! How soon a link that is lost on one side is down on the other: by the times that the kernel's own events came at, which
//! one program notes for all.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_testkit::Lab;

use super::measures::Measures;
use crate::program::{Interrupt, Running};
use crate::say;

/// Mark for the time from one link to the other, in milliseconds.
const MARK_MS: f64 = 100.0;

/// How often.
const TURNS: usize = 10;

/// How long links stay as they are: longer than the kernel holds news back of one that changes often, and than the gate
/// holds a port down.
const CALM: Duration = Duration::from_millis(2500);

/// Takes the client's link down and up again, and tells how long it took until the server's was.
pub(crate) fn measure(binary: &Path, measures: &Measures, interrupt: &Interrupt) -> Result<()> {
    let lab = Lab::inline().context("cannot make the lab")?;
    let folder = super::folder()?;
    let measures = Measures { mirror: true, ..measures.clone() };
    let gate = measures.start(binary, &lab, folder.path(), "open", interrupt)?;
    say::step(&format!("Losing a link {TURNS} times"));
    // The gate's port that lost its other end, and the one that was taken down for it, are in one namespace.
    let mut monitor = lab.gate.command("ip");
    let monitor = Running::start(monitor.args(["-oneline", "-tshort", "monitor", "link"]), "ip monitor")?;
    interrupt.pause(CALM)?;
    let mut times = Vec::new();
    for _ in 0..TURNS {
        let before = monitor.text()?.len();
        lab.client.set_down(Lab::CLIENT_PORT)?;
        interrupt.pause(CALM)?;
        let text = monitor.text()?;
        let events = first_losses(text.get(before..).unwrap_or_default());
        let at = |port: &str| events.get(port).copied().with_context(|| format!("no event of {port}"));
        times.push((at(Lab::GATE_SERVER_PORT)? - at(Lab::GATE_CLIENT_PORT)?) * 1000.0);
        lab.client.set_up(Lab::CLIENT_PORT)?;
        interrupt.pause(CALM)?;
    }
    times.sort_unstable_by(f64::total_cmp);
    let (Some(least), Some(most)) = (times.first(), times.last()) else { return Ok(()) };
    let middle = times.get(TURNS / 2).copied().unwrap_or_default();
    say::detail(&format!("{middle:.1} ms from link to link, {least:.1} to {most:.1}"));
    drop(monitor);
    gate.end(&lab)?;
    ensure!(*most < MARK_MS, "more than {MARK_MS} ms");
    Ok(())
}

/// When each port was first told to be without a link, in seconds.
fn first_losses(text: &str) -> HashMap<String, f64> {
    let mut first = HashMap::new();
    for line in text.lines() {
        let Some((time, port, flags)) = parts(line) else { continue };
        if !flags.split(',').any(|flag| flag == "LOWER_UP") {
            first.entry(port.to_owned()).or_insert(time);
        }
    }
    first
}

/// `[2026-01-31T10:20:30.123456] 2: gate0@if3: <NO-CARRIER,BROADCAST,UP> mtu …`: seconds of the day, name and flags.
fn parts(line: &str) -> Option<(f64, &str, &str)> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let (_, time) = stamp.split_once('T')?;
    let mut seconds = 0.0;
    for part in time.split(':') {
        seconds = part.parse::<f64>().ok()? + 60.0 * seconds;
    }
    let mut words = rest.split(' ').skip(1);
    let name = words.next()?.trim_end_matches(':');
    let flags = words.next()?.strip_prefix('<')?.strip_suffix('>')?;
    Some((seconds, name.split('@').next()?, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_found_with_their_times() {
        let text = "[2026-01-31T10:20:30.500000] 2: gate0@if3: <BROADCAST,UP,LOWER_UP> mtu 1500\n\
                    [2026-01-31T10:20:31.250000] 2: gate0@if3: <NO-CARRIER,BROADCAST,UP> mtu 1500\n\
                    [2026-01-31T10:20:31.300000] 4: gate1: <BROADCAST> mtu 1500\n\
                    [2026-01-31T10:20:39.000000] 2: gate0@if3: <NO-CARRIER,BROADCAST,UP> mtu 1500\nno event\n";
        let found = first_losses(text);
        assert_eq!(found.len(), 2);
        assert!(
            (found["gate0"] - 37_231.25).abs() < 1e-6 && (found["gate1"] - 37_231.3).abs() < 1e-6,
            "{found:?}"
        );
    }
}
