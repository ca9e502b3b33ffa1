//! Which decided flows are put forward for an answer before the engine, and what becomes of those that are answered.

use crate::rig::{CLIENT, Rig, SERVER, ethernet, handshake, inline, load, tcp, udp};
use portcullis_capture::{DropReason, PortId, Verdict, WorkerId};
use portcullis_detect::LoadOptions;
use portcullis_engine::offload::{Answered, Offer, OffloadAction, OffloadDesk, OffloadRequest, channel};
use portcullis_engine::{EngineSettings, Question, Rules};
use portcullis_event::{Counts, Record};
use portcullis_flow::flow::Bypass;
use portcullis_flow::{Direction, FlowAction, FlowMatch, FlowSelector, FlowState, Registry};
use portcullis_wire::decoded::{TcpFlags, VlanIds, mapped};
use std::sync::Arc;

/// About addresses alone, so about whole flows.
const DROP: &str = "drop ip any any -> 10.0.0.2 any (sid:7;)";
const PASS: &str = "pass ip any any -> 10.0.0.2 any (sid:8;)";
const BYPASS: &str = r#"alert udp any any -> any 53 (content:"quiet"; bypass; sid:9;)"#;
const ACK: u8 = TcpFlags::ACK;

struct Offloading {
    rig: Rig,
    desk: OffloadDesk,
}

impl Offloading {
    fn new(rules: &str) -> Self {
        Self::with(&EngineSettings { offload: true, ..inline() }, rules, &Registry::default())
    }

    fn with(settings: &EngineSettings, rules: &str, registry: &Registry) -> Self {
        let mut rig = Rig::with(settings, rules, registry, WorkerId(0), 1);
        let (link, desk) = channel();
        rig.worker.offload_to(link);
        Self { rig, desk }
    }

    fn asked(&mut self) -> Vec<OffloadRequest> {
        std::iter::from_fn(|| self.desk.request()).collect()
    }

    /// What was put forward, which is all that was asked for.
    fn offers(&mut self) -> Vec<Offer> {
        let offer = |request| match request {
            OffloadRequest::Put(offer) => offer,
            OffloadRequest::Withdraw(flow) => panic!("{flow} was withdrawn"),
        };
        self.asked().into_iter().map(offer).collect()
    }

    /// The actions and directions of the same.
    fn offered(&mut self) -> Vec<(OffloadAction, Direction)> {
        self.offers().iter().map(|offer| (offer.action, offer.direction)).collect()
    }

    fn answer(&mut self, offer: &Offer, packets: u64, bytes: u64) {
        let Offer { flow, key, direction, .. } = *offer;
        assert!(self.desk.tell(Answered { flow, key, direction, packets, bytes }));
    }

    /// The only flow's record: counts, counts answered elsewhere, state, bypass, action.
    fn record(&mut self) -> (Counts, Option<Counts>, FlowState, Option<Bypass>, Option<FlowAction>) {
        let told = self.rig.records(|record| match record {
            Record::Flow(flow) => Some((flow.counts, flow.bypassed, flow.state, flow.bypass, flow.action)),
            _ => None,
        });
        let [told] = told.as_slice() else { panic!("one flow: {told:?}") };
        *told
    }
}

fn query(payload: &[u8]) -> Vec<u8> {
    udp((CLIENT, 4000), (SERVER, 53), payload)
}

fn reply(payload: &[u8]) -> Vec<u8> {
    udp((SERVER, 53), (CLIENT, 4000), payload)
}

