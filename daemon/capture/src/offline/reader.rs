//! The first worker's state: it reads, judges what is its own, passes the rest on, and carries
//! everything out.

use super::Ending;
use super::bell::{Farewell, Sleeper};
use super::parcel::{Cargo, Fate, Parcel, Settled, Window};
use super::peer::Peer;
use super::round::{Batch, Forge, RESERVE, lend};
use crate::burst::{BURST, Burst, Judgement, PacketState};
use crate::frame::{FrameSink, FrameSource, Read};
use crate::module::{CaptureStats, Poll, Wake};
use crate::outbox::Origin;
use crate::verdict::{Verdict, WorkerId};
use portcullis_wire::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;

/// Owns source, sink, pool and window.
#[derive(Debug)]
pub(super) struct Reader<S: FrameSource, K> {
    source: S,
    sink: Option<K>,
    /// Nothing will be read any more.
    source_ended: bool,
    /// Nothing can be read until the source rings.
    source_starved: bool,
    /// Why reading ended, told when everything before it has been carried out.
    failure: Option<S::Error>,
    #[expect(clippy::vec_box, reason = "parcels travel as boxes, which are made once")]
    pool: Vec<Box<Parcel>>,
    window: Window,
    batch: Batch,
    /// Forged frames on their way to being received again.
    reentries: VecDeque<Box<Parcel>>,
    /// The followers: worker `n` is at `n - 1`.
    peers: Vec<Peer>,
    pub(super) forge: Forge,
    pub(super) sleeper: Sleeper,
    pub(super) clock: Timestamp,
    pub(super) stats: CaptureStats,
    ending: Arc<Ending>,
    ended: bool,
    /// Last: see [`Farewell`].
    _farewell: Farewell,
}

impl<S: FrameSource, K: FrameSink<Error = S::Error>> Reader<S, K> {
    /// A reader with `frames` pooled frames.
    pub(super) fn new(
        mut source: S,
        sink: Option<K>,
        frames: usize,
        peers: Vec<Peer>,
        sleeper: Sleeper,
        ending: Arc<Ending>,
    ) -> Self {
        source.attach(sleeper.source_waker());
        let forge = Forge::new(0, source.link(), sink.is_none());
        let reentries = VecDeque::with_capacity((peers.len() + 1) * RESERVE);
        let farewell = Farewell(peers.iter().map(|peer| Arc::clone(&peer.bell)).collect());
        Self {
            source,
            sink,
            source_ended: false,
            source_starved: false,
            failure: None,
            pool: (0..frames).map(|_| Parcel::boxed(Cargo::Read { sequence: 0 })).collect(),
            window: Window::new(frames),
            batch: Batch::new(),
            reentries,
            peers,
            forge,
            sleeper,
            clock: Timestamp::ZERO,
            stats: CaptureStats::default(),
            ending,
            ended: false,
            _farewell: farewell,
        }
    }

    pub(super) fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, S::Error> {
        if self.ended {
            return Ok(Poll::End);
        }
        let result = self.round(inspect);
        if matches!(result, Ok(Poll::End) | Err(_)) {
            self.end();
        }
        result
    }

    pub(super) fn wait(&mut self, until: Timestamp) -> Wake {
        let Self { sleeper, source_starved, peers, .. } = self;
        let can_judge = self.ended
            || !self.reentries.is_empty()
            || (self.source_ended && self.window.is_empty() && peers.iter().all(|peer| peer.away == 0));
        let can_read = !self.source_ended && !self.pool.is_empty() && self.forge.is_stocked();
        sleeper.wait(self.clock, until, |rung| {
            *source_starved &= !rung;
            can_judge || (can_read && !*source_starved) || peers.iter().any(Peer::has_news)
        })
    }

