//! Frames on their way between the workers' states, the rings they travel in, and the window that
//! puts them back in the order they were read.

use crate::burst::PacketMeta;
use crate::frame::Frame;
use crate::outbox::Origin;
use rtrb::Producer;
use std::collections::VecDeque;

/// Bytes that a pooled buffer holds before it has to grow.
const BUFFER: usize = 2048;

/// Where a parcel is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// To be judged.
    Unjudged,
    /// Judged: it leaves.
    Accepted,
    /// Judged: it goes nowhere.
    Dropped,
    /// An empty one on its way back to the reserve it belongs to.
    Spent,
}

/// What a parcel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cargo {
    /// A frame from the source, `sequence` frames after the first.
    Read { sequence: u64 },
    /// A forged frame in a parcel of worker `reserve`'s reserve.
    Forged { reserve: usize, origin: Origin },
}

/// A frame that travels. Boxed once at start and reused.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) frame: Frame,
    pub(super) cargo: Cargo,
    pub(super) fate: Fate,
}

impl Parcel {
    pub(super) fn boxed(cargo: Cargo) -> Box<Self> {
        let frame = Frame { bytes: Vec::with_capacity(BUFFER), meta: PacketMeta::default() };
        Box::new(Self { frame, cargo, fate: Fate::Unjudged })
    }
}

/// The sending end of a ring, with a waiting room: offline a full ring waits, nothing is dropped.
/// The room is bounded by the number of parcels there are.
#[derive(Debug)]
pub(super) struct Lane {
    producer: Producer<Box<Parcel>>,
    staged: VecDeque<Box<Parcel>>,
}

impl Lane {
    /// A lane for at most `parcels` at a time.
    pub(super) fn new(producer: Producer<Box<Parcel>>, parcels: usize) -> Self {
        Self { producer, staged: VecDeque::with_capacity(parcels) }
    }

    pub(super) fn stage(&mut self, parcel: Box<Parcel>) {
        self.staged.push_back(parcel);
    }

    pub(super) fn is_clear(&self) -> bool {
        self.staged.is_empty()
    }

    /// Throws away what waits for room.
    pub(super) fn clear(&mut self) {
        self.staged.clear();
    }

    /// Pushes what the ring has room for, as one chunk; were there any?
    pub(super) fn send(&mut self) -> bool {
        let count = self.producer.slots().min(self.staged.len());
        if count == 0 {
            return false;
        }
        let Ok(chunk) = self.producer.write_chunk_uninit(count) else { return false };
        chunk.fill_from_iter(self.staged.drain(..count)) != 0
    }
}

/// A place in the window.
#[derive(Debug)]
enum Place {
    /// At a worker, to be judged.
    Away(usize),
    /// Judged.
    Home(Box<Parcel>),
    /// Gone with the worker that had it.
    Lost,
}

/// What comes out of the window.
#[derive(Debug)]
pub(super) enum Settled {
    /// A judged frame.
    Judged(Box<Parcel>),
    /// A frame that was lost with its worker.
    Lost,
}

/// Frames read and not yet carried out, in the order they were read; bounded by the pool.
#[derive(Debug)]
pub(super) struct Window {
    places: VecDeque<Place>,
    first: u64,
}

impl Window {
    pub(super) fn new(frames: usize) -> Self {
        Self { places: VecDeque::with_capacity(frames), first: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of the next frame that is added.
    pub(super) fn next(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    /// Adds a frame that has been judged already.
    pub(super) fn add_judged(&mut self, parcel: Box<Parcel>) {
        self.places.push_back(Place::Home(parcel));
    }

    /// Adds a frame that `worker` has.
    pub(super) fn add_away(&mut self, worker: usize) {
        self.places.push_back(Place::Away(worker));
    }

    /// Takes frame `sequence` back, judged.
    pub(super) fn come_home(&mut self, sequence: u64, parcel: Box<Parcel>) {
        let place = sequence.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(place) = place.and_then(|at| self.places.get_mut(at)) {
            *place = Place::Home(parcel);
        }
    }

    /// Gives up every frame that `worker` has.
    pub(super) fn lose(&mut self, worker: usize) {
        for place in &mut self.places {
            if matches!(place, Place::Away(at) if *at == worker) {
                *place = Place::Lost;
            }
        }
    }

    /// Takes the oldest frame out, if it has been judged or lost.
    pub(super) fn settle(&mut self) -> Option<Settled> {
        let settled = match self.places.pop_front()? {
            Place::Home(parcel) => Settled::Judged(parcel),
            Place::Lost => Settled::Lost,
            away @ Place::Away(_) => {
                self.places.push_front(away);
                return None;
            }
        };
        self.first += 1;
        Some(settled)
    }
}