#[test]
fn a_condemned_flow_is_put_forward_with_its_next_packet() {
    let mut it = Offloading::new(DROP);
    let dropped = Verdict::Drop(DropReason::FlowDrop);
    it.rig.send_on(PortId(3), &[query(b"evil")]);
    assert_eq!(it.offered(), [], "it was decided by this very packet");
    assert_eq!(it.rig.send_on(PortId(3), &[query(b"more"), query(b"more")]), [dropped; 2]);
    let offers = it.offers();
    let [offer] = offers.as_slice() else { panic!("{offers:?}") };
    assert_eq!((offer.action, offer.direction), (OffloadAction::Drop, Direction::ToServer));
    assert_eq!((offer.source, offer.destination, offer.ports), (mapped(CLIENT), mapped(SERVER), (4000, 53)));
    assert_eq!((offer.ip_version, offer.protocol, offer.ingress), (4, 17, PortId(3)));
    assert_eq!((offer.vlans.as_slice(), offer.generation), (&[][..], 0));
    it.rig.send(&[reply(b"answer")]);
    assert_eq!(it.offered(), [(OffloadAction::Drop, Direction::ToClient)], "each direction by itself");
    it.rig.pass(1);
    it.rig.send(&[query(b"again")]);
    assert_eq!(it.offered(), [(OffloadAction::Drop, Direction::ToServer)], "it still comes here");
}

#[test]
fn what_was_answered_is_of_the_flow() {
    let mut it = Offloading::new(DROP);
    it.rig.send(&[query(b"evil"), query(b"more")]);
    let offer = it.offers()[0];
    // For longer than a flow is idle: what is answered elsewhere keeps it alive.
    for _ in 0..20 {
        it.rig.pass(20);
        it.answer(&offer, 100, 6000);
        it.rig.send(&[]);
        it.rig.worker.idle(it.rig.now(), &portcullis_capture::CaptureStats::default());
    }
    it.answer(&Offer { flow: offer.flow + 1, ..offer }, 1, 1);
    let counters = it.rig.finish();
    assert_eq!((counters.flow_total, counters.flow_bypassed_closed), (1, 1));
    assert_eq!((counters.flow_bypassed_pkts, counters.flow_bypassed_bytes), (2001, 120_001));
    assert_eq!(counters.ips_blocked, 2, "verdicts are of packets that were judged here");
    let bytes = 2 * query(b"evil").len() as u64;
    let answered = Counts { pkts_toserver: 2000, bytes_toserver: 120_000, ..Counts::default() };
    let all = Counts { pkts_toserver: 2002, bytes_toserver: 120_000 + bytes, ..Counts::default() };
    let action = Some(FlowAction::Drop(DropReason::Rules));
    assert_eq!(it.record(), (all, Some(answered), FlowState::New, None, action));
    assert!(matches!(it.asked().as_slice(), [OffloadRequest::Withdraw(flow)] if *flow == offer.flow));
}

#[test]
fn what_is_let_through_is_bypassed_by_the_capture() {
    for (rules, action) in [(PASS, Some(FlowAction::Pass)), (BYPASS, None)] {
        let mut it = Offloading::new(rules);
        let both = [query(b"quiet"), query(b"quiet"), reply(b"yes"), reply(b"yes")];
        assert_eq!(it.rig.send(&both), [Verdict::Accept; 4]);
        let pass = OffloadAction::Pass;
        assert_eq!(it.offered(), [(pass, Direction::ToServer), (pass, Direction::ToClient)], "{rules}");
        let counters = it.rig.finish();
        assert_eq!(counters.flow_end_state_capture_bypassed, 1);
        let (_, answered, state, bypass, acted) = it.record();
        assert_eq!((answered, state), (None, FlowState::Bypassed));
        assert_eq!((bypass, acted), (Some(Bypass::Capture), action));
        let local = [counters.flow_bypassed_local_pkts, counters.flow_bypassed_local_capture_pkts];
        assert_eq!(local, if action.is_some() { [0, 2] } else { [1, 2] }, "{rules}");
    }
}

