//! A worker to measure.

use portcullis_capture::memory::LoopModule;
use portcullis_capture::{PacketModule, Poll, Verdict, WorkerId};
use portcullis_detect::{LoadOptions, RuleSet, Source};
use portcullis_engine::{EngineSettings, FlowWorker, Rules, WorkerParts, publish};
use portcullis_event::{MAX_RECORD, RecordConsumer, RingMode, ring};
use portcullis_flow::{Callbacks, FlowSettings};
use portcullis_wire::Timestamp;
use std::sync::Arc;

use crate::frames::Frame;

/// A flow worker with memory for ten million flows, inline, its flow records on.
#[derive(Debug)]
pub struct Rig {
    worker: FlowWorker,
    records: [RecordConsumer; 2],
}

impl Rig {
    /// A worker that judges by `rules` (rule language, may be empty).
    ///
    /// # Panics
    /// If the rules or the memory cannot be had: there is nothing to measure then.
    #[must_use]
    pub fn new(rules: &str) -> Self {
        let source = Source { name: "bench.rules", text: rules.as_bytes() };
        let loaded = RuleSet::load(&[source], &LoadOptions::default());
        assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
        let flow = FlowSettings { memcap: 4 << 30, ..FlowSettings::default() };
        let settings = EngineSettings { inline: true, flow, ..EngineSettings::default() };
        let (reporter, records) = ring::rings(1 << 20, 1 << 20, RingMode::Live);
        let parts = WorkerParts {
            id: WorkerId(0),
            workers: 1,
            rules: Arc::new(Rules::new(loaded.rules)),
            callbacks: Callbacks::default(),
            reporter,
            publisher: publish::channel().0,
            start: Timestamp::from_secs(1_700_000_000),
        };
        let worker = match FlowWorker::new(&settings, parts) {
            Ok(worker) => worker,
            Err(error) => panic!("{error}"),
        };
        Self { worker, records }
    }

    /// The worker itself.
    pub const fn worker(&mut self) -> &mut FlowWorker {
        &mut self.worker
    }

    /// Judges all frames that the module lends and returns how many that were.
    pub fn judge(&mut self, module: &mut LoopModule) -> u64 {
        let mut judged = 0;
        loop {
            match self.poll(module, true) {
                0 => return judged,
                packets => judged += packets as u64,
            }
        }
    }

    /// Polls any module once and judges what it lends, then, if `keep_house`, does what the worker does after a burst.
    /// How many packets that was: none at the end, and where the module fails.
    pub fn poll<M: PacketModule>(&mut self, module: &mut M, keep_house: bool) -> usize {
        match module.poll(&mut |burst| self.worker.inspect(burst)) {
            Ok(Poll::Received(packets)) => {
                if keep_house {
                    self.worker.keep_house(module.now(), &module.stats());
                }
                packets
            }
            Ok(Poll::Empty | Poll::End) | Err(_) => 0,
        }
    }

    /// Takes the records out that the worker made.
    pub fn records(&mut self, mut take: impl FnMut(&[u8])) {
        let mut record = Vec::with_capacity(MAX_RECORD);
        for ring in &mut self.records {
            while ring.pop(&mut record) {
                take(&record);
            }
        }
    }
}

/// The same module without an engine: every packet accepted. What it takes is the module's share.
pub fn accept_all(module: &mut LoopModule) -> u64 {
    let mut accepted = 0;
    loop {
        let polled = module.poll(&mut |burst| {
            for index in 0..burst.len() {
                burst.judge(index, Verdict::Accept);
            }
        });
        match polled {
            Ok(Poll::Received(packets)) => accepted += packets as u64,
            Ok(Poll::Empty) => {}
            Ok(Poll::End) => return accepted,
        }
    }
}

/// A module that lends `frames` so often.
#[must_use]
pub fn looped(frames: &[Frame], rounds: u64) -> LoopModule {
    LoopModule::new(frames.to_vec(), rounds)
}
