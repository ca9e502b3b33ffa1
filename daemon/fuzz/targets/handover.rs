//! Flows as another process would give them away, damaged: whatever the bytes are, a worker takes them or refuses
//! them, goes on judging, gives away what it took so that a third one takes all of it, and every flow is counted.
//!
//! The first byte says what the rest is. With its lowest bit: records. Else changes to flows that were really given
//! away, four bytes each: what is done, where (two), and a value. Bits two and three say which of those.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_capture::{Burst, CaptureStats, Outbox, Packet, PacketMeta, PortId, WorkerId};
use portcullis_detect::{LoadOptions, RuleSet, Source};
use portcullis_engine::handover::{Cursor, Router, SLICE, slices};
use portcullis_engine::{EngineSettings, FlowWorker, Published, Rules, WorkerParts, publish};
use portcullis_event::{RecordConsumer, RingMode, ring};
use portcullis_flow::Callbacks;
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
/// Magic, version, keys and seed.
const HEAD: usize = 22;
const RULES: &str = r#"
alert tcp any any -> any any (content:"abc"; flowbits:set,x; sid:1;)
alert tcp any any -> any any (flowbits:isset,x; pcre:"/b+c.{200}d/"; sid:2;)
drop udp any any -> any any (content:"forbidden"; sid:3;)
"#;

static SET: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let source = Source { name: "fuzz.rules", text: RULES.as_bytes() };
    let loaded = RuleSet::load(&[source], &LoadOptions::default());
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    Arc::new(Rules::new(loaded.rules))
});

/// What workers give away after each part of the traffic.
static GIVEN: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    (0..=FRAMES.len())
        .step_by(3)
        .map(|count| {
            let mut rig = Rig::new();
            rig.judge(&FRAMES[..count]);
            rig.give()
        })
        .collect()
});

/// A session out of order and one that ends, a datagram that is dropped, an echo, and a flow with tags.
static FRAMES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let ethernet = || PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let up = || ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(1024, 80);
    let down = || ethernet().ipv4([10, 0, 0, 2], [10, 0, 0, 1]).tcp(80, 1024);
    let (syn, ack, fin) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN);
    let options = [2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0];
    vec![
        up().flags(syn).seq(99).tcp_options(&options).to_vec(),
        down().flags(syn | ack).seq(199).ack(100).to_vec(),
        up().flags(ack).seq(100).ack(200).to_vec(),
        up().flags(ack).seq(100).ack(200).payload(b"abc and more").to_vec(),
        up().flags(ack).seq(150).ack(200).payload(b"after a gap").to_vec(),
        down().flags(ack).seq(200).ack(112).payload(&[b'b'; 40]).to_vec(),
        ethernet().ipv6([0x20; 16], [0x30; 16]).udp(53, 53).payload(b"forbidden").to_vec(),
        ethernet().vlan(5).ipv4([10, 0, 0, 3], [10, 0, 0, 2]).echo_request(1, 1).payload(b"ping").to_vec(),
        up().flags(ack | TcpFlags::URG).urgent(2).seq(112).ack(240).payload(b"urgent").to_vec(),
        down().flags(ack | fin).seq(240).ack(118).to_vec(),
        up().flags(ack | fin).seq(161).ack(241).to_vec(),
        ethernet().ipv4([10, 0, 0, 4], [10, 0, 0, 2]).tcp(9, 9).flags(syn).seq(1).payload(b"early").to_vec(),
    ]
});

thread_local! {
    static OUTBOX: RefCell<Outbox> = RefCell::new(Outbox::default());
}

struct Rig {
    worker: FlowWorker,
    published: Published,
    /// Held, so that the rings stay open.
    _records: [RecordConsumer; 2],
}

