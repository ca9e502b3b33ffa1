//! One worker's queues as a packet module.

use crate::config::{CopyMode, RESERVE};
use crate::doorbell::Doorbell;
use crate::error::XdpError;
use crate::frames::{Filled, Frame, FrameAccount};
use crate::heart::Hearts;
use crate::kernel_stats::KernelStats;
use crate::links::{Links, Parcel, Shared};
use crate::port::{Arena, Lane};
use arrayvec::ArrayVec;
use portcullis_bpf::{Hold, Pulses};
use portcullis_capture::outbox::MAX_FORGED;
use portcullis_capture::{
    BURST, Burst, CaptureStats, Outbox, PacketModule, Poll, PortId, Properties, Unseen, Wake, WorkerId,
};
use portcullis_wire::{LinkType, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// How often the kernel is asked what it lost.
const KERNEL_STATS: Duration = Duration::from_millis(100);

/// What may leave through one lane after one burst.
pub(crate) type Outgoing = ArrayVec<Filled, { BURST + MAX_FORGED }>;

/// A packet that is about to be judged, and the lane it came in by.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) parcel: Parcel,
    pub(crate) lane: usize,
}

/// One worker's queues of all ports of an inline set.
#[derive(Debug)]
pub struct XdpModule {
    pub(crate) worker: usize,
    pub(crate) workers: usize,
    pub(crate) copy_mode: CopyMode,
    /// Sockets, both of a queue pair side by side: what comes in by lane *i* leaves by lane *i* ^ 1.
    pub(crate) lanes: Vec<Lane>,
    pub(crate) outgoing: Vec<Outgoing>,
    /// The port of each lane, and one lane of each port.
    pub(crate) ports: Vec<PortId>,
    pub(crate) lane_of_port: Vec<Option<usize>>,
    pub(crate) properties: Properties,
    pub(crate) arena: Arena,
    pub(crate) frames_per_worker: u32,
    pub(crate) pool: Vec<Frame>,
    /// Frames that each fill ring should have.
    pub(crate) fill_target: u32,
    pub(crate) batch: ArrayVec<Held, BURST>,
    /// Forged packets on their way to being received.
    pub(crate) reentries: VecDeque<Parcel>,
    /// Where packets are copied to be judged, while the originals go on untouched.
    pub(crate) scratch: Box<[u8]>,
    pub(crate) outbox: Outbox,
    pub(crate) links: Links,
    pub(crate) shared: Arc<Shared>,
    pub(crate) bell: Arc<Doorbell>,
    pub(crate) busy_poll: Duration,
    pub(crate) first_lane: usize,
    pub(crate) next_id: u64,
    pub(crate) clock: Timestamp,
    pub(crate) stats: CaptureStats,
    pub(crate) hearts: Hearts,
    kernel_stats_at: Timestamp,
    pub(crate) draining: crate::drain::Drain,
    /// By port: does a packet pass that its owner has no room for?
    pub(crate) bypass: Vec<bool>,
}

/// What [`XdpModule::new`] is made of.
pub(crate) struct Parts {
    pub(crate) worker: usize,
    pub(crate) workers: usize,
    pub(crate) copy_mode: CopyMode,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) ports: Vec<PortId>,
    pub(crate) mtu: Vec<u32>,
    pub(crate) arena: Arena,
    pub(crate) frames: Vec<Frame>,
    pub(crate) fill_target: u32,
    pub(crate) links: Links,
    pub(crate) shared: Arc<Shared>,
    pub(crate) bell: Arc<Doorbell>,
    pub(crate) busy_poll: Duration,
    pub(crate) bypass: Vec<bool>,
}

impl XdpModule {
    /// Fills the fill rings: a socket must not be published before.
    pub(crate) fn new(parts: Parts) -> Result<Self, XdpError> {
        let Parts { worker, workers, copy_mode, lanes, ports, mtu, arena, frames, .. } = parts;
        let lane_of_port =
            (0..mtu.len()).map(|port| ports.iter().position(|lane| usize::from(lane.0) == port));
        let copies = copy_mode == CopyMode::Tap || arena.has_chains();
        let scratch = if copies { BURST * arena.longest() } else { 0 };
        let mut module = Self {
            worker,
            workers,
            copy_mode,
            outgoing: lanes.iter().map(|_| Outgoing::new()).collect(),
            lane_of_port: lane_of_port.collect(),
            properties: Properties {
                multi_threaded: true,
                pass_through: copy_mode.is_pass_through(),
                is_realtime: true,
                mtu,
                link: LinkType::Ethernet,
            },
            frames_per_worker: u32::try_from(frames.len()).unwrap_or(u32::MAX),
            reentries: VecDeque::with_capacity(RESERVE),
            pool: frames,
            fill_target: parts.fill_target,
            batch: ArrayVec::new(),
            scratch: vec![0; scratch].into_boxed_slice(),
            outbox: Outbox::default(),
            links: parts.links,
            shared: parts.shared,
            bell: parts.bell,
            busy_poll: parts.busy_poll,
            first_lane: 0,
            next_id: 1 + worker as u64,
            clock: Timestamp::ZERO,
            stats: CaptureStats::default(),
            hearts: Hearts::default(),
            kernel_stats_at: Timestamp::ZERO,
            draining: crate::drain::Drain::default(),
            bypass: parts.bypass,
            lanes,
            ports,
            arena,
        };
        module.tick();
        module.refill()?;
        Ok(module)
    }

