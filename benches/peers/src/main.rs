//! Whole packets through the flow table and through flowscope's `FlowTracker`, the same frames in
//! turn: established TCP flows, and a flood of SYNs.
//!
//! What each does with a frame: both decode Ethernet, IPv4 and TCP, build a key that is the same
//! for both directions, find or make the flow, advance its TCP state, count packets and bytes by
//! direction and note the time. The flow table further tells VLANs, tunnels and inline sets apart,
//! keeps TTLs and TCP flags by direction, notices flows that are over and sessions that are
//! replaced, sweeps 64 slots and finishes up to 64 flows after each burst of 32. `FlowTracker` further keeps the
//! Zeek history and running mean and variance of packet intervals, keeps flows in order of last
//! use and returns an event for each packet; its sweep is not called. Neither verifies checksums.
#![forbid(unsafe_code)]
#![deny(clippy::all, missing_docs)]

use flowscope::extract::FiveTuple;
use flowscope::{FlowTracker, FlowTrackerConfig, PacketView};
use portcullis_bench_micro::cpu_time;
use portcullis_bench_micro::flows::Random;
use portcullis_bench_micro::spread::Spread;
use portcullis_bench_micro::tables::flow_table;
use portcullis_capture::PortId;
use portcullis_flow::{FlowHash, FlowKey, FlowTable, KeyScope, Keyed, Tracked, TrackedInput};
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::{Decoded, Decoder, DecoderConfig, LinkType, Timestamp};
use std::hint::black_box;
use std::time::Duration;

const BURST: usize = 32;
const SWEEP_PER_BURST: usize = 64;
const START: u64 = 1_700_000_000_000_000_000;
/// Frames made before the clock runs: few enough to be in the cache.
const CHUNK: usize = 512;
const ROUNDS: usize = 9;
/// Packets of a turn; as many before them are not measured.
const TURN: usize = 150_000;
/// Nanoseconds between the SYNs of the flood: 250,000 a second, for two seconds at least.
const SYN_GAP: u64 = 4_000;

const SYN: u8 = 2;
const ACK: u8 = 16;

/// Ethernet, IPv4, TCP and 10 bytes: 64 without the check sequence.
type Frame = [u8; 64];

fn main() {
    println!("ns of CPU time a packet, median (least to most); flowscope by the flow table");
    for flows in [10_000, 100_000, 1_000_000] {
        established(flows);
    }
    flood(1_000_000);
}

/// Packets of flows whose handshake both have seen.
fn established(flows: u64) {
    let mut trackers = trackers(flows + flows / 8 + 1024);
    for frames in (0..flows).step_by(BURST) {
        let numbers = frames..flows.min(frames + BURST as u64);
        let of = |from_client, flags| numbers.clone().map(|flow| frame(flow, from_client, flags)).collect();
        let handshake: [Vec<Frame>; 3] = [of(true, SYN), of(false, SYN | ACK), of(true, ACK)];
        for tracker in &mut trackers {
            handshake.iter().for_each(|frames| tracker.take(frames, START));
        }
    }
    let mut courses = [Random(1), Random(1)];
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let turns = trackers.iter_mut().zip(&mut courses);
        rounds.push(turns.map(|(tracker, random)| turn(tracker.as_mut(), random, flows)).collect());
    }
    for tracker in &trackers {
        assert_eq!(tracker.flows(), flows, "{} holds all flows", tracker.name());
    }
    report(&format!("{flows} established TCP flows, uniform"), &trackers, &rounds);
}

fn turn(tracker: &mut dyn Tracker, random: &mut Random, flows: u64) -> f64 {
    let chunks = TURN.div_ceil(CHUNK);
    let mut taken = Duration::ZERO;
    for chunk in 0..2 * chunks {
        let frames: Vec<Frame> =
            (0..CHUNK).map(|_| frame(random.below(flows), random.below(2) == 0, ACK)).collect();
        let start = cpu_time();
        tracker.take(&frames, START);
        if chunk >= chunks {
            taken += cpu_time().saturating_sub(start);
        }
    }
    taken.as_secs_f64() * 1e9 / (chunks * CHUNK) as f64
}

/// SYNs of which each begins a flow: into empty tables up to their limit, then as many again into
/// full ones.
fn flood(limit: u64) {
    let mut rounds = [Vec::new(), Vec::new()];
    let mut names = trackers(1024);
    for _ in 0..3 {
        names = trackers(limit);
        let mut taken: [Vec<f64>; 2] = Default::default();
        for tracker in &mut names {
            for (phase, taken) in taken.iter_mut().enumerate() {
                let first = phase as u64 * limit;
                taken.push(syns(tracker.as_mut(), first..first + limit));
            }
            println!("  {}: {}", tracker.name(), tracker.tally());
        }
        for (rounds, taken) in rounds.iter_mut().zip(taken) {
            rounds.push(taken);
        }
    }
    report(&format!("{limit} SYNs, all new, into empty tables"), &names, &rounds[0]);
    report(&format!("{limit} SYNs more, all new, into the full tables"), &names, &rounds[1]);
}

