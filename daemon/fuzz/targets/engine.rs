//! Frames at random through a whole worker, with rules of every kind and hooks that do at random what hooks may
//! do: nothing panics, each packet has one verdict, flows, callbacks and records are conserved, and the keyword
//! leaves in no packet.
//!
//! The first three bytes choose settings and what hooks do. Then come frames: a byte that says of which kind, and
//! what it needs; see [`frame`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_capture::{Burst, CaptureStats, Outbox, Packet, PacketMeta, PortId, Verdict, WorkerId};
use portcullis_detect::{LoadOptions, RuleSet, Source};
use portcullis_engine::{
    EngineSettings, ExceptionPolicies, ExceptionPolicy, FlowWorker, Published, Rules, WorkerParts, publish,
};
use portcullis_event::{Record, RecordConsumer, RingMode, ring};
use portcullis_flow::flow::Bypass;
use portcullis_flow::{
    Flow, FlowAction, FlowCallbacks, HookId, PacketAccess, Registry, RemovalHook, WorkerContext,
};
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use portcullis_wire::{Decoded, Timestamp};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const KEYWORD: &[u8] = b"forbidden";
const RULES: &str = r#"
drop tcp any any -> any any (content:"forbidden"; sid:1;)
drop udp any any -> any any (content:"forbidden"; sid:2;)
alert tcp any any -> any any (content:"a"; content:"b"; distance:1; within:9; flowbits:set,x; sid:3;)
alert tcp any any -> any any (flowbits:isset,x; pcre:"/b+c/"; sid:4;)
alert ip any any -> any any (threshold:type limit,track by_src,count 2,seconds 9; sid:5;)
reject tcp any any -> any 7 (content:"bb"; sid:6;)
pass udp any any -> any 53 (content:"by"; bypass; sid:7;)
alert pkthdr any any -> any any (decode-event:ipv4.frag_overlap; sid:8;)
alert tcp any any -> any any (stream-event:est_invalid_ack; sid:9;)
alert icmp any any -> any any (itype:8; xbits:set,y,track ip_src,expire 5; sid:10;)
"#;

static SET: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let source = Source { name: "fuzz.rules", text: RULES.as_bytes() };
    let loaded = RuleSet::load(&[source], &LoadOptions::default());
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    Arc::new(Rules::new(loaded.rules))
});

/// Hooks that go by a number drawn from what they see.
struct Chance {
    salt: u64,
    removal: HookId,
}

impl Chance {
    fn draw(&mut self, seen: u64) -> u64 {
        self.salt = (self.salt ^ seen).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        self.salt % 64
    }
}

impl FlowCallbacks for Chance {
    fn init(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, packet: &Packet<'_>, _: &Decoded) {
        if self.draw(packet.meta.id) < 32 {
            flow.register_removal_hook(self.removal);
        }
    }

    fn update(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, packet: &mut PacketAccess<'_, '_>) {
        if self.salt == 0 {
            return;
        }
        match self.draw(packet.meta().id) {
            0 => packet.drop_packet(),
            1 => {
                flow.set_action(FlowAction::Pass);
            }
            2 => flow.set_bypass(Bypass::Local),
            3 => flow.set_no_payload_inspection(),
            4 => flow.set_alerted(),
            5 => {
                flow.unregister_removal_hook(self.removal);
            }
            6 => {
                if let Some(last) = packet.bytes_mut().last_mut() {
                    *last ^= 1;
                }
            }
            _ => {}
        }
    }
}

struct Rig {
    worker: FlowWorker,
    outbox: Outbox,
    published: Published,
    records: [RecordConsumer; 2],
    now: Timestamp,
    packets: u64,
    flows_told: u64,
}

fuzz_target!(|bytes: &[u8]| {
    let [choice, limits, salt, rest @ ..] = bytes else { return };
    let inline = choice & 1 == 1;
    let mut rig = rig(*choice, *limits, *salt);
    let mut left = rest;
    let mut frames = Vec::new();
    while let Some((frame, wait, after)) = frame(left) {
        left = after;
        frames.push(frame);
        if wait > 0 || frames.len() == 7 {
            // Where hooks let flows go by, what is in them does, too.
            rig.send(&mut frames, inline, inline && *salt == 0);
            rig.now = rig.now.after(Duration::from_secs(u64::from(wait)));
        }
    }
    rig.send(&mut frames, inline, inline && *salt == 0);
    rig.end();
});

