//! What happens to a fragment.

use crate::assemble::{assemble, counted_header, is_too_large, keep_header};
use crate::blocks::{BLOCK, Blocks, NONE, UNIT};
use crate::insertion::{Datagram, DefragEvent, Insertion, Outcome, Refusal, Ticket};
use crate::key::{DatagramKey, KeyScope};
use crate::policy::OverlapPolicy;
use crate::settings::{DefragSettings, SetupError};
use crate::stats::DefragStats;
use crate::store::{self, Overlap};
use crate::table::Table;
use crate::tracker::{State, Tracker, extent};
use portcullis_wire::decoded::Fragment;
use portcullis_wire::{Decoded, NetworkMap, Timestamp};
use std::time::Duration;

/// A buffer of so many bytes holds any datagram with its link header.
pub const MAX_DATAGRAM: usize = 65_535 + BLOCK;

/// The blocks that a datagram of 64 KiB takes, with directory and header.
const MOST_BLOCKS: usize = 128 + 2;

/// Puts the fragments of one worker together.
#[derive(Debug)]
pub struct Defragmenter {
    pub(crate) table: Table,
    pub(crate) blocks: Blocks,
    pub(crate) stats: DefragStats,
    scope: KeyScope,
    pub(crate) inline: bool,
    timeout: Duration,
    timeouts: NetworkMap<Duration>,
    policies: NetworkMap<OverlapPolicy>,
    /// Fragments that may be kept, and that are.
    pub(crate) max_fragments: u32,
    pub(crate) fragments: u32,
    /// Bytes that are taken whatever comes.
    pub(crate) fixed: usize,
    cursor: u32,
}

/// A fragment that is worth looking at.
struct Part<'p> {
    decoded: &'p Decoded,
    frame: &'p [u8],
    fragment: Fragment,
    /// Where its data ends in the datagram.
    end: u32,
    data: &'p [u8],
    now: Timestamp,
}

impl Defragmenter {
    /// Takes the worker's share of the memory; nothing is taken later.
    ///
    /// # Errors
    /// The share is too small for a single datagram, or nothing is allowed at all: see
    /// [`SetupError`].
    pub fn new(settings: &DefragSettings, workers: u8, seed: u64) -> Result<Self, SetupError> {
        if settings.trackers == 0 || settings.max_frags == 0 {
            return Err(SetupError::Nothing);
        }
        let workers = u64::from(workers.max(1));
        let share = settings.memcap / workers;
        let with_origins = !settings.inline;
        let block = Blocks::cost(with_origins);
        // The table has at most half of it; what is left holds the largest datagram.
        let least = u64::try_from(2 * (MOST_BLOCKS * block + Table::cost(1))).unwrap_or(u64::MAX);
        if share < least {
            return Err(SetupError::Memcap { share, least });
        }
        let share = usize::try_from(share).unwrap_or(usize::MAX);
        let at_most = |count: usize| u32::try_from(count).unwrap_or(NONE - 1).min(NONE - 1);
        let of_each = |all: u32| at_most(usize::try_from(u64::from(all) / workers).unwrap_or(1)).max(1);
        let trackers = of_each(settings.trackers).min(at_most(share / 2 / Table::cost(1)));
        let fixed = Table::cost(trackers);
        let blocks = at_most((share - fixed) / block);
        Ok(Self {
            table: Table::new(trackers, seed),
            blocks: Blocks::new(blocks, with_origins, settings.prealloc),
            stats: DefragStats { memuse: fixed as u64, ..DefragStats::default() },
            scope: KeyScope { vlan: settings.track_vlan, inline_set: settings.track_inline_set },
            inline: settings.inline,
            timeout: settings.timeout,
            timeouts: settings.timeouts.clone(),
            policies: settings.policies.clone(),
            max_fragments: of_each(settings.max_frags),
            fragments: 0,
            fixed,
            cursor: 0,
        })
    }

    /// Takes in the fragment that `frame` is, which came in on `inline_set` at `now` (the time never
    /// goes back). `decoded` must be what the decoder made of `frame`; anything but a fragment is
    /// refused as malformed. An atomic fragment (RFC 6946) is none: it is a whole packet, and no other
    /// fragment touches it.
    pub fn insert(&mut self, decoded: &Decoded, frame: &[u8], inline_set: u8, now: Timestamp) -> Insertion {
        let counter = match decoded.ip_version {
            6 => &mut self.stats.ipv6_fragments,
            _ => &mut self.stats.ipv4_fragments,
        };
        *counter += 1;
        let part = match self.part(decoded, frame, now) {
            Ok(part) => part,
            Err(event) => {
                self.stats.malformed += 1;
                return Insertion { outcome: Outcome::Refused(Refusal::Malformed), event };
            }
        };
        let key = DatagramKey::of(decoded, part.fragment, inline_set, self.scope);
        let known = self.table.find(&key).filter(|place| !self.expire(*place, now));
        match known.or_else(|| self.open(key, decoded, now)) {
            Some(place) => self.add(place, &part),
            None => {
                self.stats.max_trackers_reached += 1;
                Insertion::exhausted(Refusal::Trackers)
            }
        }
    }

