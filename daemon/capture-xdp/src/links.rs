//! What the workers of a set share: rings between each two of them, bells, and the state of ending.

use crate::doorbell::Doorbell;
use crate::error::XdpError;
use crate::frames::{Filled, Frame, Ledger, Place};
use portcullis_capture::mesh::{Ending, Ends};
use portcullis_capture::{PacketMeta, Unseen, WorkerId};
use portcullis_wire::Timestamp;
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
    /// Are the sockets on their way out of the gate?
    leaving: AtomicBool,
    pub(crate) ending: Ending,
    /// The last time in which a worker was taken for dead, on the wall clock: since, until.
    unseen: [AtomicU64; 2],
}

impl Shared {
    pub(crate) fn new(workers: usize) -> Result<Arc<Self>, XdpError> {
        let bell = |_| Doorbell::new().map(Arc::new);
        let bells: Result<Vec<_>, _> = (0..workers).map(bell).collect();
        let bells = bells.map_err(|source| XdpError::System { action: "make an eventfd", source })?;
        let more = (0..workers).map(|_| AtomicU64::new(0)).collect();
        let unseen = [AtomicU64::new(0), AtomicU64::new(0)];
        let (leaving, ending) = (AtomicBool::new(false), Ending::new(workers));
        Ok(Arc::new(Self { bells, more, leaving, ending, unseen }))
    }

    /// Tells every worker that its sockets are about to leave the gate.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Tells every worker that nothing will be received any more.
    pub(crate) fn drain(&self) {
        self.ending.begin();
        for bell in &self.bells {
            std::task::Wake::wake_by_ref(bell);
        }
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
}

/// One worker's ends of the rings.
#[derive(Debug)]
pub(crate) struct Links {
    /// Packets, to their flows' owners.
    steer: Ends<Parcel>,
    /// Empty frames, back to whom they belong to.
    home: Ends<Frame>,
}

impl Links {
    /// Connects each worker with each other one.
    pub(crate) fn mesh(workers: usize, frames_per_worker: usize) -> Vec<Self> {
        // There are no more of a worker's frames than this, so rings home are never full.
        let home = Ends::mesh(workers, frames_per_worker);
        let both = Ends::mesh(workers, STEERING).into_iter().zip(home);
        both.map(|(steer, home)| Self { steer, home }).collect()
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
        if !self.steer.has_room(to) || shared.ending.has_ended(to) {
            return Err(parcel);
        }
        // Before the push: afterwards the frame is the other worker's.
        ledger.moved(parcel.filled.number(), Place::Held, Place::Steering);
        let given = self.steer.give(to, parcel);
        given.inspect_err(|parcel| ledger.moved(parcel.filled.number(), Place::Steering, Place::Held))
    }

    /// Takes at most `limit` packets that others passed on, some of each.
    pub(crate) fn take_steered(&mut self, limit: usize, ledger: &Ledger, mut each: impl FnMut(Parcel)) {
        self.steer.take(limit, |parcel| {
            ledger.moved(parcel.filled.number(), Place::Steering, Place::Held);
            each(parcel);
        });
    }

    /// Sends an empty frame to the worker that it belongs to; gives it back where that is impossible.
    pub(crate) fn send_home(&mut self, owner: usize, frame: Frame, ledger: &Ledger) -> Result<(), Frame> {
        // A worker that is gone leaves its frames to whoever has them.
        if !self.home.has_room(owner) {
            return Err(frame);
        }
        ledger.moved(frame.number(), Place::Held, Place::Home);
        let given = self.home.give(owner, frame);
        given.inspect_err(|frame| ledger.moved(frame.number(), Place::Home, Place::Held))
    }

    /// Takes own frames back.
    pub(crate) fn take_returned(&mut self, ledger: &Ledger, pool: &mut Vec<Frame>) {
        self.home.take_all(|frame| {
            ledger.moved(frame.number(), Place::Home, Place::Pool);
            pool.push(frame);
        });
    }

    /// Is a packet to be judged?
    pub(crate) fn has_steered(&self) -> bool {
        self.steer.has_waiting()
    }

    /// Packets that wait to be judged here, and frames that wait to be taken back.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        (self.steer.waiting() as u64, self.home.waiting() as u64)
    }

    /// Rings the bells of those for whom something was pushed.
    pub(crate) fn notify(&mut self, shared: &Shared) {
        let given = self.steer.take_given().zip(self.home.take_given());
        for (bell, (steered, returned)) in shared.bells.iter().zip(given) {
            if steered {
                bell.ring();
            }
            if returned {
                bell.ring_home();
            }
        }
    }
}