fn rig(choice: u8, limits: u8, salt: u8) -> Rig {
    let inline = choice & 1 == 1;
    let policy = ExceptionPolicy::ALL[usize::from(limits >> 3) % ExceptionPolicy::ALL.len()];
    let mut settings = EngineSettings {
        inline,
        may_send: inline,
        policies: if salt == 0 {
            ExceptionPolicies::all(ExceptionPolicy::DropPacket)
        } else {
            ExceptionPolicies::all(policy)
        },
        drop_invalid: choice & 2 != 0,
        ..EngineSettings::default()
    };
    // Memory that is cleared and mapped for each execution: as little as does for all frames.
    settings.flow.memcap = if limits & 1 == 0 { 1 << 17 } else { 60_000 };
    settings.flow.prealloc = 8;
    settings.flow.midstream = choice & 4 != 0;
    settings.stream.midstream = choice & 4 != 0;
    settings.stream.inline = inline;
    settings.stream.memcap = 1 << 16;
    settings.stream.prealloc_sessions = 4;
    settings.stream.reassembly.memcap = if limits & 2 == 0 { 1 << 18 } else { 90_000 };
    settings.stream.reassembly.segment_prealloc = 4;
    settings.defrag.inline = inline;
    settings.defrag.memcap = 1 << 18;
    settings.defrag.trackers = if limits & 4 == 0 { 8 } else { 1 };
    let mut registry = Registry::default();
    let make = |_| Box::new(|_: &mut WorkerContext, _: &mut Flow<'_>| {}) as Box<dyn RemovalHook>;
    let removal = registry.removal_hook("removal", Box::new(make)).expect("a new name");
    let make = move |_| Box::new(Chance { salt: u64::from(salt), removal }) as Box<dyn FlowCallbacks>;
    registry.register("chance", Box::new(make)).expect("a new name");
    registry.freeze();
    let (reporter, records) = ring::rings(1 << 15, 1 << 15, RingMode::Live);
    let (publisher, published) = publish::channel();
    let now = Timestamp::from_secs(1_700_000_000);
    let parts = WorkerParts {
        id: WorkerId(0),
        workers: 1,
        rules: Arc::clone(&SET),
        callbacks: registry.instantiate(WorkerId(0)),
        reporter,
        publisher,
        start: now,
    };
    let worker = FlowWorker::new(&settings, parts).expect("enough memory");
    Rig { worker, outbox: Outbox::default(), published, records, now, packets: 0, flows_told: 0 }
}

impl Rig {
    fn send(&mut self, frames: &mut Vec<(PortId, Vec<u8>)>, inline: bool, clean: bool) {
        self.outbox.clear();
        let mut burst = Burst::new(&mut self.outbox);
        for (ingress, frame) in frames.iter_mut() {
            self.packets += 1;
            let meta = PacketMeta {
                id: self.packets,
                timestamp: self.now,
                clock: self.now,
                ingress: *ingress,
                wire_length: u32::try_from(frame.len()).expect("short"),
                ..PacketMeta::default()
            };
            assert!(burst.push(Packet::new(frame, meta)));
        }
        self.worker.inspect(&mut burst);
        let verdicts: Vec<Verdict> =
            burst.into_judgements().iter().map(|judgement| judgement.verdict).collect();
        assert_eq!(verdicts.len(), frames.len());
        for ((_, frame), verdict) in frames.drain(..).zip(verdicts) {
            assert!(inline || verdict == Verdict::Accept, "{verdict:?}");
            let plain =
                frame.len() > 54 && frame[12..15] == [8, 0, 0x45] && frame[20] & 0x3f == 0 && frame[21] == 0;
            let whole = plain && usize::from(u16::from_be_bytes([frame[16], frame[17]])) == frame.len() - 14;
            let holds = frame.windows(KEYWORD.len()).any(|window| window == KEYWORD);
            let watched = whole && frame[23] == 6 && frame[47] & 0x17 == 0x10;
            assert!(!(clean && holds && watched && verdict == Verdict::Accept && sums(&frame)), "it got out");
        }
        self.worker.keep_house(self.now, &CaptureStats::default());
        self.drain();
    }

    fn drain(&mut self) {
        let mut bytes = Vec::new();
        for consumer in &mut self.records {
            while consumer.pop(&mut bytes) {
                let record = Record::decode(&bytes).expect("what was written can be read");
                self.flows_told += u64::from(matches!(record, Record::Flow(_)));
            }
        }
    }

    fn end(&mut self) {
        while {
            self.worker.idle(self.now, &CaptureStats::default());
            self.drain();
            let counters = self.published.latest();
            counters.flow_callbacks_init - counters.flow_callbacks_finish > 64
        } {
            self.now = self.now.after(Duration::from_secs(10_000));
        }
        self.worker.finish(self.now, &CaptureStats::default());
        self.drain();
        let counters = self.published.latest();
        assert_eq!(counters.worker_callback_panics, 0);
        assert_eq!(counters.flow_callbacks_init, counters.flow_callbacks_finish);
        assert_eq!((counters.flow_total, counters.flow_active), (counters.flow_callbacks_init, 0));
        assert_eq!(self.flows_told + counters.log_flow_refused, counters.flow_total);
    }
}

/// The next frame, the seconds that pass after it, and what is left of the input.
fn frame(bytes: &[u8]) -> Option<((PortId, Vec<u8>), u8, &[u8])> {
    let (&[kind, host, place, length], rest) = bytes.split_first_chunk::<4>()?;
    let ingress = PortId(kind >> 7);
    let taken = usize::from(length & 0x7f).min(rest.len());
    let (payload, rest) = rest.split_at(taken);
    let wait = if length & 0x80 != 0 { place } else { 0 };
    let client = [10, 0, 0, 1 + (host & 1)];
    let server = [10, 0, 0, 3];
    let (from, to) = if kind & 0x40 == 0 { (client, server) } else { (server, client) };
    let builder = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let builder = if host & 2 != 0 { builder.vlan(u16::from(host >> 6)) } else { builder };
    let builder =
        if host & 4 != 0 { builder.ipv6([from[3]; 16], [to[3]; 16]) } else { builder.ipv4(from, to) };
    let ports = if kind & 0x40 == 0 {
        (1024, 7 + u16::from(host >> 3 & 1))
    } else {
        (7 + u16::from(host >> 3 & 1), 1024)
    };
    let frame = match kind & 0x0f {
        0 => payload.to_vec(),
        1..=8 => {
            const FLAGS: [u8; 8] = [
                TcpFlags::SYN,
                TcpFlags::SYN | TcpFlags::ACK,
                TcpFlags::ACK,
                TcpFlags::ACK | TcpFlags::PSH,
                TcpFlags::ACK | TcpFlags::FIN,
                TcpFlags::RST,
                TcpFlags::ACK | TcpFlags::URG,
                TcpFlags::ACK,
            ];
            let flags = FLAGS[usize::from(kind & 0x0f) - 1];
            let seq = 100 + u32::from(place) - u32::from(flags & TcpFlags::SYN != 0);
            let ack = if flags & TcpFlags::ACK != 0 { 100 } else { 0 };
            let tcp = builder.tcp(ports.0, ports.1).flags(flags).seq(seq).ack(ack).urgent(u16::from(place));
            tcp.payload(payload).to_vec()
        }
        9 => builder.udp(ports.0, if host & 16 != 0 { 53 } else { ports.1 }).payload(payload).to_vec(),
        10 => builder.echo_request(7, u16::from(place)).payload(payload).to_vec(),
        11 => builder.icmp_error(3, 1, payload).to_vec(),
        12 => builder
            .ip_id(7)
            .protocol(17)
            .fragment(u16::from(place & 0x0f) * 8, host & 32 != 0)
            .payload(payload)
            .to_vec(),
        13 => builder
            .ip_id(8)
            .protocol(6)
            .fragment(u16::from(place & 0x0f) * 8, host & 32 != 0)
            .payload(payload)
            .to_vec(),
        14 => builder.udp(4789, 4789).payload(payload).to_vec(),
        _ => builder.protocol(if host & 16 != 0 { 47 } else { 4 }).payload(payload).to_vec(),
    };
    let mut frame = frame;
    if kind & 0x20 != 0 && !frame.is_empty() {
        let at = usize::from(place) % frame.len();
        frame[at] ^= host;
    }
    Some(((ingress, frame), wait, rest))
}

/// Is the checksum of this whole IPv4 and TCP packet right?
fn sums(frame: &[u8]) -> bool {
    let Some((ip, tcp)) = frame.get(14..).and_then(|packet| packet.split_at_checked(20)) else {
        return false;
    };
    let length = u32::try_from(tcp.len()).expect("short");
    let sum = |bytes: &[u8]| -> u32 {
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum()
    };
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let right = |total: u32| fold(fold(total)) == 0xffff;
    right(sum(ip)) && right(sum(&ip[12..20]) + 6 + length + sum(tcp))
}
