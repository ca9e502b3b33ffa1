//! Random traffic against a plain map that knows the rules: what is found, what is new, when and
//! why each flow ends.

use crate::packets::{Outcome, at, keyed, table, tcp, track, udp};
use portcullis_flow::{Direction, EndReason, FlowKey, FlowSettings, FlowTable, TcpSummary};
use portcullis_wire::Decoded;
use portcullis_wire::decoded::TcpFlags;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Udp,
    Syn(u32),
    Rst(u32),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Packet { flow: u16, back: bool, kind: Kind },
    Wait(u64),
    Sweep(usize),
    Finish(usize),
}

fn steps(flows: u16) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(flows), 1..400)
}

fn step(flows: u16) -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        3 => Just(Kind::Udp),
        3 => (0u32..3).prop_map(|isn| Kind::Syn(isn * 1000)),
        2 => prop::sample::select(vec![7, 1, 1001, 2001]).prop_map(Kind::Rst),
    ];
    let packet =
        (0..flows, any::<bool>(), kind).prop_map(|(flow, back, kind)| Step::Packet { flow, back, kind });
    prop_oneof![
        20 => packet,
        2 => (0u64..3).prop_map(Step::Wait),
        1 => (0u64..400).prop_map(Step::Wait),
        2 => (0usize..300).prop_map(Step::Sweep),
        3 => (0usize..5).prop_map(Step::Finish),
    ]
}

fn decoded(flow: u16, back: bool, kind: Kind) -> Decoded {
    let ends = ((1, 1000 + flow), (2, 80));
    let (source, destination) = if back { (ends.1, ends.0) } else { ends };
    match kind {
        Kind::Udp => udp(source, destination),
        Kind::Syn(isn) => tcp(source, destination, TcpFlags::SYN, isn, 0),
        Kind::Rst(seq) => tcp(source, destination, TcpFlags::RST, seq, 0),
    }
}

/// A TCP session, as far as SYNs and resets make one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Session {
    None,
    /// A SYN of the client's, with its number.
    Sent(u32),
    /// One of the server's too.
    Both(u32, u32),
    Closed(u32),
}

#[derive(Clone, Debug)]
struct Entry {
    id: u64,
    /// Did the client send against the key's order?
    client_back: bool,
    seen: [bool; 2],
    session: Session,
    last_seen: u64,
    packets: [u64; 2],
}

impl Entry {
    /// Idle time after which it is over.
    fn timeout(&self, tcp: bool) -> u64 {
        match (tcp, self.session, self.seen) {
            (true, _, _) => 60,
            (false, _, [true, true]) => 300,
            (false, ..) => 30,
        }
    }

    fn is_replaced(&self, kind: Kind) -> bool {
        match (kind, self.session) {
            (Kind::Syn(_), Session::None) => true,
            (Kind::Syn(isn), Session::Closed(old)) => isn != old,
            _ => false,
        }
    }

    fn take_in(&mut self, direction: Direction, kind: Kind, now: u64) {
        let to_client = direction == Direction::ToClient;
        self.seen[usize::from(to_client)] = true;
        self.packets[usize::from(to_client)] += 1;
        self.last_seen = now;
        self.session = match (self.session, kind) {
            (Session::None | Session::Sent(_), Kind::Syn(isn)) if !to_client => Session::Sent(isn),
            (Session::Sent(client), Kind::Syn(server)) => Session::Both(client, server),
            (Session::Sent(client), Kind::Rst(seq)) if !to_client && seq == client + 1 => {
                Session::Closed(client)
            }
            (Session::Both(client, server), Kind::Rst(seq)) => {
                let sender = if to_client { server } else { client };
                if seq == sender + 1 { Session::Closed(client) } else { self.session }
            }
            (session, _) => session,
        };
    }
}

struct Model {
    table: FlowTable,
    now: u64,
    live: HashMap<FlowKey, (Entry, bool)>,
    /// Ended and not yet finished: what the record must say, and the reasons it may give.
    ended: HashMap<u64, (Entry, Vec<EndReason>)>,
    created: u64,
    finished: u64,
    refused: u64,
    untracked: u64,
    /// May flows be evicted, or expire sooner, because memory is short?
    pressed: bool,
}

impl Model {
    fn new(settings: &FlowSettings, pressed: bool) -> Self {
        Self {
            table: table(settings),
            now: 0,
            live: HashMap::new(),
            ended: HashMap::new(),
            created: 0,
            finished: 0,
            refused: 0,
            untracked: 0,
            pressed,
        }
    }

