//! The contenders: who judges the packets of a round.

use crate::rounds::{ForOneRound, Round};
use anyhow::{Context, Result};
use crossbeam::channel::{self, Receiver, Sender};
use portcullis_capture::{PacketModule, Poll, Verdict, WorkerId};
use portcullis_engine::{Command, EngineSettings, FlowWorker, Rules, WorkerParts, drive, publish};
use portcullis_eve::{EveOptions, Formatter, LoggerHandle, LoggerThread, Sink};
use portcullis_event::{RingMode, ring};
use portcullis_flow::Callbacks;
use portcullis_wire::{DecoderConfig, Timestamp};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of each of the two rings between a worker and the logger.
const RING: usize = 16 << 20;

/// How long a worker without packets sleeps at most, as in the engine's own loop.
const IDLE: Duration = Duration::from_millis(100);

/// A worker's flow engine with its logger, as the daemon has them: no rules, flow records on.
#[derive(Debug)]
pub(crate) struct Tracking {
    worker: FlowWorker,
    commands: Receiver<Command>,
    /// Held: a worker whose commander is gone ends.
    _commander: Sender<Command>,
    logger: LoggerHandle,
}

impl Tracking {
    /// Sets up an engine that verifies checksums, or does not, and begins its logger.
    pub(crate) fn new(validate_checksums: bool) -> Result<Self> {
        let decoder = DecoderConfig { validate_checksums, ..DecoderConfig::default() };
        let settings = EngineSettings { inline: true, decoder, ..EngineSettings::default() };
        let (reporter, [evidence, flows]) = ring::rings(RING, RING, RingMode::Live);
        let formatter = Formatter::new(EveOptions::default());
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Nowhere)];
        let logger = LoggerThread::spawn(vec![evidence], vec![flows], formatter, sinks)?;
        let parts = WorkerParts {
            id: WorkerId(0),
            workers: 1,
            rules: Arc::new(Rules::default()),
            callbacks: Callbacks::default(),
            reporter,
            publisher: publish::channel().0,
            start: Timestamp::ZERO,
        };
        let worker = FlowWorker::new(&settings, parts).context("cannot set up the engine")?;
        let (commander, commands) = channel::unbounded();
        Ok(Self { worker, commands, _commander: commander, logger })
    }

    /// Judges for a round, by the loop of the daemon's workers.
    pub(crate) fn round<M: PacketModule>(&mut self, module: &mut M, length: Duration) -> Result<Round> {
        let mut module = ForOneRound::new(module, length);
        drive(&mut module, &mut self.worker, &self.commands)?;
        Ok(module.done())
    }

    /// Ends; tells how many flow records were logged.
    pub(crate) fn finish(self) -> Result<u64> {
        let Self { worker, logger, .. } = self;
        drop(worker);
        Ok(logger.finish()?.flow_lines)
    }
}

/// The same loop without an engine: everything is accepted.
pub(crate) fn accept_all<M: PacketModule>(module: &mut M, length: Duration) -> Result<Round> {
    let mut module = ForOneRound::new(module, length);
    loop {
        let poll = module.poll(&mut |burst| {
            for index in 0..burst.len() {
                burst.judge(index, Verdict::Accept);
            }
        });
        match poll? {
            Poll::Received(_) => {}
            Poll::End => return Ok(module.done()),
            Poll::Empty => {
                module.wait(module.now().after(IDLE))?;
            }
        }
    }
}

/// Where lines go that are only made to be measured.
#[derive(Clone, Copy, Debug)]
struct Nowhere;

impl Sink for Nowhere {
    fn write_line(&mut self, _line: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}
