//! Payload put together: where segments go, who wins where they overlap, and which bytes are to be
//! inspected next. Owns the numbering of a direction's bytes; knows nothing of states.
//!
//! Bytes are numbered from 0, the one after the SYN. What is before `base` is gone. From `run_start` (or
//! `base`, where that is later) to `contiguous` there is no gap.

use crate::pages::{Chain, NoPage, PAGE, Pages};
use crate::seq;
use crate::stats::StreamStats;
use portcullis_wire::TargetOs;
use std::io::Write as _;

mod carry;
mod matches;
mod overlap;
mod urgent;

pub(crate) use carry::Run;
pub use matches::Matches;
pub(crate) use urgent::Urgents;

/// The payload of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Track {
    chain: Chain,
    /// The sequence number of `base`.
    base_seq: u32,
    base: u64,
    run_start: u64,
    contiguous: u64,
    /// All before it was inspected; not inline.
    inspected: u64,
    /// After all that is there.
    highest: u64,
    /// What is not part of the stream.
    pub(crate) urgents: Urgents,
    /// Rules that matched.
    matched: Matches,
}

/// A segment's payload on its way into a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Insert<'p> {
    pub(crate) seq: u32,
    pub(crate) payload: &'p [u8],
    /// Who wins; `None` inline, where what was sent on first does, and no segment borders are kept.
    pub(crate) policy: Option<TargetOs>,
    /// How much of the stream is wanted; 0 for all.
    pub(crate) depth: u64,
    pub(crate) max_regions: u8,
}

/// Where a segment went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// What of the stream it is, as far as that is kept.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Some of it was there already.
    pub(crate) overlap: bool,
    /// And was different.
    pub(crate) differs: bool,
    /// Some of it is beyond the depth.
    pub(crate) beyond_depth: bool,
    /// Some of it is before what is kept.
    pub(crate) before_base: bool,
}

impl Inserted {
    pub(crate) const fn is_empty(&self) -> bool {
        self.end <= self.start
    }
}

/// A part of a stream: `from..to`, of which `new..` was not inspected before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) from: u64,
    pub(crate) new: u64,
    pub(crate) to: u64,
}

impl Track {
    /// The first byte of the stream has this sequence number.
    pub(crate) fn begin(&mut self, seq: u32) {
        self.base_seq = seq;
    }

    pub(crate) const fn islands_max(&self) -> u8 {
        self.chain.islands_max()
    }

    /// Is nothing kept, and nothing missing? Then there is nothing to give back, and nothing to wait for.
    #[inline]
    pub(crate) const fn is_idle(&self) -> bool {
        self.chain.is_empty() && self.contiguous == self.base
    }

    /// After the gapless part that was taken in.
    pub(crate) const fn contiguous(&self) -> u64 {
        self.contiguous
    }

    pub(crate) const fn inspected(&self) -> u64 {
        self.inspected
    }

    pub(crate) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Where in the stream a sequence number is; `None` for what is before all that is kept.
    pub(crate) fn offset(&self, number: u32) -> Option<u64> {
        u64::try_from(seq::distance(self.base_seq, number)).ok().map(|distance| self.base + distance)
    }

