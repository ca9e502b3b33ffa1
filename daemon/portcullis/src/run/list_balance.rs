//! Whether the frames that lists and bypasses counted are those that the program dropped and passed on for them.
//!
//! A frame is counted for its list first and by what became of it afterwards, and traffic goes on while both are read. So
//! what lists counted is read before and after the rest, and that has to lie in between.

use portcullis_bpf::GateCounters;

/// What lists and bypasses counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decided {
    /// Frames that met a list that drops.
    pub(crate) dropped: u64,
    /// Frames that met a bypass.
    pub(crate) bypassed: u64,
}

/// Both counts at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weighed {
    /// What lists and bypasses counted before.
    pub(crate) before: Decided,
    /// What the program counted.
    pub(crate) gate: GateCounters,
    /// What lists and bypasses counted after.
    pub(crate) after: Decided,
}

/// Says what does not balance between two times.
pub(crate) fn imbalance(begin: &Weighed, end: &Weighed) -> Vec<String> {
    let gate = end.gate.since(&begin.gate);
    let between = |of: fn(&Decided) -> u64| {
        let least = of(&end.before).saturating_sub(of(&begin.after));
        (least, of(&end.after).saturating_sub(of(&begin.before)))
    };
    let mut faults = Vec::new();
    let (least, most) = between(|decided| decided.dropped);
    if !(least..=most).contains(&gate.list_blocked) {
        let counted = gate.list_blocked;
        faults.push(format!(
            "lists do not balance: {least} to {most} frames met one that drops, {counted} were dropped"
        ));
    }
    let (least, most) = between(|decided| decided.bypassed);
    // Of those that met one, some may have had no peer port to go to.
    let (counted, stuck) = (gate.list_bypassed, gate.no_peer);
    if counted > most || counted.saturating_add(stuck) < least {
        faults.push(format!(
            "bypasses do not balance: {least} to {most} frames met one, {counted} passed on, {stuck} had no peer"
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_too_much_is_told() {
        let decided = |dropped, bypassed| Decided { dropped, bypassed };
        let gate = |list_blocked, list_bypassed, no_peer| GateCounters {
            list_blocked,
            list_bypassed,
            no_peer,
            ..GateCounters::default()
        };
        // A predecessor dropped 100, and frames came in while it was read.
        let begin = Weighed { before: decided(0, 0), gate: gate(100, 0, 7), after: decided(1, 0) };
        let check = |counted: GateCounters, expected: &[&str]| {
            let end = Weighed { before: decided(11, 20), gate: counted, after: decided(13, 22) };
            let faults = imbalance(&begin, &end);
            assert_eq!(faults.len(), expected.len(), "{faults:?}");
            for (fault, expected) in faults.iter().zip(expected) {
                assert!(fault.starts_with(expected), "{fault}");
            }
        };
        check(gate(110, 20, 7), &[]);
        check(gate(113, 22, 7), &[]);
        check(gate(109, 21, 7), &["lists"]);
        check(gate(114, 21, 7), &["lists"]);
        check(gate(112, 23, 7), &["bypasses"]);
        check(gate(112, 19, 7), &["bypasses"]);
        check(gate(112, 19, 8), &[]);
        check(gate(0, 0, 7), &["lists", "bypasses"]);
    }
}
