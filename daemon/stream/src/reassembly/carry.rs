//! The payload of one direction as bytes, and from them.

use super::{Insert, Track};
use crate::export::{CARRIED_MAX, PAST_MAX, RUNS_MAX, Runs};
use crate::pages::Pages;
use crate::stats::StreamStats;
use portcullis_flow::portable::Reader;
use portcullis_wire::TargetOs;

/// Farther from its base nothing of a direction can be: no window is larger (RFC 7323 §2.3).
const SPAN_MAX: u64 = 1 << 30;

/// Payload without a gap: where it begins, counted from the base, and the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'b> {
    from: u64,
    bytes: &'b [u8],
}

impl Run<'_> {
    const fn end(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }
}

impl Track {
    /// Appends what is still needed of the direction, as [`read`](Self::read) reads it. `rule` gives each rule a
    /// name that lasts.
    pub(crate) fn tell(&self, pages: &Pages, inline: bool, rule: &dyn Fn(u32) -> u64, out: &mut Vec<u8>) {
        let inspected = if inline { self.contiguous } else { self.inspected };
        let base = inspected.saturating_sub(PAST_MAX).max(self.base);
        let mut runs = [(0, 0); RUNS_MAX];
        let (mut count, mut at, mut left) = (0, base, CARRIED_MAX);
        let mut end = self.highest.clamp(base, base + SPAN_MAX - 1);
        while let Some(from) = pages.next_present(&self.chain, at).filter(|from| *from < end) {
            let Some(run) = runs.get_mut(count).filter(|_| left > 0) else {
                end = at;
                break;
            };
            at = self.forth(pages, from, end.min(from + left));
            *run = (from, at);
            left -= at - from;
            count += 1;
        }
        let contiguous = self.contiguous.clamp(base, end);
        out.extend_from_slice(&self.number(base).to_le_bytes());
        for offset in
            [base, self.run_start.clamp(base, contiguous), contiguous, inspected.min(contiguous), end]
        {
            out.extend_from_slice(&offset.to_le_bytes());
        }
        out.push(self.chain.islands_max());
        self.urgents.tell(out);
        self.matched.tell(rule, out);
        out.push(u8::try_from(count).unwrap_or(0));
        for (from, to) in runs.into_iter().take(count) {
            for number in [from - base, to - from] {
                out.extend_from_slice(&u32::try_from(number).unwrap_or(0).to_le_bytes());
            }
            self.copy_all(pages, from, to, out);
        }
    }

    /// Takes a direction from bytes, its payload apart; `None` where they are none.
    pub(crate) fn read<'b>(
        &mut self,
        rule: &dyn Fn(u32) -> u64,
        reader: &mut Reader<'b>,
    ) -> Option<Runs<'b>> {
        let mut read = Self { base_seq: reader.u32()?, ..Self::default() };
        let mut next = || reader.u64();
        (read.base, read.run_start, read.contiguous) = (next()?, next()?, next()?);
        (read.inspected, read.highest) = (next()?, next()?);
        let ascending = [read.base, read.run_start, read.contiguous, read.highest];
        let within = read.base < 1 << 62 && read.highest.checked_sub(read.base)? < SPAN_MAX;
        let inspected = (read.base..=read.contiguous).contains(&read.inspected);
        if !ascending.is_sorted() || !within || !inspected {
            return None;
        }
        read.chain.set_islands_max(reader.u8()?);
        read.urgents.read(reader)?;
        read.matched.read(rule, reader)?;
        let runs = read_runs(reader, read.highest - read.base)?;
        let gapless = (read.run_start - read.base)..(read.contiguous - read.base);
        let covered = runs.iter().any(|run| run.from <= gapless.start && gapless.end <= run.end());
        if !gapless.is_empty() && !covered {
            return None;
        }
        *self = read;
        Some(runs)
    }

    /// Takes in the payload of a direction that was read. `false` where there is no memory for it: then all of
    /// it is missing.
    pub(crate) fn fill(
        &mut self,
        pages: &mut Pages,
        stats: &mut StreamStats,
        inline: bool,
        runs: &Runs<'_>,
    ) -> bool {
        let told = *self;
        (self.run_start, self.contiguous, self.highest) = (self.base, self.base, self.base);
        // Nothing overlaps yet; who wins later is told by where runs begin.
        let policy = (!inline).then_some(TargetOs::First);
        for run in runs {
            let seq = self.number(self.base + run.from);
            let new = Insert { seq, payload: run.bytes, policy, depth: 0, max_regions: 0 };
            if self.insert(pages, stats, &new).is_err() {
                self.follow(pages, told.number(told.contiguous));
                return false;
            }
        }
        (self.run_start, self.contiguous, self.highest) = (told.run_start, told.contiguous, told.highest);
        self.chain.set_islands_max(told.chain.islands_max().max(self.chain.islands_max()));
        true
    }
}