    /// Which worker's this is.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        WorkerId(u8::try_from(self.worker).unwrap_or(u8::MAX))
    }

    /// Where this worker's frames are. The sum over all workers of a set, while none polls, is the number of
    /// frames of the set; anything else is an error in this crate.
    #[must_use]
    pub fn account(&self) -> FrameAccount {
        let (steering, home) = self.links.waiting();
        let steering = steering + self.shared.more(self.worker);
        let partial: usize = self.lanes.iter().map(Lane::partial).sum();
        FrameAccount {
            pool: self.pool.len() as u64,
            fill: self.lanes.iter().map(|lane| u64::from(lane.in_fill())).sum(),
            held: (self.batch.len() + self.reentries.len() + partial) as u64,
            transmit: self.lanes.iter().map(|lane| u64::from(lane.in_transmit())).sum(),
            steering,
            home,
        }
    }

    /// Has the gate told from now on that this worker lives.
    pub(crate) fn watch(&mut self, pulses: &Pulses) {
        let slots = self.ports.iter().zip(&self.lanes).map(|(port, lane)| (port.0, lane.queue()));
        self.hearts = Hearts::new(pulses, slots);
        self.beat();
    }

    /// Has the kernel itself tell the gate of the death of this thread, whose module this is from now on; until that is
    /// dropped.
    ///
    /// # Errors
    /// The kernel's.
    pub fn hold(&self) -> io::Result<Hold> {
        self.hearts.hold()
    }

    /// The sockets, with their ports.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (PortId, &Lane)> {
        self.ports.iter().copied().zip(&self.lanes)
    }

    /// The ports of sockets that are bound without copying and whose driver has taken up no frame yet. Wakes the
    /// drivers that want to be told.
    pub(crate) fn sleeping_ports(&mut self) -> Vec<PortId> {
        // A driver that cannot be woken is one that sleeps.
        let _ = self.refill();
        let lanes = self.ports.iter().zip(&mut self.lanes);
        let asleep = lanes.filter_map(|(port, lane)| {
            (lane.is_zero_copy().unwrap_or(false) && lane.is_fill_untouched()).then_some(*port)
        });
        asleep.collect()
    }

    /// Is there so little in the pool that fill rings starve?
    pub(crate) fn is_hungry(&self) -> bool {
        self.lanes.iter().any(|lane| lane.in_fill() < self.fill_target / 2)
    }

    /// Sets the clock, once a burst.
    pub(crate) fn tick(&mut self) -> Timestamp {
        let now = wall_clock();
        self.clock = self.clock.max(now);
        now
    }

    /// Asks the kernel what it lost, if the last time was a while ago.
    pub(crate) fn refresh_kernel_stats(&mut self, now: bool) -> Result<(), XdpError> {
        if !now && self.clock.since(self.kernel_stats_at) < KERNEL_STATS {
            return Ok(());
        }
        self.kernel_stats_at = self.clock;
        let mut total = KernelStats::default();
        for lane in &self.lanes {
            let lost = |source: io::Error| XdpError::PortLost { name: lane.name().to_owned(), source };
            total += lane.statistics().map_err(lost)?;
            total.invalid += lane.invalid();
        }
        self.stats.kernel_drops = total.lost();
        self.kernel_errors(total.invalid);
        Ok(())
    }

    fn kernel_errors(&mut self, invalid: u64) {
        let new = invalid.saturating_sub(self.draining.invalid_seen);
        self.draining.invalid_seen = invalid;
        self.stats.errors += new;
    }
}

impl PacketModule for XdpModule {
    type Error = XdpError;

    fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, XdpError> {
        if self.draining.has_ended() {
            return Ok(Poll::End);
        }
        let now = self.tick();
        self.links.take_returned(&self.arena.ledger, &mut self.pool);
        self.reclaim(false);
        self.beat();
        if !self.must_tell_first() {
            self.gather(now);
        }
        let count = self.batch.len();
        if count > 0 {
            let judgements = self.lend(inspect);
            self.carry_out(&judgements);
            self.take_up_outbox();
        } else {
            self.reclaim(true);
        }
        self.transmit()?;
        self.refill()?;
        self.links.notify(&self.shared);
        self.refresh_kernel_stats(false)?;
        if self.shared.ending.has_begun() && self.drain(count)? {
            return Ok(Poll::End);
        }
        Ok(if count > 0 { Poll::Received(count) } else { Poll::Empty })
    }

    fn wait(&mut self, until: Timestamp) -> Result<Wake, XdpError> {
        self.sleep(until)
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

    /// `kernel_drops` is what XDP_STATISTICS tells, at most 100 ms old.
    fn unseen(&mut self) -> Option<Unseen> {
        self.tell_unseen()
    }

    fn stats(&self) -> CaptureStats {
        CaptureStats { forged_refused: self.stats.forged_refused + self.outbox.refused(), ..self.stats }
    }
}

fn wall_clock() -> Timestamp {
    let now = clock_gettime(ClockId::Realtime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}
