//! What it takes to give the flows of a worker to another: copies first, then what has changed, and their way in.

use anyhow::ensure;
use clap::Args;
use portcullis_bench_micro::rig::Rig;
use portcullis_capture::{BURST, Burst, CaptureStats, Outbox, Packet, PacketMeta};
use portcullis_engine::FlowWorker;
use portcullis_engine::handover::{Cursor, SLICE};
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_001);

/// So that streams are kept as far as rules look back.
const RULES: &str = r#"alert tcp any any -> any any (content:"what is never sent"; sid:1;)"#;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Flows, half of them TCP sessions with a request and an answer, the others UDP.
    #[arg(long, default_value_t = 200_000)]
    flows: u32,
    /// Of so many flows one has a packet between copying and leaving.
    #[arg(long, default_value_t = 10)]
    one_changes_in: usize,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (mut old, mut new) = (Rig::new(RULES), Rig::new(RULES));
    let (old, new) = (old.worker(), new.worker());
    let mut last = Vec::new();
    for number in 0..arguments.flows {
        let frames = frames(number);
        last.extend(frames.last().cloned());
        judge(old, &frames);
    }
    let (copies, copying) = pass(old, Cursor::copying());
    let changed: Vec<_> = last.iter().step_by(arguments.one_changes_in.max(1)).cloned().collect();
    judge(old, &changed);
    let (rest, leaving) = pass(old, Cursor::leaving());
    let begin = Instant::now();
    let mut taken = 0;
    for slice in copies.iter().chain(&rest) {
        let imported = new.import(slice, NOW)?;
        ensure!(imported.refused == 0, "{imported:?}");
        taken += imported.taken;
    }
    let taking = begin.elapsed();
    ensure!(taken == u64::from(arguments.flows), "{taken} taken over");
    let bytes = |slices: &[Vec<u8>]| slices.iter().map(Vec::len).sum::<usize>();
    let flows = u64::from(arguments.flows);
    println!("{flows} flows, of which {} changed after they were copied:", changed.len());
    println!("  bytes a flow: {}", bytes(&copies) as u64 / flows);
    println!("  copying {}, one call at most {:?}", told(copying.all, flows), copying.most);
    println!("  leaving {}, one call at most {:?}", told(leaving.all, flows), leaving.most);
    println!("  taking over {}", told(taking, flows));
    Ok(())
}

fn told(time: Duration, flows: u64) -> String {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    format!("{time:?}: {} ns a flow", nanos / flows.max(1))
}

/// What a pass took: all calls, and the longest.
#[derive(Debug, Default)]
struct Took {
    all: Duration,
    most: Duration,
}

fn pass(worker: &mut FlowWorker, mut cursor: Cursor) -> (Vec<Vec<u8>>, Took) {
    let (mut slices, mut took) = (Vec::new(), Took::default());
    loop {
        let begin = Instant::now();
        let mut slice = Vec::with_capacity(SLICE);
        let more = worker.export(&mut cursor, &mut slice, SLICE, NOW);
        let call = begin.elapsed();
        took.all += call;
        took.most = took.most.max(call);
        slices.push(slice);
        if !more {
            slices.retain(|slice| !slice.is_empty());
            return (slices, took);
        }
    }
}

fn frames(number: u32) -> Vec<Vec<u8>> {
    let [_, a, b, c] = number.to_be_bytes();
    let (client, server) = ([10, a, b, c], [192, 168, 0, 1]);
    let ethernet = || PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    if number.is_multiple_of(2) {
        return vec![ethernet().ipv4(client, server).udp(4000, 53).payload(b"query").to_vec()];
    }
    let up = || ethernet().ipv4(client, server).tcp(4000, 80);
    let down = || ethernet().ipv4(server, client).tcp(80, 4000);
    let ack = TcpFlags::ACK;
    vec![
        up().flags(TcpFlags::SYN).seq(100).to_vec(),
        down().flags(TcpFlags::SYN | ack).seq(500).ack(101).to_vec(),
        up().flags(ack).seq(101).ack(501).to_vec(),
        up().flags(ack).seq(101).ack(501).payload(&[b'q'; 300]).to_vec(),
        down().flags(ack).seq(501).ack(401).payload(&[b'a'; 1000]).to_vec(),
        up().flags(ack).seq(401).ack(1501).to_vec(),
    ]
}

fn judge(worker: &mut FlowWorker, frames: &[Vec<u8>]) {
    for chunk in frames.chunks(BURST) {
        let (mut outbox, mut bytes) = (Outbox::default(), chunk.to_vec());
        let mut burst = Burst::new(&mut outbox);
        for frame in &mut bytes {
            let meta = PacketMeta { timestamp: NOW, clock: NOW, ..PacketMeta::default() };
            // A chunk is no longer than a burst.
            let _ = burst.push(Packet::new(frame, meta));
        }
        worker.inspect(&mut burst);
        drop(burst);
        worker.keep_house(NOW, &CaptureStats::default());
    }
}