#[test]
fn only_packets_that_stand_for_others_are_put_forward() {
    let mut it = Offloading::new(DROP);
    it.rig.send(&handshake()[..1]);
    for flags in [TcpFlags::SYN, TcpFlags::FIN | ACK, TcpFlags::RST] {
        it.rig.send(&[tcp(true, flags, 101, 0, b"")]);
        assert_eq!(it.offered(), [], "flags {flags}");
    }
    let with_options = ethernet().ipv4(CLIENT, SERVER).ip_options(&[1; 4]).tcp(40_000, 80).flags(ACK);
    it.rig.send(&[with_options.to_vec()]);
    assert_eq!(it.offered(), [], "options");
    it.rig.send(&[tcp(true, ACK, 101, 501, b"data")]);
    assert_eq!(it.offered(), [(OffloadAction::Drop, Direction::ToServer)]);
    let echo = |seq| ethernet().ipv4(CLIENT, SERVER).echo_request(1, seq).to_vec();
    it.rig.send(&[echo(1), echo(2)]);
    let offers = it.offers();
    assert_eq!((offers.len(), offers[0].ports, offers[0].protocol), (1, (8, 0), 1));
    let quoted = tcp(true, ACK, 101, 501, b"data")[14..].to_vec();
    it.rig.pass(2);
    it.rig.send(&[ethernet().ipv4(SERVER, CLIENT).icmp_error(3, 1, &quoted).to_vec()]);
    assert_eq!(it.offered(), [], "an error is of the flow it quotes, but not like its packets");
    let fragments =
        ethernet().ipv4(CLIENT, SERVER).tcp(40_000, 80).flags(ACK).payload(&[0; 64]).to_fragments(32);
    it.rig.send(&fragments);
    assert_eq!(it.offered(), [], "fragments");
}

#[test]
fn whoever_follows_packets_goes_on_seeing_them() {
    struct Watching;
    impl portcullis_flow::FlowCallbacks for Watching {}
    let mut registry = Registry::default();
    registry.register("watching", Box::new(|_| Box::new(Watching))).unwrap();
    let settings = EngineSettings { offload: true, ..inline() };
    let mut it = Offloading::with(&settings, BYPASS, &registry);
    it.rig.send(&[query(b"quiet"), query(b"more")]);
    assert_eq!(it.offered(), []);
    assert_eq!(it.rig.finish().flow_end_state_local_bypassed, 1);
}

#[test]
fn without_the_power_to_drop_nothing_is_dropped_elsewhere() {
    let settings = EngineSettings { offload: true, ..EngineSettings::default() };
    let mut it = Offloading::with(&settings, DROP, &Registry::default());
    assert_eq!(it.rig.send(&[query(b"evil"), query(b"evil")]), [Verdict::Accept; 2]);
    assert_eq!(it.offered(), []);
}

#[test]
fn where_too_many_wait_a_flow_stays_here() {
    let mut it = Offloading::new(PASS);
    let flows: Vec<Vec<u8>> =
        (0..5000).flat_map(|port| vec![udp((CLIENT, port), (SERVER, 53), b"x"); 2]).collect();
    it.rig.send(&flows);
    let counters = it.rig.counters();
    assert_eq!((counters.verdict_cache_offered, counters.verdict_cache_refused), (5000, 904));
    assert_eq!(it.offers().len(), 4096);
    it.rig.pass(1);
    it.rig.send(&flows[flows.len() - 1..]);
    assert_eq!(it.offered().len(), 1, "later there is room");
    let counters = it.rig.finish();
    assert_eq!(counters.flow_end_state_capture_bypassed, 4097);
}

#[test]
fn a_rule_that_is_gone_condemns_no_longer() {
    let rules = |text: &str, generation| -> Arc<Rules> {
        let rules = Arc::into_inner(load(text, &LoadOptions::default())).unwrap();
        Arc::new(rules.of_generation(generation))
    };
    let other = r#"alert udp any any -> any 53 (content:"other"; sid:99;)"#;
    let mut it = Offloading::new(DROP);
    it.rig.worker.swap_rules(rules(DROP, 2));
    it.rig.send(&[query(b"evil"), query(b"more")]);
    assert_eq!(it.offers()[0].generation, 2);
    it.rig.worker.swap_rules(rules(&[other, DROP].join("\n"), 3));
    it.rig.pass(1);
    assert_eq!(it.rig.send(&[query(b"more")]), [Verdict::Drop(DropReason::FlowDrop)]);
    assert_eq!(it.offers()[0].generation, 3);
    let alerting = DROP.replace("drop", "alert");
    for (text, generation) in [(alerting.as_str(), 4), (other, 5)] {
        it.rig.worker.swap_rules(rules(text, generation));
        assert_eq!(it.rig.send(&[query(b"more")]), [Verdict::Accept], "{text}");
        assert_eq!(it.offered(), []);
    }
}

