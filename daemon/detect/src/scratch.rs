//! One worker's working memory.

use crate::content::pcre::Memory;
use crate::group::Group;
use crate::matcher::Dense;
use crate::outcome::Alert;
use crate::rule::Rule;
use crate::ruleset::RuleSet;

/// Largest payload an IP packet can carry.
const PAYLOAD_MAX: usize = 65_535;

/// Working memory for [`RuleSet::inspect`]: one a worker, made for a rule set before that is used. Used
/// with a larger rule set it grows once.
#[derive(Debug)]
pub struct Scratch {
    pub(crate) alerts: Vec<Alert>,
    /// The payload in lower case.
    pub(crate) lower: Vec<u8>,
    /// Rules to be asked.
    pub(crate) candidates: Vec<u32>,
    /// By pattern: the search that saw it last.
    seen: Vec<u32>,
    search: u32,
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
            // A rule may be found by either of its sides, and by its pattern.
            candidates: Vec::with_capacity(3 * rules.len()),
            seen: vec![0; rules.groups.patterns_max],
            search: 0,
            memory: Memory::new(rules.rules.iter().flat_map(Rule::patterns)),
        }
    }

    /// Empties it for the next packet.
    pub(crate) fn clear(&mut self, patterns_max: usize) {
        self.alerts.clear();
        self.lower.clear();
        self.candidates.clear();
        if self.seen.len() < patterns_max {
            self.seen.resize(patterns_max, 0);
        }
    }

    /// Adds the rules of `group` whose pattern occurs in the payload.
    pub(crate) fn search(
        &mut self,
        group: &Group,
        payload: &[u8],
        comparisons: &mut u32,
    ) -> Result<(), Dense> {
        self.search = match self.search.checked_add(1) {
            Some(search) => search,
            None => {
                self.seen.fill(0);
                1
            }
        };
        let Self { seen, search, candidates, .. } = self;
        let seen = std::cell::RefCell::new(seen);
        let known = |pattern: u32| seen.borrow().get(pattern as usize) == Some(search);
        group.matcher.search(payload, comparisons, known, |pattern| {
            if let Some(slot) = seen.borrow_mut().get_mut(pattern as usize) {
                *slot = *search;
            }
            candidates.extend_from_slice(group.rules_of(pattern));
        })
    }
}
