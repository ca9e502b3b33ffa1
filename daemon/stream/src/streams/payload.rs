//! A segment's payload: into its stream, and out again as a window.

use super::{Arrived, Streams};
use crate::arena::StreamHandle;
use crate::events::StreamEvent;
use crate::pages::NoPage;
use crate::peer::{self, Peer};
use crate::reassembly::{Extent, Insert};
use crate::segment::{Fate, Seen, Segment, Window};
use crate::session;
use crate::settings::{Reassembly, StreamSettings, Urgent, UrgentPolicy};
use crate::stats::StreamStats;
use portcullis_flow::{Direction, TcpState};
use portcullis_wire::TargetOs;
use portcullis_wire::decoded::TcpFlags;

impl Streams {
    pub(super) fn take_payload(&mut self, handle: StreamHandle, segment: &Segment<'_>, seen: &mut Seen) {
        let wanted = self.reach.is_some();
        let Self { settings, arena, pages, stats, .. } = self;
        let Some(session) = arena.get_mut(handle) else { return };
        let fast_open = session.has(session::FAST_OPEN);
        let (sender, receiver) = session.sides(segment.direction);
        if !wanted || sender.has(peer::DEPTH) {
            sender.track.follow(pages, sender.next_seq);
            return;
        }
        let seq = segment.tcp.seq.wrapping_add(u32::from(segment.tcp.flags.has(TcpFlags::SYN)));
        let sides = (&mut *sender, receiver.runs());
        if segment.tcp.flags.has(TcpFlags::URG) && !take_urgent(settings, sides, stats, segment, seen) {
            return;
        }
        if segment.faults.payload {
            refused(stats, seen, NoPage::Memcap);
            return;
        }
        let Reassembly { depth, max_regions, .. } = settings.reassembly;
        let policy = (!settings.inline).then_some(receiver.runs());
        let new = Insert { seq, payload: segment.payload, policy, depth, max_regions };
        let inserted = match sender.track.insert(pages, stats, &new) {
            Ok(inserted) => inserted,
            Err(reason) => return refused(stats, seen, reason),
        };
        if inserted.before_base {
            seen.events.insert(StreamEvent::SegmentBeforeBase);
        }
        stats.overlap += u64::from(inserted.overlap);
        if inserted.differs {
            stats.overlap_diff_data += 1;
            if settings.reassembly.check_overlap_different_data {
                seen.events.insert(StreamEvent::OverlapDifferentData);
            }
            seen.conflict = settings.inline;
        }
        if inserted.beyond_depth {
            stats.stream_depth_reached += 1;
            seen.events.insert(StreamEvent::DepthReached);
            sender.set(peer::DEPTH, true);
            seen.bypass = settings.bypass && receiver.has(peer::DEPTH);
        }
        // Data in a SYN is kept, for its receiver may take it. But most do not without fast open, and it will
        // come again then: until that is known, it is by itself.
        let alone = segment.tcp.flags.has(TcpFlags::SYN) && !fast_open;
        seen.added = !inserted.is_empty() && !alone;
        let arrived = Arrived { start: inserted.start, end: inserted.end, fresh: !inserted.overlap };
        self.arrived = seen.added.then_some(arrived);
    }

