//! One worker without a module: bursts of built packets in, verdicts and records out.

use portcullis_capture::{BURST, Burst, CaptureStats, Outbox, Packet, PacketMeta, PortId, Verdict, WorkerId};
use portcullis_detect::{LoadOptions, RuleSet, Source};
use portcullis_engine::{EngineSettings, FlowWorker, Published, Rules, WorkerParts, publish};
use portcullis_event::{Counters, Record, RecordConsumer, RingMode, ring};
use portcullis_flow::Registry;
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use std::sync::Arc;

pub(crate) const CLIENT: [u8; 4] = [10, 0, 0, 1];
pub(crate) const SERVER: [u8; 4] = [10, 0, 0, 2];

pub(crate) struct Rig {
    pub(crate) worker: FlowWorker,
    published: Published,
    records: [RecordConsumer; 2],
    now: Timestamp,
    next_id: u64,
    forged: Vec<(u8, Vec<u8>)>,
}

impl Rig {
    pub(crate) fn new(settings: &EngineSettings, rules: &str) -> Self {
        Self::with(settings, rules, &Registry::default(), WorkerId(0), 1)
    }

    pub(crate) fn with(
        settings: &EngineSettings,
        rules: &str,
        registry: &Registry,
        id: WorkerId,
        workers: u8,
    ) -> Self {
        Self::with_rings(settings, rules, registry, (id, workers), 1 << 20)
    }

    /// With rings of so many bytes for records.
    pub(crate) fn with_rings(
        settings: &EngineSettings,
        rules: &str,
        registry: &Registry,
        (id, workers): (WorkerId, u8),
        ring_bytes: usize,
    ) -> Self {
        let rules = load(rules, &LoadOptions::default());
        let (reporter, records) = ring::rings(ring_bytes, ring_bytes, RingMode::Live);
        let (publisher, published) = publish::channel();
        let now = Timestamp::from_secs(1_700_000_000);
        let parts = WorkerParts {
            id,
            workers,
            rules,
            callbacks: registry.instantiate(id),
            reporter,
            publisher,
            start: now,
        };
        let worker = FlowWorker::new(settings, parts).unwrap();
        Self { worker, published, records, now, next_id: 1, forged: Vec::new() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, secs: u64) {
        self.now = Timestamp::from_nanos(self.now.as_nanos() + secs * 1_000_000_000);
    }

    /// Judges frames in bursts.
    pub(crate) fn send(&mut self, frames: &[Vec<u8>]) -> Vec<Verdict> {
        self.send_on(PortId::default(), frames)
    }

    /// The same, with frames that came in on this port.
    pub(crate) fn send_on(&mut self, ingress: PortId, frames: &[Vec<u8>]) -> Vec<Verdict> {
        self.judge(ingress, &mut frames.to_vec())
    }

    /// Lets one frame through, as it goes on from here, or not.
    pub(crate) fn forward(&mut self, ingress: PortId, frame: Vec<u8>) -> Option<Vec<u8>> {
        let mut frames = [frame];
        let verdict = self.judge(ingress, &mut frames);
        let [frame] = frames;
        (verdict == [Verdict::Accept]).then_some(frame)
    }

    /// Judges frames in bursts; they become what is sent on.
    fn judge(&mut self, ingress: PortId, frames: &mut [Vec<u8>]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for chunk in frames.chunks_mut(BURST) {
            let mut outbox = Outbox::default();
            let mut burst = Burst::new(&mut outbox);
            for frame in chunk {
                let meta = PacketMeta {
                    id: self.next_id,
                    timestamp: self.now,
                    clock: self.now,
                    ingress,
                    wire_length: u32::try_from(frame.len()).unwrap(),
                    ..PacketMeta::default()
                };
                self.next_id += 1;
                assert!(burst.push(Packet::new(frame, meta)));
            }
            self.worker.inspect(&mut burst);
            verdicts.extend(burst.into_judgements().iter().map(|judgement| judgement.verdict));
            self.forged.extend(outbox.forged().map(|forged| (forged.egress.0, forged.bytes.to_vec())));
            self.worker.keep_house(self.now, &CaptureStats::default());
        }
        verdicts
    }

    /// What was sent beside the packets, each with its port; nothing twice.
    pub(crate) fn take_forged(&mut self) -> Vec<(u8, Vec<u8>)> {
        std::mem::take(&mut self.forged)
    }

    pub(crate) fn counters(&mut self) -> Counters {
        *self.published.latest()
    }

    /// Calls of each hook, as published.
    pub(crate) fn hook_calls(&mut self) -> Vec<u64> {
        self.published.hook_costs().iter().map(|cost| cost.calls).collect()
    }

    /// Ends all flows.
    pub(crate) fn finish(&mut self) -> Counters {
        self.worker.finish(self.now, &CaptureStats::default());
        self.counters()
    }

    /// Every record so far, alerts and drops first, shown by `show`.
    pub(crate) fn records<T>(&mut self, mut show: impl FnMut(&Record<'_>) -> Option<T>) -> Vec<T> {
        let mut shown = Vec::new();
        let mut bytes = Vec::new();
        for consumer in &mut self.records {
            while consumer.pop(&mut bytes) {
                shown.extend(show(&Record::decode(&bytes).unwrap()));
            }
        }
        shown
    }
}

pub(crate) fn load(rules: &str, options: &LoadOptions) -> Arc<Rules> {
    let source = Source { name: "test.rules", text: rules.as_bytes() };
    let loaded = RuleSet::load(&[source], options);
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    Arc::new(Rules::new(loaded.rules))
}

pub(crate) fn inline() -> EngineSettings {
    let mut settings = EngineSettings { inline: true, ..EngineSettings::default() };
    settings.defrag.inline = true;
    settings.stream.inline = true;
    settings
}

pub(crate) fn ethernet() -> PacketBuilder<'static> {
    PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

pub(crate) fn udp(source: ([u8; 4], u16), destination: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    ethernet().ipv4(source.0, destination.0).udp(source.1, destination.1).payload(payload).to_vec()
}

pub(crate) fn tcp(to_server: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let builder = if to_server {
        ethernet().ipv4(CLIENT, SERVER).tcp(40_000, 80)
    } else {
        ethernet().ipv4(SERVER, CLIENT).tcp(80, 40_000)
    };
    builder.flags(flags).seq(seq).ack(ack).payload(payload).to_vec()
}

/// The three packets of a handshake between 40,000 and 80.
pub(crate) fn handshake() -> Vec<Vec<u8>> {
    let ack = TcpFlags::ACK;
    vec![
        tcp(true, TcpFlags::SYN, 100, 0, b""),
        tcp(false, TcpFlags::SYN | ack, 500, 101, b""),
        tcp(true, ack, 101, 501, b""),
    ]
}
