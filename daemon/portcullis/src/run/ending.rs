//! The end. Gracefully: the sockets leave the gate, what is queued is judged and sent, all flows end,
//! every record is written, ports and pins are taken back. Broken: everything stays as it is, so that
//! the fail policy acts until a successor takes over.

use super::counters;
use super::start::Running;
use super::supervisor::{Event, stats};
use super::worker::Ended;
use crate::exit::Failure;
use crate::report::{Summary, peak_memory};
use portcullis_event::Counters;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Ends the gate gracefully; gives the summary.
///
/// # Errors
/// Something failed on the way, or what must balance does not.
pub(crate) fn drain(mut gate: Running) -> Result<String, Failure> {
    tracing::info!("ending: the sockets leave, then all flows end");
    if let Err(error) = gate.set.quiesce(&mut gate.warden) {
        tracing::error!("{error}");
    }
    wait_for_workers(&mut gate)?;
    let kernel = gate.warden.counters();
    let totals = counters::merged(&mut gate.workers);
    let packets_by_worker = counters::packets_by_worker(&mut gate.workers);
    let last = stats(&gate, totals);
    let Running { config, signals, server, workers, set, mut log, rules, started, mut warden, guard, .. } =
        gate;
    let ended: Vec<Ended> = workers.into_iter().filter_map(super::worker::Worker::join).collect();
    if config.stats_interval.is_some() {
        log.stats(last);
    }
    let written = log.finish();
    let faults = imbalance(&totals, &config, frames_missing(&set, &ended));
    let broken: Vec<String> =
        ended.iter().filter_map(|ended| ended.error.as_ref().map(ToString::to_string)).collect();
    drop(ended);
    let down = warden.take_down();
    drop(server);
    drop(signals);
    drop(guard);
    for fault in &faults {
        tracing::error!("{fault}");
    }
    let written = written?;
    down?;
    if let Some(first) = broken.into_iter().next() {
        return Err(Failure::Runtime(first));
    }
    if let Some(first) = faults.into_iter().next() {
        return Err(Failure::Runtime(first));
    }
    if let Ok(kernel) = kernel
        && kernel.uninspected > 0
    {
        tracing::warn!("{} packets passed uninspected", kernel.uninspected);
    }
    let summary = Summary {
        counters: totals,
        packets_by_worker,
        rules: rules.loaded,
        rules_refused: rules.failed,
        records: written.path.clone().map(|path| (written.lines(), path)),
        elapsed: started.elapsed(),
        peak_memory: peak_memory(),
    };
    Ok(summary.table())
}

/// Waits until all workers have ended. A second signal ends the waiting.
fn wait_for_workers(gate: &mut Running) -> Result<(), Failure> {
    let mut left = gate.workers.len();
    while left > 0 {
        match gate.events.recv() {
            Ok(Event::Ended) => left -= 1,
            Ok(Event::Signal(SIGINT | SIGTERM)) => {
                return Err(Failure::Runtime("ended at once: records may be missing".to_owned()));
            }
            // Commands and other signals come too late.
            Ok(_) => {}
            Err(_) => return Err(Failure::Runtime("a worker ended without a word".to_owned())),
        }
    }
    Ok(())
}

/// Ends after a worker failed: traffic is the fail policy's from now on.
pub(crate) fn broken(mut gate: Running) -> Failure {
    gate.set.end();
    gate.warden.leave();
    let Running { workers, log, server, .. } = gate;
    drop(server);
    let mut reason = None;
    for ended in workers.into_iter().filter_map(super::worker::Worker::join) {
        reason = reason.or_else(|| ended.error.as_ref().map(ToString::to_string));
    }
    if let Err(failure) = log.finish() {
        tracing::error!("{failure}");
    }
    let reason = reason.unwrap_or_else(|| "a worker ended too early".to_owned());
    Failure::Runtime(format!("{reason}; the fail policy acts on the ports until the next start"))
}

/// What of the frames is not where it must be.
fn frames_missing(set: &portcullis_capture_xdp::InlineSet, ended: &[Ended]) -> Option<(u64, u64)> {
    let found: u64 = ended.iter().map(|ended| ended.account().total()).sum();
    (found != set.frames()).then_some((found, set.frames()))
}

/// Whatever does not balance, in words.
fn imbalance(counters: &Counters, config: &crate::config::Config, frames: Option<(u64, u64)>) -> Vec<String> {
    use crate::config::RecordType;
    let mut faults = Vec::new();
    let ended = counters.flow_end_state_new
        + counters.flow_end_state_established
        + counters.flow_end_state_closed
        + counters.flow_end_state_local_bypassed
        + counters.flow_end_state_capture_bypassed;
    let (total, active) = (counters.flow_total, counters.flow_active);
    if total != active + ended || active != 0 {
        faults.push(format!("flows do not balance: {total} made, {ended} ended, {active} active"));
    }
    let (init, finish) = (counters.flow_callbacks_init, counters.flow_callbacks_finish);
    if init != total || finish != ended {
        faults.push(format!("callbacks do not balance: {total} flows, {init} init, {finish} finish"));
    }
    let eve = &config.eve;
    let wants = |kind| eve.enabled && eve.types.contains(&kind);
    let (pushed, refused) = (counters.log_flow_pushed, counters.log_flow_refused);
    if wants(RecordType::Flow) && !wants(RecordType::Netflow) && pushed + refused != finish {
        faults.push(format!("records do not balance: {finish} flows, {pushed} pushed, {refused} refused"));
    }
    if let Some((found, all)) = frames {
        faults.push(format!("frames do not balance: {found} of {all}"));
    }
    faults
}