    /// The sequence number of an offset at or after `base`.
    pub(crate) fn number(&self, offset: u64) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "a circle of 2^32")]
        let distance = offset.wrapping_sub(self.base) as u32;
        self.base_seq.wrapping_add(distance)
    }

    /// Takes payload in.
    pub(crate) fn insert(
        &mut self,
        pages: &mut Pages,
        stats: &mut StreamStats,
        new: &Insert<'_>,
    ) -> Result<Inserted, NoPage> {
        let mut inserted = Inserted::default();
        let behind = seq::distance(new.seq, self.base_seq).max(0).unsigned_abs() as usize;
        let Some(payload) = new.payload.get(behind..).filter(|payload| !payload.is_empty()) else {
            inserted.before_base = !new.payload.is_empty();
            return Ok(inserted);
        };
        inserted.before_base = behind > 0;
        let start = self.offset(new.seq).unwrap_or(self.base);
        let wanted = if new.depth == 0 { u64::MAX } else { new.depth.saturating_sub(start) };
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(payload.len());
        inserted.beyond_depth = wanted < payload.len();
        let payload = payload.get(..wanted).unwrap_or(&[]);
        (inserted.start, inserted.end) = (start, start + payload.len() as u64);
        if payload.is_empty() {
            return Ok(inserted);
        }
        if !pages.has_room(payload.len() as u64) {
            return Err(NoPage::Memcap);
        }
        let is_next = start == self.highest && start == self.contiguous;
        if is_next && pages.append(&self.chain, start, payload, new.policy.is_some(), stats) {
            (self.highest, self.contiguous) = (inserted.end, inserted.end);
            return Ok(inserted);
        }
        // A segment is in two regions at most. If either cannot be had, nothing is taken in.
        for edge in [start, inserted.end - 1] {
            pages.find_or_make(&mut self.chain, edge, new.max_regions, stats)?;
        }
        let (overlap, differs) = overlap::write(&mut self.chain, pages, stats, start, payload, new.policy);
        (inserted.overlap, inserted.differs) = (overlap, differs);
        self.highest = self.highest.max(inserted.end);
        if start <= self.contiguous && inserted.end > self.contiguous {
            self.contiguous = inserted.end;
            self.extend(pages);
        }
        Ok(inserted)
    }

    /// What a segment inline is to be inspected with: itself, and of what is there without a gap around
    /// it `reach` bytes each way.
    pub(crate) fn around(&self, pages: &Pages, start: u64, end: u64, reach: u64) -> Extent {
        let gapless = self.run_start.max(self.base);
        let from = if (gapless..=self.contiguous).contains(&start) {
            start.saturating_sub(reach).max(gapless)
        } else {
            self.back(pages, start, start.saturating_sub(reach).max(self.base))
        };
        let to = if self.highest == end {
            end
        } else if (gapless..=self.contiguous).contains(&end) {
            (end + reach).min(self.contiguous)
        } else {
            self.forth(pages, end, end + reach)
        };
        Extent { from, new: start, to }
    }

    /// What is to be inspected next where data waits to be acknowledged: as far as `limit`, with `reach`
    /// bytes of what was inspected before it. `gap` is told of what is missing.
    pub(crate) fn pending(
        &mut self,
        pages: &Pages,
        limit: u64,
        reach: u64,
        gap: &mut bool,
    ) -> Option<Extent> {
        if self.inspected >= limit {
            return None;
        }
        if self.inspected >= self.contiguous {
            let next = pages.next_present(&self.chain, self.inspected).filter(|next| *next < limit);
            *gap = true;
            let Some(next) = next else {
                // All the rest was acknowledged and is missing.
                self.pass_over(pages, limit);
                self.inspected = self.inspected.max(limit);
                return None;
            };
            self.inspected = next;
            self.run_start = next;
            self.contiguous = next;
            self.extend(pages);
        }
        let to = self.contiguous.min(limit);
        let new = self.inspected;
        let from = new.saturating_sub(reach).max(self.run_start).max(self.base);
        self.inspected = to;
        Some(Extent { from, new, to })
    }

    /// Goes on at `offset`, before which something is missing that will not be waited for.
    pub(crate) fn pass_over(&mut self, pages: &Pages, offset: u64) {
        if offset > self.contiguous {
            self.run_start = self.back(pages, offset, offset.saturating_sub(PAGE).max(self.base));
            self.contiguous = offset;
            self.highest = self.highest.max(offset);
            self.extend(pages);
        }
    }

    /// Gives back what is more than `keep` bytes before `floor`.
    pub(crate) fn release(&mut self, pages: &mut Pages, floor: u64, keep: u64) {
        let base = floor.saturating_sub(keep) / PAGE * PAGE;
        if base > self.base {
            pages.release_before(&mut self.chain, base);
            self.move_base(base);
        }
    }

    /// Gives back everything, and goes on at this sequence number: nothing of the stream is wanted.
    pub(crate) fn follow(&mut self, pages: &mut Pages, number: u32) {
        if !self.chain.is_empty() {
            pages.release_all(&mut self.chain);
        }
        // A number from before all that is kept, as a session that was taken over may have, is none to go back to.
        let offset = self.offset(number).unwrap_or(self.contiguous);
        self.move_base(offset);
        self.run_start = offset;
        self.contiguous = offset;
        self.inspected = offset;
        self.highest = offset;
    }

    /// Forgets all payload and begins at this number again.
    pub(crate) fn restart(&mut self, pages: &mut Pages, number: u32) {
        pages.release_all(&mut self.chain);
        *self = Self { base_seq: number, ..Self::default() };
    }

    /// The bytes of `from..to`, all of which are there, less what is not part of the stream. Returns how
    /// many of the bytes before `mark` were left out.
    pub(crate) fn copy(&self, pages: &Pages, from: u64, to: u64, mark: u64, into: &mut Vec<u8>) -> u64 {
        let mut left_out = 0;
        let mut at = from;
        while at < to {
            let urgent = self.urgents.first_in(at, to);
            self.copy_all(pages, at, urgent.unwrap_or(to), into);
            let Some(urgent) = urgent else { break };
            left_out += u64::from(urgent < mark);
            at = urgent + 1;
        }
        left_out
    }

    /// Puts what is kept of a segment in the place of what it says.
    pub(crate) fn rewrite(&self, pages: &Pages, number: u32, payload: &mut [u8]) {
        let behind = seq::distance(number, self.base_seq).max(0).unsigned_abs() as usize;
        let mut at = self.offset(number).unwrap_or(self.base);
        let mut rest = payload.get_mut(behind..).unwrap_or(&mut []);
        while !rest.is_empty() {
            let within = at % PAGE;
            let length = usize::try_from(PAGE - within).unwrap_or(0).min(rest.len());
            let (piece, after) = rest.split_at_mut(length);
            if let Some(id) = pages.find(&self.chain, at) {
                let kept = pages.bytes(id);
                for (position, byte) in (within..).zip(piece.iter_mut()) {
                    let place = usize::try_from(position).unwrap_or(usize::MAX);
                    if let Some(kept) = kept.get(place).filter(|_| pages.is_present(id, position)) {
                        *byte = *kept;
                    }
                }
            }
            at += length as u64;
            rest = after;
        }
    }

    /// Remembers that a rule matched in a window that ended at `end`.
    pub(crate) fn note_match(&mut self, rule: u32, end: u64) {
        self.matched.note(rule, end);
    }

    pub(crate) const fn matches(&self) -> Matches {
        self.matched
    }

    /// All that is kept, with a note for what is missing between, at most `limit` bytes.
    pub(crate) fn transcribe(&self, pages: &Pages, limit: usize, into: &mut Vec<u8>) {
        let mut at = self.base;
        while into.len() < limit
            && let Some(next) = pages.next_present(&self.chain, at).filter(|next| *next < self.highest)
        {
            if next > at {
                // A vector takes all that is written to it.
                let _ = write!(into, "[{} bytes missing]", next - at);
            }
            let room = limit.saturating_sub(into.len()) as u64;
            at = self.forth(pages, next, self.highest.min(next + room));
            self.copy(pages, next, at, next, into);
            if room == 0 {
                break;
            }
        }
    }

    fn move_base(&mut self, base: u64) {
        self.base_seq = self.number(base);
        self.base = base;
        self.urgents.forget_before(base);
    }

    /// Moves on over what is there after the gapless part.
    fn extend(&mut self, pages: &Pages) {
        if self.contiguous < self.highest {
            self.contiguous = self.forth(pages, self.contiguous, u64::MAX);
        }
    }

    /// The end of what is there without a gap from `at` on, at most `limit`.
    fn forth(&self, pages: &Pages, at: u64, limit: u64) -> u64 {
        let mut at = at;
        while at < limit {
            let Some(id) = pages.find(&self.chain, at) else { break };
            let run = pages.run(id, at % PAGE);
            at += run;
            if run == 0 || !at.is_multiple_of(PAGE) {
                break;
            }
        }
        at.min(limit)
    }

    /// The begin of what is there without a gap up to `at`, at least `limit`.
    fn back(&self, pages: &Pages, at: u64, limit: u64) -> u64 {
        let mut at = at;
        while at > limit {
            let Some(id) = pages.find(&self.chain, at - 1) else { break };
            let within = (at - 1) % PAGE + 1;
            let run = pages.run_before(id, within);
            at -= run;
            if run < within {
                break;
            }
        }
        at.max(limit)
    }

    /// The bytes of `from..to`, all of which are there.
    pub(crate) fn copy_all(&self, pages: &Pages, from: u64, to: u64, into: &mut Vec<u8>) {
        let mut at = from;
        while at < to {
            let within = at % PAGE;
            let end = (within + (to - at)).min(PAGE);
            let bytes = pages.find(&self.chain, at).map_or(&[][..], |id| pages.bytes(id));
            let range = usize::try_from(within).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
            into.extend_from_slice(bytes.get(range).unwrap_or(&[]));
            at += end - within;
        }
    }
}
