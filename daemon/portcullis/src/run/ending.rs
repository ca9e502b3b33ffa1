//! The end. Gracefully: the sockets leave the gate, what is queued is judged and sent, all flows end,
//! ports and pins are taken back, every record is written. Handed over: the same, but ports and pins are the next
//! gate's. Broken: ports and pins stay as they are, so that the fail policy acts until a successor takes over.

use super::cache::CacheThread;
use super::counters;
use super::start::Running;
use super::supervisor::{Event, Restarted, stats, totals};
use super::warden::Order;
use super::worker::{Ended, Worker};
use crate::config::{Config, RecordType};
use crate::exit::Failure;
use crate::report::{Summary, peak_memory};
use crossbeam::channel::Receiver;
use portcullis_event::Counters;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::time::Duration;

/// How long the next gate may take to begin once the queues are free.
const NEXT: Duration = Duration::from_secs(30);

/// Ends the gate gracefully; gives the summary.
///
/// # Errors
/// Something failed on the way, or what must balance does not.
pub(crate) fn drain(mut gate: Running) -> Result<Summary, Failure> {
    tracing::info!("ending: the sockets leave, then all flows end");
    gate.cache.iter_mut().for_each(CacheThread::finish);
    leave_queues(&mut gate);
    wait_for_workers(&mut gate)?;
    // What the supervisor of an orphan counted is gone with it.
    let lists = gate.lists.as_ref().filter(|_| !gate.orphaned);
    let mut faults = lists.map(|lists| lists.imbalance(|| gate.warden.counters().ok())).unwrap_or_default();
    // The log ends with whoever reports to it.
    gate.lists = None;
    let totals = totals(&mut gate);
    let packets_by_worker = counters::packets_by_worker(&mut gate.workers);
    let hooks = counters::hooks(&gate.hooks, &mut gate.workers);
    let last = stats(&gate, totals);
    let Running {
        guard,
        config,
        events,
        signals,
        server,
        set,
        workers,
        mut log,
        warden,
        ruleset,
        started,
        orphaned,
        ..
    } = gate;
    let ended: Vec<Ended> = workers.into_iter().filter_map(Worker::join).collect();
    faults.extend(imbalance(&totals, &config));
    let broken = reason(&ended);
    // The sockets go before the ports are as they were.
    faults.extend(set.close(ended.into_iter().map(|ended| ended.module).collect()));
    // Without a warden, ports and pins are for the next one.
    let down = if orphaned { Ok(()) } else { warden.take_down() };
    // Whoever still asks learns so by the end of the conversation.
    drop((events, server));
    if orphaned {
        // All that is left is the log, and a disk may be slow: a second signal need not wait for it.
        signals.let_kill();
    }
    if config.stats_interval.is_some() {
        log.stats(last);
    }
    let written = log.finish();
    drop((signals, guard));
    if totals.gate_passed_uninspected > 0 {
        tracing::warn!("{} packets passed uninspected", totals.gate_passed_uninspected);
    }
    for fault in &faults {
        tracing::error!("{fault}");
    }
    let written = written?;
    down?;
    if let Some(reason) = broken.or_else(|| faults.into_iter().next()) {
        return Err(Failure::Runtime(reason));
    }
    Ok(Summary {
        counters: totals,
        packets_by_worker,
        hooks,
        rules: ruleset.counts.loaded,
        rules_refused: ruleset.counts.failed,
        records: written.path.clone().map(|path| (written.lines(), path)),
        elapsed: started.elapsed(),
        peak_memory: peak_memory(),
    })
}

