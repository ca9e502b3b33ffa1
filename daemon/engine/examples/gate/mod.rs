//! A gate of one inline worker for the examples: packets in from memory, no device, no rules.

use portcullis_capture::{BURST, Burst, CaptureStats, Outbox, Packet, PacketMeta, Verdict, WorkerId};
use portcullis_engine::{EngineSettings, FlowWorker, Rules, SetupError, WorkerParts, publish};
use portcullis_event::{RingMode, ring};
use portcullis_flow::Registry;
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Gate {
    worker: FlowWorker,
    now: Timestamp,
    /// What the worker reports; nobody reads it here.
    _records: [portcullis_event::RecordConsumer; 2],
}

impl Gate {
    /// Starts the gate: nothing can be registered after this.
    pub(crate) fn new(mut registry: Registry) -> Result<Self, SetupError> {
        registry.freeze();
        let (reporter, records) = ring::rings(1 << 16, 1 << 16, RingMode::Live);
        let (publisher, _) = publish::channel();
        let (id, now) = (WorkerId(0), Timestamp::from_secs(1_700_000_000));
        let parts = WorkerParts {
            id,
            workers: 1,
            rules: Arc::new(Rules::default()),
            callbacks: registry.instantiate(id),
            reporter,
            publisher,
            start: now,
        };
        let settings = EngineSettings { inline: true, ..EngineSettings::default() };
        Ok(Self { worker: FlowWorker::new(&settings, parts)?, now, _records: records })
    }

    /// Judges frames, all at the same time.
    pub(crate) fn send(&mut self, frames: &[Vec<u8>]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for chunk in frames.chunks(BURST) {
            let (mut outbox, mut bytes) = (Outbox::default(), chunk.to_vec());
            let mut burst = Burst::new(&mut outbox);
            for frame in &mut bytes {
                let meta = PacketMeta { timestamp: self.now, clock: self.now, ..PacketMeta::default() };
                burst.push(Packet::new(frame, meta));
            }
            self.worker.inspect(&mut burst);
            verdicts.extend(burst.into_judgements().iter().map(|judgement| judgement.verdict));
            self.worker.keep_house(self.now, &CaptureStats::default());
        }
        verdicts
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// Ends all flows.
    pub(crate) fn close(mut self) {
        self.worker.finish(self.now, &CaptureStats::default());
    }
}

/// A frame from one of the clients, told apart by port, to the server.
pub(crate) fn udp(client: u16, payload: &[u8]) -> Vec<u8> {
    let frame = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    frame.ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1000 + client, 53).payload(payload).to_vec()
}

/// Says something on standard output.
pub(crate) fn say(text: &str) {
    // With nobody to read it there is nothing to do about it.
    let _ = writeln!(std::io::stdout(), "{text}");
}
