//! Searching what a rule asks of one buffer: contents, and the steps between them that read numbers.
//!
//! Contents without `distance` or `within` are placed on their own; those with are placed relative to the
//! end of the match before, as are other steps that say so. What a rule asks is therefore cut into chains,
//! each of a placed step and the relative ones that follow it, and chains influence each other only by
//! extracted values. Within a chain, a match that leads nowhere is retried at its next occurrence, as
//! Suricata does.

pub(crate) mod bytes;
mod counted;
pub(crate) mod pcre;
mod plain;

use crate::keywords::number::Condition;
use bytes::{Amount, ByteExtract, ByteJump, ByteMath, ByteTest, DataAt};
use memchr::memmem;
use pcre::{Memory, Pcre, PcreSpec};

/// Most values that a rule may extract.
pub(crate) const VARIABLES_MAX: usize = 8;

/// What `byte_extract` found.
type Variables = [u64; VARIABLES_MAX];

/// What a rule asks of a buffer, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Content(Spec),
    Pcre(PcreSpec),
    DataAt(DataAt),
    Test(ByteTest),
    Jump(ByteJump),
    Extract(ByteExtract),
    Math(ByteMath),
    /// `bsize`
    Size(Condition),
}

impl Item {
    /// Is it placed by the match before?
    fn is_relative(&self) -> bool {
        match self {
            Self::Content(spec) => spec.is_relative(),
            Self::Pcre(spec) => spec.relative,
            Self::DataAt(step) => step.relative,
            Self::Test(step) => step.number.relative,
            Self::Jump(step) => step.number.relative,
            Self::Extract(step) => step.number.relative,
            Self::Math(step) => step.number.relative,
            Self::Size(_) => false,
        }
    }

    /// Does what follows start from it?
    fn is_place(&self) -> bool {
        match self {
            Self::Content(spec) => !spec.negated,
            Self::Pcre(spec) => !spec.negated,
            Self::Jump(_) | Self::Extract(_) | Self::Math(_) => true,
            Self::DataAt(_) | Self::Test(_) | Self::Size(_) => false,
        }
    }
}

/// How a content is written, checked and ready to compile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) bytes: Vec<u8>,
    pub(crate) negated: bool,
    pub(crate) nocase: bool,
    pub(crate) offset: Option<Amount>,
    pub(crate) depth: Option<Amount>,
    pub(crate) distance: Option<Amount>,
    pub(crate) within: Option<Amount>,
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
    /// The same in lower case, where that was made: it is for what is long.
    pub(crate) lower: Option<&'a [u8]>,
}

/// What searching one packet may still take.
#[derive(Debug)]
pub(crate) struct Work<'m> {
    /// Steps left.
    pub(crate) left: u32,
    /// Where PCRE2 searches, if any pattern of the rule set needs it.
    pub(crate) memory: Option<&'m mut Memory>,
}

/// A limit was hit; what was asked is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsure {
    /// The packet's work is used up.
    Work,
    /// A pattern's match limit.
    Pcre,
}

impl Work<'_> {
    /// Takes the cost of a search begun over `bytes`.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), Unsure> {
        let cost = u32::try_from(1 + bytes / 32).unwrap_or(u32::MAX);
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Unsure::Work)
            }
        }
    }
}

/// All that a rule asks of one buffer.
#[derive(Debug)]
pub(crate) struct Contents {
    chains: Vec<Vec<Step>>,
    /// Is any content of either case?
    nocase: bool,
}

impl Contents {
    pub(crate) fn compile(items: Vec<Item>) -> Self {
        let mut chains: Vec<Vec<Item>> = Vec::new();
        let mut lone = Vec::new();
        for item in items {
            if item.is_relative() {
                match chains.last_mut() {
                    Some(chain) => chain.push(item),
                    // Nothing before it: relative to the start of the buffer.
                    None => chains.push(vec![item]),
                }
            } else if item.is_place() {
                chains.push(vec![item]);
            } else {
                // It ends nowhere, so what follows is still relative to what came before it.
                lone.push(vec![item]);
            }
        }
        chains.extend(lone);
        let chains: Vec<_> = chains.into_iter().map(compile_chain).collect();
        let nocase =
            chains.iter().flatten().any(|step| matches!(step, Step::Content(content) if content.nocase));
        Self { chains, nocase }
    }

