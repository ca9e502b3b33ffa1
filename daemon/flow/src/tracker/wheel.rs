//! The expiry wheel: 512 slots of 2^30 ns (a little over a second), each a list of the places to look at then. A
//! packet does not touch it; whoever is looked at and not over yet goes to the slot of its new deadline. A
//! deadline beyond the wheel waits in its last slot. So a sweep looks at a flow once for each time it could
//! have ended, or once in nine minutes, whichever is more often.

use super::config::TrackerError;
use super::list::Lists;
use portcullis_wire::Timestamp;

const SLOTS: u64 = 512;
const TICK_BITS: u32 = 30;
/// The list of places without a deadline.
const RESTING: u32 = 512;

#[derive(Debug)]
pub(super) struct Wheel {
    lists: Lists,
    /// The tick whose slot is looked at next; the wheel holds this and the next 511.
    tick: u64,
}

/// One turn of the wheel up to a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    until: u64,
    /// The first place that was looked at in the last slot and belongs there still: the turn ends before it.
    kept: Option<u32>,
}

impl Wheel {
    pub(super) fn new(places: u32) -> Result<Self, TrackerError> {
        Ok(Self { lists: Lists::new(RESTING + 1, places)?, tick: 0 })
    }

    /// Adds the next place, without a deadline.
    pub(super) fn add(&mut self) {
        self.lists.add(RESTING);
    }

    /// The place has a deadline.
    pub(super) fn arm(&mut self, place: u32, deadline: Timestamp) {
        let tick = tick_of(deadline).clamp(self.tick, self.tick + SLOTS - 1);
        self.lists.move_to_back(slot_of(tick), place);
    }

    /// The place has no deadline any more.
    pub(super) fn rest(&mut self, place: u32) {
        self.lists.move_to_front(RESTING, place);
    }

    /// Begins a turn.
    pub(super) fn turn(&mut self, now: Timestamp) -> Turn {
        let until = tick_of(now);
        // Every slot is due then, and which tick it stood for does not matter.
        self.tick = self.tick.max(until.saturating_sub(SLOTS - 1));
        Turn { until: until.max(self.tick), kept: None }
    }

    /// The next place whose deadline may have come. The caller must [`arm`](Self::arm) it again, or let it
    /// [`rest`](Self::rest), and [`kept`](Self::kept) before the next call. `None` ends the turn.
    pub(super) fn due(&mut self, turn: &Turn) -> Option<u32> {
        loop {
            let front = self.lists.front(slot_of(self.tick));
            match front {
                Some(place) if turn.kept != Some(place) => return Some(place),
                _ if self.tick < turn.until => self.tick += 1,
                _ => return None,
            }
        }
    }

    /// Tells a turn that the place was armed again.
    pub(super) fn kept(&self, turn: &mut Turn, place: u32, deadline: Timestamp) {
        if self.tick == turn.until && turn.kept.is_none() && tick_of(deadline) <= self.tick {
            turn.kept = Some(place);
        }
    }
}

const fn tick_of(time: Timestamp) -> u64 {
    time.as_nanos() >> TICK_BITS
}

fn slot_of(tick: u64) -> u32 {
    u32::try_from(tick % SLOTS).unwrap_or(0)
}
