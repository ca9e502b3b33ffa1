//! What the workers of a set share: rings between each two of them, bells, and the state of ending.

use crate::doorbell::Doorbell;
use crate::error::XdpError;
use crate::frames::{Filled, Frame, Ledger, Place};
use portcullis_capture::{PacketMeta, Unseen, WorkerId};
use portcullis_wire::Timestamp;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Packets that wait on the ring from one worker to another at most.
const STEERING: usize = 1024;

/// A packet in its frame, and what is known about it.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) filled: Filled,
    pub(crate) meta: PacketMeta,
}

/// What all workers of a set share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) bells: Vec<Arc<Doorbell>>,
    /// By worker: frames beyond the first of packets that wait to be judged there.
    more: Vec<AtomicU64>,
    draining: AtomicBool,
    quiet: Vec<AtomicBool>,
    ended: Vec<AtomicBool>,
    /// The last time in which a worker was taken for dead, on the wall clock: since, until.
    unseen: [AtomicU64; 2],
}

impl Shared {
    pub(crate) fn new(workers: usize) -> Result<Arc<Self>, XdpError> {
        let bell = |_| Doorbell::new().map(Arc::new);
        let bells: Result<Vec<_>, _> = (0..workers).map(bell).collect();
        let bells = bells.map_err(|source| XdpError::System { action: "make an eventfd", source })?;
        let flags = || (0..workers).map(|_| AtomicBool::new(false)).collect();
        let more = (0..workers).map(|_| AtomicU64::new(0)).collect();
        let unseen = [AtomicU64::new(0), AtomicU64::new(0)];
        Ok(Arc::new(Self {
            bells,
            more,
            draining: AtomicBool::new(false),
            quiet: flags(),
            ended: flags(),
            unseen,
        }))
    }

    /// Tells every worker that nothing will be received any more.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        for bell in &self.bells {
            std::task::Wake::wake_by_ref(bell);
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Tells every worker that packets may have passed one of them: any of them may own their flows.
    pub(crate) fn note_unseen(&self, time: Unseen) {
        let [since, until] = &self.unseen;
        since.store(time.since.as_nanos(), Ordering::Relaxed);
        until.fetch_max(time.until.as_nanos(), Ordering::Release);
    }

    /// The last time in which packets may have passed; none is all 0.
    pub(crate) fn unseen(&self) -> Unseen {
        let [since, until] = &self.unseen;
        let until = Timestamp::from_nanos(until.load(Ordering::Acquire));
        Unseen { since: Timestamp::from_nanos(since.load(Ordering::Relaxed)), until }
    }

    /// A packet of `frames` frames was put on a ring to `worker`, or with `taken` taken off it.
    pub(crate) fn passed_on(&self, worker: usize, frames: usize, taken: bool) {
        let Some(more) = self.more.get(worker) else { return };
        let frames = frames.saturating_sub(1) as u64;
        // The other end may be faster than this one: the count may wrap for a moment.
        if taken {
            more.fetch_sub(frames, Ordering::Relaxed);
        } else {
            more.fetch_add(frames, Ordering::Relaxed);
        }
    }

    /// Frames beyond the first of packets that wait to be judged by `worker`.
    pub(crate) fn more(&self, worker: usize) -> u64 {
        self.more.get(worker).map_or(0, |more| more.load(Ordering::Relaxed))
    }

    /// Says whether a worker has had nothing to do for a while.
    pub(crate) fn set_quiet(&self, worker: usize, quiet: bool) {
        if let Some(flag) = self.quiet.get(worker) {
            flag.store(quiet, Ordering::Release);
        }
    }

    /// Is every worker without work, or at its end? Then no ring between them will be written any more.
    pub(crate) fn all_quiet(&self) -> bool {
        self.quiet.iter().all(|flag| flag.load(Ordering::Acquire))
    }

    /// Says that a worker has ended.
    pub(crate) fn set_ended(&self, worker: usize) {
        self.set_quiet(worker, true);
        if let Some(flag) = self.ended.get(worker) {
            flag.store(true, Ordering::Release);
        }
    }

    fn has_ended(&self, worker: usize) -> bool {
        self.ended.get(worker).is_none_or(|flag| flag.load(Ordering::Acquire))
    }
}

/// One worker's ends of the rings.
#[derive(Debug)]
pub(crate) struct Links {
    /// Packets to the other workers, by worker; none to itself.
    steer: Vec<Option<Producer<Parcel>>>,
    /// Packets from the others.
    steered: Vec<Consumer<Parcel>>,
    /// Others' frames, back to them, by worker.
    home: Vec<Option<Producer<Frame>>>,
    /// Own frames, back from the others.
    returned: Vec<Consumer<Frame>>,
    /// Whom something was pushed for since bells were rung last.
    steered_to: Vec<bool>,
    returned_to: Vec<bool>,
}