/// Leaves the queues to the next gate and tells who asked for it once that judges.
///
/// # Errors
/// Something failed on the way, or what must balance does not.
pub(crate) fn hand_over(mut gate: Running) -> Result<(), Failure> {
    tracing::info!("handing over: the sockets leave, and another gate takes the queues");
    gate.cache.iter_mut().for_each(CacheThread::finish);
    leave_queues(&mut gate);
    wait_for_workers(&mut gate)?;
    // The log ends with whoever reports to it.
    gate.lists = None;
    let totals = totals(&mut gate);
    let last = stats(&gate, totals);
    let Running { guard, config, events, signals, server, set, workers, mut log, warden, restart, .. } = gate;
    let ended: Vec<Ended> = workers.into_iter().filter_map(Worker::join).collect();
    let mut faults = imbalance(&totals, &config);
    faults.extend(reason(&ended));
    // The next gate cannot bind before these are closed.
    faults.extend(set.close(ended.into_iter().map(|ended| ended.module).collect()));
    let outcome = warden.handed_over().map_err(|failure| failure.to_string());
    let outcome = outcome.and_then(|()| wait_for_the_next(&events));
    if let Some(answer) = restart {
        let done = "done: another process judges".to_owned();
        let _ = answer.send(Restarted { is_over: true, outcome: outcome.map(|()| done) });
    }
    drop((events, server));
    if config.stats_interval.is_some() {
        log.stats(last);
    }
    let written = log.finish();
    drop((signals, guard));
    for fault in &faults {
        tracing::error!("{fault}");
    }
    written?;
    faults.into_iter().next().map_or(Ok(()), |fault| Err(Failure::Runtime(fault)))
}

/// Waits until the warden says how it went.
fn wait_for_the_next(events: &Receiver<Event>) -> Result<(), String> {
    loop {
        match events.recv_timeout(NEXT) {
            Ok(Event::Order(Order::Restarted(outcome), _)) => return outcome,
            Ok(Event::Orphaned) | Err(_) => return Err("nobody tells what became of the new gate".to_owned()),
            Ok(_) => {}
        }
    }
}

/// From now on the fail policy acts, and the workers end once they have judged what they have.
fn leave_queues(gate: &mut Running) {
    if gate.orphaned {
        return gate.set.end();
    }
    if let Err(error) = gate.set.quiesce(&mut gate.warden) {
        tracing::error!("{error}");
    }
}

/// Ends after a worker failed: traffic is the fail policy's from now on.
pub(crate) fn broken(mut gate: Running) -> Failure {
    gate.set.end();
    gate.lists = None;
    let Running { guard, workers, log, events, signals, server, .. } = gate;
    drop((events, signals, server));
    let ended: Vec<Ended> = workers.into_iter().filter_map(Worker::join).collect();
    if let Err(failure) = log.finish() {
        tracing::error!("{failure}");
    }
    let reason = reason(&ended).unwrap_or_else(|| "a worker ended too early".to_owned());
    drop(guard);
    Failure::Runtime(format!("{reason}; the fail policy acts on the ports until the next start"))
}

/// Why the first of them failed.
fn reason(ended: &[Ended]) -> Option<String> {
    ended.iter().find_map(|ended| ended.error.as_ref().map(ToString::to_string))
}

/// Waits until all workers have ended. A second signal ends the waiting.
fn wait_for_workers(gate: &mut Running) -> Result<(), Failure> {
    let mut left = gate.workers.len();
    while left > 0 {
        match gate.events.recv() {
            Ok(Event::Ended { failed }) => {
                left -= 1;
                if failed {
                    gate.workers.iter_mut().for_each(Worker::end_alone);
                }
            }
            Ok(Event::Orphaned) => gate.orphaned = true,
            Ok(Event::Signal(SIGINT | SIGTERM)) if gate.orphaned => {
                return Err(Failure::Runtime("ended at once: records may be missing".to_owned()));
            }
            // Commands and other signals come too late; who asked is told so by the silence.
            Ok(_) => {}
            Err(_) => return Err(Failure::Runtime("a worker ended without a word".to_owned())),
        }
    }
    Ok(())
}

/// Says what of the counters does not balance once all flows have ended.
fn imbalance(counters: &Counters, config: &Config) -> Vec<String> {
    let mut faults = packet_imbalance(counters);
    let ended = counters.flow_end_state_new
        + counters.flow_end_state_established
        + counters.flow_end_state_closed
        + counters.flow_end_state_local_bypassed
        + counters.flow_end_state_capture_bypassed;
    let active = counters.flow_active;
    let (made, taken, handed) = (counters.flow_total, counters.flow_taken_over, counters.flow_handed_over);
    // Those of another process begin here without being made, and those that go on in one leave without an end.
    let (total, left) = (made + taken, ended + handed);
    if total != left || active != 0 {
        faults.push(format!(
            "flows do not balance: {made} made and {taken} taken over, {ended} ended and {handed} handed over, \
             {active} active"
        ));
    }
    let (init, finish) = (counters.flow_callbacks_init, counters.flow_callbacks_finish);
    if init != total || finish != left {
        faults.push(format!("callbacks do not balance: {total} flows, {init} init, {finish} finish"));
    }
    let wants = |kind| config.eve.enabled && config.eve.types.contains(&kind);
    let (pushed, refused) = (counters.log_flow_pushed, counters.log_flow_refused);
    // A netflow is one or two records.
    if wants(RecordType::Flow)
        && !wants(RecordType::Netflow)
        && pushed + refused != finish.saturating_sub(handed)
    {
        faults.push(format!("records do not balance: {finish} flows less {handed} handed over, {pushed} pushed, {refused} refused"));
    }
    faults
}