    fn packet(&mut self, flow: u16, back: bool, kind: Kind) {
        let decoded = decoded(flow, back, kind);
        let (key, tcp) = (keyed(&decoded).key, !matches!(kind, Kind::Udp));
        let outcome = track(&mut self.table, &decoded, at(self.now));
        let expected_end = self.live.get(&key).and_then(|(entry, _)| {
            if self.now - entry.last_seen >= entry.timeout(tcp) {
                Some(EndReason::Timeout)
            } else {
                entry.is_replaced(kind).then_some(EndReason::TcpReuse)
            }
        });
        match outcome {
            Outcome::Known(id, direction) => {
                let (entry, _) = self.live.get_mut(&key).expect("the model has it too");
                assert_eq!((id, expected_end), (entry.id, None));
                let expected =
                    if entry.client_back == back { Direction::ToServer } else { Direction::ToClient };
                assert_eq!(direction, expected);
                entry.take_in(direction, kind, self.now);
            }
            Outcome::New(id, direction) => {
                assert_eq!(direction, Direction::ToServer);
                self.end(&key, expected_end);
                let (last_seen, session) = (self.now, Session::None);
                let mut entry =
                    Entry { id, client_back: back, seen: [false; 2], session, last_seen, packets: [0; 2] };
                entry.take_in(direction, kind, self.now);
                self.live.insert(key, (entry, tcp));
                self.created += 1;
            }
            Outcome::Refused => {
                assert!(self.pressed);
                self.end(&key, expected_end);
                self.refused += 1;
            }
            Outcome::Untracked => {
                assert!(self.table.emergency() && matches!(kind, Kind::Rst(_)), "{kind:?}");
                self.end(&key, expected_end);
                self.untracked += 1;
            }
        }
    }

    /// The table says, by not finding it, that the flow has ended.
    fn end(&mut self, key: &FlowKey, expected: Option<EndReason>) {
        let Some((entry, _)) = self.live.remove(key) else { return };
        let reasons = match expected {
            // It may have gone before this packet came, for want of room or sooner in emergency.
            _ if self.pressed => vec![EndReason::Forced, EndReason::Timeout, EndReason::TcpReuse],
            Some(reason) => vec![reason],
            None => panic!("{entry:?} was not found"),
        };
        self.ended.insert(entry.id, (entry, reasons));
    }

    fn finish(&mut self, budget: usize, shutdown: bool) {
        let Self { table, now, live, ended, pressed, .. } = self;
        let finished = table.finish(budget, &mut |flow| {
            let reason = flow.end().expect("it has ended");
            let (entry, reasons) = match ended.remove(&flow.id()) {
                Some(ended) => ended,
                None => {
                    // Swept, evicted, or the end of everything.
                    let (entry, tcp) = live.remove(flow.key()).expect("each ends once");
                    let over = *now - entry.last_seen >= entry.timeout(tcp);
                    let reasons = match (over, shutdown) {
                        _ if *pressed => vec![EndReason::Forced, EndReason::Timeout, EndReason::Shutdown],
                        (true, _) => vec![EndReason::Timeout],
                        (false, true) => vec![EndReason::Shutdown],
                        (false, false) => panic!("{entry:?} ended at {now} before its time"),
                    };
                    (entry, reasons)
                }
            };
            assert!(reasons.contains(&reason), "{reason:?}, not {reasons:?}: {entry:?}");
            assert_eq!((flow.id(), flow.last_seen()), (entry.id, at(entry.last_seen)));
            let counts = [Direction::ToServer, Direction::ToClient].map(|way| flow.counts(way));
            assert_eq!(counts.map(|count| count.packets), entry.packets);
            assert_eq!(counts.map(|count| count.bytes), entry.packets.map(|packets| packets * 100));
        });
        assert!(finished <= budget);
        self.finished += finished as u64;
    }

    fn check(&self, memcap: u64) {
        let stats = self.table.stats();
        assert_eq!((stats.total, stats.memcap), (self.created, self.refused));
        assert_eq!(stats.emerg_untracked, self.untracked);
        assert_eq!(stats.active, self.created - self.finished);
        assert_eq!(stats.end.total(), self.finished);
        assert_eq!(stats.tcp + stats.udp, stats.total);
        assert!(stats.memuse <= memcap, "{} bytes", stats.memuse);
        let opened = stats.active + stats.spare;
        assert!(opened <= u64::from(self.table.capacity()));
    }

