//! What rules ask of a TCP stream: how far they have to look back in it, and from where on each is asked.
//!
//! As in Suricata, a content of a `tcp` rule looks at the stream. Where the packet's payload is no part of
//! it (no session, a reset, out of the window), or where `offset` or `depth` ask about the begin of
//! something, the payload by itself counts, too.

use crate::content::bytes::Amount;
use crate::content::{Item, Spec};
use crate::input::Input;
use crate::ruleset::RuleId;

/// A part of a stream without a gap, to be inspected with a packet of its direction or without one.
#[derive(Clone, Copy)]
pub struct StreamWindow<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Where in `bytes` what was not inspected before begins.
    pub new_from: usize,
    /// Where in the stream `bytes` begins.
    pub offset: u64,
    /// Is it inspected without a packet, because its flow ends? Then only rules that look at streams are
    /// asked.
    pub alone: bool,
    /// From where in `bytes` a rule that may match is to be asked: not about what it matched before.
    pub ask_from: &'a dyn Fn(RuleId) -> usize,
}

impl std::fmt::Debug for StreamWindow<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("StreamWindow")
            .field("bytes", &self.bytes.len())
            .field("new_from", &self.new_from)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl<'a> StreamWindow<'a> {
    /// The packet's payload where that is all there is of a stream.
    pub(crate) fn of_payload(input: &Input<'a>) -> Option<Self> {
        let is_stream = input.flow.is_some_and(|flow| flow.stream_data) && !input.payload.is_empty();
        is_stream.then_some(Self {
            bytes: input.payload,
            new_from: 0,
            offset: 0,
            alone: false,
            ask_from: &|_| 0,
        })
    }

    /// Where the payload stands in the window, if it does.
    pub(crate) fn place_of(&self, payload: &[u8]) -> Option<usize> {
        let there = self.bytes.get(self.new_from..self.new_from + payload.len())?;
        // Comparing takes as long as a fifth of the search, and most often they are one and the same.
        (std::ptr::eq(there, payload) || there == payload).then_some(self.new_from)
    }

    /// From where `rule` is to be asked; `None` where it is not to be asked at all.
    pub(crate) fn start(&self, id: RuleId, span: Span) -> Option<usize> {
        let asked = (self.ask_from)(id);
        let start = match span {
            Span::Anywhere => asked,
            Span::Bytes(span) => asked.max(self.new_from.saturating_sub(span.saturating_sub(1))),
            // It asks about the begin of the stream.
            Span::FromBegin(_) => return (self.offset == 0 && asked == 0).then_some(0),
        };
        (start < self.bytes.len()).then_some(start)
    }
}

/// How many bytes of a stream a match of a rule can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// Nobody knows.
    Anywhere,
    /// At most so many.
    Bytes(usize),
    /// It is among the first so many of the stream (`None`: nobody knows how many).
    FromBegin(Option<usize>),
}

impl Span {
    /// That of what a rule asks of the payload, in its order.
    pub(crate) fn of<'a>(items: impl Iterator<Item = Option<&'a Item>>, specs: &[&Spec]) -> Self {
        if specs.iter().any(|spec| spec.offset.is_some() || spec.depth.is_some()) {
            return Self::FromBegin(end_of(specs));
        }
        // A step that is no content reads or jumps nobody knows where.
        if items.flatten().next().is_some() {
            return Self::Anywhere;
        }
        let Some((first, following)) = specs.split_first() else { return Self::Anywhere };
        if first.negated || first.endswith {
            return Self::Anywhere;
        }
        let start = within(first).unwrap_or(Some(first.bytes.len()));
        let whole = following.iter().try_fold(start, |total, spec| {
            (!spec.negated && !spec.endswith).then(|| Some(total? + within(spec)??))
        });
        whole.flatten().map_or(Self::Anywhere, Self::Bytes)
    }

    /// How far back that is to be looked for; `None` for as far as possible.
    pub(crate) const fn reach(self) -> Option<usize> {
        match self {
            Self::Anywhere => None,
            Self::Bytes(bytes) => Some(bytes),
            Self::FromBegin(bytes) => bytes,
        }
    }
}

/// How far after the match before the content ends at most: the outer option is whether it is relative.
fn within(spec: &Spec) -> Option<Option<usize>> {
    if !spec.is_relative() {
        return None;
    }
    let fixed = |amount: Option<Amount>| match amount {
        None => Some(0),
        Some(Amount::Fixed(value)) => Some(usize::try_from(value).unwrap_or(0)),
        Some(Amount::Extracted(_)) => None,
    };
    let bounded = spec.within.is_some().then(|| Some(fixed(spec.distance)? + fixed(spec.within)?));
    Some(bounded.flatten())
}

/// Where contents of which each says where it ends, do so at the latest.
fn end_of(specs: &[&Spec]) -> Option<usize> {
    let end = |spec: &&Spec| match (spec.offset, spec.depth) {
        (offset, Some(Amount::Fixed(depth))) => {
            let offset = match offset {
                None => 0,
                Some(Amount::Fixed(offset)) => offset,
                Some(Amount::Extracted(_)) => return None,
            };
            usize::try_from(offset.saturating_add(depth)).ok()
        }
        _ => None,
    };
    specs.iter().map(end).try_fold(0, |most: usize, end| Some(most.max(end?)))
}