    /// Does a copy of the buffer in lower case help?
    pub(crate) const fn wants_lower(&self) -> bool {
        self.nocase
    }

    /// The regular expressions in it.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Pcre> {
        self.chains.iter().flatten().filter_map(|step| match step {
            Step::Pcre(pcre) => Some(pcre),
            _ => None,
        })
    }

    /// Is everything where it should be?
    pub(crate) fn matches(&self, haystack: Haystack<'_>, work: &mut Work<'_>) -> Result<bool, Unsure> {
        let mut search = Search { haystack, work, variables: [0; VARIABLES_MAX] };
        for chain in &self.chains {
            if !search.chain(chain, 0)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Compiles from the end: whether a later occurrence may help depends on what follows.
fn compile_chain(items: Vec<Item>) -> Vec<Step> {
    let mut fixed = false;
    let mut steps: Vec<Step> = Vec::with_capacity(items.len());
    for item in items.into_iter().rev() {
        let step = Step::compile(item, fixed);
        fixed = match &step {
            Step::Content(content) => fixed || content.negated || content.length_limit.is_some(),
            _ => true,
        };
        steps.push(step);
    }
    steps.reverse();
    steps
}

/// One search of a buffer.
struct Search<'h, 'w, 'm> {
    haystack: Haystack<'h>,
    work: &'w mut Work<'m>,
    variables: Variables,
}

impl Search<'_, '_, '_> {
    /// Do the steps match, the first of them after `previous`?
    fn chain(&mut self, chain: &[Step], previous: usize) -> Result<bool, Unsure> {
        let Some((step, rest)) = chain.split_first() else { return Ok(true) };
        let bytes = self.haystack.bytes;
        let next = match step {
            Step::Content(content) => return self.content(content, rest, previous),
            Step::Pcre(pcre) => return self.pcre(pcre, rest, previous),
            Step::DataAt(step) => step.holds(bytes.len(), previous, &self.variables).then_some(previous),
            Step::Test(step) => step.holds(bytes, previous, &self.variables).then_some(previous),
            Step::Jump(step) => step.target(bytes, previous, &self.variables),
            Step::Extract(step) => step.extract(bytes, previous, &mut self.variables),
            Step::Math(step) => step.compute(bytes, previous, &mut self.variables),
            Step::Size(condition) => {
                let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                condition.holds(size).then_some(previous)
            }
        };
        self.work.charge(0)?;
        match next {
            Some(next) => self.chain(rest, next),
            None => Ok(false),
        }
    }

    fn content(&mut self, content: &Content, rest: &[Step], previous: usize) -> Result<bool, Unsure> {
        let window = content.window(previous, self.haystack.bytes.len(), &self.variables);
        if content.negated {
            let found = match window {
                Some((start, end)) => content.find(start, end, self.haystack, self.work)?.is_some(),
                None => false,
            };
            return Ok(!found && self.chain(rest, previous)?);
        }
        let Some((mut start, end)) = window else { return Ok(false) };
        while let Some(at) = content.find(start, end, self.haystack, self.work)? {
            if self.chain(rest, at + content.length)? {
                return Ok(true);
            }
            if !content.retry {
                return Ok(false);
            }
            start = at + 1;
        }
        Ok(false)
    }

    fn pcre(&mut self, pcre: &Pcre, rest: &[Step], previous: usize) -> Result<bool, Unsure> {
        let base = if pcre.relative { previous } else { 0 };
        let Some(bytes) = self.haystack.bytes.get(base..) else { return Ok(false) };
        let mut start = 0;
        while let Some((begin, end)) = pcre.find(bytes, start, self.work)? {
            if pcre.negated {
                return Ok(false);
            }
            if self.chain(rest, base + end)? {
                return Ok(true);
            }
            start = begin + 1;
            if !pcre.retry || start > bytes.len() {
                return Ok(false);
            }
        }
        Ok(pcre.negated && self.chain(rest, previous)?)
    }
}

