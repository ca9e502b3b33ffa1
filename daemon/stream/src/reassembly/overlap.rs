//! Writing a segment's payload over what may be there already.

use crate::os::{Overlap, new_wins};
use crate::pages::{Chain, PAGE, PageId, Pages};
use crate::stats::StreamStats;
use portcullis_wire::TargetOs;

/// Writes `payload` to `start..` of a stream. The regions that it lies in are there already, and there is
/// room for its pages. Returns whether something was there already, and whether it was different.
pub(super) fn write(
    chain: &mut Chain,
    pages: &mut Pages,
    stats: &mut StreamStats,
    start: u64,
    payload: &[u8],
    policy: Option<TargetOs>,
) -> (bool, bool) {
    let mut writer = Writer {
        start,
        end: start + payload.len() as u64,
        policy,
        ours: false,
        wins: None,
        overlap: false,
        differs: false,
    };
    let mut at = start;
    let mut rest = payload;
    while !rest.is_empty() {
        let within = at % PAGE;
        let length = usize::try_from(PAGE - within).unwrap_or(0).min(rest.len());
        let (piece, after) = rest.split_at(length);
        let Ok(id) = pages.find_or_make(chain, at, 0, stats) else { break };
        writer.piece(chain, pages, id, at, piece);
        at += length as u64;
        rest = after;
    }
    if policy.is_some() && writer.ours {
        writer.end_after_ours(chain, pages);
    }
    (writer.overlap, writer.differs)
}

struct Writer {
    start: u64,
    end: u64,
    policy: Option<TargetOs>,
    /// Was the byte before taken from this segment?
    ours: bool,
    /// Who wins over the run under way, which goes on from the page before.
    wins: Option<bool>,
    overlap: bool,
    differs: bool,
}

impl Writer {
    /// The part of the segment that lies in one page.
    fn piece(&mut self, chain: &Chain, pages: &mut Pages, id: PageId, at: u64, piece: &[u8]) {
        let first = at % PAGE;
        let last = first + piece.len() as u64;
        let part = |from: u64, to: u64| {
            let range = usize::try_from(from - first).unwrap_or(0)..usize::try_from(to - first).unwrap_or(0);
            piece.get(range).unwrap_or(&[])
        };
        let mut from = first;
        while from < last {
            if !pages.is_present(id, from) {
                let to = pages.first_present(id, from, last);
                let begins = self.policy.is_some() && !self.ours;
                pages.write(id, from, part(from, to), begins);
                (self.ours, self.wins) = (true, None);
                from = to;
                continue;
            }
            let run_end = (from + pages.run(id, from)).min(last);
            let to = match self.policy {
                Some(_) => pages.first_begin(id, from + 1, run_end),
                None => run_end,
            };
            self.overlap = true;
            let there = usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
            let same = pages.bytes(id).get(there) == Some(part(from, to));
            self.differs |= !same;
            let wins = self.new_wins(chain, pages, id, at - first, from);
            if wins && !same {
                let begins = !self.ours;
                pages.write(id, from, part(from, to), begins);
                self.ours = true;
            } else {
                self.ours = false;
            }
            from = to;
        }
    }

    /// Does this segment win over the run at `from` of the page that begins at `page`?
    fn new_wins(&mut self, chain: &Chain, pages: &Pages, id: PageId, page: u64, from: u64) -> bool {
        let Some(policy) = self.policy else { return false };
        let at = page + from;
        let begins_here = pages.is_begin(id, from);
        if let Some(wins) = self.wins.filter(|_| !begins_here) {
            return wins;
        }
        let overlap = Overlap {
            new_begins_before: begins_here && at > self.start,
            same_begin: begins_here && at == self.start,
            new_ends_after: run_end(chain, pages, at, self.end) < self.end,
        };
        let wins = new_wins(policy, overlap);
        self.wins = Some(wins);
        wins
    }

    /// What goes on after the end of this segment is another's: it begins there now.
    fn end_after_ours(&self, chain: &Chain, pages: &mut Pages) {
        if let Some(id) = pages.find(chain, self.end).filter(|id| pages.is_present(*id, self.end % PAGE)) {
            pages.set_begin(id, self.end % PAGE);
        }
    }
}

/// Where the run at `at` ends, as far as `limit`.
fn run_end(chain: &Chain, pages: &Pages, at: u64, limit: u64) -> u64 {
    let mut end = at;
    while end < limit {
        let Some(id) = pages.find(chain, end) else { break };
        let within = end % PAGE;
        if end > at && pages.is_begin(id, within) {
            break;
        }
        let run = pages.run(id, within);
        let stop = pages.first_begin(id, within + 1, within + run.max(1)).min(within + run);
        end += stop - within;
        if stop < PAGE {
            break;
        }
    }
    end.min(limit)
}
