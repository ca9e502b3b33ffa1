//! One worker's queues as a packet module.

use crate::config::{CopyMode, RESERVE};
use crate::doorbell::Doorbell;
use crate::error::XdpError;
use crate::frames::{Filled, Frame, FrameAccount, Place};
use crate::kernel_stats::KernelStats;
use crate::links::{Links, Parcel, Shared};
use crate::port::{Arena, Lane};
use arrayvec::ArrayVec;
use portcullis_capture::burst::{ChecksumStatus, PacketState};
use portcullis_capture::outbox::{MAX_FORGED, Origin};
use portcullis_capture::{
    BURST, Burst, CaptureStats, Judgement, Outbox, Packet, PacketMeta, PacketModule, Poll, PortId,
    Properties, Verdict, Wake, WorkerId,
};
use portcullis_wire::{LinkType, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// Frames under way on a lane from which on they are asked for; before, looking costs more than it brings.
const RECLAIM: u32 = 64;

/// Frames that a fill ring lacks from which on it is filled up: one that lacks a few is not worth the touch.
const REFILL: u32 = 32;

/// How often the kernel is asked what it lost.
const KERNEL_STATS: Duration = Duration::from_millis(100);

/// What may leave through one lane after one burst.
type Outgoing = ArrayVec<Filled, { BURST + MAX_FORGED }>;

/// A packet that is about to be judged, and the lane it came in by.
#[derive(Debug)]
struct Held {
    parcel: Parcel,
    lane: usize,
}

/// One worker's queues of all ports of an inline set.
#[derive(Debug)]
pub struct XdpModule {
    pub(crate) worker: usize,
    pub(crate) workers: usize,
    copy_mode: CopyMode,
    /// Sockets, both of a queue pair side by side: what comes in by lane *i* leaves by lane *i* ^ 1.
    pub(crate) lanes: Vec<Lane>,
    outgoing: Vec<Outgoing>,
    /// The port of each lane, and one lane of each port.
    ports: Vec<PortId>,
    lane_of_port: Vec<Option<usize>>,
    properties: Properties,
    pub(crate) arena: Arena,
    frames_per_worker: u32,
    pub(crate) pool: Vec<Frame>,
    /// Frames that each fill ring should have.
    pub(crate) fill_target: u32,
    batch: ArrayVec<Held, BURST>,
    /// Forged packets on their way to being received.
    pub(crate) reentries: VecDeque<Parcel>,
    /// Where packets are copied to be judged, while the originals go on untouched.
    scratch: Box<[u8]>,
    outbox: Outbox,
    pub(crate) links: Links,
    pub(crate) shared: Arc<Shared>,
    pub(crate) bell: Arc<Doorbell>,
    pub(crate) busy_poll: Duration,
    first_lane: usize,
    next_id: u64,
    pub(crate) clock: Timestamp,
    stats: CaptureStats,
    kernel_stats_at: Timestamp,
    pub(crate) draining: crate::drain::Drain,
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
}

impl XdpModule {
    /// Fills the fill rings: a socket must not be published before.
    pub(crate) fn new(parts: Parts) -> Result<Self, XdpError> {
        let Parts { worker, workers, copy_mode, lanes, ports, mtu, arena, frames, .. } = parts;
        let lane_of_port =
            (0..mtu.len()).map(|port| ports.iter().position(|lane| usize::from(lane.0) == port));
        let scratch = if copy_mode == CopyMode::Tap { BURST * arena.capacity() } else { 0 };
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
            reentries: VecDeque::with_capacity(frames.len()),
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
            kernel_stats_at: Timestamp::ZERO,
            draining: crate::drain::Drain::default(),
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
        FrameAccount {
            pool: self.pool.len() as u64,
            fill: self.lanes.iter().map(|lane| u64::from(lane.in_fill())).sum(),
            held: (self.batch.len() + self.reentries.len()) as u64,
            transmit: self.lanes.iter().map(|lane| u64::from(lane.in_transmit())).sum(),
            steering,
            home,
        }
    }

    /// The sockets, with their ports.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (PortId, &Lane)> {
        self.ports.iter().copied().zip(&self.lanes)
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

    /// Takes back frames whose packets have been sent: all of them, or where it is due.
    pub(crate) fn reclaim(&mut self, all: bool) {
        let (worker, per_worker) = (self.worker, self.frames_per_worker);
        let due = all || self.is_hungry();
        let Self { lanes, arena, links, pool, .. } = self;
        for lane in lanes {
            if lane.in_transmit() > 0 && (due || lane.in_transmit() >= RECLAIM) {
                lane.reclaim(arena, |frame| release(frame, worker, per_worker, arena, links, pool));
            }
        }
    }

    /// Fills the batch: forged packets, then what others passed on (at most half a burst while there is more),
    /// then what was received, each time from another lane on.
    fn gather(&mut self, now: Timestamp) {
        let Self { batch, reentries, links, lanes, arena, ports, lane_of_port, stats, .. } = self;
        let lane_of = |port: PortId| lane_of_port.get(usize::from(port.0)).copied().flatten().unwrap_or(0);
        while batch.len() < BURST
            && let Some(parcel) = reentries.pop_front()
        {
            stats.reentered += 1;
            let lane = lane_of(parcel.meta.ingress);
            batch.push(Held { parcel, lane });
        }
        let clock = self.clock;
        let mut take_steered = |batch: &mut ArrayVec<Held, BURST>, limit: usize| {
            let room = limit.min(batch.remaining_capacity());
            links.take_steered(room, &arena.ledger, |mut parcel| {
                stats.steered_in += 1;
                parcel.meta.clock = parcel.meta.clock.max(clock);
                let lane = lane_of(parcel.meta.ingress);
                batch.push(Held { parcel, lane });
            });
        };
        take_steered(batch, BURST / 2);
        let count = lanes.len();
        let mut received = (0_u64, 0_u64);
        for step in 0..count {
            let index = (self.first_lane + step) % count;
            let Some((lane, port)) = lanes.get_mut(index).zip(ports.get(index)) else { continue };
            let room = batch.remaining_capacity();
            lane.receive(arena, room, |filled| {
                let length = filled.desc.lengths().data();
                received = (received.0 + 1, received.1 + length as u64);
                let meta = PacketMeta {
                    id: self.next_id,
                    timestamp: now,
                    clock,
                    wire_length: u32::try_from(length).unwrap_or(u32::MAX),
                    ingress: *port,
                    link: LinkType::Ethernet,
                    vlan: None,
                    checksum: ChecksumStatus::Unknown,
                    state: PacketState::Normal,
                    steered: false,
                };
                self.next_id += self.workers as u64;
                batch.push(Held { parcel: Parcel { filled, meta }, lane: index });
            });
        }
        self.first_lane = (self.first_lane + 1) % count.max(1);
        take_steered(batch, BURST);
        stats.received += received.0;
        stats.received_bytes += received.1;
    }

    fn lend(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> ArrayVec<Judgement, BURST> {
        let Self { batch, arena, scratch, outbox, copy_mode, .. } = self;
        let mut burst = Burst::new(outbox);
        let mut copies = scratch.chunks_mut(arena.capacity());
        for Held { parcel: Parcel { filled, meta }, .. } in batch.iter_mut() {
            let mut bytes = arena.bytes(filled);
            if *copy_mode == CopyMode::Tap {
                let Some(copy) = copies.next().and_then(|copy| copy.get_mut(..bytes.len())) else { continue };
                copy.copy_from_slice(bytes);
                bytes = copy;
            }
            burst.push(Packet::new(bytes, *meta));
        }
        inspect(&mut burst);
        burst.into_judgements()
    }

    fn carry_out(&mut self, judgements: &[Judgement]) {
        let mut batch = std::mem::take(&mut self.batch);
        for (Held { mut parcel, lane }, judgement) in batch.drain(..).zip(judgements) {
            match judgement.verdict {
                Verdict::Accept => {
                    self.stats.accepted += 1;
                    self.pass(parcel.filled, lane);
                }
                Verdict::Drop(_) => self.drop_packet(parcel.filled, lane),
                // What was passed on already has found its owner; a worker does not pass on to itself.
                Verdict::Steer(_) if parcel.meta.steered => {
                    self.stats.errors += 1;
                    self.drop_packet(parcel.filled, lane);
                }
                Verdict::Steer(to) => {
                    parcel.meta.steered = true;
                    match self.links.steer(to, parcel, &self.arena.ledger, &self.shared) {
                        Ok(()) => self.stats.steered_out += 1,
                        Err(parcel) => {
                            self.stats.steer_refused += 1;
                            self.drop_packet(parcel.filled, lane);
                        }
                    }
                }
            }
        }
    }

    /// Sends a packet to the peer of the lane it came in by; nowhere where the set only listens.
    fn pass(&mut self, packet: Filled, lane: usize) {
        if !self.copy_mode.forwards() {
            return self.release(packet.empty());
        }
        self.queue(packet, lane ^ 1);
    }

    /// Drops a packet, which a tap does in its counters only.
    fn drop_packet(&mut self, packet: Filled, lane: usize) {
        self.stats.dropped += 1;
        if self.copy_mode == CopyMode::Tap {
            return self.queue(packet, lane ^ 1);
        }
        self.release(packet.empty());
    }

    fn queue(&mut self, packet: Filled, lane: usize) {
        let unsent = match self.outgoing.get_mut(lane) {
            Some(outgoing) => outgoing.try_push(packet).err().map(arrayvec::CapacityError::element),
            None => Some(packet),
        };
        if let Some(packet) = unsent {
            self.stats.send_errors += 1;
            self.release(packet.empty());
        }
    }

    fn release(&mut self, frame: Frame) {
        let (worker, per_worker) = (self.worker, self.frames_per_worker);
        release(frame, worker, per_worker, &self.arena, &mut self.links, &mut self.pool);
    }

    /// Copies what was forged into frames of the reserve: the engine's own leaves, a hook's is received.
    fn take_up_outbox(&mut self) {
        let outbox = std::mem::take(&mut self.outbox);
        for forged in outbox.forged() {
            let port = usize::from(forged.egress.0);
            let lane = self.lane_of_port.get(port).copied().flatten();
            let longest = self.properties.mtu.get(port).map_or(0, |mtu| *mtu as usize);
            let fits = !self.copy_mode.is_pass_through()
                && !forged.bytes.is_empty()
                && forged.bytes.len() <= longest;
            let frame = if fits && lane.is_some() { self.pool.pop() } else { None };
            let filled = frame.and_then(|frame| match self.arena.write(frame, forged.bytes) {
                Ok(filled) => Some(filled),
                Err(frame) => {
                    self.pool.push(frame);
                    None
                }
            });
            let (Some(filled), Some(lane)) = (filled, lane) else {
                self.stats.forged_refused += 1;
                continue;
            };
            self.stats.forged += 1;
            match forged.origin {
                Origin::Engine => self.queue(filled, lane),
                Origin::Hook => {
                    let meta = self.forged_meta(forged.bytes.len(), forged.egress);
                    self.reentries.push_back(Parcel { filled, meta });
                }
            }
        }
        self.outbox = outbox;
        self.outbox.clear();
    }

    fn forged_meta(&self, length: usize, egress: PortId) -> PacketMeta {
        PacketMeta {
            id: 0,
            timestamp: self.clock,
            clock: self.clock,
            wire_length: u32::try_from(length).unwrap_or(u32::MAX),
            ingress: egress.peer(),
            link: LinkType::Ethernet,
            state: PacketState::Forged,
            ..PacketMeta::default()
        }
    }

    /// Queues what leaves, and tells the kernel where it wants to be told.
    pub(crate) fn transmit(&mut self) -> Result<(), XdpError> {
        for index in 0..self.lanes.len() {
            let Self { lanes, outgoing, arena, stats, links, pool, .. } = self;
            let Some((lane, packets)) = lanes.get_mut(index).zip(outgoing.get_mut(index)) else { continue };
            if !packets.is_empty() {
                lane.send(arena, packets);
                for packet in packets.drain(..) {
                    stats.send_errors += 1;
                    release(packet.empty(), self.worker, self.frames_per_worker, arena, links, pool);
                }
            }
            if lane.in_transmit() > 0 {
                lane.kick().map_err(|source| XdpError::PortLost { name: lane.name().to_owned(), source })?;
            }
        }
        Ok(())
    }

    pub(crate) fn refill(&mut self) -> Result<(), XdpError> {
        let Self { lanes, arena, pool, fill_target, .. } = self;
        for lane in lanes {
            if *fill_target - lane.in_fill().min(*fill_target) >= REFILL {
                let filled = lane.refill(arena, pool, *fill_target, RESERVE);
                filled.map_err(|source| XdpError::PortLost { name: lane.name().to_owned(), source })?;
            }
        }
        Ok(())
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
        self.gather(now);
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
        if self.shared.is_draining() && self.drain(count)? {
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
    fn stats(&self) -> CaptureStats {
        CaptureStats { forged_refused: self.stats.forged_refused + self.outbox.refused(), ..self.stats }
    }
}

/// Gives an empty frame back to the pool it belongs to.
fn release(
    frame: Frame,
    worker: usize,
    per_worker: u32,
    arena: &Arena,
    links: &mut Links,
    pool: &mut Vec<Frame>,
) {
    let owner = (frame.number() / per_worker.max(1)) as usize;
    let frame = if owner == worker {
        frame
    } else {
        match links.send_home(owner, frame, &arena.ledger) {
            Ok(()) => return,
            // Cannot be: the ring holds all of them. Then it stays here rather than nowhere.
            Err(frame) => frame,
        }
    };
    arena.ledger.moved(frame.number(), Place::Held, Place::Pool);
    pool.push(frame);
}

fn wall_clock() -> Timestamp {
    let now = clock_gettime(ClockId::Realtime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}
