//! Against a plain model: a vector in the order of last use.

use crate::packets::{End, Event, SERVER, at, check_sums, small, tcp, track, udp};
use portcullis_flow::tracker::{EndReason, FlowEvent, PacketView};
use proptest::prelude::*;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Packet { port: u16, back: bool, after: u64 },
    Sweep { after: u64 },
    SweepAtMost { after: u64, flows: usize },
    Forget { port: u16 },
    Resize { max_flows: usize },
    Timeout { secs: u64 },
    OwnTimeout { secs: Option<u64> },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1u16..30, any::<bool>(), 0u64..4).prop_map(|(port, back, after)| Step::Packet { port, back, after }),
        3 => (0u64..30).prop_map(|after| Step::Sweep { after }),
        1 => (500u64..2000).prop_map(|after| Step::Sweep { after }),
        2 => (0u64..30, 0usize..6).prop_map(|(after, flows)| Step::SweepAtMost { after, flows }),
        1 => (1u16..30).prop_map(|port| Step::Forget { port }),
        1 => (1usize..20).prop_map(|max_flows| Step::Resize { max_flows }),
        1 => (1u64..40).prop_map(|secs| Step::Timeout { secs }),
        1 => prop::option::of(1u64..900).prop_map(|secs| Step::OwnTimeout { secs }),
    ]
}

/// What the model knows of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    port: u16,
    packets: [u64; 2],
    /// Did the side with the changing port begin?
    ours: bool,
    last_seen: u64,
}

/// The flows, last used first.
#[derive(Default)]
struct Model {
    flows: Vec<Known>,
    max_flows: usize,
    timeout: u64,
    own: Option<u64>,
}

/// Port, reason and packet counts of a flow that ended.
type Ended = (u16, EndReason, [u64; 2]);

impl Model {
    /// Odd ports may have their own timeout.
    fn timeout(&self, port: u16) -> u64 {
        self.own.filter(|_| port % 2 == 1).unwrap_or(self.timeout)
    }

    fn is_over(&self, flow: &Known, now: u64) -> bool {
        now - flow.last_seen >= self.timeout(flow.port)
    }

    fn packet(&mut self, port: u16, back: bool, now: u64) -> Vec<Ended> {
        let mut ended = Vec::new();
        let found = self.flows.iter().position(|flow| flow.port == port);
        let mut flow = found.map(|index| self.flows.remove(index));
        if let Some(over) = flow.take_if(|flow| self.is_over(flow, now)) {
            ended.push((port, EndReason::IdleTimeout, over.packets));
        }
        if flow.is_none() && self.flows.len() == self.max_flows {
            let last = self.flows.pop().expect("max_flows is not 0");
            let reason = if self.is_over(&last, now) { EndReason::IdleTimeout } else { EndReason::Evicted };
            ended.push((last.port, reason, last.packets));
        }
        let mut flow = flow.unwrap_or(Known { port, packets: [0; 2], ours: !back, last_seen: now });
        flow.packets[usize::from(flow.ours == back)] += 1;
        flow.last_seen = now;
        self.flows.insert(0, flow);
        ended
    }

    fn sweep(&mut self, now: u64) -> Vec<Ended> {
        let (over, left) =
            std::mem::take(&mut self.flows).into_iter().partition(|flow| self.is_over(flow, now));
        self.flows = left;
        let over: Vec<Known> = over;
        over.into_iter().map(|flow| (flow.port, EndReason::IdleTimeout, flow.packets)).collect()
    }

    fn resize(&mut self, max_flows: usize) -> Vec<Ended> {
        self.max_flows = max_flows;
        let excess = self.flows.split_off(self.flows.len().min(max_flows));
        excess.into_iter().rev().map(|flow| (flow.port, EndReason::Evicted, flow.packets)).collect()
    }
}

fn ends(events: &[Event]) -> Vec<Ended> {
    let end = |event: &Event| match event {
        FlowEvent::Ended { key, reason, stats, .. } => {
            Some((key.a().port(), *reason, [stats.packets_initiator, stats.packets_responder]))
        }
        _ => None,
    };
    events.iter().filter_map(end).collect()
}

fn sorted(mut ends: Vec<Ended>) -> Vec<Ended> {
    ends.sort_by_key(|(port, ..)| *port);
    ends
}