fn syns(tracker: &mut dyn Tracker, flows: std::ops::Range<u64>) -> f64 {
    let (mut taken, mut next) = (Duration::ZERO, flows.start);
    while next < flows.end {
        let until = flows.end.min(next + CHUNK as u64);
        let frames: Vec<Frame> = (next..until).map(|flow| frame(flow, true, SYN)).collect();
        let start = cpu_time();
        tracker.take(&frames, START + next * SYN_GAP);
        taken += cpu_time().saturating_sub(start);
        next = until;
    }
    taken.as_secs_f64() * 1e9 / (flows.end - flows.start) as f64
}

fn report(title: &str, trackers: &[Box<dyn Tracker>], rounds: &[Vec<f64>]) {
    println!("\n{title}:");
    for (place, tracker) in trackers.iter().enumerate() {
        let ns = Spread::of(rounds.iter().map(|round| round[place]));
        println!("  {:<12} {ns:.0}", tracker.name());
    }
    println!("  ratio        {:.1}", Spread::of(rounds.iter().map(|round| round[1] / round[0])));
}

fn frame(flow: u64, from_client: bool, flags: u8) -> Frame {
    let [.., a, b, c, d] = flow.to_be_bytes();
    let (client, server) = ([10, b, c, d], [198, 18, 0, 1]);
    let port = 1024 + u16::from(a) * 256 + u16::from(d);
    let ethernet = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let headers = if from_client {
        ethernet.ipv4(client, server).tcp(port, 80)
    } else {
        ethernet.ipv4(server, client).tcp(80, port)
    };
    let made = headers.flags(flags).seq(1).ack(1).payload(&[0; 10]).to_vec();
    std::array::from_fn(|at| made[at])
}

trait Tracker {
    fn name(&self) -> &'static str;
    /// Takes frames in, all of one time.
    fn take(&mut self, frames: &[Frame], nanos: u64);
    fn flows(&self) -> u64;
    /// What became of new flows.
    fn tally(&self) -> String;
}

/// Ours first, each with room for so many flows.
fn trackers(limit: u64) -> Vec<Box<dyn Tracker>> {
    let mut config = FlowTrackerConfig::default();
    config.max_flows = usize::try_from(limit).unwrap_or(usize::MAX);
    config.initial_capacity = config.max_flows;
    vec![
        Box::new(Ours {
            decoder: Decoder::new(DecoderConfig::without_checksums()),
            table: flow_table(limit),
            lanes: Box::new([Lane::default(); BURST]),
        }),
        Box::new(Theirs(FlowTracker::with_config(FiveTuple::bidirectional(), config))),
    ]
}

struct Ours {
    decoder: Decoder,
    table: FlowTable,
    lanes: Box<[Lane; BURST]>,
}

#[derive(Clone, Copy, Default)]
struct Lane {
    decoded: Decoded,
    keyed: Option<(Keyed, FlowHash)>,
}

impl Tracker for Ours {
    fn name(&self) -> &'static str {
        "flow table"
    }

    /// As the flow worker does it.
    fn take(&mut self, frames: &[Frame], nanos: u64) {
        let now = Timestamp::from_nanos(nanos);
        for burst in frames.chunks(BURST) {
            for (frame, lane) in burst.iter().zip(self.lanes.iter_mut()) {
                self.decoder.decode_into(LinkType::Ethernet, None, false, frame, &mut lane.decoded);
                lane.keyed = FlowKey::of(&lane.decoded, &KeyScope::default()).map(|keyed| {
                    let hash = self.table.hash(&keyed.key);
                    self.table.prefetch_bucket(hash);
                    (keyed, hash)
                });
            }
            for (_, hash) in self.lanes.iter().take(burst.len()).filter_map(|lane| lane.keyed) {
                self.table.prefetch_flow(hash);
            }
            for lane in self.lanes.iter().take(burst.len()) {
                let Some((keyed, hash)) = &lane.keyed else { continue };
                let input = TrackedInput {
                    keyed,
                    hash: *hash,
                    decoded: &lane.decoded,
                    length: 64,
                    now,
                    ingress: PortId(0),
                    may_create: true,
                };
                match self.table.track(&input) {
                    Tracked::Known(flow, direction) | Tracked::New(flow, direction) => {
                        black_box((flow.state(), direction));
                    }
                    Tracked::Untracked | Tracked::Refused => {}
                }
            }
            self.table.sweep(now, SWEEP_PER_BURST);
            self.table.finish(SWEEP_PER_BURST, &mut |flow| {
                black_box(flow.id());
            });
        }
    }

    fn flows(&self) -> u64 {
        self.table.active()
    }

    fn tally(&self) -> String {
        let stats = self.table.stats();
        format!("{} flows made, {} ended, {} refused", stats.total, stats.end.total(), stats.memcap)
    }
}

struct Theirs(FlowTracker<FiveTuple, ()>);

impl Tracker for Theirs {
    fn name(&self) -> &'static str {
        "flowscope"
    }

    fn take(&mut self, frames: &[Frame], nanos: u64) {
        let seconds = u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX);
        let time = flowscope::Timestamp::new(seconds, (nanos % 1_000_000_000) as u32);
        for frame in frames {
            black_box(self.0.track(PacketView::new(frame, time)));
        }
    }

    fn flows(&self) -> u64 {
        self.0.flow_count() as u64
    }

    fn tally(&self) -> String {
        let stats = self.0.stats();
        format!("{} flows made, {} ended", stats.flows_created, stats.flows_ended)
    }
}
