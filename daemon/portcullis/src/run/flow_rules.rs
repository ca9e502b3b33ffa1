//! Verdicts that network cards carry out: flows that are condemned are dropped by DPDK's ports themselves. What is let
//! through comes to the workers as ever, for a card that forwards between two ports by itself is a switch, and few are.
//!
//! Every verdict is a rule at each port that the flow may come in by. Rules of other generations end at once.

use super::verdict_table::{PutError, VerdictTable};
use portcullis_bpf::{CacheAction, CacheEntry, Side, Tuple};
use portcullis_capture::PortId;
use portcullis_capture_dpdk::{DpdkError, FlowDrops, FlowMatch, FlowRule};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// IANA numbers of the protocols whose flows there are rules for.
const PROTOCOLS: [u8; 2] = [6, 17];

/// Ports that drop packets by rules.
pub(crate) trait Dropper: Debug + Send + Sync {
    /// A rule in force, until it is dropped.
    type Rule: Debug + Send;

    /// Has a port drop such packets.
    fn drop_flow(&self, port: PortId, flow: &FlowMatch) -> Result<Self::Rule, DpdkError>;

    /// Packets and bytes that a rule has dropped, where that is counted.
    fn dropped(rule: &Self::Rule) -> Option<[u64; 2]>;
}

impl Dropper for FlowDrops {
    type Rule = FlowRule;

    fn drop_flow(&self, port: PortId, flow: &FlowMatch) -> Result<FlowRule, DpdkError> {
        Self::drop_flow(self, port, flow)
    }

    fn dropped(rule: &FlowRule) -> Option<[u64; 2]> {
        rule.dropped()
    }
}

/// The verdicts of one gate.
#[derive(Debug)]
pub(crate) struct FlowRules<D: Dropper> {
    dropper: D,
    /// The inline set of each port.
    inline_sets: Vec<u8>,
    /// Most verdicts.
    most: usize,
    state: Mutex<State<D::Rule>>,
}

#[derive(Debug)]
struct State<R> {
    generation: u32,
    verdicts: HashMap<Tuple, Verdict<R>>,
    /// Was it told that a port refused a rule?
    refused: bool,
}

#[derive(Debug)]
struct Verdict<R> {
    entry: CacheEntry,
    /// None where it holds no more.
    rules: Vec<R>,
}