    fn run(mut self, steps: &[Step], memcap: u64) -> Self {
        for step in steps {
            match *step {
                Step::Packet { flow, back, kind } => self.packet(flow, back, kind),
                Step::Wait(secs) => self.now += secs,
                Step::Sweep(slots) => self.table.sweep(at(self.now), slots),
                Step::Finish(budget) => self.finish(budget, false),
            }
            self.check(memcap);
        }
        // What waits has ended for a reason of its own; the rest ends now.
        self.finish(usize::MAX, false);
        while !self.table.retire_all(at(self.now), 3) {}
        self.finish(usize::MAX, true);
        self.check(memcap);
        assert_eq!((self.table.active(), self.finished), (0, self.created));
        assert!(self.live.is_empty() && self.ended.is_empty(), "{:?} {:?}", self.live, self.ended);
        self
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// With room for all, the table and the model agree on everything.
    #[test]
    fn agrees_where_there_is_room(steps in steps(8)) {
        let settings = FlowSettings::default();
        Model::new(&settings, false).run(&steps, settings.memcap);
    }

    /// Without room, who has to go is the table's affair; but what it keeps is right, everything
    /// ends once, with right counts, and memory stays within bounds.
    #[test]
    fn stays_consistent_where_there_is_none(steps in steps(60)) {
        let settings = FlowSettings { memcap: 4_000, prealloc: 4, ..FlowSettings::default() };
        Model::new(&settings, true).run(&steps, settings.memcap);
    }
}

/// What the record of a flow says, in the order of the flows.
type Record = (FlowKey, u64, u64, [u64; 2], &'static str, Option<TcpSummary>, &'static str);

/// The records of the packets among `steps`, with `slots` swept and `budget` flows finished after each.
fn records(steps: &[Step], slots: usize, budget: usize) -> Vec<Record> {
    let mut table = table(&FlowSettings { prealloc: 0, ..FlowSettings::default() });
    let mut records = Vec::new();
    let mut finish = |table: &mut FlowTable, budget| {
        table.finish(budget, &mut |flow| {
            let packets = [Direction::ToServer, Direction::ToClient].map(|way| flow.counts(way).packets);
            let (start, end) = (flow.start().as_secs(), flow.last_seen().as_secs());
            let reason = flow.end().map_or("none", EndReason::name);
            records.push((*flow.key(), start, end, packets, flow.state().name(), flow.tcp(), reason));
        })
    };
    let mut now = 0;
    for step in steps {
        match *step {
            Step::Packet { flow, back, kind } => {
                track(&mut table, &decoded(flow, back, kind), at(now));
            }
            Step::Wait(secs) => now += secs,
            Step::Sweep(_) | Step::Finish(_) => {}
        }
        table.sweep(at(now), slots);
        finish(&mut table, budget);
    }
    while !table.retire_all(at(now), 1) {}
    finish(&mut table, usize::MAX);
    records.sort_by_key(|record| (*record.0.words(), record.1, record.2, record.3, record.6));
    records
}

proptest! {
    /// However often the table looks for flows that are over, the records are the same: so they do
    /// not depend on how many workers share the traffic.
    #[test]
    fn records_do_not_depend_on_the_sweep(steps in steps(8), slots in 0usize..200, budget in 0usize..3) {
        prop_assert_eq!(records(&steps, slots, budget), records(&steps, 0, 0));
    }
}

/// Two million operations, the same ones each time, on tables that are never new again.
#[test]
fn agrees_over_two_million_operations() {
    const RUN: usize = 100_000;
    let mut runner = TestRunner::deterministic();
    let roomy = FlowSettings { memcap: 32 << 20, ..FlowSettings::default() };
    let cramped = FlowSettings { memcap: 4_000, prealloc: 4, ..FlowSettings::default() };
    for (settings, flows, pressed) in [(&roomy, 200, false), (&cramped, 60, true)] {
        for _ in 0..10 {
            let steps =
                prop::collection::vec(step(flows), RUN).new_tree(&mut runner).expect("steps").current();
            let model = Model::new(settings, pressed).run(&steps, settings.memcap);
            let stats = model.table.stats();
            assert!(stats.tcp_reuse > 100 && model.finished > 10_000, "{stats:?}");
            assert_eq!((stats.get_used > 100, model.refused > 100), (pressed, pressed), "{stats:?}");
        }
    }
}

#[test]
fn the_pressed_model_is_pressed() {
    let settings = FlowSettings { memcap: 4_000, prealloc: 4, ..FlowSettings::default() };
    let packets = (0..60).map(|flow| Step::Packet { flow, back: false, kind: Kind::Udp });
    let model = Model::new(&settings, true).run(&packets.collect::<Vec<_>>(), settings.memcap);
    assert!(model.refused > 0 && model.table.stats().emerg_mode_entered == 1);
}
