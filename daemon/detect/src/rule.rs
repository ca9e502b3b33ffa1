//! A compiled rule and its full match.

use crate::buffer::Buffer;
use crate::content::pcre::Pcre;
use crate::content::{Contents, Haystack, Unsure, Work};
use crate::draft::PacketTest;
use crate::header::Header;
use crate::host::HostNeeds;
use crate::input::{FlowFacts, Input};
use crate::keywords::flowint;
use crate::outcome::Scope;
use crate::pattern::FastPattern;
use crate::ruleset::RuleId;
use crate::signature::Action;
use crate::stream::{Span, StreamWindow};
use portcullis_flow::{Direction, FlowBit, FlowBits, FlowNumber};
use std::cell::Cell;

/// When a rule is asked, and how far its action reaches, by Suricata's signature types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Header only: asked once per flow and direction (and for each packet without flow); acts on the flow.
    IpOnly,
    /// The same with a negated address, or a question about bits of hosts: asked for each packet; acts on the flow.
    LikeIpOnly,
    /// On an event of decoder or stream: asked for packets that have any, so that the many rules of this kind cost
    /// ordinary packets nothing.
    Event,
    /// All others: asked for each packet.
    Packet,
}

/// What `flow` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlowNeeds {
    pub(crate) direction: Option<Direction>,
    /// `established` or `not_established`
    pub(crate) established: Option<bool>,
    pub(crate) only_stream: bool,
    pub(crate) no_stream: bool,
    /// `only_frag` or `no_frag`
    pub(crate) fragment: Option<bool>,
}

impl FlowNeeds {
    fn met_by(&self, flow: Option<FlowFacts>) -> bool {
        match flow {
            Some(flow) => {
                self.direction.is_none_or(|direction| direction == flow.direction)
                    && self.established.is_none_or(|established| established == flow.established)
            }
            None => self.direction.is_none() && self.established.is_none(),
        }
    }
}

/// A match: on the stream, or on the packet alone?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) stream: bool,
}

/// What a match does to a bit of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BitChange {
    Set,
    Unset,
    Toggle,
}

/// What a match does to what is remembered about the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowChange {
    Bit(BitChange, FlowBit),
    Number(flowint::Change),
}

impl FlowChange {
    /// Carries it out; `false` where there was no room.
    pub(crate) fn apply(self, bits: &Cell<FlowBits>) -> bool {
        match self {
            Self::Bit(change, bit) => change.apply(bit, bits),
            Self::Number(change) => change.apply(bits),
        }
    }
}

/// The name of what is remembered about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FlowName {
    Bit(FlowBit),
    Number(FlowNumber),
}

/// One rule, compiled.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) header: Header,
    pub(crate) noalert: bool,
    /// Does it drop nothing, but tell what it would?
    pub(crate) would_drop: bool,
    /// Does a match end the inspection of the flow?
    pub(crate) bypass: bool,
    pub(crate) kind: Kind,
    pub(crate) flow: FlowNeeds,
    pub(crate) tests: Vec<Box<dyn PacketTest>>,
    /// What a match does to the flow's bits and numbers.
    pub(crate) flow_changes: Vec<FlowChange>,
    /// Does it ask for them?
    pub(crate) reads_bits: bool,
    /// What it has to do with state about hosts.
    pub(crate) host: HostNeeds,
    /// Does it ask for the flow's age?
    pub(crate) reads_age: bool,
    /// What is asked of each buffer.
    pub(crate) contents: Vec<(Buffer, Contents)>,
    /// What is looked for before it is asked.
    pub(crate) fast_pattern: Option<FastPattern>,
    /// Is a content match on stream data a match on the stream?
    pub(crate) stream_capable: bool,
    /// Do contents match on stream data only?
    pub(crate) stream_only: bool,
    /// How much of a stream a match on it can take.
    pub(crate) span: Span,
}

/// What a rule's contents are to be searched for in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Searched<'a> {
    pub(crate) payload: Haystack<'a>,
    /// The stream, and that in lower case where that was made.
    pub(crate) stream: Option<(StreamWindow<'a>, Option<&'a [u8]>)>,
}

