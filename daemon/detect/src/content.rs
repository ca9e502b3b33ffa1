//! Searching a rule's contents in a payload.
//!
//! Contents without `distance` or `within` are placed on their own; those with are placed relative to the
//! end of the match before. A rule's contents are therefore cut into chains, each of a placed content and
//! the relative ones that follow it, and chains do not influence each other. Within a chain, a match that
//! leads nowhere is retried at its next occurrence, as Suricata does.

use memchr::memmem;

/// How a content is written, checked and ready to compile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) bytes: Vec<u8>,
    pub(crate) negated: bool,
    pub(crate) nocase: bool,
    pub(crate) offset: Option<u16>,
    pub(crate) depth: Option<u16>,
    pub(crate) distance: Option<i32>,
    pub(crate) within: Option<i32>,
    pub(crate) endswith: bool,
}

impl Spec {
    pub(crate) fn is_relative(&self) -> bool {
        self.distance.is_some() || self.within.is_some()
    }
}

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Haystack<'a> {
    pub(crate) bytes: &'a [u8],
    /// The same in lower case.
    pub(crate) lower: &'a [u8],
}

/// The steps a packet may still cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work(pub(crate) u32);

/// The packet's work is used up; what was asked is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Work {
    /// Takes the cost of a search begun over `bytes`.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let cost = u32::try_from(1 + bytes / 32).unwrap_or(u32::MAX);
        self.0 = self.0.checked_sub(cost).ok_or(Exhausted)?;
        Ok(())
    }
}

/// All contents of a rule.
#[derive(Debug)]
pub(crate) struct Contents {
    chains: Vec<Vec<Content>>,
}

impl Contents {
    pub(crate) fn compile(specs: &[Spec]) -> Self {
        let mut chains: Vec<Vec<Content>> = Vec::new();
        let mut lone = Vec::new();
        for spec in specs {
            let content = Content::compile(spec);
            if spec.is_relative() {
                match chains.last_mut() {
                    Some(chain) => chain.push(content),
                    // Nothing before it: relative to the start of the payload.
                    None => chains.push(vec![content]),
                }
            } else if spec.negated {
                // It ends nowhere, so what follows is still relative to what came before it.
                lone.push(vec![content]);
            } else {
                chains.push(vec![content]);
            }
        }
        for chain in &mut chains {
            let mut fixed = false;
            for content in chain.iter_mut().rev() {
                content.retry = fixed;
                fixed |= content.negated || content.length_limit.is_some();
            }
        }
        chains.extend(lone);
        Self { chains }
    }

    /// Are all contents where they should be?
    pub(crate) fn matches(&self, haystack: Haystack<'_>, work: &mut Work) -> Result<bool, Exhausted> {
        for chain in &self.chains {
            if !chain_matches(chain, 0, haystack, work)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn chain_matches(
    chain: &[Content],
    previous: usize,
    haystack: Haystack<'_>,
    work: &mut Work,
) -> Result<bool, Exhausted> {
    let Some((content, rest)) = chain.split_first() else { return Ok(true) };
    let window = content.window(previous, haystack.bytes.len());
    if content.negated {
        let found = match window {
            Some((start, end)) => content.find(start, end, haystack, work)?.is_some(),
            None => false,
        };
        return Ok(!found && chain_matches(rest, previous, haystack, work)?);
    }
    let Some((mut start, end)) = window else { return Ok(false) };
    while let Some(at) = content.find(start, end, haystack, work)? {
        if chain_matches(rest, at + content.length, haystack, work)? {
            return Ok(true);
        }
        if !content.retry {
            return Ok(false);
        }
        start = at + 1;
    }
    Ok(false)
}

/// One content, compiled.
#[derive(Debug)]
struct Content {
    finder: memmem::Finder<'static>,
    length: usize,
    negated: bool,
    nocase: bool,
    relative: bool,
    endswith: bool,
    /// `offset` or `distance`.
    shift: i64,
    /// `depth` or `within`: the window's length, counted from where it begins.
    length_limit: Option<i64>,
    /// Can a later occurrence lead to a match of the rest of the chain where this one did not? Not when
    /// the rest asks only for things further on: the first occurrence leaves most room.
    retry: bool,
}

impl Content {
    fn compile(spec: &Spec) -> Self {
        let needle = if spec.nocase { spec.bytes.to_ascii_lowercase() } else { spec.bytes.clone() };
        let relative = spec.is_relative();
        let (shift, limit) = if relative {
            (spec.distance.map_or(0, i64::from), spec.within.map(i64::from))
        } else {
            (spec.offset.map_or(0, i64::from), spec.depth.map(i64::from))
        };
        Self {
            finder: memmem::Finder::new(&needle).into_owned(),
            length: needle.len(),
            negated: spec.negated,
            nocase: spec.nocase,
            relative,
            endswith: spec.endswith,
            shift,
            length_limit: limit,
            retry: false,
        }
    }

    /// Where the content may stand, given where the match before it ended; `None` where nowhere.
    fn window(&self, previous: usize, length: usize) -> Option<(usize, usize)> {
        let base = if self.relative { i64::try_from(previous).ok()? } else { 0 };
        let start = usize::try_from((base + self.shift).max(0)).ok()?;
        let end = match self.length_limit {
            Some(limit) => usize::try_from(base + self.shift + limit).ok()?.min(length),
            None => length,
        };
        if self.endswith && end < length {
            return None;
        }
        (start + self.length <= end).then_some((start, end))
    }

    /// The first occurrence that lies between `start` and `end`.
    fn find(
        &self,
        start: usize,
        end: usize,
        haystack: Haystack<'_>,
        work: &mut Work,
    ) -> Result<Option<usize>, Exhausted> {
        let bytes = if self.nocase { haystack.lower } else { haystack.bytes };
        let Some(window) = bytes.get(start..end) else { return Ok(None) };
        if self.endswith {
            work.charge(self.length)?;
            let found = window.ends_with(self.finder.needle());
            return Ok(found.then(|| end - self.length));
        }
        let found = self.finder.find(window);
        work.charge(found.unwrap_or(window.len()))?;
        Ok(found.map(|at| start + at))
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
