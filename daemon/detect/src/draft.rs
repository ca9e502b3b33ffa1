//! A rule while its options are read, and its checks once all are.

use std::fmt;

use portcullis_host::BitName;

use crate::buffer::Buffer;
use crate::content::bytes::Amount;
use crate::content::{Contents, Item, Spec};
use crate::error::Fault;
use crate::header::{Header, Protocol};
use crate::header_table::HeaderKey;
use crate::host::HostNeeds;
use crate::input::Input;
use crate::matcher::strength;
use crate::pattern::FastPattern;
use crate::rule::{BitChange, FlowChange, FlowName, FlowNeeds, Kind, Rule};
use crate::ruleset::LoadOptions;
use crate::signature::{Metadata, Reference, Signature, Target};
use crate::stream::Span;

/// Priority of a rule that gives none and has no class, as in Suricata.
const PRIORITY_DEFAULT: u8 = 3;

/// Most contents and steps of one rule; it bounds how deep matching recurses.
const PARTS_MAX: usize = 128;

/// What a keyword asks of a packet besides contents and flow.
pub(crate) trait PacketTest: fmt::Debug + Send + Sync {
    /// Does the packet have it? Called for packets of the rule's protocol; must not allocate.
    fn matches(&self, input: &Input<'_>) -> bool;

    /// Can a packet with this key have it? What is not sure is `true`.
    fn admits(&self, _key: HeaderKey) -> bool {
        true
    }

    /// Is it about the flow, so that it can be asked of its streams as well as of a packet?
    fn is_of_flow(&self) -> bool {
        false
    }
}

/// One content while its modifiers are read.
#[derive(Debug, Default)]
pub(crate) struct ContentDraft {
    /// Where its keyword stands.
    pub(crate) at: usize,
    pub(crate) spec: Spec,
    pub(crate) startswith: bool,
    pub(crate) fast_pattern: bool,
    /// The part of the pattern to look for first: offset and length.
    pub(crate) chop: Option<(usize, usize)>,
    /// `fast_pattern:only`
    pub(crate) only: bool,
}

/// A content or another step.
#[derive(Debug)]
pub(crate) enum Part {
    Content(ContentDraft),
    Step(Item),
}

/// What the options say that only records show.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub(crate) msg: Option<String>,
    pub(crate) sid: Option<u32>,
    pub(crate) rev: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) priority: Option<u8>,
    /// With its place.
    pub(crate) classtype: Option<(usize, String)>,
    pub(crate) references: Vec<Reference>,
    pub(crate) metadata: Vec<Metadata>,
    pub(crate) target: Option<Target>,
    pub(crate) noalert: bool,
}

/// What the options said so far.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) texts: Texts,
    /// What the next contents look at.
    pub(crate) buffer: Buffer,
    parts: Vec<(Buffer, Part)>,
    /// Names of extracted values, by number.
    pub(crate) variables: Vec<String>,
    pub(crate) flow: Option<FlowNeeds>,
    pub(crate) tests: Vec<Box<dyn PacketTest>>,
    pub(crate) flow_changes: Vec<FlowChange>,
    pub(crate) reads_bits: bool,
    pub(crate) reads_age: bool,
    /// The places and names of the flow's bits and numbers.
    pub(crate) flow_names: Vec<(usize, FlowName, Vec<u8>)>,
    /// What it has to do with state about hosts.
    pub(crate) host: HostNeeds,
    /// Where it asks for different ports, which its protocol must have.
    pub(crate) distinct_at: Option<usize>,
    /// The places and names of hosts' bits.
    pub(crate) host_names: Vec<(usize, BitName, Vec<u8>)>,
    pub(crate) bypass: bool,
    /// Does it ask for a decoder event?
    pub(crate) on_event: bool,
}

impl Draft {
    /// The content that a modifier at `at` belongs to.
    pub(crate) fn content(&mut self, at: usize, modifier: &str) -> Result<&mut ContentDraft, Fault> {
        let mut parts = self.parts.iter_mut().rev();
        let last = parts.find_map(|(_, part)| match part {
            Part::Content(content) => Some(content),
            Part::Step(_) => None,
        });
        last.ok_or_else(|| Fault::following(at, format!("`{modifier}` needs a `content` before it")))
    }

    /// Adds a content that looks at the current buffer.
    pub(crate) fn push_content(&mut self, content: ContentDraft) -> Result<(), Fault> {
        self.push_part(content.at, Part::Content(content))
    }

    /// Adds a step on the current buffer.
    pub(crate) fn push(&mut self, at: usize, step: Item) -> Result<(), Fault> {
        self.push_part(at, Part::Step(step))
    }