impl Rule {
    /// Where it stands among rules of the same action, as in Suricata: those that write bits or numbers come before
    /// those that read them, and both before all others.
    pub(crate) fn bit_order(&self) -> u8 {
        match (self.flow_changes.is_empty(), self.reads_bits) {
            (false, false) => 0,
            (false, true) => 1,
            (true, true) => 2,
            (true, false) => 3,
        }
    }

    /// The full match, cheapest questions first.
    pub(crate) fn matches(
        &self,
        id: RuleId,
        input: &Input<'_>,
        searched: Searched<'_>,
        work: &mut Work<'_>,
    ) -> Result<Option<Match>, Unsure> {
        let packet = input.decoded;
        let asked = self.header.protocol.covers(packet.ip_version, packet.protocol)
            && self.flow.met_by(input.flow)
            && self.flow.fragment.is_none_or(|asked| asked == packet.fragment.is_some())
            && self.header.matches(packet)
            && self.tests.iter().all(|test| test.matches(input));
        if !asked {
            return Ok(None);
        }
        let follows = self.looks_at_streams();
        if let Some((window, lower)) = searched.stream.filter(|_| follows)
            && let Some(start) = window.start(id, self.span)
            && let Some(bytes) = window.bytes.get(start..)
            && self.contents_match(
                input,
                Haystack { bytes, lower: lower.and_then(|lower| lower.get(start..)) },
                work,
            )?
        {
            return Ok(Some(Match { stream: true }));
        }
        if searched.stream.is_some_and(|(window, _)| window.alone) {
            return Ok(None);
        }
        let on_stream = input.flow.is_some_and(|flow| flow.stream_data);
        if self.stream_only && (follows || !on_stream) {
            return Ok(None);
        }
        // What is part of the stream was or will be seen there, but for where things begin.
        if follows && on_stream && !matches!(self.span, Span::FromBegin(_)) {
            return Ok(None);
        }
        let matched = self.contents_match(input, searched.payload, work)?;
        Ok(matched.then_some(Match { stream: false }))
    }

    fn contents_match(
        &self,
        input: &Input<'_>,
        payload: Haystack<'_>,
        work: &mut Work<'_>,
    ) -> Result<bool, Unsure> {
        for (buffer, contents) in &self.contents {
            let haystack = match buffer {
                Buffer::Payload => Some(payload),
                other => other.of(input).map(|bytes| Haystack { bytes, lower: None }),
            };
            let haystack = haystack.filter(|haystack| !haystack.bytes.is_empty());
            let Some(haystack) = haystack else { return Ok(false) };
            if !contents.matches(haystack, work)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does a match drop?
    pub(crate) fn drops(&self) -> bool {
        !self.would_drop && matches!(self.header.action, Action::Drop | Action::Reject)
    }

    /// Does it ask something of the payload?
    pub(crate) fn looks_at_payload(&self) -> bool {
        self.contents.iter().any(|(buffer, _)| *buffer == Buffer::Payload)
    }

    /// Does it look for anything in the payload whatever its case?
    pub(crate) fn wants_lower(&self) -> bool {
        self.contents.iter().any(|(buffer, contents)| *buffer == Buffer::Payload && contents.wants_lower())
    }

    /// Does it ask something of streams?
    pub(crate) fn looks_at_streams(&self) -> bool {
        (self.stream_capable || self.stream_only) && self.looks_at_payload()
    }

    /// The regular expressions it asks for.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Pcre> {
        self.contents.iter().flat_map(|(_, contents)| contents.patterns())
    }

    /// How far the action of a match reaches.
    pub(crate) fn scope(&self, matched: Match, has_flow: bool) -> Scope {
        let flow = matched.stream || matches!(self.kind, Kind::IpOnly | Kind::LikeIpOnly);
        if flow && has_flow { Scope::Flow } else { Scope::Packet }
    }
}