impl Links {
    /// Connects each worker with each other one.
    pub(crate) fn mesh(workers: usize, frames_per_worker: usize) -> Vec<Self> {
        let empty = |_| Self {
            steer: Vec::new(),
            steered: Vec::new(),
            home: Vec::new(),
            returned: Vec::new(),
            steered_to: vec![false; workers],
            returned_to: vec![false; workers],
        };
        let mut all: Vec<Self> = (0..workers).map(empty).collect();
        for from in 0..workers {
            for to in 0..workers {
                let (mut steer, mut home) = (None, None);
                if from != to {
                    let (producer, consumer) = RingBuffer::new(STEERING);
                    steer = Some(producer);
                    // There are no more of its frames than this, so this ring is never full.
                    let (producer, returned) = RingBuffer::new(frames_per_worker);
                    home = Some(producer);
                    if let Some(target) = all.get_mut(to) {
                        target.steered.push(consumer);
                        target.returned.push(returned);
                    }
                }
                if let Some(source) = all.get_mut(from) {
                    source.steer.push(steer);
                    source.home.push(home);
                }
            }
        }
        all
    }

    /// Passes a packet on to the worker that owns its flow; gives it back where there is no room or no such
    /// worker.
    pub(crate) fn steer(
        &mut self,
        to: WorkerId,
        parcel: Parcel,
        ledger: &Ledger,
        shared: &Shared,
    ) -> Result<(), Parcel> {
        let to = usize::from(to.0);
        let Some(Some(ring)) = self.steer.get_mut(to) else { return Err(parcel) };
        if ring.is_full() || ring.is_abandoned() || shared.has_ended(to) {
            return Err(parcel);
        }
        // Before the push: afterwards the frame is the other worker's.
        ledger.moved(parcel.filled.number(), Place::Held, Place::Steering);
        match ring.push(parcel) {
            Ok(()) => {
                if let Some(flag) = self.steered_to.get_mut(to) {
                    *flag = true;
                }
                Ok(())
            }
            Err(rtrb::PushError::Full(parcel)) => {
                ledger.moved(parcel.filled.number(), Place::Steering, Place::Held);
                Err(parcel)
            }
        }
    }

    /// Takes at most `limit` packets that others passed on, some of each.
    pub(crate) fn take_steered(&mut self, limit: usize, ledger: &Ledger, mut each: impl FnMut(Parcel)) {
        let mut left = limit;
        for ring in &mut self.steered {
            while left > 0
                && let Ok(parcel) = ring.pop()
            {
                ledger.moved(parcel.filled.number(), Place::Steering, Place::Held);
                each(parcel);
                left -= 1;
            }
        }
        // The next round starts with another one.
        if self.steered.len() > 1 {
            self.steered.rotate_left(1);
        }
    }

    /// Sends an empty frame to the worker that it belongs to; gives it back where that is impossible.
    pub(crate) fn send_home(&mut self, owner: usize, frame: Frame, ledger: &Ledger) -> Result<(), Frame> {
        let Some(Some(ring)) = self.home.get_mut(owner) else { return Err(frame) };
        // A worker that is gone leaves its frames to whoever has them.
        if ring.is_full() || ring.is_abandoned() {
            return Err(frame);
        }
        ledger.moved(frame.number(), Place::Held, Place::Home);
        match ring.push(frame) {
            Ok(()) => {
                if let Some(flag) = self.returned_to.get_mut(owner) {
                    *flag = true;
                }
                Ok(())
            }
            Err(rtrb::PushError::Full(frame)) => {
                ledger.moved(frame.number(), Place::Home, Place::Held);
                Err(frame)
            }
        }
    }

    /// Takes own frames back.
    pub(crate) fn take_returned(&mut self, ledger: &Ledger, pool: &mut Vec<Frame>) {
        for ring in &mut self.returned {
            let Ok(frames) = ring.read_chunk(ring.slots()) else { continue };
            for frame in frames {
                ledger.moved(frame.number(), Place::Home, Place::Pool);
                pool.push(frame);
            }
        }
    }

    /// Is a packet to be judged?
    pub(crate) fn has_steered(&self) -> bool {
        self.steered.iter().any(|ring| !ring.is_empty())
    }

    /// Packets that wait to be judged here, and frames that wait to be taken back.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        let steered = self.steered.iter().map(|ring| ring.slots() as u64).sum();
        (steered, self.returned.iter().map(|ring| ring.slots() as u64).sum())
    }

    /// Rings the bells of those for whom something was pushed.
    pub(crate) fn notify(&mut self, shared: &Shared) {
        let flags = self.steered_to.iter_mut().zip(&mut self.returned_to);
        for (bell, (steered, returned)) in shared.bells.iter().zip(flags) {
            if std::mem::take(steered) {
                bell.ring();
            }
            if std::mem::take(returned) {
                bell.ring_home();
            }
        }
    }
}