    fn push_part(&mut self, at: usize, part: Part) -> Result<(), Fault> {
        if self.parts.len() >= PARTS_MAX {
            return Err(Fault::new(at, format!("the rule has more than {PARTS_MAX} contents")));
        }
        self.parts.push((self.buffer, part));
        Ok(())
    }

    /// The contents so far, with the buffers they look at.
    pub(crate) fn contents(&self) -> impl DoubleEndedIterator<Item = (Buffer, &ContentDraft)> {
        self.parts.iter().filter_map(|(buffer, part)| match part {
            Part::Content(content) => Some((*buffer, content)),
            Part::Step(_) => None,
        })
    }

    /// The whole rule, checked; `end` is where a missing option would be.
    pub(crate) fn finish(
        mut self,
        header: Header,
        end: usize,
        options: &LoadOptions,
    ) -> Result<(Signature, Rule), Fault> {
        for (_, part) in &mut self.parts {
            if let Part::Content(content) = part {
                content.check()?;
            }
        }
        let flow = self.flow.unwrap_or_default();
        if flow.only_stream && header.protocol == Protocol::TcpPacket
            || flow.no_stream && header.protocol == Protocol::TcpStream
        {
            return Err(Fault::new(end, "the protocol and `flow` contradict each other about streams"));
        }
        if let Some(at) = self.distinct_at.filter(|_| !header.protocol.has_ports()) {
            return Err(Fault::new(at, "`unique_on` needs a protocol with ports: tcp, udp or sctp"));
        }
        let has_contents = !self.parts.is_empty();
        let ip_only = !has_contents
            && self.tests.is_empty()
            && self.flow.is_none()
            && !self.bypass
            && self.flow_changes.iter().all(|change| matches!(change, FlowChange::Bit(BitChange::Set, _)))
            && !matches!(header.protocol, Protocol::TcpPacket | Protocol::TcpStream | Protocol::PacketHeader);
        // What an address is remembered for may change while its flows last.
        let every_packet = header.negated_address || !self.host.tests.is_empty();
        let kind = match (ip_only, every_packet) {
            (false, _) if self.on_event && !has_contents => Kind::Event,
            (true, false) => Kind::IpOnly,
            (true, true) => Kind::LikeIpOnly,
            (false, _) => Kind::Packet,
        };
        let fast_pattern = self.fast_pattern();
        let span = span(&self.parts);
        let contents = compile(self.parts);
        let stream_capable = header.protocol == Protocol::Tcp
            && !flow.no_stream
            && self.tests.iter().all(|test| test.is_of_flow())
            || header.protocol == Protocol::TcpStream;
        let signature = signature(self.texts, &header, end, options)?;
        let rule = Rule {
            stream_only: flow.only_stream || header.protocol == Protocol::TcpStream,
            header,
            noalert: signature.noalert,
            would_drop: false,
            kind,
            flow,
            tests: self.tests,
            bypass: self.bypass,
            flow_changes: self.flow_changes,
            reads_bits: self.reads_bits,
            reads_age: self.reads_age,
            host: self.host,
            contents,
            fast_pattern,
            stream_capable,
            span,
        };
        Ok((signature, rule))
    }

    /// What is looked for before the rule is asked: the marked content, else the strongest. A negated one
    /// cannot serve.
    fn fast_pattern(&self) -> Option<FastPattern> {
        let usable = || {
            self.contents()
                .filter(|(buffer, content)| *buffer == Buffer::Payload && !content.spec.negated)
                .map(|(_, content)| content)
        };
        let marked = usable().find(|content| content.fast_pattern);
        let strength = |content: &&ContentDraft| {
            let bytes = content.spec.bytes.to_ascii_lowercase();
            let anchored = FastPattern { bytes: Vec::new(), place: content.place(0) }.is_anchored();
            strength(&bytes, anchored)
        };
        // Of equally strong ones the first.
        let chosen = marked.or_else(|| usable().rev().max_by_key(strength))?;
        let (skipped, bytes) = match chosen.chop {
            Some((offset, length)) => (offset, chosen.spec.bytes.get(offset..offset + length)?),
            None => (0, chosen.spec.bytes.as_slice()),
        };
        Some(FastPattern { bytes: bytes.to_ascii_lowercase(), place: chosen.place(skipped) })
    }
}