    /// Puts the datagram together that a [`Complete`](Outcome::Complete) fragment completes; a buffer of
    /// [`MAX_DATAGRAM`] bytes always suffices. `None` where the buffer is too small or the ticket is of
    /// no whole datagram.
    #[must_use]
    pub fn assemble<'b>(&self, ticket: &Ticket, buffer: &'b mut [u8]) -> Option<Datagram<'b>> {
        let tracker = self.of_ticket(ticket).filter(|tracker| tracker.is_complete())?;
        let (length, ip_start) = assemble(tracker, &self.blocks, buffer)?;
        Some(Datagram { frame: buffer.get_mut(..length)?, ip_start })
    }

    /// Tells whether the fragment of this ticket went out. Inline, of a datagram that misses a fragment
    /// nothing more goes out. Where nothing can be dropped, every fragment went out.
    pub fn conclude(&mut self, ticket: Ticket, went_out: bool) {
        let Some(tracker) = self.of_ticket(&ticket) else { return };
        let is_complete = tracker.is_complete();
        match (self.inline, went_out) {
            (true, false) => self.condemn(ticket.place),
            (true, true) if is_complete => self.finish(ticket.place),
            _ if is_complete => self.release(ticket.place),
            _ => {}
        }
    }

    /// Looks at `budget` trackers, the next ones in turn, and forgets those whose time is over at `now`.
    pub fn sweep(&mut self, now: Timestamp, budget: usize) {
        // Most traffic is never in fragments: the trackers then stay out of the caches.
        if self.table.is_empty() {
            return;
        }
        for _ in 0..budget.min(self.table.len()) {
            let place = self.cursor;
            self.cursor = if place as usize + 1 < self.table.len() { place + 1 } else { 0 };
            let Some(tracker) = self.table.get(place) else { continue };
            if tracker.state != State::Free && tracker.is_over(now) {
                self.stats.mgr_tracker_timeout += u64::from(tracker.state == State::Open);
                self.release(place);
            }
        }
    }

    /// What was counted so far, and the memory in use.
    #[must_use]
    pub fn stats(&self) -> DefragStats {
        let used = self.blocks.used() * Blocks::cost(!self.inline);
        DefragStats { memuse: (self.fixed + used) as u64, ..self.stats }
    }

    /// What can be said about the fragment by itself.
    fn part<'p>(
        &self,
        decoded: &'p Decoded,
        frame: &'p [u8],
        now: Timestamp,
    ) -> Result<Part<'p>, Option<DefragEvent>> {
        let fragment = decoded.fragment.ok_or(None)?;
        let mut data = decoded.ip_payload.of(frame);
        // No host takes in a packet with a wrong header checksum.
        if decoded.bad_checksums.ipv4 || !matches!(decoded.ip_version, 4 | 6) {
            return Err(None);
        }
        if is_too_large(counted_header(decoded) + data.len(), fragment.offset) {
            return Err(Some(DefragEvent::TooLarge));
        }
        if fragment.more && !data.len().is_multiple_of(UNIT) {
            // RFC 8200 section 4.5 has it discarded. Of IPv4 hosts some discard it and some take what is
            // there in whole units: the latter counts where nothing can be dropped.
            if self.inline || decoded.ip_version == 6 {
                return Err(None);
            }
            data = data.get(..data.len() / UNIT * UNIT).unwrap_or(&[]);
        }
        let length = u32::try_from(data.len()).map_err(|_| None)?;
        if length == 0 || !fragment.offset.is_multiple_of(8) {
            return Err(None);
        }
        Ok(Part { decoded, frame, fragment, end: fragment.offset + length, data, now })
    }

    /// A tracker for a datagram that begins with this fragment.
    fn open(&mut self, key: DatagramKey, decoded: &Decoded, now: Timestamp) -> Option<u32> {
        let place = self.table.open(key).or_else(|| {
            self.make_room(now);
            self.table.open(key)
        })?;
        let (version, destination) = (decoded.ip_version, &decoded.destination);
        let tracker = self.table.get_mut(place)?;
        tracker.timeout = self.timeouts.of(version, destination).copied().unwrap_or(self.timeout);
        tracker.policy = self.policies.of(version, destination).copied().unwrap_or_default();
        (tracker.ttl, tracker.tos) = (decoded.ttl, decoded.tos);
        tracker.deadline = now.after(tracker.timeout);
        Some(place)
    }

    fn add(&mut self, place: u32, part: &Part<'_>) -> Insertion {
        let Some(tracker) = self.table.get_mut(place) else { return Insertion::exhausted(Refusal::Trackers) };
        match tracker.state {
            State::Open => {}
            State::Done if repeats(&self.blocks, tracker, part) => {
                let ticket = Ticket { place, key: tracker.key };
                return Insertion { outcome: Outcome::Duplicate(ticket), event: None };
            }
            State::Free | State::Done | State::Condemned => return self.late(place, part.now),
        }
        let (directory, offset) = (tracker.directory, part.fragment.offset);
        if tracker.contradicts_end(part.end, !part.fragment.more) {
            return self.conflicting(place);
        }
        let overlap = match directory {
            NONE => Overlap::None,
            _ => store::overlap(&self.blocks, directory, offset, part.data),
        };
        let event = (overlap != Overlap::None).then_some(DefragEvent::Overlap);
        match overlap {
            // One that says where the datagram ends says nothing new only if that is known.
            Overlap::Same if self.inline && (part.fragment.more || tracker.end == part.end) => {
                let ticket = Ticket { place, key: tracker.key };
                return Insertion { outcome: Outcome::Duplicate(ticket), event };
            }
            Overlap::Same | Overlap::Other if self.inline => return self.conflicting(place),
            _ => {}
        }
        let header = usize::from(offset == 0 && tracker.header == NONE);
        let needed = header + store::needed(&self.blocks, directory, offset, part.data);
        if let Err(refusal) = self.admit(place, needed, part.now) {
            return Insertion::exhausted(refusal);
        }
        let outcome = self.take_in(place, part);
        let too_large = outcome == Outcome::Refused(Refusal::Malformed);
        Insertion { outcome, event: if too_large { Some(DefragEvent::TooLarge) } else { event } }
    }

    /// Writes a fragment for which there is room.
    fn take_in(&mut self, place: u32, part: &Part<'_>) -> Outcome {
        let (blocks, offset) = (&mut self.blocks, part.fragment.offset);
        let Some(tracker) = self.table.get_mut(place) else { return Outcome::Refused(Refusal::Memory) };
        if tracker.directory == NONE {
            tracker.directory = blocks.take_directory().unwrap_or(NONE);
        }
        let covered = extent(offset, part.end);
        let written = store::write(blocks, tracker.directory, (offset, part.data), covered, tracker.policy);
        if written.holds_start {
            if tracker.header == NONE {
                tracker.header = blocks.take().unwrap_or(NONE);
            }
            keep_header(blocks, tracker.header, tracker, part.decoded, part.frame);
        }
        tracker.units += written.added;
        tracker.high = tracker.high.max(part.end);
        if !part.fragment.more {
            tracker.end = part.end;
        }
        tracker.fragments += 1;
        tracker.is_uneven |= part.is_uneven(tracker);
        tracker.deadline = part.now.after(tracker.timeout);
        self.fragments += 1;
        let tracker = *tracker;
        self.table.touch(place);
        let ticket = Ticket { place, key: tracker.key };
        if !tracker.is_complete() {
            return Outcome::Taken(ticket);
        }
        let is_ipv6 = tracker.key.is_ipv6();
        let counted = usize::from(tracker.header_length).saturating_sub(if is_ipv6 { 40 } else { 0 });
        if is_too_large(counted, tracker.end) {
            // The first fragment has more options than the one that was last in the datagram.
            self.stats.malformed += 1;
            if self.inline {
                self.condemn(place)
            } else {
                self.release(place)
            }
            return Outcome::Refused(Refusal::Malformed);
        }
        let counter =
            if is_ipv6 { &mut self.stats.ipv6_reassembled } else { &mut self.stats.ipv4_reassembled };
        *counter += 1;
        Outcome::Complete(ticket)
    }

    /// A fragment of a datagram that was dropped, or is whole without it.
    fn late(&mut self, place: u32, now: Timestamp) -> Insertion {
        self.stats.late += 1;
        if let Some(tracker) = self.table.get_mut(place).filter(|tracker| tracker.state == State::Condemned) {
            tracker.deadline = now.after(tracker.timeout);
        }
        Insertion { outcome: Outcome::Refused(Refusal::Late), event: None }
    }

    /// A fragment that cannot be of the same datagram as those before it.
    fn conflicting(&mut self, place: u32) -> Insertion {
        self.stats.overlaps_refused += 1;
        // RFC 5722: the whole datagram, and what is still to come of it.
        if self.inline && self.table.get(place).is_some_and(|tracker| tracker.key.is_ipv6()) {
            self.condemn(place);
        }
        let event = Some(DefragEvent::Overlap);
        Insertion { outcome: Outcome::Refused(Refusal::Overlap), event }
    }

    fn of_ticket(&self, ticket: &Ticket) -> Option<&Tracker> {
        let tracker = self.table.get(ticket.place)?;
        (tracker.state == State::Open && tracker.key == ticket.key).then_some(tracker)
    }
}

/// Does the fragment say what a whole datagram says already, as far as that is still known?
fn repeats(blocks: &Blocks, tracker: &Tracker, part: &Part<'_>) -> bool {
    tracker.directory != NONE
        && !tracker.contradicts_end(part.end, !part.fragment.more)
        && store::overlap(blocks, tracker.directory, part.fragment.offset, part.data) == Overlap::Same
}

impl Part<'_> {
    /// Does it differ from its datagram's first one in what decides how far it gets?
    fn is_uneven(&self, tracker: &Tracker) -> bool {
        let flags = self.frame.get(self.decoded.ip.start as usize + 6).copied().unwrap_or(0);
        let dont_fragment = self.decoded.ip_version == 4 && flags & 0x40 != 0;
        dont_fragment || tracker.ttl != self.decoded.ttl || tracker.tos != self.decoded.tos
    }
}
