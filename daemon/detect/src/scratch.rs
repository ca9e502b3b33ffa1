//! One worker's working memory.

use crate::content::pcre::Memory;
use crate::group::Group;
use crate::matcher::{self, Dense, Filter, Search};
use crate::outcome::Alert;
use crate::rule::Rule;
use crate::ruleset::{RuleId, RuleSet};

/// Largest payload an IP packet can carry.
const PAYLOAD_MAX: usize = 65_535;

/// What of a stream goes with a payload, for usual settings: with others, room is made once.
const WINDOW_MARGIN: usize = 16_384;

/// Most rules that are told to have matched on the stream for one packet.
pub(crate) const ON_STREAM_MAX: usize = 8;

/// Working memory for [`RuleSet::inspect`]: one a worker, made for a rule set before that is used. Used
/// with a larger rule set it grows once.
#[derive(Debug)]
pub struct Scratch {
    pub(crate) alerts: Vec<Alert>,
    /// The payload in lower case.
    pub(crate) lower: Vec<u8>,
    /// The window of the stream in lower case.
    pub(crate) stream: Vec<u8>,
    /// Rules that matched on the stream.
    pub(crate) on_stream: Vec<RuleId>,
    /// Rules to be asked.
    pub(crate) candidates: Vec<u32>,
    /// By pattern of the wide and of the narrow group: the number of the search that saw it last.
    seen: [Vec<u32>; 2],
    number: u32,
    /// Where PCRE2 searches, if a pattern needs it.
    pub(crate) memory: Option<Memory>,
}

impl Scratch {
    /// Memory enough for any packet under `rules`.
    #[must_use]
    pub fn new(rules: &RuleSet) -> Self {
        Self {
            alerts: Vec::with_capacity(rules.packet_alert_max()),
            lower: Vec::with_capacity(PAYLOAD_MAX),
            stream: Vec::with_capacity(PAYLOAD_MAX + WINDOW_MARGIN),
            on_stream: Vec::with_capacity(ON_STREAM_MAX),
            // A rule may be found by either of its sides, and by its pattern in payload and stream.
            candidates: Vec::with_capacity(4 * rules.len()),
            seen: [vec![0; rules.groups.patterns_max], vec![0; rules.groups.patterns_max]],
            number: 0,
            memory: Memory::new(rules.rules.iter().flat_map(Rule::patterns)),
        }
    }

    /// Empties it for the next packet.
    pub(crate) fn clear(&mut self, patterns_max: usize) {
        self.alerts.clear();
        self.lower.clear();
        self.stream.clear();
        self.on_stream.clear();
        self.candidates.clear();
        for seen in &mut self.seen {
            if seen.len() < patterns_max {
                seen.resize(patterns_max, 0);
            }
        }
    }

    /// Adds the rules of the groups whose pattern occurs in the payload.
    pub(crate) fn search(
        &mut self,
        groups: &[&Group],
        filter: &Filter,
        payload: &[u8],
        comparisons: &mut u32,
    ) -> Result<(), Dense> {
        self.number = match self.number.checked_add(1) {
            Some(number) => number,
            None => {
                self.seen.iter_mut().for_each(|seen| seen.fill(0));
                1
            }
        };
        let Self { seen, number, candidates, .. } = self;
        let mut sieve = Sieve { groups, seen, number: *number, candidates };
        match groups {
            [wide] => matcher::search(&[&wide.matcher], filter, payload, comparisons, &mut sieve),
            [wide, narrow] => {
                let matchers = [&wide.matcher, &narrow.matcher];
                matcher::search(&matchers, filter, payload, comparisons, &mut sieve)
            }
            _ => Ok(()),
        }
    }
}

/// Collects rules by their patterns, each pattern's once.
struct Sieve<'s> {
    groups: &'s [&'s Group],
    seen: &'s mut [Vec<u32>; 2],
    number: u32,
    candidates: &'s mut Vec<u32>,
}

impl Search for Sieve<'_> {
    fn knows(&self, matcher: usize, pattern: u32) -> bool {
        self.seen.get(matcher).and_then(|seen| seen.get(pattern as usize)) == Some(&self.number)
    }

    fn found(&mut self, matcher: usize, pattern: u32) {
        if let Some(slot) = self.seen.get_mut(matcher).and_then(|seen| seen.get_mut(pattern as usize)) {
            *slot = self.number;
        }
        if let Some(group) = self.groups.get(matcher) {
            self.candidates.extend_from_slice(group.rules_of(pattern));
        }
    }
}