/// Every packet that a worker took was judged once, here or by its owner, or counted as refused.
fn packet_imbalance(counters: &Counters) -> Vec<String> {
    let mut faults = Vec::new();
    let judged = counters.decoder_pkts;
    let (accepted, blocked, rejected) = (counters.ips_accepted, counters.ips_blocked, counters.ips_rejected);
    if accepted + blocked + rejected != judged {
        faults.push(format!(
            "verdicts do not balance: {judged} judged, {accepted} accepted, {blocked} blocked, {rejected} rejected"
        ));
    }
    let (passed_on, taken, refused) =
        (counters.worker_steered_out, counters.worker_steered_in, counters.worker_steer_refused);
    if passed_on != taken {
        faults.push(format!("steering does not balance: {passed_on} passed on, {taken} taken"));
    }
    let lost = counters.capture_kernel_drops.saturating_add(counters.capture_late_drops);
    let received = counters.capture_kernel_packets.saturating_sub(lost);
    let received = received + counters.capture_reentered;
    if received != judged + refused {
        faults
            .push(format!("packets do not balance: {received} received, {judged} judged, {refused} refused"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inline, Sources, parse};

    #[test]
    fn what_does_not_balance_is_named() {
        let balanced = Counters {
            capture_kernel_packets: 30,
            capture_kernel_drops: 3,
            capture_reentered: 1,
            worker_steered_out: 6,
            worker_steered_in: 6,
            worker_steer_refused: 2,
            decoder_pkts: 26,
            ips_accepted: 21,
            ips_blocked: 3,
            ips_rejected: 2,
            flow_total: 7,
            flow_end_state_new: 4,
            flow_end_state_closed: 3,
            flow_callbacks_init: 7,
            flow_callbacks_finish: 7,
            log_flow_pushed: 5,
            log_flow_refused: 2,
            ..Counters::default()
        };
        let check = |overrides: &[&str], counters: Counters, expected: &[&str]| {
            let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
            let config = parse(Sources { overrides, ..Sources::default() }, Inline::Yes).unwrap().config;
            let faults = imbalance(&counters, &config);
            assert_eq!(faults.len(), expected.len(), "{faults:?}");
            for (fault, expected) in faults.iter().zip(expected) {
                assert!(fault.starts_with(expected), "{fault}");
            }
        };
        check(&[], balanced, &[]);
        check(&[], Counters { capture_kernel_drops: 4, ..balanced }, &["packets"]);
        check(&[], Counters { worker_steered_in: 5, ..balanced }, &["steering"]);
        check(&[], Counters { ips_blocked: 4, ..balanced }, &["verdicts"]);
        check(&[], Counters { flow_active: 1, ..balanced }, &["flows"]);
        check(&[], Counters { flow_end_state_new: 5, ..balanced }, &["flows", "callbacks"]);
        let moved = Counters { flow_total: 6, flow_taken_over: 1, flow_end_state_new: 3, ..balanced };
        let moved = Counters { flow_handed_over: 1, log_flow_pushed: 4, ..moved };
        check(&[], moved, &[]);
        check(&[], Counters { flow_taken_over: 0, ..moved }, &["flows", "callbacks"]);
        check(&[], Counters { flow_callbacks_init: 6, ..balanced }, &["callbacks"]);
        check(&[], Counters { log_flow_pushed: 6, ..balanced }, &["records"]);
        let unlogged = Counters { log_flow_pushed: 0, log_flow_refused: 0, ..balanced };
        check(&["outputs.eve-log.enabled=no"], unlogged, &[]);
    }
}
