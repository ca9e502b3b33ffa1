//! Times in which no worker saw what came in: told to the log and to whoever reads the messages.

use super::start::{Running, wall_clock};
use portcullis_bpf::BlindWindow;
use portcullis_bpf::pulse::coarse_now;
use portcullis_capture::PortId;
use portcullis_engine::Command;
use portcullis_event::{BlindRecord, Counters};
use portcullis_flow::Blind;
use portcullis_wire::Timestamp;
use std::time::Duration;

/// Tells of the blind windows that have ended since the last call.
pub(crate) fn tell(gate: &mut Running) {
    if gate.orphaned || !gate.set.has_gate() {
        return;
    }
    let windows = match gate.warden.windows() {
        Ok(windows) => windows,
        Err(failure) => return tracing::error!("{failure}"),
    };
    if windows.is_empty() {
        return;
    }
    let (wall, coarse) = (wall_clock(), coarse_now());
    let (mut frames, mut passed) = (0_u64, 0_u64);
    for window in &windows {
        frames = frames.saturating_add(window.frames);
        passed = passed.saturating_add(window.passed);
        let told = record(window, wall, coarse);
        // Workers know of their own, but not of those that only the kernel made. One that has no time for it now
        // has its packets judged as if none had passed.
        for worker in &gate.workers {
            worker.tell(Command::Blind(Blind { since: told.start, until: told.end }));
        }
        gate.log.blind(told);
    }
    let plural = if windows.len() == 1 { "" } else { "s" };
    tracing::warn!(
        "{} blind window{plural}: no worker saw {frames} packets, of which {passed} passed uninspected",
        windows.len()
    );
}

/// Takes over what only the shared memory and the warden know.
pub(crate) fn count(gate: &Running, counters: &mut Counters) {
    let past = gate.warden.past();
    (counters.gate_restarts, counters.gate_hangs) = (past.restarts, past.hangs);
    if let Some(pulses) = &gate.warden.facts().pulses {
        counters.gate_blind_windows = pulses.windows();
        counters.gate_latched = pulses.latched() as u64;
    }
}

/// The window on the wall clock, given both clocks at one moment.
fn record(window: &BlindWindow, wall: Timestamp, coarse: u64) -> BlindRecord {
    let BlindWindow { port, queue, since, until, frames, passed } = *window;
    let at = |moment: u64| {
        let ago = Duration::from_nanos(coarse.saturating_sub(moment));
        Timestamp::from_nanos(
            wall.as_nanos().saturating_sub(u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX)),
        )
    };
    BlindRecord {
        timestamp: wall,
        port: PortId(port),
        queue,
        start: at(since),
        end: at(until),
        packets: frames,
        passed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_put_on_the_wall_clock() {
        let window = BlindWindow { port: 1, queue: 2, since: 400, until: 900, frames: 5, passed: 4 };
        let told = record(&window, Timestamp::from_nanos(1_000_000), 1_000);
        assert_eq!((told.start.as_nanos(), told.end.as_nanos()), (999_400, 999_900));
        assert_eq!((told.port, told.queue, told.packets, told.passed), (PortId(1), 2, 5, 4));
    }
}
