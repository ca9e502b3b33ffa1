//! Searching a payload for many patterns at once.
//!
//! Of each pattern a short piece, its *window*, is chosen where it is rarest. A bit table says for every
//! window of the payload whether it can be one of those; only where it can, the patterns with that window
//! are compared. Real payloads hold few windows of patterns, so that nearly all of the work is one
//! multiplication and one bit for each second byte. Compared with automata, the table is small, is built
//! in no time, and asks memory at places that do not depend on each other.
//!
//! Of a pattern of five bytes or more, the windows at two neighbouring places are in the table: whichever
//! place the pattern stands at, one of the two is at an even one. Upper and lower case are folded by one
//! bit, which also makes other bytes alike; the comparison tells them apart.

mod anchored;
mod filter;
mod rarity;
mod table;

pub(crate) use filter::Filter;
pub(crate) use rarity::strength;

use crate::pattern::FastPattern;
use anchored::Anchored;
use table::{Hit, Table};

/// Places that one pass over the payload looks at, by even numbers, and the bytes it needs for that.
const STEP: usize = 8;
const REACH: usize = STEP + 4;

/// The folding bit of every byte of a window.
const FOLD: u32 = 0x2020_2020;

/// Patterns, searched for all at once. They are known by their place in the list they were made of.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    /// The patterns in lower case, one after the other, and where each begins; one more at the end.
    bytes: Box<[u8]>,
    starts: Box<[u32]>,
    /// The windows of the next two.
    filter: Filter,
    /// Patterns of five bytes and more, by windows of four.
    long: Table,
    /// Patterns of four bytes, by windows of three.
    four: Table,
    /// Shorter ones, by windows of two, looked for at every place.
    short: Table,
    short_filter: Filter,
    /// Short ones that stand at few places only.
    anchored: Anchored,
    /// Patterns that no table can look for.
    everywhere: Box<[u32]>,
}

/// The comparisons that a search may still make were used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dense;

/// What a search asks and tells.
pub(crate) trait Search {
    /// Is nothing to be told about this pattern of that matcher any more?
    fn knows(&self, matcher: usize, pattern: u32) -> bool;

    /// The pattern of that matcher occurs.
    fn found(&mut self, matcher: usize, pattern: u32);
}

impl Matcher {
    /// Makes the tables for `patterns`.
    pub(crate) fn build(patterns: &[&FastPattern]) -> Self {
        let mut bytes = Vec::new();
        let mut starts = vec![0];
        let (mut long, mut four, mut short) = (Vec::new(), Vec::new(), Vec::new());
        let mut anchored = Vec::new();
        let mut everywhere = Vec::new();
        for (number, pattern) in (0_u32..).zip(patterns) {
            bytes.extend_from_slice(&pattern.bytes);
            starts.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            match pattern.bytes.len() {
                0 => everywhere.push(number),
                1..=4 if pattern.is_anchored() => anchored.push((number, *pattern)),
                1 => everywhere.push(number),
                2 | 3 => short.push(number),
                4 => four.push(number),
                _ => long.push(number),
            }
        }
        let anchored = Anchored::build(&anchored, &mut everywhere);
        let of = |number: &u32| patterns.get(*number as usize).map_or(&[][..], |pattern| &pattern.bytes);
        let numbered =
            |numbers: &[u32]| numbers.iter().map(|number| (*number, of(number))).collect::<Vec<_>>();
        everywhere.sort_unstable();
        let mut matcher = Self {
            long: Table::build(&numbered(&long), 4, 2),
            four: Table::build(&numbered(&four), 3, 2),
            short: Table::build(&numbered(&short), 2, 1),
            bytes: bytes.into(),
            starts: starts.into(),
            anchored,
            everywhere: everywhere.into(),
            ..Self::default()
        };
        matcher.filter = Filter::build(&matcher.keys());
        matcher.short_filter = Filter::build(&matcher.short.pairs().collect::<Vec<_>>());
        matcher
    }

    /// A filter for both matchers.
    pub(crate) fn joint_filter(&self, other: &Self) -> Filter {
        Filter::build(&[self.keys(), other.keys()].concat())
    }

    fn keys(&self) -> Vec<u32> {
        self.long.keys().chain(self.four.keys()).collect()
    }

    /// Patterns to be taken as found in every payload.
    pub(crate) fn everywhere(&self) -> &[u32] {
        &self.everywhere
    }