fn frames(packets: &[(u16, bool, u8)]) -> Vec<Vec<u8>> {
    let frame = |(port, back, flags): &(u16, bool, u8)| {
        let (source, destination) = if *back { (SERVER, (1, *port)) } else { ((1, *port), SERVER) };
        match flags {
            0 => udp(source, destination, b""),
            1 => vec![0; 5],
            flags => tcp(source, destination, *flags, 1, 1).payload(b"data").to_vec(),
        }
    };
    packets.iter().map(frame).collect()
}

proptest! {
    /// Taken in by bursts or one by one, packets do the same.
    #[test]
    fn bursts_are_packets_one_by_one(
        packets in prop::collection::vec((1u16..12, any::<bool>(), 0u8..32), 0..200),
    ) {
        let frames = frames(&packets);
        let views: Vec<PacketView<'_>> =
            frames.iter().zip(0..).map(|(frame, secs)| PacketView::new(frame, at(secs / 3))).collect();
        let (mut single, mut burst) = (small(6), small(6));
        let (mut expect, mut shown) = (Vec::new(), Vec::new());
        for view in &views {
            let events = single.track_with_payload(*view, |key, side, seq, _| shown.push((*key, side, seq)));
            expect.extend(events);
        }
        let (mut events, mut shown_by_burst) = (Vec::new(), Vec::new());
        burst.track_burst(
            &views,
            |key, side, seq, _| shown_by_burst.push((*key, side, seq)),
            |event| events.push(event),
        );
        prop_assert_eq!(events, expect);
        prop_assert_eq!(shown_by_burst, shown);
        prop_assert_eq!(burst.stats(), single.stats());
        check_sums(&burst);
    }

    #[test]
    fn agrees_with_a_list_in_order_of_use(steps in prop::collection::vec(step(), 1..400)) {
        let mut tracker = small(10);
        let mut model = Model { max_flows: 10, timeout: 60, ..Model::default() };
        let mut now = 0;
        for step in steps {
            match step {
                Step::Packet { port, back, after } => {
                    now += after;
                    let ours: End = (1, port);
                    let (source, destination) = if back { (SERVER, ours) } else { (ours, SERVER) };
                    let events = track(&mut tracker, &udp(source, destination, b""), now);
                    prop_assert_eq!(ends(&events), model.packet(port, back, now));
                }
                Step::Sweep { after } => {
                    now += after;
                    prop_assert_eq!(sorted(ends(&tracker.sweep(at(now)))), sorted(model.sweep(now)));
                }
                Step::SweepAtMost { after, flows } => {
                    now += after;
                    let (events, complete) = tracker.sweep_at_most(at(now), flows);
                    prop_assert!(events.len() <= flows);
                    let mut ended = ends(&events);
                    if !complete {
                        ended.extend(ends(&tracker.sweep(at(now))));
                    }
                    prop_assert_eq!(sorted(ended), sorted(model.sweep(now)));
                }
                Step::Forget { port } => {
                    let key = tracker.flows().map(|(key, _)| *key).find(|key| key.a().port() == port);
                    let forgotten = key.is_some_and(|key| tracker.forget(&key));
                    let before = model.flows.len();
                    model.flows.retain(|flow| flow.port != port);
                    prop_assert_eq!(forgotten, model.flows.len() < before);
                }
                Step::Resize { max_flows } => {
                    let mut config = tracker.config().clone();
                    config.max_flows = max_flows;
                    prop_assert_eq!(ends(&tracker.set_config(config).unwrap()), model.resize(max_flows));
                }
                Step::Timeout { secs } => {
                    let mut config = tracker.config().clone();
                    config.idle_timeout_udp = Duration::from_secs(secs);
                    prop_assert!(tracker.set_config(config).unwrap().is_empty());
                    model.timeout = secs;
                }
                Step::OwnTimeout { secs } => {
                    model.own = secs;
                    match secs.map(Duration::from_secs) {
                        None => tracker.clear_idle_timeout_fn(),
                        own => tracker.set_idle_timeout_fn(move |key, _| {
                            own.filter(|_| key.a().port() % 2 == 1)
                        }),
                    }
                }
            }
            let live: Vec<(u16, [u64; 2])> = tracker
                .flows()
                .map(|(key, entry)| {
                    (key.a().port(), [entry.stats.packets_initiator, entry.stats.packets_responder])
                })
                .collect();
            let known: Vec<(u16, [u64; 2])> =
                model.flows.iter().map(|flow| (flow.port, flow.packets)).collect();
            prop_assert_eq!(live, known);
            check_sums(&tracker);
        }
        prop_assert_eq!(tracker.drain().len(), model.flows.len());
        check_sums(&tracker);
    }
}
