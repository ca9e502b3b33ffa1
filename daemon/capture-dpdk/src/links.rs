//! What the workers of a set share: rings between each two of them, bells, and the state of ending.

use crate::sys::Mbuf;
use crossbeam::sync::Unparker;
use portcullis_capture::mesh::{Ending, Ends};
use portcullis_capture::{PacketMeta, WorkerId};
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
    pub(crate) ending: Ending,
}

impl Shared {
    pub(crate) fn new(bells: Vec<Arc<Bell>>) -> Arc<Self> {
        Arc::new(Self { ending: Ending::new(bells.len()), bells })
    }

    /// Tells every worker to end.
    pub(crate) fn drain(&self) {
        self.ending.begin();
        for bell in &self.bells {
            task::Wake::wake_by_ref(bell);
        }
    }
}

/// One worker's ends of the rings.
#[derive(Debug)]
pub(crate) struct Links(Ends<Parcel>);

impl Links {
    /// Connects each worker with each other one.
    pub(crate) fn mesh(workers: usize) -> Vec<Self> {
        Ends::mesh(workers, STEERING).into_iter().map(Self).collect()
    }

    /// Passes a packet on to the worker that owns its flow; gives it back where there is no room or no such worker.
    pub(crate) fn steer(&mut self, to: WorkerId, parcel: Parcel, shared: &Shared) -> Result<(), Parcel> {
        let to = usize::from(to.0);
        if shared.ending.has_ended(to) { Err(parcel) } else { self.0.give(to, parcel) }
    }

    /// Takes at most `limit` packets that others passed on, some of each.
    pub(crate) fn take_steered(&mut self, limit: usize, each: impl FnMut(Parcel)) {
        self.0.take(limit, each);
    }

    /// Rings the bells of those for whom something was pushed.
    pub(crate) fn notify(&mut self, shared: &Shared) {
        let given = shared.bells.iter().zip(self.0.take_given());
        given.filter(|(_, given)| *given).for_each(|(bell, _)| bell.ring());
    }
}