    /// Bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len()
            + self.starts.len() * size_of::<u32>()
            + self.filter.memory()
            + self.short_filter.memory()
            + self.long.memory()
            + self.four.memory()
            + self.short.memory()
            + self.anchored.memory()
    }

    /// The filter of this matcher alone.
    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Looks for the patterns at few places, and for those too short for the filter.
    fn search_short(
        &self,
        number: usize,
        payload: &[u8],
        comparisons: &mut u32,
        search: &mut impl Search,
    ) -> Result<(), Dense> {
        self.anchored.search(payload, |pattern| {
            if !search.knows(number, pattern) {
                search.found(number, pattern);
            }
        });
        if self.short.is_empty() {
            return Ok(());
        }
        for (at, pair) in payload.windows(2).enumerate() {
            let key = pair.try_into().map_or(0, |pair| u32::from(u16::from_le_bytes(pair))) | FOLD & 0xffff;
            if self.short_filter.may_hold(key) & 1 != 0 {
                self.compare(&self.short, number, payload, Hit { at, key }, comparisons, search)?;
            }
        }
        Ok(())
    }

    /// Compares the patterns of a table that have the window.
    fn compare(
        &self,
        table: &Table,
        number: usize,
        payload: &[u8],
        hit: Hit,
        comparisons: &mut u32,
        search: &mut impl Search,
    ) -> Result<(), Dense> {
        for entry in table.entries(hit.key) {
            *comparisons = comparisons.checked_sub(1).ok_or(Dense)?;
            let Some(start) = hit.at.checked_sub(usize::from(entry.back)) else { continue };
            if !search.knows(number, entry.pattern) && self.stands_at(entry.pattern, payload, start) {
                search.found(number, entry.pattern);
            }
        }
        Ok(())
    }

    fn pattern(&self, number: u32) -> &[u8] {
        let index = number as usize;
        let (start, end) = (self.starts.get(index), self.starts.get(index + 1));
        match (start, end) {
            (Some(&start), Some(&end)) => self.bytes.get(start as usize..end as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    fn stands_at(&self, number: u32, payload: &[u8], start: usize) -> bool {
        let pattern = self.pattern(number);
        let there = payload.get(start..start.saturating_add(pattern.len()));
        there.is_some_and(|there| there.eq_ignore_ascii_case(pattern))
    }
}

/// Tells which patterns of the matchers occur in `payload`, each at least once; `filter` is that of all of
/// them. At most `comparisons` are made, which is taken from it.
///
/// Short patterns are told by their place and folded bytes: what the rule asks for may differ in case.
pub(crate) fn search(
    matchers: &[&Matcher],
    filter: &Filter,
    payload: &[u8],
    comparisons: &mut u32,
    search: &mut impl Search,
) -> Result<(), Dense> {
    for (number, matcher) in matchers.iter().enumerate() {
        matcher.search_short(number, payload, comparisons, search)?;
    }
    if filter.is_empty() {
        return Ok(());
    }
    scan(payload, filter, |hit| {
        for (number, matcher) in matchers.iter().enumerate() {
            for table in [&matcher.long, &matcher.four] {
                if table.may_hold(hit.key) {
                    matcher.compare(table, number, payload, hit, comparisons, search)?;
                }
            }
        }
        Ok(())
    })
}

/// Tells every even place of the payload whose window the filter lets through.
#[inline]
fn scan(payload: &[u8], filter: &Filter, mut hit: impl FnMut(Hit) -> Result<(), Dense>) -> Result<(), Dense> {
    let mut at = 0;
    let mut rest = payload;
    while let Some(part) = rest.first_chunk::<REACH>() {
        let keys = windows(part);
        let any = keys.iter().fold(0, |any, key| any | filter.may_hold(*key));
        if any & 1 != 0 {
            for (place, key) in (at..).step_by(2).zip(keys) {
                if filter.may_hold(key) & 1 != 0 {
                    hit(Hit { at: place, key })?;
                }
            }
        }
        at += STEP;
        rest = rest.get(STEP..).unwrap_or_default();
    }
    // What is left is less than a pass needs; behind it stands what no pattern reaches into.
    let mut padded = [0; STEP + REACH];
    for (to, from) in padded.iter_mut().zip(rest) {
        *to = *from;
    }
    let passes = [padded.first_chunk::<REACH>(), padded.last_chunk::<REACH>()];
    for (start, part) in [0, STEP].into_iter().zip(passes) {
        let Some(part) = part else { continue };
        for (place, key) in (start..).step_by(2).zip(windows(part)) {
            if place < rest.len() && filter.may_hold(key) & 1 != 0 {
                hit(Hit { at: at + place, key })?;
            }
        }
    }
    Ok(())
}

/// The folded windows at the even places of a pass.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a window is four of the eight bytes")]
fn windows(part: &[u8; REACH]) -> [u32; STEP / 2] {
    let eight = |start: usize| {
        let bytes = part.get(start..start + 8).and_then(|bytes| bytes.first_chunk());
        u64::from_le_bytes(*bytes.unwrap_or(&[0; 8])) | (FOLD as u64) << 32 | FOLD as u64
    };
    let (low, high) = (eight(0), eight(4));
    [low as u32, (low >> 16) as u32, high as u32, (high >> 16) as u32]
}

#[cfg(test)]
mod tests;