fn read_runs<'b>(reader: &mut Reader<'b>, highest: u64) -> Option<Runs<'b>> {
    let count = usize::from(reader.u8()?);
    let mut runs = Runs::new();
    let mut total = 0;
    for number in 0..count.min(RUNS_MAX + 1) {
        let from = u64::from(reader.u32()?);
        let length = reader.u32()?;
        let bytes = reader.slice(usize::try_from(length).ok()?)?;
        let run = Run { from, bytes };
        total += u64::from(length);
        let after = runs.last().is_none_or(|last: &Run<'_>| last.end() < from);
        if number == RUNS_MAX || length == 0 || !after || run.end() > highest || total > CARRIED_MAX {
            return None;
        }
        runs.push(run);
    }
    Some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wherever what is kept begins: what is said to be there without a gap comes along, or it is no stream.
    #[test]
    fn what_is_said_to_be_there_is_there() {
        let mut pages = Pages::reserve(1 << 20, 4).unwrap();
        let mut stats = StreamStats::default();
        for released in [0, 3000] {
            let mut track = Track::default();
            track.begin(100);
            let payload = [7; 5000];
            let new = Insert { seq: 100, payload: &payload, policy: None, depth: 0, max_regions: 0 };
            let _ = track.insert(&mut pages, &mut stats, &new);
            track.release(&mut pages, released, 0);
            let mut told = Vec::new();
            track.tell(&pages, true, &u64::from, &mut told);
            let kept = usize::try_from(track.contiguous() - track.base).unwrap();
            let read = |told: &[u8]| {
                Track::default().read(&u64::from, &mut Reader::new(told)).map(|runs| runs.len())
            };
            assert_eq!(read(&told), Some(1), "{released}");
            // The same without its payload.
            let count = told.len() - kept - 9;
            assert_eq!(std::mem::replace(&mut told[count], 0), 1);
            told.truncate(count + 1);
            assert_eq!(read(&told), None, "{released}");
        }
    }

    /// What nobody wants is given back, and the session can still go on elsewhere.
    #[test]
    fn what_is_told_can_be_read_wherever_it_goes_on() {
        let mut pages = Pages::reserve(1 << 20, 4).unwrap();
        let mut stats = StreamStats::default();
        for number in [100, 118, 5000, 99, 0] {
            let mut track = Track::default();
            track.begin(100);
            let new =
                Insert { seq: 100, payload: b"eighteen bytes now", policy: None, depth: 0, max_regions: 0 };
            let _ = track.insert(&mut pages, &mut stats, &new);
            assert_eq!(track.contiguous(), 18);
            track.follow(&mut pages, number);
            let mut told = Vec::new();
            track.tell(&pages, true, &u64::from, &mut told);
            let mut copy = Track::default();
            let runs = copy.read(&u64::from, &mut Reader::new(&told));
            assert!(runs.is_some_and(|runs| runs.is_empty()), "at {number}: {track:?}");
            assert_eq!(copy.contiguous(), copy.inspected(), "at {number}");
        }
    }
}
