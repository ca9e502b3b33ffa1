//! Regular expressions of rules.
//!
//! A pattern whose meaning is the same in every engine and whose automaton stays small becomes a full DFA:
//! its search is linear and needs no memory. All others (look-around, back references, long counted
//! repetitions) go to PCRE2, compiled to machine code, with a match limit. Those that could look at as many bytes as the
//! square of the length are rewritten before, so that the limit sees all they do (`counted`).
//!
//! Searching allocates nothing: PCRE2 works in the [`Memory`] that each worker brings.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use pcre2::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::counted::{self, Rewritten};
use super::plain::is_plain;
use super::{Unsure, Work};

/// Most bytes of a pattern's DFA, and of what is needed to make it.
const DFA_MAX: usize = 64 << 10;

/// Most states of the automaton that a DFA is made of; larger ones would exceed the DFA's bound anyway.
const NFA_STATES_MAX: usize = 400;

/// How often PCRE2 may match a part of a pattern from one starting point; Suricata's default.
pub(crate) const MATCH_LIMIT: u32 = 3500;

/// Most stack of PCRE2's machine code, in bytes, for each worker.
const STACK_MAX: usize = 256 << 10;

/// Up to this length, what grows with the square of it is charged so: a window of a stream may be far longer, and is
/// nearly never what the square is met with.
const SQUARE_MOST: usize = 2048;

/// How often a rewritten pattern may go on in one search: first little, which is enough for nearly all payloads, and where
/// that is too little once more with as much as one packet is worth.
const COUNTED_MAX: [u32; 2] = [4096, 32_768];

/// What a search that may go on so often is charged, in bytes. Each time takes 5 ns at most, of which 13 are a step.
const fn counted_cost(limit: u32) -> usize {
    limit as usize * 12
}

type Dfa = dense::DFA<Vec<u32>>;

/// Most DFAs that are kept to be shared.
const SHARED_MAX: usize = 16;

thread_local! {
    /// DFAs by pattern, those first that were made last; `None` where one is too large. Public rules have few expressions
    /// of the square in many variants, which without their numbers are the same, and one thread compiles a whole set.
    static SHARED: RefCell<VecDeque<(PcreSpec, Option<Arc<Dfa>>)>> = const { RefCell::new(VecDeque::new()) };
}

/// A pattern as a rule writes it, its flags told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PcreSpec {
    /// What stands between the slashes; bytes beyond ASCII written as `\xHH`.
    pub(crate) pattern: String,
    pub(crate) negated: bool,
    /// `R`: searched from the end of the match before.
    pub(crate) relative: bool,
    /// `i`
    pub(crate) caseless: bool,
    /// `s`
    pub(crate) dot_all: bool,
    /// `m`
    pub(crate) multi_line: bool,
    /// `x`
    pub(crate) extended: bool,
    /// `A`
    pub(crate) anchored: bool,
    /// `G`
    pub(crate) ungreedy: bool,
}

impl PcreSpec {
    /// Would PCRE2 take it? The error says why not and where in the pattern.
    pub(crate) fn check(&self) -> Result<(), (Option<usize>, String)> {
        let before = self.for_pcre2().len() - self.pattern.len() - usize::from(self.anchored);
        match self.builder().build(&self.for_pcre2()) {
            Ok(_) => Ok(()),
            Err(error) => {
                let at = error.offset().map(|at| at.saturating_sub(before).min(self.pattern.len()));
                let reason = error.to_string();
                // Before it PCRE2 says where, counted in what stands before the rule's pattern, too.
                Err((at, reason.splitn(3, ": ").last().unwrap_or_default().to_owned()))
            }
        }
    }

    fn for_pcre2(&self) -> String {
        let ungreedy = if self.ungreedy { "(?U)" } else { "" };
        let (open, close) = if self.anchored { (r"\A(?:", ")") } else { ("", "") };
        format!("(*LIMIT_MATCH={MATCH_LIMIT}){open}{ungreedy}{}{close}", self.pattern)
    }

    /// The pattern rewritten, and a DFA that rules out most of what it does not match, where that is possible.
    fn counted(&self, is_fixed: bool) -> Option<Counted> {
        let Rewritten { counted, skim, keeps } = counted::rewrite(self)?;
        let keeps = if keeps { "(*NO_AUTO_POSSESS)" } else { "" };
        let ungreedy = if self.ungreedy { "(?U)" } else { "" };
        let begin = match (self.anchored, is_fixed) {
            (true, _) => r"\A".to_owned(),
            (false, true) => String::new(),
            (false, false) => format!(r"\G(?s:.{{0,{}}}?)\K", counted::STARTS - 1),
        };
        let compile = |limit| {
            let text = format!("{keeps}(*LIMIT_MATCH={limit}){begin}(?:{ungreedy}{counted})");
            let mut builder = self.builder();
            builder.jit_if_available(true).max_jit_stack_size(Some(STACK_MAX));
            builder.build(&text).ok()
        };
        let [few, many] = COUNTED_MAX.map(compile);
        let skim = Self { pattern: skim, negated: false, relative: false, ungreedy: false, ..self.clone() };
        let skim = skim.shared_dfa();
        let skim = skim.map(|dfa| (dfa, if self.anchored { Anchored::Yes } else { Anchored::No }));
        Some(Counted { skim, regexes: [few?, many?], is_fixed })
    }