    pub(super) fn window_inline<'s>(
        &'s mut self,
        session: StreamHandle,
        direction: Direction,
        payload: &'s [u8],
    ) -> Option<Window<'s>> {
        let Arrived { start, end, fresh } = self.arrived?;
        let reach = self.reach_of(direction)?.saturating_sub(1);
        let track = &self.arena.get(session)?.sender(direction).track;
        let extent = track.around(&self.pages, start, end, reach);
        let Extent { from, to, .. } = extent;
        let whole = payload.len() as u64 == end - start && track.urgents.first_in(from, to).is_none();
        if whole && (from, to) == (start, end) {
            return Some(Window { bytes: payload, new_from: 0, offset: start });
        }
        if !(whole && fresh) {
            return self.copy(session, direction, extent);
        }
        // The segment is at hand: it need not be collected from its pages.
        let Self { arena, pages, window, .. } = self;
        let track = &arena.get(session)?.sender(direction).track;
        window.clear();
        track.copy_all(pages, from, start, window);
        let new_from = window.len();
        window.extend_from_slice(payload);
        track.copy_all(pages, end, to, window);
        Some(Window { bytes: window, new_from, offset: from })
    }

    pub(super) fn window_acknowledged(
        &mut self,
        session: StreamHandle,
        direction: Direction,
    ) -> Option<Window<'_>> {
        let limit = self.ready(session, direction)?;
        let extent = self.pending(session, direction, limit)?;
        self.copy(session, direction, extent)
    }

    /// How far a direction may be inspected now, if it is worth it: when a chunk is there, and when no more
    /// will come.
    fn ready(&self, session: StreamHandle, direction: Direction) -> Option<u64> {
        self.reach?;
        let chunk = match direction {
            Direction::ToServer => self.chunks[0],
            Direction::ToClient => self.chunks[1],
        };
        let session = self.arena.get(session)?;
        let sender = session.sender(direction);
        let acknowledged = sender.track.offset(sender.last_ack)?.min(sender.track.highest());
        let waiting = acknowledged.checked_sub(sender.track.inspected()).filter(|waiting| *waiting > 0)?;
        let flush = session.state > TcpState::TimeWait || sender.has(peer::DEPTH);
        (flush || waiting >= chunk).then_some(acknowledged)
    }

    pub(super) fn pending(
        &mut self,
        session: StreamHandle,
        direction: Direction,
        limit: u64,
    ) -> Option<Extent> {
        let reach = self.reach_of(direction)?.saturating_sub(1);
        let Self { arena, pages, stats, .. } = self;
        let sender = arena.get_mut(session)?.sides(direction).0;
        // What nobody acknowledged is not missing, but only not there yet.
        let acknowledged = sender.track.offset(sender.last_ack);
        let due = acknowledged.is_some_and(|acknowledged| acknowledged > sender.track.contiguous());
        let mut gap = false;
        let extent = sender.track.pending(pages, limit, reach, &mut gap);
        if gap && due {
            sender.set(peer::GAP, true);
            stats.reassembly_gap += 1;
        }
        extent
    }
}

/// There was no place for the payload.
fn refused(stats: &mut StreamStats, seen: &mut Seen, reason: NoPage) {
    match reason {
        NoPage::Memcap => {
            stats.segment_memcap_drop += 1;
            seen.events.insert(StreamEvent::InsertMemcap);
            seen.fate = Fate::ReassemblyMemcap;
        }
        NoPage::Limit => {
            stats.insert_data_normal_fail += 1;
            seen.events.insert(StreamEvent::InsertLimit);
            seen.fate = Fate::Invalid;
        }
    }
}

/// Settles what urgent data there is in a segment with URG. `false`: the payload is not to be taken in.
fn take_urgent(
    settings: &StreamSettings,
    (sender, receiver): (&mut Peer, TargetOs),
    stats: &mut StreamStats,
    segment: &Segment<'_>,
    seen: &mut Seen,
) -> bool {
    let Urgent { mut policy, limit_policy } = settings.reassembly.urgent;
    if policy == UrgentPolicy::OutOfBand {
        // The pointer is to the byte after it (RFC 6093 §2.2: what everybody does). One of zero is the first byte
        // to Linux, and nothing to others.
        let is_linux = matches!(receiver, TargetOs::Linux | TargetOs::OldLinux);
        let before = match segment.tcp.urgent {
            0 if settings.inline => {
                policy = limit_policy;
                None
            }
            0 => is_linux.then_some(0),
            pointer => Some(u32::from(pointer) - 1),
        };
        let place = before.map(|before| segment.tcp.seq.wrapping_add(before));
        match place.and_then(|place| sender.track.offset(place)) {
            Some(offset) if !sender.track.urgents.add(offset) => {
                seen.events.insert(StreamEvent::UrgentLimitReached);
                policy = limit_policy;
            }
            Some(_) => stats.urgent_oob_data += 1,
            None => {}
        }
    } else if segment.tcp.urgent == 0 && !settings.inline {
        return true;
    }
    match policy {
        UrgentPolicy::OutOfBand | UrgentPolicy::Inline => true,
        UrgentPolicy::Drop => {
            seen.fate = Fate::Urgent;
            false
        }
        UrgentPolicy::Gap => false,
    }
}