/// How much of a stream a match of what is asked of the payload can take.
fn span(parts: &[(Buffer, Part)]) -> Span {
    let of_payload = || parts.iter().filter(|(buffer, _)| *buffer == Buffer::Payload).map(|(_, part)| part);
    let steps = of_payload().map(|part| match part {
        Part::Step(step) => Some(step),
        Part::Content(_) => None,
    });
    let contents = of_payload().filter_map(|part| match part {
        Part::Content(content) => Some(&content.spec),
        Part::Step(_) => None,
    });
    Span::of(steps, &contents.collect::<Vec<_>>())
}

impl ContentDraft {
    /// The offsets where what is left of it behind `skipped` bytes may begin, if the rule says.
    fn place(&self, skipped: usize) -> Option<(u32, u32)> {
        let Some(Amount::Fixed(depth)) = self.spec.depth else { return None };
        let offset = fixed(self.spec.offset.or(Some(Amount::Fixed(0))))?;
        let first = u32::try_from(offset).ok()?.checked_add(u32::try_from(skipped).ok()?)?;
        let room = usize::try_from(depth).ok()?.checked_sub(self.spec.bytes.len())?;
        Some((first, first.checked_add(u32::try_from(room).ok()?)?))
    }

    fn check(&mut self) -> Result<(), Fault> {
        let fault = |reason: String| Err(Fault::new(self.at, reason));
        let length = self.spec.bytes.len();
        let relative = self.spec.is_relative();
        let fits = |limit: i64| usize::try_from(limit).is_ok_and(|limit| limit >= length);
        let placed = self.spec.offset.is_some() || self.spec.depth.is_some();
        if relative && placed {
            return fault("`distance` and `within` cannot be mixed with `offset` and `depth`".to_owned());
        }
        if self.startswith && (relative || placed) {
            return fault("`startswith` cannot be mixed with other placements".to_owned());
        }
        if self.only && (relative || placed || self.spec.negated || self.startswith || self.spec.endswith) {
            return fault("`fast_pattern:only` cannot be mixed with placements or negation".to_owned());
        }
        if let Some(depth) = fixed(self.spec.depth).filter(|&depth| !fits(depth)) {
            return fault(format!(
                "`depth` {depth} is less than the content's {length} bytes: it can never match"
            ));
        }
        if let Some(within) = fixed(self.spec.within).filter(|&within| !fits(within)) {
            return fault(format!(
                "`within` {within} is less than the content's {length} bytes: it can never match"
            ));
        }
        if let Some((offset, part)) = self.chop.filter(|&(offset, part)| offset + part > length) {
            return fault(format!(
                "`fast_pattern:{offset},{part}` reaches beyond the content's {length} bytes"
            ));
        }
        if self.startswith {
            self.spec.offset = Some(Amount::Fixed(0));
            self.spec.depth = i64::try_from(length).ok().map(Amount::Fixed);
        }
        Ok(())
    }
}

/// The number, where the rule says it.
const fn fixed(amount: Option<Amount>) -> Option<i64> {
    match amount {
        Some(Amount::Fixed(number)) => Some(number),
        Some(Amount::Extracted(_)) | None => None,
    }
}

/// What is asked of each buffer, in the order of their first use.
fn compile(parts: Vec<(Buffer, Part)>) -> Vec<(Buffer, Contents)> {
    let mut buffers: Vec<(Buffer, Vec<Item>)> = Vec::new();
    for (buffer, part) in parts {
        let item = match part {
            Part::Content(content) => Item::Content(content.spec),
            Part::Step(step) => step,
        };
        match buffers.iter_mut().find(|(known, _)| *known == buffer) {
            Some((_, items)) => items.push(item),
            None => buffers.push((buffer, vec![item])),
        }
    }
    buffers.into_iter().map(|(buffer, items)| (buffer, Contents::compile(items))).collect()
}

fn signature(texts: Texts, header: &Header, end: usize, options: &LoadOptions) -> Result<Signature, Fault> {
    let Some(sid) = texts.sid else {
        return Err(Fault::new(end, "the rule has no `sid`"));
    };
    let (classtype, category, class_priority) = match texts.classtype {
        None => (String::new(), String::new(), None),
        Some((at, name)) => match options.classifications.class(&name) {
            Some(class) => (name, class.description.clone(), Some(class.priority)),
            None => return Err(Fault::new(at, format!("class `{name}` is not in the classification file"))),
        },
    };
    Ok(Signature {
        action: header.action,
        gid: texts.gid.unwrap_or(1),
        sid,
        rev: texts.rev.unwrap_or(0),
        msg: texts.msg.unwrap_or_default(),
        classtype,
        category,
        priority: texts.priority.or(class_priority).unwrap_or(PRIORITY_DEFAULT),
        references: texts.references,
        metadata: texts.metadata,
        target: texts.target,
        noalert: texts.noalert,
        would_drop: false,
    })
}
