//! That a worker lives, told to the XDP program: a heartbeat with every look at the rings, and how many frames were
//! taken. Also what a worker finds that was not looking for a while.

use crate::config::MAX_LANES;
use crate::frames::Place;
use crate::module::XdpModule;
use arrayvec::ArrayVec;
use portcullis_bpf::pulse::{Beat, coarse_now};
use portcullis_bpf::{Hold, Pulses};
use portcullis_capture::Unseen;
use portcullis_wire::Timestamp;
use std::io;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// A worker whose sockets leave the gate still judges and sends what it has, unless it has not looked for so long: other
/// frames pass it because it leaves, and an end that nothing is to be lost in has to cope with a CPU that is wanted elsewhere.
const LEAVING_LIMIT: u64 = 1_000_000_000;

/// One lane's side of it.
#[derive(Debug)]
struct Heart {
    beat: Beat,
    /// Frames taken of those that the program offered, over all workers that the slot had.
    taken: u64,
    /// The time in which nobody saw frames that was noticed last, as it was then: its number, and its frames.
    blindness: (u64, u64),
}

/// The heartbeats of one worker's lanes.
#[derive(Debug, Default)]
pub(crate) struct Hearts {
    /// By lane; empty where nobody watches.
    lanes: Vec<Heart>,
    /// An older heartbeat makes a worker a dead one, in nanoseconds; 0: never.
    limit: u64,
    /// The last heartbeat.
    last: u64,
    /// The end of the last time in which packets may have passed a worker: as it was noticed here, and as it was
    /// told to whoever judges.
    noticed: Timestamp,
    told: Timestamp,
}

impl Hearts {
    /// Heartbeats for the slots of these lanes.
    pub(crate) fn new(pulses: &Pulses, slots: impl Iterator<Item = (u8, u32)>) -> Self {
        let heart = |(port, queue)| {
            let beat = pulses.beat(port, queue)?;
            beat.release();
            let taken = beat.offered();
            let blindness = beat.blindness();
            Some(Heart { beat, taken, blindness })
        };
        let limit = u64::try_from(pulses.limit().as_nanos()).unwrap_or(u64::MAX);
        Self { lanes: slots.filter_map(heart).collect(), limit, ..Self::default() }
    }

    /// Has this thread hold the slots.
    pub(crate) fn hold(&self) -> io::Result<Hold> {
        Pulses::hold(self.lanes.iter().map(|heart| &heart.beat))
    }

    /// A lane's ring gave this many frames; was it empty then? What was offered and is not there was lost.
    pub(crate) fn took(&mut self, lane: usize, count: usize, is_empty: bool) {
        if let Some(heart) = self.lanes.get_mut(lane) {
            heart.taken =
                if is_empty { heart.beat.offered() } else { heart.taken.wrapping_add(count as u64) };
        }
    }

    /// The longest sleep after which the heartbeat is still fresh.
    pub(crate) fn longest_sleep(&self) -> Option<Duration> {
        (self.limit > 0).then(|| Duration::from_nanos(self.limit / 3))
    }

    /// The lanes of which the program has sent frames another way since the last heartbeat, for it took the worker for
    /// dead or the panic switch is on, or was for a moment. What waits on others has not been passed by: one that was
    /// only late has missed nothing.
    fn passed_by(&mut self) -> ArrayVec<usize, MAX_LANES> {
        let mut passed = ArrayVec::new();
        if self.last == 0 {
            return passed;
        }
        for (lane, heart) in self.lanes.iter_mut().enumerate() {
            let (number, frames) = heart.beat.blindness();
            let (known, seen) = heart.blindness;
            if number != known || (frames > 0 && frames != seen) {
                heart.blindness = (number, frames);
                // A worker has at most so many.
                let _ = passed.try_push(lane);
            }
        }
        passed
    }

    /// Was the last heartbeat so long ago that the program would have taken the worker for dead?
    fn is_late(&self, now: u64) -> bool {
        self.is_older(now, self.limit)
    }

    fn is_older(&self, now: u64, limit: u64) -> bool {
        self.limit > 0 && self.last > 0 && now.saturating_sub(self.last) > limit
    }

    fn beat(&mut self, now: u64) {
        self.last = now;
        for heart in &self.lanes {
            heart.beat.store(now, heart.taken);
        }
    }
}

impl XdpModule {
    /// Tells the program that this worker lives. One that was taken for dead first drops what it finds on its rings:
    /// later frames have passed it by, or were dropped, and nothing is forwarded late. One that leaves is passed by, too,
    /// but what it has was there before, and only that order is lost.
    pub(crate) fn beat(&mut self) {
        // In this order: what passed because the sockets leave is seen with the word that they do.
        let mut passed_by = self.hearts.passed_by();
        fence(Ordering::Acquire);
        let leaves = self.shared.is_leaving();
        let now = coarse_now();
        if leaves && !self.hearts.is_older(now, LEAVING_LIMIT.max(self.hearts.limit)) {
            passed_by.clear();
        }
        if !passed_by.is_empty() {
            self.discard_received(&passed_by);
            let until = self.clock;
            let gap = now.saturating_sub(self.hearts.last);
            let since = Timestamp::from_nanos(until.as_nanos().saturating_sub(gap));
            self.shared.note_unseen(Unseen { since, until });
        }
        // Whose other queues' frames those are, and what passed there, is not known here.
        if !passed_by.is_empty() || (!leaves && self.hearts.is_late(now)) {
            self.discard_steered();
        }
        self.hearts.beat(now);
    }

    /// Tells the gate that this worker lives, while it lends nothing yet. To be called every few milliseconds, from when
    /// the module is taken up until it is polled.
    pub fn stay(&mut self) {
        self.tick();
        let now = coarse_now();
        if self.hearts.is_late(now) {
            return self.beat();
        }
        // What passed before the sockets were published did not pass by anything, and the first frames may come just now.
        let _ = self.hearts.passed_by();
        self.hearts.beat(now);
    }

    /// Is there a time in which packets may have passed that whoever judges cannot know of yet? Once for each: then
    /// nothing is lent until the next poll.
    pub(crate) fn must_tell_first(&mut self) -> bool {
        let until = self.shared.unseen().until;
        let is_new = until > self.hearts.noticed;
        self.hearts.noticed = self.hearts.noticed.max(until);
        is_new
    }

    /// The last such time, if it was not asked for yet.
    pub(crate) fn tell_unseen(&mut self) -> Option<Unseen> {
        let time = self.shared.unseen();
        let is_new = time.until > self.hearts.told;
        self.hearts.told = self.hearts.told.max(time.until);
        is_new.then_some(time)
    }

    /// Puts every frame that these lanes have received back into the pool. Bounded by the rings: while the worker counts as
    /// dead, nothing is added to them.
    fn discard_received(&mut self, which: &[usize]) {
        let Self { lanes, arena, pool, stats, hearts, .. } = self;
        for (index, lane) in lanes.iter_mut().enumerate().filter(|(index, _)| which.contains(index)) {
            let mut left = lane.ring_size();
            while left > 0 {
                let taken = lane.receive(arena, portcullis_capture::BURST, |packet, _| {
                    arena.chains().each(packet, |frame| {
                        arena.ledger.moved(frame.number(), Place::Held, Place::Pool);
                        pool.push(frame.empty());
                    });
                    stats.late_drops += 1;
                });
                if taken.is_empty {
                    hearts.took(index, 0, true);
                    break;
                }
                left = left.saturating_sub(u32::try_from(portcullis_capture::BURST).unwrap_or(u32::MAX));
            }
        }
    }
}