impl<D: Dropper> FlowRules<D> {
    /// None yet, and at most so many, for ports of these inline sets.
    pub(crate) fn new(dropper: D, inline_sets: Vec<u8>, most: u32) -> Self {
        let state = State { generation: 0, verdicts: HashMap::new(), refused: false };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { dropper, inline_sets, most, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<D::Rule>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A rule at every port that such packets may come in by.
    fn make(&self, tuple: &Tuple, flow: &FlowMatch) -> Result<Vec<D::Rule>, DpdkError> {
        let ports = (0_u8..).zip(&self.inline_sets);
        let ports = ports.filter(|(port, set)| **set == tuple.set && Side::of(*port) == tuple.side);
        ports.map(|(port, _)| self.dropper.drop_flow(PortId(port), flow)).collect()
    }
}

impl<D: Dropper> VerdictTable for FlowRules<D> {
    fn generation(&self) -> u32 {
        self.state().generation
    }

    fn set_generation(&self, generation: u32) {
        let mut state = self.state();
        state.generation = generation;
        let others = state.verdicts.values_mut().filter(|verdict| verdict.entry.generation != generation);
        for verdict in others {
            verdict.entry = verdict.counted::<D>();
            verdict.rules.clear();
        }
    }

    fn put(&self, tuple: &Tuple, entry: &CacheEntry) -> Result<(), PutError> {
        let flow = flow_match(tuple).filter(|_| entry.action == CacheAction::Drop);
        let flow = flow.ok_or(PutError::Unsupported)?;
        let mut state = self.state();
        // The port would refuse a second rule for the same packets.
        state.verdicts.remove(tuple);
        if state.verdicts.len() >= self.most {
            return Err(PutError::Full);
        }
        let rules =
            if entry.generation == state.generation { self.make(tuple, &flow) } else { Ok(Vec::new()) };
        match rules {
            Ok(rules) => {
                state.verdicts.insert(*tuple, Verdict { entry: *entry, rules });
                Ok(())
            }
            Err(error) => {
                // Most likely it has no room, and says so in words of its own.
                if !std::mem::replace(&mut state.refused, true) {
                    tracing::warn!("a condemned flow stays with the workers, and so may more: {error}");
                }
                Err(PutError::Full)
            }
        }
    }

    fn get(&self, tuple: &Tuple) -> Option<CacheEntry> {
        self.state().verdicts.get(tuple).map(Verdict::counted::<D>)
    }

    fn take(&self, tuple: &Tuple) -> Option<CacheEntry> {
        self.state().verdicts.remove(tuple).as_ref().map(Verdict::counted::<D>)
    }

    fn entries(&self) -> Vec<(Tuple, CacheEntry)> {
        self.state().verdicts.iter().map(|(tuple, verdict)| (*tuple, verdict.counted::<D>())).collect()
    }
}

impl<R> Verdict<R> {
    /// With what its rules have dropped.
    fn counted<D: Dropper<Rule = R>>(&self) -> CacheEntry {
        let counts = self.rules.iter().filter_map(D::dropped);
        counts.fold(self.entry, |entry, [packets, bytes]| CacheEntry {
            packets: entry.packets.saturating_add(packets),
            bytes: entry.bytes.saturating_add(bytes),
            ..entry
        })
    }
}

/// How ports see such packets; `None` where there are no rules for them.
fn flow_match(tuple: &Tuple) -> Option<FlowMatch> {
    let [first, second, None] = tuple.vlans else { return None };
    if !PROTOCOLS.contains(&tuple.protocol) {
        return None;
    }
    Some(FlowMatch {
        source: address(tuple.source, tuple.version)?,
        destination: address(tuple.destination, tuple.version)?,
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
        vlans: [first.unwrap_or(0), second.unwrap_or(0)],
        vlan_count: u8::from(first.is_some()) + u8::from(second.is_some()),
        version: tuple.version,
        protocol: tuple.protocol,
        reserved: 0,
    })
}

/// IPv4 comes in its mapped form, and goes in front.
fn address(bytes: [u8; 16], version: u8) -> Option<[u8; 16]> {
    match (version, bytes) {
        (4, [.., a, b, c, d]) => Some([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (6, _) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const V4: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];

    const TUPLE: Tuple = Tuple {
        source: V4,
        destination: V4,
        source_port: 1000,
        destination_port: 80,
        vlans: [None; 3],
        version: 4,
        protocol: 6,
        set: 1,
        side: Side::First,
    };

    const ENTRY: CacheEntry =
        CacheEntry { packets: 0, bytes: 0, until: 9, generation: 7, action: CacheAction::Drop };

    /// Rules in force, by port and match; each says that it has dropped three packets.
    #[derive(Clone, Debug, Default)]
    struct Ports {
        rules: Arc<Mutex<Vec<(u8, FlowMatch)>>>,
        refuse: Option<u8>,
    }

    #[derive(Debug)]
    struct Rule(Ports, u8, FlowMatch);

    impl Drop for Rule {
        fn drop(&mut self) {
            self.0.rules.lock().unwrap().retain(|rule| *rule != (self.1, self.2));
        }
    }

    impl Dropper for Ports {
        type Rule = Rule;

        fn drop_flow(&self, PortId(port): PortId, flow: &FlowMatch) -> Result<Rule, DpdkError> {
            if self.refuse == Some(port) {
                return Err(DpdkError::Invalid("no room".to_owned()));
            }
            self.rules.lock().unwrap().push((port, *flow));
            Ok(Rule(self.clone(), port, *flow))
        }

        fn dropped(_: &Rule) -> Option<[u64; 2]> {
            Some([3, 180])
        }
    }

    /// Four ports: the first two of set 0, the others of set 1, and two more of it.
    fn table(ports: &Ports) -> FlowRules<Ports> {
        let table = FlowRules::new(ports.clone(), vec![0, 0, 1, 1, 1, 1], 2);
        table.set_generation(7);
        table
    }

    fn places(ports: &Ports) -> Vec<u8> {
        ports.rules.lock().unwrap().iter().map(|(port, _)| *port).collect()
    }

    #[test]
    fn a_verdict_is_a_rule_at_every_port_of_its_side() {
        let ports = Ports::default();
        let table = table(&ports);
        table.put(&TUPLE, &ENTRY).unwrap();
        assert_eq!(places(&ports), [2, 4]);
        let flow = ports.rules.lock().unwrap()[0].1;
        assert_eq!(
            (&flow.source[..5], flow.destination_port, flow.vlan_count),
            (&[192, 0, 2, 1, 0][..], 80, 0)
        );
        assert_eq!(table.get(&TUPLE).unwrap().packets, 6);
        // Once more, and there are still two rules.
        table.put(&TUPLE, &ENTRY).unwrap();
        assert_eq!(places(&ports), [2, 4]);
        assert_eq!(table.take(&TUPLE).unwrap().bytes, 360);
        assert_eq!((places(&ports), table.get(&TUPLE)), (Vec::new(), None));
    }

    #[test]
    fn other_rules_end_what_older_ones_decided() {
        let ports = Ports::default();
        let table = table(&ports);
        table.put(&TUPLE, &ENTRY).unwrap();
        table.set_generation(8);
        assert!(places(&ports).is_empty());
        // What was counted is still there to be told.
        assert_eq!(table.entries(), [(TUPLE, CacheEntry { packets: 6, bytes: 360, ..ENTRY })]);
        table.put(&TUPLE, &ENTRY).unwrap();
        assert!(places(&ports).is_empty(), "decided by rules that are no more");
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        let ports = Ports::default();
        let table = table(&ports);
        let unsupported = |tuple: &Tuple, entry: &CacheEntry| {
            assert!(matches!(table.put(tuple, entry), Err(PutError::Unsupported)), "{tuple:?} {entry:?}");
        };
        unsupported(&TUPLE, &CacheEntry { action: CacheAction::Pass, ..ENTRY });
        unsupported(&Tuple { protocol: 1, ..TUPLE }, &ENTRY);
        unsupported(&Tuple { vlans: [Some(1), Some(2), Some(3)], ..TUPLE }, &ENTRY);
        table.put(&Tuple { vlans: [Some(5), None, None], ..TUPLE }, &ENTRY).unwrap();
        table.put(&Tuple { version: 6, ..TUPLE }, &ENTRY).unwrap();
        assert!(matches!(table.put(&TUPLE, &ENTRY), Err(PutError::Full)));
    }

    #[test]
    fn a_port_that_refuses_leaves_no_half_verdict() {
        let ports = Ports { refuse: Some(4), ..Ports::default() };
        let table = table(&ports);
        assert!(matches!(table.put(&TUPLE, &ENTRY), Err(PutError::Full)));
        assert_eq!((places(&ports), table.get(&TUPLE)), (Vec::new(), None));
    }
}