#[test]
fn a_flow_that_is_ended_by_order_is_withdrawn() {
    let mut it = Offloading::new(DROP);
    it.rig.send(&[query(b"evil"), query(b"more"), udp((CLIENT, 9), ([10, 0, 0, 3], 9), b"other")]);
    let offer = it.offers()[0];
    it.rig.worker.end_flows(FlowSelector { id: Some(offer.flow), ..FlowSelector::default() });
    it.answer(&offer, 3, 180);
    it.rig.worker.idle(it.rig.now(), &portcullis_capture::CaptureStats::default());
    assert!(matches!(it.asked().as_slice(), [OffloadRequest::Withdraw(flow)] if *flow == offer.flow));
    assert_eq!(it.record().0.pkts_toserver, 5, "what was answered before comes first");
    it.rig.worker.end_flows(FlowSelector { flows: FlowMatch::default(), ..FlowSelector::default() });
    it.rig.worker.idle(it.rig.now(), &portcullis_capture::CaptureStats::default());
    assert!(it.asked().is_empty(), "what was never put forward");
}

#[test]
fn whoever_asks_learns_what_was_dropped_and_why() {
    let settings = EngineSettings { offload: true, drop_notes: 3, ..inline() };
    let content = r#"drop udp any any -> any 99 (content:"bad"; gid:3; sid:4;)"#;
    let mut it = Offloading::with(&settings, &[DROP, content].join("\n"), &Registry::default());
    let other = |port, payload: &[u8]| udp((CLIENT, port), ([10, 0, 0, 9], 99), payload);
    it.rig.send(&[query(b"one"), query(b"two"), other(1, b"good"), other(1, b"bad"), other(2, b"bad")]);
    let mut notes = Vec::with_capacity(2);
    it.rig.worker.last_drops(&mut notes);
    assert_eq!((notes.len(), notes.capacity()), (2, 2), "as many as there is room for");
    let mut notes = Vec::with_capacity(9);
    it.rig.worker.last_drops(&mut notes);
    let told: Vec<_> = notes.iter().map(|note| (note.ports.0, note.reason, note.rule)).collect();
    let rules = DropReason::Rules;
    let expected =
        [(2, rules, Some((3, 4))), (1, rules, Some((3, 4))), (4000, DropReason::FlowDrop, Some((1, 7)))];
    assert_eq!(told, expected, "the oldest is forgotten");

    let offer = it.offers()[0];
    it.answer(&offer, 10, 600);
    it.rig.send(&[]);
    it.rig.worker.idle(it.rig.now(), &portcullis_capture::CaptureStats::default());
    let ask = |ends, protocol| Question { ends, ip_version: 4, protocol, vlans: VlanIds::default() };
    let ends = [(mapped(SERVER), 53), (mapped(CLIENT), 4000)];
    let explained = it.rig.worker.explain(&ask(ends, 17));
    let flow = explained.flow.unwrap();
    assert_eq!((flow.id, flow.condemned_by), (offer.flow, Some((1, 7))));
    assert_eq!((flow.counts[0].packets, flow.answered[0].packets), (12, 10));
    assert_eq!(explained.last_drop.map(|(note, count)| (note.flow, count)), Some((offer.flow, 1)));
    let unknown = it.rig.worker.explain(&ask(ends, 6));
    assert!(unknown.flow.is_none() && unknown.last_drop.is_none());
}
