//! Making room: what is over is forgotten, and what may be given up is, in bounded steps.

use crate::blocks::NONE;
use crate::defragmenter::Defragmenter;
use crate::insertion::Refusal;
use crate::tracker::State;
use portcullis_wire::Timestamp;
use std::time::Duration;

/// The oldest trackers that are looked at when there is no room.
const LOOKED_AT: usize = 8;

/// How long an IPv4 datagram that was let through is kept in mind, if nothing about it is odd. Its
/// identification comes again after 65,536 datagrams at the latest, and then it must have been forgotten.
const LINGER: Duration = Duration::from_secs(2);

impl Defragmenter {
    /// May a fragment be taken in that needs so many blocks? If not, its tracker goes where it holds
    /// nothing yet.
    pub(crate) fn admit(&mut self, place: u32, needed: usize, now: Timestamp) -> Result<(), Refusal> {
        let refusal = if self.fragments >= self.max_fragments {
            self.stats.max_frags_reached += 1;
            Refusal::Fragments
        } else if self.blocks.free() >= needed || self.reclaim(place, needed, now) {
            return Ok(());
        } else {
            self.stats.memcap_reached += 1;
            Refusal::Memory
        };
        if self.table.get(place).is_some_and(|tracker| tracker.fragments == 0) {
            self.release(place);
        }
        Err(refusal)
    }

    /// Forgets the tracker if its time is over; `true` when it was.
    pub(crate) fn expire(&mut self, place: u32, now: Timestamp) -> bool {
        let Some(tracker) = self.table.get(place).filter(|tracker| tracker.is_over(now)) else {
            return false;
        };
        self.stats.wrk_tracker_timeout += u64::from(tracker.state == State::Open);
        self.release(place);
        true
    }

    /// Frees one tracker if there is one to be had: of a datagram that is over or finished, and where
    /// nothing can be dropped the oldest. Inline a datagram is not given up while its fragments wait
    /// at the receiver: the next ones would complete it there unseen.
    pub(crate) fn make_room(&mut self, now: Timestamp) {
        let found = self.table.by_age().take(LOOKED_AT).find(|place| {
            let tracker = self.table.get(*place);
            tracker.is_some_and(|tracker| tracker.is_over(now) || tracker.state == State::Done)
        });
        if let Some(place) = found {
            if !self.expire(place, now) {
                self.stats.tracker_soft_reuse += 1;
                self.release(place);
            }
            return;
        }
        let oldest = self.table.by_age().next();
        if let Some(place) = oldest.filter(|_| !self.inline) {
            self.stats.tracker_hard_reuse += 1;
            self.release(place);
        }
    }

    /// Forgets some of the oldest, those whose time is over or whose datagram is finished, but not the one
    /// at `keep`; are so many blocks free then?
    fn reclaim(&mut self, keep: u32, needed: usize, now: Timestamp) -> bool {
        for _ in 0..LOOKED_AT {
            let Some(place) = self.table.by_age().next().filter(|place| *place != keep) else { break };
            if self.expire(place, now) {
                continue;
            }
            if self.table.get(place).is_none_or(|tracker| tracker.state != State::Done) {
                break;
            }
            self.release(place);
        }
        self.blocks.free() >= needed
    }

    /// Gives back what the tracker holds and takes it out of the table.
    pub(crate) fn release(&mut self, place: u32) {
        self.empty(place);
        self.table.close(place);
    }

    /// The datagram was dropped: gives back what the tracker holds, and keeps it in mind until its
    /// deadline.
    pub(crate) fn condemn(&mut self, place: u32) {
        self.empty(place);
        if let Some(tracker) = self.table.get_mut(place) {
            tracker.state = State::Condemned;
        }
    }

    /// The datagram was let through: keeps it for a while, unless its room is needed, so that other
    /// fragments cannot take the place of those that it had.
    pub(crate) fn finish(&mut self, place: u32) {
        let Some(tracker) = self.table.get_mut(place) else { return };
        self.fragments -= std::mem::take(&mut tracker.fragments);
        tracker.state = State::Done;
        if !tracker.key.is_ipv6() && !tracker.is_uneven {
            let spared = tracker.timeout.saturating_sub(LINGER);
            let spared = u64::try_from(spared.as_nanos()).unwrap_or(u64::MAX);
            tracker.deadline = Timestamp::from_nanos(tracker.deadline.as_nanos().saturating_sub(spared));
        }
        self.table.age(place);
    }

    fn empty(&mut self, place: u32) {
        let Some(tracker) = self.table.get_mut(place) else { return };
        self.fragments -= std::mem::take(&mut tracker.fragments);
        let directory = std::mem::replace(&mut tracker.directory, NONE);
        let header = std::mem::replace(&mut tracker.header, NONE);
        if directory != NONE {
            self.blocks.give_back_directory(directory);
        }
        if header != NONE {
            self.blocks.give_back(header);
        }
    }
}
