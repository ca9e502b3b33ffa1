//! A rule while its options are read, and its checks once all are.

use std::fmt;

use crate::content::{Contents, Spec};
use crate::error::Fault;
use crate::header::{Header, Protocol};
use crate::input::Input;
use crate::rule::{FlowNeeds, Kind, Rule};
use crate::ruleset::LoadOptions;
use crate::signature::{Metadata, Reference, Signature, Target};

/// Priority of a rule that gives none and has no class, as in Suricata.
const PRIORITY_DEFAULT: u8 = 3;

/// What a keyword asks of a packet besides contents and flow.
pub(crate) trait PacketTest: fmt::Debug + Send + Sync {
    /// Does the packet have it? Called for packets of the rule's protocol; must not allocate.
    fn matches(&self, input: &Input<'_>) -> bool;
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
    pub(crate) contents: Vec<ContentDraft>,
    pub(crate) flow: Option<FlowNeeds>,
    pub(crate) tests: Vec<Box<dyn PacketTest>>,
    /// Does it ask for a decoder event?
    pub(crate) on_event: bool,
}

impl Draft {
    /// The content that a modifier at `at` belongs to.
    pub(crate) fn content(&mut self, at: usize, modifier: &str) -> Result<&mut ContentDraft, Fault> {
        self.contents
            .last_mut()
            .ok_or_else(|| Fault::new(at, format!("`{modifier}` needs a `content` before it")))
    }

    /// The whole rule, checked; `end` is where a missing option would be.
    pub(crate) fn finish(
        mut self,
        header: Header,
        end: usize,
        options: &LoadOptions,
    ) -> Result<(Signature, Rule), Fault> {
        for content in &mut self.contents {
            content.check()?;
        }
        let flow = self.flow.unwrap_or_default();
        if flow.only_stream && header.protocol == Protocol::TcpPacket
            || flow.no_stream && header.protocol == Protocol::TcpStream
        {
            return Err(Fault::new(end, "the protocol and `flow` contradict each other about streams"));
        }
        let has_contents = !self.contents.is_empty();
        let ip_only = !has_contents
            && self.tests.is_empty()
            && self.flow.is_none()
            && !matches!(header.protocol, Protocol::TcpPacket | Protocol::TcpStream | Protocol::PacketHeader);
        let kind = match (ip_only, header.negated_address) {
            (false, _) if self.on_event && !has_contents => Kind::Event,
            (true, false) => Kind::IpOnly,
            (true, true) => Kind::LikeIpOnly,
            (false, _) => Kind::Packet,
        };
        let fast_pattern = self.fast_pattern();
        let specs: Vec<Spec> = self.contents.into_iter().map(|content| content.spec).collect();
        let stream_capable = header.protocol == Protocol::Tcp && !flow.no_stream && self.tests.is_empty()
            || header.protocol == Protocol::TcpStream;
        let signature = signature(self.texts, &header, end, options)?;
        let rule = Rule {
            stream_only: flow.only_stream || header.protocol == Protocol::TcpStream,
            header,
            noalert: signature.noalert,
            kind,
            flow,
            tests: self.tests,
            contents: has_contents.then(|| Contents::compile(&specs)),
            fast_pattern,
            stream_capable,
        };
        Ok((signature, rule))
    }

    /// What the prefilter looks for, in lower case: the marked content, else the longest. A negated one
    /// cannot serve.
    fn fast_pattern(&self) -> Option<Vec<u8>> {
        let usable = || self.contents.iter().filter(|content| !content.spec.negated);
        let marked = usable().find(|content| content.fast_pattern);
        // Of equally long ones the first.
        let chosen = marked.or_else(|| usable().rev().max_by_key(|content| content.spec.bytes.len()))?;
        let bytes = match chosen.chop {
            Some((offset, length)) => chosen.spec.bytes.get(offset..offset + length)?,
            None => &chosen.spec.bytes,
        };
        Some(bytes.to_ascii_lowercase())
    }
}

impl ContentDraft {
    fn check(&mut self) -> Result<(), Fault> {
        let fault = |reason: String| Err(Fault::new(self.at, reason));
        let length = self.spec.bytes.len();
        let relative = self.spec.is_relative();
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
        if let Some(depth) = self.spec.depth.filter(|&depth| usize::from(depth) < length) {
            return fault(format!(
                "`depth` {depth} is less than the content's {length} bytes: it can never match"
            ));
        }
        let fits = |within: i32| usize::try_from(within).is_ok_and(|within| within >= length);
        if let Some(within) = self.spec.within.filter(|&within| !fits(within)) {
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
            self.spec.offset = Some(0);
            self.spec.depth = u16::try_from(length).ok();
        }
        Ok(())
    }
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
    })
}