    fn builder(&self) -> RegexBuilder {
        let mut builder = RegexBuilder::new();
        builder
            .caseless(self.caseless)
            .dotall(self.dot_all)
            .multi_line(self.multi_line)
            .extended(self.extended);
        builder
    }

    /// The same as [`dfa`](Self::dfa), shared with others of this pattern that were made shortly before.
    fn shared_dfa(self) -> Option<Arc<Dfa>> {
        SHARED.with_borrow_mut(|shared| {
            if let Some((_, dfa)) = shared.iter().find(|(spec, _)| *spec == self) {
                return dfa.clone();
            }
            let dfa = self.dfa().map(Arc::new);
            shared.truncate(SHARED_MAX - 1);
            shared.push_front((self, dfa.clone()));
            dfa
        })
    }

    /// The pattern as a DFA, where that means the same and stays small.
    fn dfa(&self) -> Option<Dfa> {
        if self.extended || self.ungreedy || !is_plain(&self.pattern, self.multi_line) {
            return None;
        }
        let syntax = syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .case_insensitive(self.caseless)
            .dot_matches_new_line(self.dot_all)
            .multi_line(self.multi_line);
        // PCRE sees no beginning of a line after a line feed at the very end, the other language does: what
        // can match nothing would tell them apart.
        let parsed = syntax::parse_with(&self.pattern, &syntax).ok()?;
        if self.multi_line && self.pattern.contains('^') && parsed.properties().minimum_len() == Some(0) {
            return None;
        }
        let config = thompson::Config::new()
            .utf8(false)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(DFA_MAX));
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(&parsed).ok()?;
        if nfa.states().len() > NFA_STATES_MAX {
            return None;
        }
        let kind = if self.anchored { StartKind::Anchored } else { StartKind::Unanchored };
        let config = dense::Config::new()
            .match_kind(MatchKind::LeftmostFirst)
            .start_kind(kind)
            .dfa_size_limit(Some(DFA_MAX))
            .determinize_size_limit(Some(DFA_MAX));
        dense::Builder::new().configure(config).build_from_nfa(&nfa).ok()
    }
}

/// May backtracking look at as many bytes as the square of the length? From each place a repetition without end can reach
/// to the end and come back, which the match limit does not see; from one place two of them, one within the other's reach.
fn is_square(pattern: &str, anchored: bool) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let long = pattern.split(['{', ',']).filter(|text| digits(text) >= 2).count();
    let endless = pattern.matches(['*', '+']).count() + pattern.matches(",}").count() + long;
    endless > usize::from(anchored)
}

/// A pattern for PCRE2 of which all work is counted.
struct Counted {
    skim: Option<(Arc<Dfa>, Anchored)>,
    /// By [`COUNTED_MAX`].
    regexes: [Regex; 2],
    /// Can it match only where a search begins?
    is_fixed: bool,
}

impl Counted {
    fn find(
        &self,
        bytes: &[u8],
        start: usize,
        work: &mut Work<'_>,
    ) -> Result<Option<(usize, usize)>, Unsure> {
        if let Some((dfa, anchored)) = &self.skim {
            work.charge((bytes.len() - start) * 4)?;
            let input = Input::new(bytes).range(start..).anchored(*anchored);
            if dfa.try_search_fwd(&input).map_err(|_| Unsure::Pcre)?.is_none() {
                return Ok(None);
            }
        }
        let mut from = start;
        while from <= bytes.len() {
            let found = self.find_among(bytes, from, work)?;
            if found.is_some() || self.is_fixed {
                return Ok(found);
            }
            from += counted::STARTS;
        }
        Ok(None)
    }

    /// The first match that begins at one of the places from `from` on.
    fn find_among(
        &self,
        bytes: &[u8],
        from: usize,
        work: &mut Work<'_>,
    ) -> Result<Option<(usize, usize)>, Unsure> {
        for (regex, limit) in self.regexes.iter().zip(COUNTED_MAX) {
            work.charge(counted_cost(limit))?;
            let Some(locations) = work.memory.as_deref_mut() else { return Err(Unsure::Pcre) };
            // Any error is a limit: the pattern was checked when it was loaded.
            if let Ok(found) = regex.captures_read_at(&mut locations.0, bytes, from) {
                return Ok(found.map(|found| (found.start(), found.end())));
            }
        }
        Err(Unsure::Pcre)
    }
}

