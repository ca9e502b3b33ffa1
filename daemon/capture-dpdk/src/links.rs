//! What the workers of a set share: rings between each two of them, bells, and the state of ending.

use crate::sys::Mbuf;
use crossbeam::sync::Unparker;
use portcullis_capture::{PacketMeta, WorkerId};
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task;

/// Packets that wait on the ring from one worker to another at most.
pub(crate) const STEERING: usize = 1024;

/// A packet in its buffer, and what is known about it.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) mbuf: Mbuf,
    pub(crate) meta: PacketMeta,
}

/// Wakes one worker. Only its waker must not be missed; a worker that sleeps looks at its rings soon anyway.
#[derive(Debug)]
pub(crate) struct Bell {
    unparker: Unparker,
    asleep: AtomicBool,
    woken: AtomicBool,
}

impl Bell {
    pub(crate) fn new(unparker: Unparker) -> Self {
        Self { unparker, asleep: AtomicBool::new(false), woken: AtomicBool::new(false) }
    }

    /// There is a packet for the worker.
    fn ring(&self) {
        if self.asleep.load(Ordering::Relaxed) {
            self.unparker.unpark();
        }
    }

    /// Says whether the worker sleeps.
    pub(crate) fn set_asleep(&self, asleep: bool) {
        self.asleep.store(asleep, Ordering::Relaxed);
    }

    /// Was the waker used since the last time this was asked?
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::AcqRel)
    }
}

impl task::Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.unparker.unpark();
    }
}

/// What all workers of a set share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) bells: Vec<Arc<Bell>>,
    draining: AtomicBool,
    quiet: Vec<AtomicBool>,
    ended: Vec<AtomicBool>,
}

impl Shared {
    pub(crate) fn new(bells: Vec<Arc<Bell>>) -> Arc<Self> {
        let flags = || bells.iter().map(|_| AtomicBool::new(false)).collect();
        Arc::new(Self { draining: AtomicBool::new(false), quiet: flags(), ended: flags(), bells })
    }

    /// Tells every worker to end.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        for bell in &self.bells {
            task::Wake::wake_by_ref(bell);
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
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
    /// Whom something was pushed for since bells were rung last.
    steered_to: Vec<bool>,
}

impl Links {
    /// Connects each worker with each other one.
    pub(crate) fn mesh(workers: usize) -> Vec<Self> {
        let empty = |_| Self { steer: Vec::new(), steered: Vec::new(), steered_to: vec![false; workers] };
        let mut all: Vec<Self> = (0..workers).map(empty).collect();
        for from in 0..workers {
            for to in 0..workers {
                let mut steer = None;
                if from != to {
                    let (producer, consumer) = RingBuffer::new(STEERING);
                    steer = Some(producer);
                    if let Some(target) = all.get_mut(to) {
                        target.steered.push(consumer);
                    }
                }
                if let Some(source) = all.get_mut(from) {
                    source.steer.push(steer);
                }
            }
        }
        all
    }

    /// Passes a packet on to the worker that owns its flow; gives it back where there is no room or no such worker.
    pub(crate) fn steer(&mut self, to: WorkerId, parcel: Parcel, shared: &Shared) -> Result<(), Parcel> {
        let to = usize::from(to.0);
        let Some(Some(ring)) = self.steer.get_mut(to) else { return Err(parcel) };
        if ring.is_abandoned() || shared.has_ended(to) {
            return Err(parcel);
        }
        ring.push(parcel).map_err(|PushError::Full(parcel)| parcel)?;
        if let Some(flag) = self.steered_to.get_mut(to) {
            *flag = true;
        }
        Ok(())
    }

    /// Takes at most `limit` packets that others passed on, some of each.
    pub(crate) fn take_steered(&mut self, limit: usize, mut each: impl FnMut(Parcel)) {
        let mut left = limit;
        for ring in &mut self.steered {
            while left > 0
                && let Ok(parcel) = ring.pop()
            {
                each(parcel);
                left -= 1;
            }
        }
        // The next round starts with another one.
        if self.steered.len() > 1 {
            self.steered.rotate_left(1);
        }
    }

    /// Rings the bells of those for whom something was pushed.
    pub(crate) fn notify(&mut self, shared: &Shared) {
        for (bell, steered) in shared.bells.iter().zip(&mut self.steered_to) {
            if std::mem::take(steered) {
                bell.ring();
            }
        }
    }
}