fuzz_target!(|bytes: &[u8]| {
    let [choice, rest @ ..] = bytes else { return };
    let given = &GIVEN[usize::from(choice >> 2 & 3) % GIVEN.len()];
    let mut slice = given.clone();
    if choice & 1 == 1 {
        slice.truncate(HEAD);
        slice.extend_from_slice(rest);
    } else {
        rest.chunks_exact(4).for_each(|change| alter(&mut slice, change));
    }
    let (mut second, mut third) = (Rig::new(), Rig::new());
    let mut sorted = slices(2);
    let routed = Router::new(&settings(), 2).route(&slice, &mut sorted);
    let Ok(imported) = second.worker.import(&slice, NOW) else {
        assert!(routed.is_err());
        return;
    };
    // One who has it all already refuses nothing of it, but what nobody can read.
    let again = second.worker.import(&slice, NOW).expect("it was taken before");
    assert!(again.taken <= imported.refused + imported.forgotten, "{imported:?} {again:?}");
    let from = usize::from(choice >> 4) % FRAMES.len();
    second.judge(&FRAMES[from..]);
    let counted = second.published.latest();
    let flows = counted.flow_active;
    let told = second.give();
    if !told.is_empty() {
        let taken = third.worker.import(&told, NOW).expect("it comes from a worker");
        assert_eq!(taken.refused, 0, "{taken:?} of {flows}");
        third.judge(&FRAMES[from..]);
    }
    second.end();
    third.end();
});

/// Changes a byte, two, takes some out, or puts some in.
fn alter(slice: &mut Vec<u8>, change: &[u8]) {
    let &[what, low, high, value] = change else { return };
    if slice.is_empty() {
        return;
    }
    let at = (usize::from(low) | usize::from(high) << 8) % slice.len();
    match what & 3 {
        0 => slice[at] = value,
        1 => slice[at] ^= 1 << (value & 7),
        2 => {
            slice.drain(at..slice.len().min(at + usize::from(value)));
        }
        _ => {
            slice.splice(at..at, std::iter::repeat_n(what >> 2, usize::from(value)));
        }
    }
}

fn settings() -> EngineSettings {
    let mut settings = EngineSettings { inline: true, may_send: true, ..EngineSettings::default() };
    settings.flow.memcap = 1 << 16;
    settings.flow.prealloc = 8;
    settings.stream.inline = true;
    settings.stream.memcap = 1 << 14;
    settings.stream.prealloc_sessions = 4;
    settings.stream.reassembly.memcap = 1 << 17;
    settings.stream.reassembly.segment_prealloc = 4;
    settings.defrag.inline = true;
    settings.defrag.memcap = 1 << 18;
    settings.defrag.trackers = 8;
    settings
}

impl Rig {
    fn new() -> Self {
        let (reporter, records) = ring::rings(1 << 12, 1 << 12, RingMode::Live);
        let (publisher, published) = publish::channel();
        let parts = WorkerParts {
            id: WorkerId(0),
            workers: 1,
            rules: Arc::clone(&SET),
            callbacks: Callbacks::default(),
            reporter,
            publisher,
            start: NOW,
        };
        let worker = FlowWorker::new(&settings(), parts).expect("enough memory");
        Self { worker, published, _records: records }
    }

    fn judge(&mut self, frames: &[Vec<u8>]) {
        let mut frames = frames.to_vec();
        OUTBOX.with_borrow_mut(|outbox| {
            outbox.clear();
            let mut burst = Burst::new(outbox);
            for (id, frame) in (1..).zip(&mut frames) {
                let wire_length = u32::try_from(frame.len()).expect("short");
                let meta = PacketMeta {
                    id,
                    timestamp: NOW,
                    clock: NOW,
                    ingress: PortId(0),
                    wire_length,
                    ..PacketMeta::default()
                };
                assert!(burst.push(Packet::new(frame, meta)));
            }
            self.worker.inspect(&mut burst);
        });
        self.worker.keep_house(NOW, &CaptureStats::default());
    }

    /// All flows, in one slice.
    fn give(&mut self) -> Vec<u8> {
        let mut told = Vec::new();
        let mut cursor = Cursor::leaving();
        while self.worker.export(&mut cursor, &mut told, usize::MAX / 2, NOW) {}
        assert!(told.len() < 16 * SLICE);
        told
    }

    fn end(&mut self) {
        self.worker.finish(NOW, &CaptureStats::default());
        let counters = self.published.latest();
        assert_eq!(counters.worker_callback_panics, 0);
        assert_eq!(counters.flow_active, 0);
        let ended = counters.flow_total + counters.flow_taken_over - counters.flow_handed_over;
        assert_eq!(ended, counters.log_flow_refused + counters.log_flow_pushed, "flows are lost");
    }
}
