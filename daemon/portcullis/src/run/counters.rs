//! All counters by their dotted names: those of the engine as Suricata names them, and those of the
//! gate in the kernel, which are ours.

use super::worker::Worker;
use portcullis_bpf::GateCounters;
use portcullis_event::Counters;
use std::collections::BTreeMap;

/// All workers' counters, merged.
pub(crate) fn merged(workers: &mut [Worker]) -> Counters {
    let mut total = Counters::default();
    for worker in workers {
        total.merge(worker.published.latest());
    }
    total
}

/// Packets that each worker judged.
pub(crate) fn packets_by_worker(workers: &mut [Worker]) -> Vec<u64> {
    workers.iter_mut().map(|worker| worker.published.latest().decoder_pkts).collect()
}

/// The engine's and the gate's by name.
pub(crate) fn named(engine: &Counters, gate: Option<&GateCounters>) -> BTreeMap<String, u64> {
    let mut named: BTreeMap<String, u64> =
        engine.iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if let Some(GateCounters { socket, control, uninspected, closed, no_peer, foreign }) = gate {
        let gate = [
            ("gate.to_worker", socket),
            ("gate.passed_control", control),
            ("gate.passed_uninspected", uninspected),
            ("gate.dropped_closed", closed),
            ("gate.dropped_no_peer", no_peer),
            ("gate.foreign", foreign),
        ];
        named.extend(gate.map(|(name, value)| (name.to_owned(), *value)));
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_and_no_two_parts_share_one() {
        let gate = GateCounters { uninspected: 7, ..GateCounters::default() };
        let engine = Counters { decoder_pkts: 3, ..Counters::default() };
        let named = named(&engine, Some(&gate));
        assert_eq!(named.get("gate.passed_uninspected"), Some(&7));
        assert_eq!(named.get("decoder.pkts"), Some(&3));
        assert_eq!(named.len(), Counters::NAMES.len() + 6);
        let names: Vec<&String> = named.keys().collect();
        assert!(names.iter().all(|name| !names.iter().any(|other| other.starts_with(&format!("{name}.")))));
    }
}