/// One item, compiled.
#[expect(clippy::large_enum_variant, reason = "nearly all steps are contents")]
#[derive(Debug)]
enum Step {
    Content(Content),
    Pcre(Pcre),
    DataAt(DataAt),
    Test(ByteTest),
    Jump(ByteJump),
    Extract(ByteExtract),
    Math(ByteMath),
    Size(Condition),
}

impl Step {
    /// Compiles; `retry` says whether a later occurrence can lead to a match of what follows.
    fn compile(item: Item, retry: bool) -> Self {
        match item {
            Item::Content(spec) => Self::Content(Content::compile(&spec, retry)),
            Item::Pcre(spec) => Self::Pcre(Pcre::compile(&spec, retry)),
            Item::DataAt(step) => Self::DataAt(step),
            Item::Test(step) => Self::Test(step),
            Item::Jump(step) => Self::Jump(step),
            Item::Extract(step) => Self::Extract(step),
            Item::Math(step) => Self::Math(step),
            Item::Size(condition) => Self::Size(condition),
        }
    }
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
    shift: Amount,
    /// `depth` or `within`: the window's length, counted from where it begins.
    length_limit: Option<Amount>,
    /// Can a later occurrence lead to a match of the rest of the chain where this one did not? Not when
    /// the rest asks only for things further on: the first occurrence leaves most room.
    retry: bool,
}

impl Content {
    fn compile(spec: &Spec, retry: bool) -> Self {
        let needle = if spec.nocase { spec.bytes.to_ascii_lowercase() } else { spec.bytes.clone() };
        let relative = spec.is_relative();
        let (shift, limit) = if relative { (spec.distance, spec.within) } else { (spec.offset, spec.depth) };
        Self {
            finder: memmem::Finder::new(&needle).into_owned(),
            length: needle.len(),
            negated: spec.negated,
            nocase: spec.nocase,
            relative,
            endswith: spec.endswith,
            shift: shift.unwrap_or(Amount::Fixed(0)),
            length_limit: limit,
            retry,
        }
    }

    /// Where the content may stand, given where the match before it ended; `None` where nowhere.
    fn window(&self, previous: usize, length: usize, variables: &Variables) -> Option<(usize, usize)> {
        let base = if self.relative { i64::try_from(previous).ok()? } else { 0 };
        let from = base.saturating_add(self.shift.value(variables));
        let start = usize::try_from(from.max(0)).ok()?;
        let end = match self.length_limit {
            Some(limit) => usize::try_from(from.saturating_add(limit.value(variables))).ok()?.min(length),
            None => length,
        };
        if self.endswith && end < length {
            return None;
        }
        (start.checked_add(self.length)? <= end).then_some((start, end))
    }

    /// The first occurrence that lies between `start` and `end`.
    fn find(
        &self,
        start: usize,
        end: usize,
        haystack: Haystack<'_>,
        work: &mut Work<'_>,
    ) -> Result<Option<usize>, Unsure> {
        let bytes = match haystack.lower {
            Some(lower) if self.nocase => lower,
            None if self.nocase => return self.find_nocase(start, end, haystack.bytes, work),
            _ => haystack.bytes,
        };
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

    /// The same in a short buffer of which there is no copy in lower case.
    fn find_nocase(
        &self,
        start: usize,
        end: usize,
        bytes: &[u8],
        work: &mut Work<'_>,
    ) -> Result<Option<usize>, Unsure> {
        let first = if self.endswith { end - self.length } else { start };
        let Some(window) = bytes.get(first..end) else { return Ok(None) };
        work.charge(window.len().saturating_mul(self.length))?;
        let needle = self.finder.needle();
        let found = window.windows(self.length).position(|part| part.eq_ignore_ascii_case(needle));
        Ok(found.map(|at| first + at))
    }
}

#[cfg(test)]
mod tests;
