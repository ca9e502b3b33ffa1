//! A module that ends after a while and tells what was done until then.

use portcullis_capture::{Burst, CaptureStats, PacketModule, Poll, Properties, Wake};
use portcullis_loadgen::thread;
use portcullis_wire::Timestamp;
use std::task::Waker;
use std::time::Duration;

/// What a worker did in one round.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    /// Packets that left.
    pub(crate) forwarded: u64,
    /// Packets that were received.
    pub(crate) received: u64,
    /// Polls that brought any.
    pub(crate) bursts: u64,
    /// Packets that the kernel had no room for.
    pub(crate) lost: u64,
    /// CPU time of the worker's thread.
    pub(crate) cpu: Duration,
    /// Time that passed.
    pub(crate) wall: Duration,
}

impl Round {
    /// Packets forwarded by a second of the worker's CPU time.
    pub(crate) fn by_cpu_second(&self) -> f64 {
        ratio(self.forwarded, self.cpu)
    }

    /// Packets forwarded by a second.
    pub(crate) fn by_second(&self) -> f64 {
        ratio(self.forwarded, self.wall)
    }

    /// Packets of a burst.
    pub(crate) fn by_burst(&self) -> f64 {
        share(self.received, self.bursts)
    }

    /// The share of the packets that the kernel had no room for.
    pub(crate) fn loss(&self) -> f64 {
        share(self.lost, self.received + self.lost)
    }

    /// The share of the time that the worker ran.
    pub(crate) fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

fn ratio(packets: u64, time: Duration) -> f64 {
    float(packets) / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

fn share(part: u64, whole: u64) -> f64 {
    float(part) / float(whole.max(1))
}

/// Counts of one round are far below the 2^52 that a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Lends an open module for one round: it then says that it is at its end, before the worker ends its flows, so
/// that only the packet path is measured. Looking for the end costs no clock: time is the module's.
#[derive(Debug)]
pub(crate) struct ForOneRound<'m, M> {
    module: &'m mut M,
    end: Timestamp,
    /// At the beginning, with times of day.
    start: (CaptureStats, Duration, Duration),
    bursts: u64,
    round: Option<Round>,
}

impl<'m, M: PacketModule> ForOneRound<'m, M> {
    /// Begins a round now, on the thread that will poll.
    pub(crate) fn new(module: &'m mut M, length: Duration) -> Self {
        let start = (module.stats(), thread::clock(), thread::cpu_time());
        // The module's time may be that of its last burst, some time ago.
        let end = wall_clock().after(length);
        Self { module, end, start, bursts: 0, round: None }
    }

    /// What was done in it; nothing if it has not ended.
    pub(crate) fn done(self) -> Round {
        self.round.unwrap_or_default()
    }

    fn end(&mut self) {
        let (before, wall, cpu) = self.start;
        let (cpu, wall) = (thread::cpu_time() - cpu, thread::clock() - wall);
        let after = self.module.stats();
        let forwarded = (after.accepted - before.accepted) - (after.send_errors - before.send_errors);
        self.round = Some(Round {
            forwarded,
            received: after.received - before.received,
            bursts: self.bursts,
            lost: after.kernel_drops - before.kernel_drops,
            cpu,
            wall,
        });
    }
}

fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl<M: PacketModule> PacketModule for ForOneRound<'_, M> {
    type Error = M::Error;

    fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, M::Error> {
        if self.module.now() >= self.end {
            self.end();
            return Ok(Poll::End);
        }
        let poll = self.module.poll(inspect)?;
        self.bursts += u64::from(matches!(poll, Poll::Received(_)));
        Ok(poll)
    }

    fn wait(&mut self, until: Timestamp) -> Result<Wake, M::Error> {
        self.module.wait(until.min(self.end))
    }

    fn waker(&self) -> Waker {
        self.module.waker()
    }

    fn properties(&self) -> Properties {
        self.module.properties()
    }

    fn now(&self) -> Timestamp {
        self.module.now()
    }

    fn stats(&self) -> CaptureStats {
        self.module.stats()
    }
}
