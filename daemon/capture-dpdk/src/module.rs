//! One worker's queues as a packet module.

use crate::drain::Drain;
use crate::error::DpdkError;
use crate::links::{Bell, Links, Parcel, Shared};
use crate::sys::{Lane, Losses, Mbuf, Pool, register_thread};
use arrayvec::ArrayVec;
use crossbeam::sync::Parker;
use portcullis_capture::outbox::MAX_FORGED;
use portcullis_capture::{
    BURST, Burst, CaptureStats, CopyMode, Outbox, PacketModule, Poll, PortId, Properties, Wake, WorkerId,
};
use portcullis_wire::{LinkType, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// How often devices are asked what they lost.
const LOSSES: Duration = Duration::from_millis(100);

/// Forged packets that may wait to be received again.
pub(crate) const REENTRIES: usize = 2 * MAX_FORGED;

/// What may leave through one lane after one burst.
pub(crate) type Outgoing = ArrayVec<Mbuf, { BURST + MAX_FORGED }>;

/// A packet that is about to be judged, and the lane it came in by.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) parcel: Parcel,
    pub(crate) lane: usize,
}

/// One worker's queues of all ports.
#[derive(Debug)]
pub struct DpdkModule {
    pub(crate) worker: usize,
    pub(crate) workers: usize,
    pub(crate) copy_mode: CopyMode,
    // Buffers go before what they were received from.
    pub(crate) batch: ArrayVec<Held, BURST>,
    pub(crate) outgoing: Vec<Outgoing>,
    /// Forged packets on their way to being received.
    pub(crate) reentries: VecDeque<Parcel>,
    pub(crate) links: Links,
    /// Queues, both of a pair side by side: what comes in by lane *i* leaves by lane *i* ^ 1.
    pub(crate) lanes: Vec<Lane>,
    /// The port of each lane, and one lane of each port.
    pub(crate) ports: Vec<PortId>,
    pub(crate) lane_of_port: Vec<Option<usize>>,
    /// Can each lane send a packet that lies in several buffers?
    pub(crate) sends_segments: Vec<bool>,
    pub(crate) properties: Properties,
    /// Where packets are put together, or copied so that the originals stay untouched: `longest` bytes each.
    pub(crate) scratch: Box<[u8]>,
    pub(crate) longest: usize,
    pub(crate) outbox: Outbox,
    pub(crate) shared: Arc<Shared>,
    pub(crate) parker: Parker,
    pub(crate) bell: Arc<Bell>,
    pub(crate) busy_poll: Duration,
    pub(crate) longest_sleep: Duration,
    pub(crate) first_lane: usize,
    pub(crate) next_id: u64,
    pub(crate) clock: Timestamp,
    pub(crate) stats: CaptureStats,
    pub(crate) draining: Drain,
    losses_at: Timestamp,
    /// What each port had lost when it was opened; only of the worker that tells.
    baseline: Vec<Losses>,
    device_errors: u64,
    pub(crate) pool: Arc<Pool>,
}

/// What [`DpdkModule::new`] is made of.
pub(crate) struct Parts {
    pub(crate) worker: usize,
    pub(crate) workers: usize,
    pub(crate) copy_mode: CopyMode,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) ports: Vec<PortId>,
    pub(crate) mtu: Vec<u32>,
    pub(crate) longest: usize,
    pub(crate) links: Links,
    pub(crate) shared: Arc<Shared>,
    pub(crate) parker: Parker,
    pub(crate) bell: Arc<Bell>,
    pub(crate) busy_poll: Duration,
    pub(crate) longest_sleep: Duration,
    pub(crate) pool: Arc<Pool>,
}