    fn round(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, S::Error> {
        self.collect()?;
        self.settle()?;
        self.gather();
        if self.batch.is_empty() {
            self.send_out();
            return self.idle();
        }
        let count = self.batch.len();
        let judgements = lend(&mut self.batch, &mut self.forge.outbox, inspect);
        self.carry_out(&judgements)?;
        self.settle()?;
        self.take_up_forged()?;
        self.send_out();
        Ok(Poll::Received(count))
    }

    /// Takes in what came home, and gives up what will not.
    fn collect(&mut self) -> Result<(), S::Error> {
        for at in 0..self.peers.len() {
            let Some(peer) = self.peers.get_mut(at) else { continue };
            // Asked first: whatever the worker sent before it went is then in the ring.
            let is_gone = peer.home.is_abandoned();
            while let Some(parcel) = self.peers.get_mut(at).and_then(Peer::take) {
                self.come_home(parcel)?;
            }
            if is_gone {
                self.give_up(at);
            }
        }
        Ok(())
    }

    fn come_home(&mut self, parcel: Box<Parcel>) -> Result<(), S::Error> {
        match (parcel.cargo, parcel.fate) {
            (Cargo::Read { sequence }, _) => self.window.come_home(sequence, parcel),
            (Cargo::Forged { origin: Origin::Hook, .. }, Fate::Unjudged) => self.reentries.push_back(parcel),
            (Cargo::Forged { origin: Origin::Engine, .. }, Fate::Unjudged) => self.send(parcel, true)?,
            (Cargo::Forged { .. }, fate) => self.send(parcel, fate == Fate::Accepted)?,
        }
        Ok(())
    }

    /// The worker behind `peers[at]` is gone, its thread died: what it had is lost, and replaced,
    /// so that the others go on.
    fn give_up(&mut self, at: usize) {
        let Some(lost) = self.peers.get_mut(at).and_then(Peer::give_up) else { return };
        self.stats.errors += lost.parcels as u64;
        self.window.lose(at + 1);
        for (owner, count) in lost.forged_by_reserve.into_iter().enumerate() {
            let peer = owner.checked_sub(1).and_then(|owner| self.peers.get_mut(owner));
            let Some(peer) = peer else {
                self.forge.replenish(count);
                continue;
            };
            let cargo = Cargo::Forged { reserve: owner, origin: Origin::Engine };
            (0..count).for_each(|_| peer.give_back(Parcel::boxed(cargo)));
        }
    }

    /// Hands judged frames to the sink, as far as everything read before them has been judged.
    fn settle(&mut self) -> Result<(), S::Error> {
        while let Some(settled) = self.window.settle() {
            match settled {
                Settled::Judged(parcel) => {
                    let written = match &mut self.sink {
                        Some(sink) if parcel.fate == Fate::Accepted => sink.write(&parcel.frame),
                        _ => Ok(()),
                    };
                    self.pool.push(parcel);
                    written?;
                }
                Settled::Lost => self.pool.push(Parcel::boxed(Cargo::Read { sequence: 0 })),
            }
        }
        Ok(())
    }

    /// Fills the batch: forged frames first, then new ones.
    fn gather(&mut self) {
        while self.batch.len() < BURST
            && let Some(mut parcel) = self.reentries.pop_front()
        {
            parcel.frame.meta.clock = self.clock;
            self.stats.reentered += 1;
            self.batch.push(parcel);
        }
        while self.batch.len() < BURST && !self.source_ended && self.forge.is_stocked() {
            let Some(mut parcel) = self.pool.pop() else { return };
            parcel.fate = Fate::Unjudged;
            match self.source.read(&mut parcel.frame) {
                Ok(Read::Frame) => {
                    self.receive(&mut parcel);
                    self.batch.push(parcel);
                    continue;
                }
                Ok(Read::Nothing) => self.source_starved = true,
                Ok(Read::End) => self.source_ended = true,
                Err(failure) => {
                    self.source_ended = true;
                    self.failure = Some(failure);
                }
            }
            self.pool.push(parcel);
            return;
        }
    }

    fn receive(&mut self, parcel: &mut Parcel) {
        let meta = &mut parcel.frame.meta;
        self.clock = self.clock.max(meta.timestamp);
        meta.clock = self.clock;
        meta.steered = false;
        meta.state = PacketState::Normal;
        self.stats.received += 1;
        self.stats.received_bytes += parcel.frame.bytes.len() as u64;
    }

    fn carry_out(&mut self, judgements: &[Judgement]) -> Result<(), S::Error> {
        let mut batch = std::mem::take(&mut self.batch);
        for (mut parcel, judgement) in batch.drain(..).zip(judgements) {
            parcel.fate = match judgement.verdict {
                Verdict::Steer(owner) => match self.steer(parcel, owner) {
                    None => continue,
                    Some(refused) => {
                        parcel = refused;
                        self.stats.errors += 1;
                        self.stats.dropped += 1;
                        Fate::Dropped
                    }
                },
                Verdict::Accept => {
                    self.stats.accepted += 1;
                    Fate::Accepted
                }
                Verdict::Drop(_) => {
                    self.stats.dropped += 1;
                    Fate::Dropped
                }
            };
            match parcel.cargo {
                Cargo::Read { .. } => self.window.add_judged(parcel),
                Cargo::Forged { .. } => {
                    let leaves = parcel.fate == Fate::Accepted;
                    self.send(parcel, leaves)?;
                }
            }
        }
        Ok(())
    }

    /// Passes a frame on to its owner; back comes one that has none: no such worker, this one
    /// itself, or one that is gone.
    fn steer(&mut self, mut parcel: Box<Parcel>, owner: WorkerId) -> Option<Box<Parcel>> {
        let owner = usize::from(owner.0);
        let Some(peer) = owner.checked_sub(1).and_then(|at| self.peers.get_mut(at)) else {
            return Some(parcel);
        };
        if peer.is_gone() {
            return Some(parcel);
        }
        if let Cargo::Read { sequence } = &mut parcel.cargo {
            *sequence = self.window.next();
            self.window.add_away(owner);
        }
        parcel.frame.meta.steered = true;
        self.stats.steered_out += 1;
        peer.pass_on(parcel);
        None
    }

    /// Ends a forged frame's way: out if it `leaves`, and its parcel back to where it belongs.
    fn send(&mut self, mut parcel: Box<Parcel>, leaves: bool) -> Result<(), S::Error> {
        let written = match &mut self.sink {
            Some(sink) if leaves => sink.write(&parcel.frame),
            _ => Ok(()),
        };
        parcel.fate = Fate::Spent;
        let Cargo::Forged { reserve, .. } = parcel.cargo else { return written };
        match reserve.checked_sub(1).and_then(|at| self.peers.get_mut(at)) {
            Some(peer) => peer.give_back(parcel),
            None => self.forge.take_back(parcel),
        }
        written
    }

    fn take_up_forged(&mut self) -> Result<(), S::Error> {
        let Self { forge, reentries, stats, clock, .. } = self;
        forge.take_up(*clock, stats, |parcel| reentries.push_back(parcel));
        // The engine's own are not judged again: they leave now.
        for _ in 0..self.reentries.len() {
            let Some(parcel) = self.reentries.pop_front() else { break };
            match parcel.cargo {
                Cargo::Forged { origin: Origin::Engine, .. } => self.send(parcel, true)?,
                _ => self.reentries.push_back(parcel),
            }
        }
        Ok(())
    }

    fn send_out(&mut self) {
        self.peers.iter_mut().for_each(Peer::send);
    }

    fn idle(&mut self) -> Result<Poll, S::Error> {
        // A follower sends what it forged home before the frames it forged it for.
        let is_home = self.window.is_empty() && self.peers.iter().all(|peer| peer.away == 0);
        if !(self.source_ended && is_home && self.reentries.is_empty()) {
            return Ok(Poll::Empty);
        }
        let flushed = self.sink.as_mut().map_or(Ok(()), FrameSink::flush);
        // What was wrong first is told first.
        self.failure.take().map_or(flushed, Err).map(|()| Poll::End)
    }

    fn end(&mut self) {
        self.ended = true;
        self.ending.come(self.clock);
        self.peers.iter().for_each(|peer| peer.bell.ring());
    }
}