/// A compiled pattern.
pub(crate) struct Pcre {
    engine: Engine,
    pub(super) negated: bool,
    pub(super) relative: bool,
    /// Can a later match lead to a match of what follows where this one did not?
    pub(super) retry: bool,
}

enum Engine {
    Dfa(Box<Dfa>, Anchored),
    /// And whether what it looks at may grow with the square of the length.
    Backtracking(Box<Regex>, bool),
    /// What would be of the square, if it were not counted.
    Counted(Box<Counted>),
    /// It was accepted and then could not be compiled: no match can be ruled out.
    Unknown,
}

impl Pcre {
    /// Compiles; with `retry` set, matches after the first are asked for. Those begin one byte after the one
    /// before, and a DFA does not know where its match began: then it is PCRE2's.
    pub(super) fn compile(spec: &PcreSpec, retry: bool) -> Self {
        let anchored = spec.anchored || spec.pattern.starts_with(r"\A");
        let anchored =
            anchored || spec.pattern.starts_with('^') && !spec.multi_line && !has_branch(&spec.pattern);
        let retry = retry && !anchored;
        let engine = match if retry { None } else { spec.dfa() } {
            Some(dfa) => Engine::Dfa(Box::new(dfa), if spec.anchored { Anchored::Yes } else { Anchored::No }),
            None => Engine::backtracking(spec, anchored),
        };
        Self { engine, negated: spec.negated, relative: spec.relative, retry }
    }

    /// The first match that begins at or after `start`: where it begins, as far as that is known (else
    /// `start`), and where it ends.
    pub(super) fn find(
        &self,
        bytes: &[u8],
        start: usize,
        work: &mut Work<'_>,
    ) -> Result<Option<(usize, usize)>, Unsure> {
        let length = bytes.len().saturating_sub(start);
        match &self.engine {
            Engine::Dfa(dfa, anchored) => {
                work.charge(length * 4)?;
                let input = Input::new(bytes).range(start..).anchored(*anchored);
                let end = dfa.try_search_fwd(&input).map_err(|_| Unsure::Pcre)?;
                Ok(end.map(|end| (start, end.offset())))
            }
            Engine::Counted(counted) => counted.find(bytes, start, work),
            Engine::Backtracking(regex, square) => {
                let more = if *square { length.min(SQUARE_MOST).pow(2) / 2 } else { 0 };
                work.charge(length * 16 + more)?;
                let Some(locations) = work.memory.as_deref_mut() else { return Err(Unsure::Pcre) };
                // Any error is a limit: the pattern was checked when it was loaded.
                let found =
                    regex.captures_read_at(&mut locations.0, bytes, start).map_err(|_| Unsure::Pcre)?;
                Ok(found.map(|found| (found.start(), found.end())))
            }
            Engine::Unknown => Err(Unsure::Pcre),
        }
    }

    /// Its captures, if PCRE2 has to find room for them.
    pub(super) fn captures(&self) -> Option<(usize, &Regex)> {
        match &self.engine {
            Engine::Backtracking(regex, _) => Some((regex.captures_len(), regex)),
            Engine::Counted(counted) => {
                let [few, _] = &counted.regexes;
                Some((few.captures_len(), few))
            }
            Engine::Dfa(..) | Engine::Unknown => None,
        }
    }
}

impl Engine {
    fn backtracking(spec: &PcreSpec, anchored: bool) -> Self {
        let square = is_square(&spec.pattern, anchored);
        if square && let Some(counted) = spec.counted(anchored) {
            return Self::Counted(Box::new(counted));
        }
        let mut builder = spec.builder();
        builder.jit_if_available(true).max_jit_stack_size(Some(STACK_MAX));
        let built = builder.build(&spec.for_pcre2());
        built.map_or(Self::Unknown, |regex| Self::Backtracking(Box::new(regex), square))
    }
}

impl fmt::Debug for Pcre {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = match &self.engine {
            Engine::Dfa(..) => "dfa",
            Engine::Backtracking(..) => "pcre2",
            Engine::Counted(..) => "pcre2, counted",
            Engine::Unknown => "unknown",
        };
        out.debug_struct("Pcre")
            .field("engine", &engine)
            .field("negated", &self.negated)
            .finish_non_exhaustive()
    }
}

/// Does the pattern offer alternatives outside of groups? Then its first anchor is not for all of them.
fn has_branch(pattern: &str) -> bool {
    let (mut depth, mut class, mut escaped) = (0_usize, false, false);
    for byte in pattern.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'[' => class = true,
            b']' => class = false,
            _ if class => {}
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// What PCRE2 needs to search, made for the pattern of a rule set that has the most groups: enough for all.
pub(crate) struct Memory(CaptureLocations);

impl Memory {
    pub(crate) fn new<'a>(patterns: impl Iterator<Item = &'a Pcre>) -> Option<Self> {
        let (_, regex) = patterns.filter_map(Pcre::captures).max_by_key(|(captures, _)| *captures)?;
        Some(Self(regex.capture_locations()))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
