//! The state of every worker but the first: it judges what the reader steers to it.

use super::Ending;
use super::bell::{Bell, Farewell, Sleeper};
use super::parcel::{Cargo, Fate, Lane, Parcel};
use super::round::{Batch, Forge, lend};
use crate::burst::{BURST, Burst, Judgement};
use crate::module::{CaptureStats, Poll, Wake};
use portcullis_wire::Timestamp;
use rtrb::Consumer;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

/// Receives from its ring alone, and returns every parcel by the other one.
#[derive(Debug)]
pub(super) struct Follower {
    inbound: Consumer<Box<Parcel>>,
    home: Lane,
    reader: Arc<Bell>,
    /// Forged frames go before others, and never wait for a stocked forge: they may be what it
    /// waits for.
    forged: VecDeque<Box<Parcel>>,
    received: VecDeque<Box<Parcel>>,
    batch: Batch,
    pub(super) forge: Forge,
    pub(super) sleeper: Sleeper,
    pub(super) clock: Timestamp,
    pub(super) stats: CaptureStats,
    ending: Arc<Ending>,
    ended: bool,
    /// Last: see [`Farewell`].
    _farewell: Farewell,
}

/// What connects a follower to the reader.
pub(super) struct Links {
    pub(super) inbound: Consumer<Box<Parcel>>,
    pub(super) home: Lane,
    pub(super) reader: Arc<Bell>,
    pub(super) ending: Arc<Ending>,
}

impl Follower {
    /// A follower that at most `parcels` can reach at a time.
    pub(super) fn new(links: Links, forge: Forge, sleeper: Sleeper, parcels: usize) -> Self {
        let Links { inbound, home, reader, ending } = links;
        Self {
            inbound,
            home,
            forged: VecDeque::with_capacity(parcels),
            received: VecDeque::with_capacity(parcels),
            batch: Batch::new(),
            forge,
            sleeper,
            clock: Timestamp::ZERO,
            stats: CaptureStats::default(),
            ending,
            ended: false,
            _farewell: Farewell(vec![Arc::clone(&reader)]),
            reader,
        }
    }

    pub(super) fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Poll {
        if self.ended {
            return Poll::End;
        }
        let last = self.nothing_follows();
        self.receive();
        self.gather(last);
        if self.batch.is_empty() {
            self.send_home();
            return self.idle(last);
        }
        let count = self.batch.len();
        let judgements = lend(&mut self.batch, &mut self.forge.outbox, inspect);
        // Forged frames first: the reader then knows of them before it can think that all is home.
        let home = &mut self.home;
        self.forge.take_up(self.clock, &mut self.stats, |parcel| home.stage(parcel));
        self.carry_out(&judgements);
        self.send_home();
        Poll::Received(count)
    }

    pub(super) fn wait(&mut self, until: Timestamp) -> Wake {
        let Self { inbound, home, forged, received, forge, ending, ended, .. } = self;
        self.sleeper.wait(self.clock, until, |_| {
            *ended
                || !forged.is_empty()
                || (!received.is_empty() && forge.is_stocked())
                || !home.is_clear()
                || !inbound.is_empty()
                || inbound.is_abandoned()
                || ending.has_come()
        })
    }

    pub(super) fn waker(&self) -> Waker {
        self.sleeper.waker()
    }

    /// Will nothing be added to the ring any more?
    fn nothing_follows(&self) -> bool {
        self.ending.has_come() || self.inbound.is_abandoned()
    }

    /// Takes everything out of the ring, so that the reader never waits for room in it while this
    /// worker waits for the reader.
    fn receive(&mut self) {
        let Ok(chunk) = self.inbound.read_chunk(self.inbound.slots()) else { return };
        for parcel in chunk {
            match (parcel.fate, parcel.cargo) {
                (Fate::Spent, _) => self.forge.take_back(parcel),
                (_, Cargo::Forged { .. }) => self.forged.push_back(parcel),
                (_, Cargo::Read { .. }) => self.received.push_back(parcel),
            }
        }
    }

    /// Fills the batch. The `last` frames do not wait for parcels, which nobody returns any more.
    fn gather(&mut self, last: bool) {
        while self.batch.len() < BURST {
            let next = match self.forged.pop_front() {
                None if last || self.forge.is_stocked() => self.received.pop_front(),
                forged => forged,
            };
            let Some(parcel) = next else { return };
            self.stats.steered_in += 1;
            self.clock = self.clock.max(parcel.frame.meta.clock);
            self.batch.push(parcel);
        }
    }

    fn carry_out(&mut self, judgements: &[Judgement]) {
        for (mut parcel, judgement) in self.batch.drain(..).zip(judgements) {
            // What was steered here must not be steered again.
            let leaves = self.stats.count_final(judgement.verdict);
            parcel.fate = if leaves { Fate::Accepted } else { Fate::Dropped };
            self.home.stage(parcel);
        }
    }

    fn send_home(&mut self) {
        if self.home.send() {
            self.reader.ring();
        }
    }

    fn idle(&mut self, last: bool) -> Poll {
        let is_done = self.forged.is_empty() && self.received.is_empty();
        let is_home = self.home.is_clear() || self.inbound.is_abandoned();
        if !(last && is_done && is_home) {
            return Poll::Empty;
        }
        self.ended = true;
        self.clock = self.clock.max(self.ending.time());
        Poll::End
    }
}
