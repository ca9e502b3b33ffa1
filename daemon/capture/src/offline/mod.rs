//! One packet module for every source that owns its frames: capture files, memory.
//!
//! The first state reads. It lends what it read to its worker, and passes what another worker owns
//! ([`Verdict::Steer`](crate::Verdict::Steer)) on through a ring; the other states receive from
//! their rings alone. Judged frames go home by ring, and the first state hands the accepted ones
//! to the sink **in the order they were read**.
//!
//! Bounds: `frames` pooled frames, made at start and reused, are all there are; with none left the
//! reader waits for one to come home, so a slow worker holds it up and nothing is ever dropped. A
//! buffer grows where a frame is larger than it, and stays so; the source bounds how large a frame
//! may be. Forged frames travel in a reserve of their own and leave when they have been judged.
//!
//! The states may be driven from one thread in turn or each from its own: no poll waits for
//! another. A state that is dropped early loses the frames it had, which the reader counts as
//! errors; dropping the reader ends the others.
//!
//! Never here: a clock, a file format, a lock on the packet path.

mod bell;
mod ending;
mod follower;
#[cfg(test)]
mod model;
mod parcel;
mod peer;
mod reader;
mod reasons;
mod round;
#[cfg(test)]
mod tests;

use self::bell::Sleeper;
use self::ending::Ending;
use self::follower::{Follower, Links};
use self::parcel::Lane;
use self::peer::Peer;
use self::reader::Reader;
use self::round::{Forge, RESERVE};
use crate::burst::{BURST, Burst};
use crate::frame::{FrameSink, FrameSource};
use crate::module::{CaptureStats, PacketModule, Poll, Properties, Wake};
use portcullis_wire::{LinkType, Timestamp};
use rtrb::RingBuffer;
use std::sync::Arc;
use std::task::Waker;

/// What threads share is made of these; the model of it has its own.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
}

/// The largest frame a port here is said to send, as Haka does: an Ethernet frame of 1500 bytes.
const MTU: u32 = 1514;

/// Frames pooled for each worker, where there are several.
const FRAMES_PER_WORKER: usize = 512;

/// How many workers, and the bounds between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfflineOptions {
    /// Workers' states, 1 to 256; numbers beyond are taken as the nearest.
    pub workers: usize,
    /// Frames read and not carried out, at most; at least 1.
    pub frames: usize,
    /// Room in the ring to each worker, in frames; at least 1.
    pub ring: usize,
}

impl OfflineOptions {
    /// The usual bounds for so many workers.
    #[must_use]
    pub const fn for_workers(workers: usize) -> Self {
        let frames = if workers > 1 { workers * FRAMES_PER_WORKER } else { BURST };
        Self { workers, frames, ring: frames }
    }
}

/// One worker's state over source `S` and sink `K`.
///
/// Offline time is the largest packet time so far. [`wait`](PacketModule::wait) sleeps for what
/// is between that and `until`, at most.
#[derive(Debug)]
pub struct Offline<S: FrameSource, K> {
    role: Role<S, K>,
    properties: Properties,
}

#[derive(Debug)]
enum Role<S: FrameSource, K> {
    Reader(Box<Reader<S, K>>),
    Follower(Box<Follower>),
}

impl<S: FrameSource, K: FrameSink<Error = S::Error>> Offline<S, K> {
    /// Opens one state for each of `workers`; the first one is the reader. Without a sink the
    /// module is in pass-through: verdicts are counted, and sending is refused.
    #[must_use]
    pub fn open(source: S, sink: Option<K>, workers: usize) -> Vec<Self> {
        Self::open_with(source, sink, OfflineOptions::for_workers(workers))
    }

    /// [`open`](Self::open) with bounds of the caller's choice.
    #[must_use]
    pub fn open_with(source: S, sink: Option<K>, options: OfflineOptions) -> Vec<Self> {
        let workers = options.workers.clamp(1, 256);
        let frames = options.frames.max(1);
        let link = source.link();
        let pass_through = sink.is_none();
        let sleeper = Sleeper::new();
        let ending = Arc::new(Ending::default());
        // Every parcel there is fits in a ring home: a follower never waits for the reader.
        let parcels = frames + workers * RESERVE;
        let mut peers = Vec::new();
        let mut followers = Vec::new();
        for worker in 1..workers {
            let (steer, inbound) = RingBuffer::new(options.ring.max(1));
            let (home, returned) = RingBuffer::new(parcels);
            let forge = Forge::new(worker, link, pass_through);
            let own = Sleeper::new();
            peers.push(Peer::new(Lane::new(steer, parcels), returned, own.bell(), workers));
            let links = Links {
                inbound,
                home: Lane::new(home, parcels),
                reader: sleeper.bell(),
                ending: Arc::clone(&ending),
            };
            followers.push(Role::Follower(Box::new(Follower::new(links, forge, own, parcels))));
        }
        let reader = Role::Reader(Box::new(Reader::new(source, sink, frames, peers, sleeper, ending)));
        let properties = properties(link, pass_through);
        let state = |role| Self { role, properties: properties.clone() };
        std::iter::once(reader).chain(followers).map(state).collect()
    }
}

impl<S: FrameSource, K: FrameSink<Error = S::Error>> PacketModule for Offline<S, K> {
    type Error = S::Error;

    fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, Self::Error> {
        match &mut self.role {
            Role::Reader(reader) => reader.poll(inspect),
            Role::Follower(follower) => Ok(follower.poll(inspect)),
        }
    }

    fn wait(&mut self, until: Timestamp) -> Result<Wake, Self::Error> {
        Ok(match &mut self.role {
            Role::Reader(reader) => reader.wait(until),
            Role::Follower(follower) => follower.wait(until),
        })
    }

    fn waker(&self) -> Waker {
        match &self.role {
            Role::Reader(reader) => reader.sleeper.waker(),
            Role::Follower(follower) => follower.waker(),
        }
    }

    fn properties(&self) -> Properties {
        self.properties.clone()
    }

    fn now(&self) -> Timestamp {
        match &self.role {
            Role::Reader(reader) => reader.clock,
            Role::Follower(follower) => follower.clock,
        }
    }

    fn stats(&self) -> CaptureStats {
        let (stats, forge) = match &self.role {
            Role::Reader(reader) => (reader.stats, &reader.forge),
            Role::Follower(follower) => (follower.stats, &follower.forge),
        };
        CaptureStats { forged_refused: stats.forged_refused + forge.outbox.refused(), ..stats }
    }
}

fn properties(link: LinkType, pass_through: bool) -> Properties {
    Properties { multi_threaded: true, pass_through, is_realtime: false, mtu: vec![MTU; 2], link }
}