impl DpdkModule {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { worker, workers, copy_mode, lanes, ports, mtu, longest, links, shared, .. } = parts;
        let lane_of_port =
            (0..mtu.len()).map(|port| ports.iter().position(|lane| usize::from(lane.0) == port));
        let mut module = Self {
            worker,
            workers,
            copy_mode,
            batch: ArrayVec::new(),
            outgoing: lanes.iter().map(|_| Outgoing::new()).collect(),
            reentries: VecDeque::with_capacity(REENTRIES),
            links,
            lane_of_port: lane_of_port.collect(),
            sends_segments: lanes.iter().map(|lane| lane.port().known().can_send_segments).collect(),
            properties: Properties {
                multi_threaded: true,
                pass_through: copy_mode.is_pass_through(),
                is_realtime: true,
                mtu,
                link: LinkType::Ethernet,
            },
            scratch: vec![0; BURST * longest].into_boxed_slice(),
            longest,
            outbox: Outbox::default(),
            shared,
            parker: parts.parker,
            bell: parts.bell,
            busy_poll: parts.busy_poll,
            longest_sleep: parts.longest_sleep,
            first_lane: 0,
            next_id: 1 + worker as u64,
            clock: Timestamp::ZERO,
            stats: CaptureStats::default(),
            draining: Drain::new(lanes.iter().map(|lane| u32::from(lane.port().descriptors().0))),
            losses_at: Timestamp::ZERO,
            // Devices count by port, not by queue: one worker tells for all.
            baseline: if worker == 0 { baseline(&lanes) } else { Vec::new() },
            device_errors: 0,
            pool: parts.pool,
            lanes,
            ports,
        };
        module.tick();
        module
    }

    /// Which worker's this is.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        WorkerId(u8::try_from(self.worker).unwrap_or(u8::MAX))
    }

    /// Sets the clock, once a burst.
    pub(crate) fn tick(&mut self) -> Timestamp {
        let now = wall_clock();
        self.clock = self.clock.max(now);
        now
    }

    /// Asks the devices what they lost, if the last time was a while ago.
    pub(crate) fn refresh_losses(&mut self, now: bool) {
        if self.baseline.is_empty() || (!now && self.clock.since(self.losses_at) < LOSSES) {
            return;
        }
        self.losses_at = self.clock;
        let (mut missed, mut errors) = (0, 0);
        for (lane, before) in first_lanes(&self.lanes).zip(&self.baseline) {
            // Somebody else is asking: the next time will do.
            let Some(lost) = lane.port().losses() else { return };
            missed += lost.missed.saturating_sub(before.missed);
            errors += lost.receive_errors.saturating_sub(before.receive_errors);
            errors += lost.no_buffer.saturating_sub(before.no_buffer);
        }
        self.stats.kernel_drops = missed;
        self.stats.errors += errors.saturating_sub(self.device_errors);
        self.device_errors = errors;
    }
}

/// One lane of each port.
fn first_lanes(lanes: &[Lane]) -> impl Iterator<Item = &Lane> {
    lanes.iter().filter(|lane| lane.queue() == 0)
}

fn baseline(lanes: &[Lane]) -> Vec<Losses> {
    first_lanes(lanes).map(|lane| lane.port().losses().unwrap_or_default()).collect()
}

impl PacketModule for DpdkModule {
    type Error = DpdkError;

    fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, DpdkError> {
        if self.draining.has_ended() {
            return Ok(Poll::End);
        }
        register_thread(self.pool.eal());
        let now = self.tick();
        self.gather(now);
        let count = self.batch.len();
        if count > 0 {
            let judgements = self.lend(inspect);
            self.carry_out(&judgements);
            self.take_up_outbox();
            self.transmit();
            self.links.notify(&self.shared);
        }
        self.refresh_losses(false);
        if self.shared.ending.has_begun() && self.drain(count) {
            return Ok(Poll::End);
        }
        Ok(if count > 0 { Poll::Received(count) } else { Poll::Empty })
    }

    fn wait(&mut self, until: Timestamp) -> Result<Wake, DpdkError> {
        Ok(self.sleep(until))
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }

    fn properties(&self) -> Properties {
        self.properties.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock
    }

    /// `kernel_drops` is what the devices had no room for, of all workers, told by the first one; at most 100 ms old.
    fn stats(&self) -> CaptureStats {
        CaptureStats { forged_refused: self.stats.forged_refused + self.outbox.refused(), ..self.stats }
    }
}

fn wall_clock() -> Timestamp {
    let now = clock_gettime(ClockId::Realtime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}
