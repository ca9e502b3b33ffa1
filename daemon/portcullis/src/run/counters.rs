//! All counters in one block: those of the workers, merged, and those of the gate in the kernel.

use super::link_watch::LinkFacts;
use super::worker::Worker;
use crate::plugins;
use portcullis_bpf::GateCounters;
use portcullis_event::Counters;
use portcullis_flow::HookCost;

/// All workers' counters, merged.
pub(crate) fn merged(workers: &mut [Worker]) -> Counters {
    let mut total = Counters::default();
    for worker in workers {
        total.merge(worker.published.latest());
    }
    total
}

/// What the hooks of all workers were used for and cost, by name.
pub(crate) fn hooks(names: &[String], workers: &mut [Worker]) -> Vec<(String, HookCost)> {
    let mut total = Vec::new();
    for worker in workers {
        plugins::add_costs(&mut total, worker.published.hook_costs());
    }
    names.iter().cloned().zip(total).collect()
}

/// A hook's costs by their dotted names.
pub(crate) fn hook_entries((name, cost): (String, HookCost)) -> [(String, u64); 4] {
    let HookCost { calls, timed, nanos, panics } = cost;
    [("calls", calls), ("timed", timed), ("nanos", nanos), ("panics", panics)]
        .map(|(what, value)| (format!("hook.{name}.{what}"), value))
}

/// Packets that each worker judged.
pub(crate) fn packets_by_worker(workers: &mut [Worker]) -> Vec<u64> {
    workers.iter_mut().map(|worker| worker.published.latest().decoder_pkts).collect()
}

/// What the busiest of the workers judged, in percent of an even share; 0 before there is anything.
pub(crate) fn imbalance(packets: &[u64]) -> u64 {
    let total: u64 = packets.iter().sum();
    let most = packets.iter().max().copied().unwrap_or(0);
    most.saturating_mul(100).saturating_mul(packets.len() as u64).checked_div(total).unwrap_or(0)
}

/// Takes over what the kernel counted.
pub(crate) fn set_gate(counters: &mut Counters, gate: &GateCounters) {
    let GateCounters { socket, control, uninspected, closed, no_peer, foreign, .. } = *gate;
    let GateCounters { overload_bypassed, overload_dropped, switched, no_socket, stale, .. } = *gate;
    let GateCounters { cache_passed, cache_dropped, list_bypassed, list_blocked, .. } = *gate;
    counters.gate_to_worker = socket;
    counters.gate_passed_control = control;
    counters.gate_passed_uninspected = uninspected;
    counters.gate_dropped_closed = closed;
    counters.gate_dropped_no_peer = no_peer;
    counters.gate_foreign = foreign;
    counters.gate_overload_bypassed = overload_bypassed;
    counters.gate_overload_dropped = overload_dropped;
    counters.gate_switched = switched;
    counters.gate_cache_passed = cache_passed;
    counters.gate_cache_dropped = cache_dropped;
    counters.gate_list_bypassed = list_bypassed;
    counters.gate_list_dropped = list_blocked;
    counters.gate_no_socket = no_socket;
    counters.gate_stale = stale;
}

/// Takes over what was seen of the links.
pub(crate) const fn set_links(counters: &mut Counters, links: &LinkFacts) {
    let LinkFacts { losses, held, misfits } = *links;
    counters.links_lost = losses;
    counters.links_held = held;
    counters.links_misfits = misfits;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_s_share_is_seen() {
        assert_eq!(imbalance(&[]), 0);
        assert_eq!(imbalance(&[0, 0]), 0);
        assert_eq!(imbalance(&[5, 5]), 100);
        assert_eq!(imbalance(&[6, 2, 0, 0]), 300);
    }

    #[test]
    fn a_hook_s_costs_have_their_names() {
        let cost = HookCost { calls: 1, timed: 2, nanos: 3, panics: 4 };
        let expected = [("calls", 1), ("timed", 2), ("nanos", 3), ("panics", 4)];
        let expected = expected.map(|(what, value)| (format!("hook.a/b.{what}"), value));
        assert_eq!(hook_entries(("a/b".to_owned(), cost)), expected);
    }

    #[test]
    fn every_outcome_in_the_kernel_has_its_name() {
        let gate = GateCounters {
            socket: 1,
            control: 2,
            uninspected: 3,
            closed: 4,
            no_peer: 5,
            foreign: 6,
            overload_bypassed: 7,
            overload_dropped: 8,
            switched: 9,
            cache_passed: 12,
            cache_dropped: 13,
            list_bypassed: 14,
            list_blocked: 15,
            no_socket: 10,
            stale: 11,
        };
        let mut counters = Counters::default();
        set_gate(&mut counters, &gate);
        let named: Vec<_> = counters.iter().filter(|(name, _)| name.starts_with("gate.")).collect();
        let expected = [
            ("gate.to_worker", 1),
            ("gate.passed_control", 2),
            ("gate.passed_uninspected", 3),
            ("gate.dropped_closed", 4),
            ("gate.dropped_no_peer", 5),
            ("gate.foreign", 6),
            ("gate.overload_bypassed", 7),
            ("gate.overload_dropped", 8),
            ("gate.switched", 9),
            ("gate.cache_passed", 12),
            ("gate.cache_dropped", 13),
            ("gate.list_bypassed", 14),
            ("gate.list_dropped", 15),
            ("gate.no_socket", 10),
            ("gate.stale", 11),
            ("gate.blind_windows", 0),
            ("gate.latched", 0),
            ("gate.restarts", 0),
            ("gate.hangs", 0),
        ];
        assert_eq!(named, expected);
    }
}
