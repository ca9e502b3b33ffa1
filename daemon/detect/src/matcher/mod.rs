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
mod rarity;
mod table;

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
    /// Patterns of five bytes and more, by windows of four.
    long: Table,
    /// Patterns of four bytes, by windows of three.
    four: Table,
    /// Shorter ones, by windows of two, looked for at every place.
    short: Table,
    /// Short ones that stand at few places only.
    anchored: Anchored,
    /// Patterns that no table can look for.
    everywhere: Box<[u32]>,
}

/// The comparisons that a search may still make were used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dense;

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
        Self {
            long: Table::build(&numbered(&long), 4, 2),
            four: Table::build(&numbered(&four), 3, 2),
            short: Table::build(&numbered(&short), 2, 1),
            bytes: bytes.into(),
            starts: starts.into(),
            anchored,
            everywhere: everywhere.into(),
        }
    }

    /// Patterns to be taken as found in every payload.
    pub(crate) fn everywhere(&self) -> &[u32] {
        &self.everywhere
    }

    /// Bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len()
            + self.starts.len() * size_of::<u32>()
            + self.long.memory()
            + self.four.memory()
            + self.short.memory()
            + self.anchored.memory()
    }

    /// Has `found` take the patterns that occur in `payload`, each at least once; for those that `known` knows
    /// already no comparison is made. At most `comparisons` are made, which is taken from it.
    pub(crate) fn search(
        &self,
        payload: &[u8],
        comparisons: &mut u32,
        mut known: impl FnMut(u32) -> bool,
        mut found: impl FnMut(u32),
    ) -> Result<(), Dense> {
        self.anchored.search(payload, |number| {
            if !known(number) && self.stands_at_place(number, payload) {
                found(number);
            }
        });
        let mut check = |table: &Table, hit: Hit| -> Result<(), Dense> {
            for entry in table.entries(hit.key) {
                *comparisons = comparisons.checked_sub(1).ok_or(Dense)?;
                let Some(start) = hit.at.checked_sub(usize::from(entry.back)) else { continue };
                if !known(entry.pattern) && self.stands_at(entry.pattern, payload, start) {
                    found(entry.pattern);
                }
            }
            Ok(())
        };
        match (self.long.is_empty(), self.four.is_empty()) {
            (true, true) => {}
            (_, true) => scan(payload, &[&self.long], |table, hit| check(table, hit))?,
            (true, _) => scan(payload, &[&self.four], |table, hit| check(table, hit))?,
            _ => scan(payload, &[&self.long, &self.four], |table, hit| check(table, hit))?,
        }
        if !self.short.is_empty() {
            scan_pairs(payload, &self.short, |hit| check(&self.short, hit))?;
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

    /// What is anchored is found by its folded bytes and place; the rule compares the rest.
    fn stands_at_place(&self, number: u32, payload: &[u8]) -> bool {
        payload.len() >= self.pattern(number).len()
    }
}

/// Looks at every even place of the payload.
#[inline]
fn scan<const N: usize>(
    payload: &[u8],
    tables: &[&Table; N],
    mut hit: impl FnMut(&Table, Hit) -> Result<(), Dense>,
) -> Result<(), Dense> {
    let mut at = 0;
    let mut rest = payload;
    while let Some(part) = rest.first_chunk::<REACH>() {
        let [a, b, c, d, e, f, g, h, i, j, _, _] = *part;
        let keys = [
            u32::from_le_bytes([a, b, c, d]) | FOLD,
            u32::from_le_bytes([c, d, e, f]) | FOLD,
            u32::from_le_bytes([e, f, g, h]) | FOLD,
            u32::from_le_bytes([g, h, i, j]) | FOLD,
        ];
        for table in tables {
            let mut hits = 0;
            for key in keys {
                hits = hits << 1 | table.may_hold(key);
            }
            if hits != 0 {
                for (place, key) in (at..).step_by(2).zip(keys) {
                    hit(table, Hit { at: place, key })?;
                }
            }
        }
        at += STEP;
        rest = rest.get(STEP..).unwrap_or_default();
    }
    let mut padded = [0; REACH + 4];
    for (to, from) in padded.iter_mut().zip(rest) {
        *to = *from;
    }
    for (offset, window) in (0..rest.len()).zip(padded.windows(4)).step_by(2) {
        let key = window.try_into().map_or(0, u32::from_le_bytes) | FOLD;
        for table in tables {
            if table.may_hold(key) != 0 {
                hit(table, Hit { at: at + offset, key })?;
            }
        }
    }
    Ok(())
}

/// Looks at every place of the payload for windows of two bytes.
fn scan_pairs(
    payload: &[u8],
    table: &Table,
    mut hit: impl FnMut(Hit) -> Result<(), Dense>,
) -> Result<(), Dense> {
    for (at, pair) in payload.windows(2).enumerate() {
        let key = pair.try_into().map_or(0, |pair| u32::from(u16::from_le_bytes(pair))) | FOLD;
        if table.may_hold(key) != 0 {
            hit(Hit { at, key })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
