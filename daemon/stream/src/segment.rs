//! A segment, and what is said about it.

use crate::arena::StreamHandle;
use crate::events::StreamEvents;
use portcullis_flow::Direction;
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::{Address, Tcp};

/// One TCP segment with a good checksum (or one that nobody asked about).
#[derive(Clone, Copy, Debug)]
pub struct Segment<'p> {
    /// Which way it goes.
    pub direction: Direction,
    /// Its header.
    pub tcp: Tcp,
    /// The bytes of its options.
    pub options: &'p [u8],
    /// Its payload.
    pub payload: &'p [u8],
    /// 4 or 6.
    pub ip_version: u8,
    /// Where it goes to: how that host behaves is `host-os-policy`'s.
    pub destination: Address,
    /// The engine's time.
    pub now: Timestamp,
    /// Is the packet to be dropped whatever we find? Then its payload is not taken in: its receiver will
    /// not get it.
    pub lost: bool,
    /// If its session's beginning was not seen, is it picked up all the same?
    pub pick_up: bool,
    /// Memory that is to be missing, for tests of what happens then.
    pub faults: Faults,
}

impl Segment<'_> {
    /// The engine's time in whole seconds.
    #[inline]
    pub(crate) fn seconds(&self) -> u32 {
        u32::try_from(self.now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
    }
}

/// Memory that is not there, because somebody wants to see what happens then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// None for a session.
    pub session: bool,
    /// None for payload.
    pub payload: bool,
}

/// What is to become of a segment, as far as its session decides it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub enum Fate {
    /// It is what a session may have.
    #[default]
    Valid,
    /// It is not: its receiver will not take it, or should not. `stream.drop-invalid` drops it.
    Invalid,
    /// It has no session, and should have begun one: `stream.midstream-policy` decides. Where a session
    /// was picked up, there is one.
    Midstream,
    /// There is no memory for its session: `stream.memcap-policy` decides.
    SessionMemcap,
    /// There is no memory for its payload: `stream.reassembly.memcap-policy` decides.
    ReassemblyMemcap,
    /// It has urgent data, which `stream.reassembly.urgent` says to drop.
    Urgent,
}

/// What is said about a segment.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Seen {
    /// Its session, where it has one; to be kept with the flow.
    pub session: Option<StreamHandle>,
    /// What is to become of it.
    pub fate: Fate,
    /// What is wrong or remarkable about it.
    pub events: StreamEvents,
    /// Is its payload part of the stream, and so inspected with the rest? Else what it carries has to be
    /// inspected by itself.
    pub added: bool,
    /// Inline: some of its payload differs from what was sent before in its place:
    /// [`Streams::rewrite`](crate::Streams::rewrite) makes it the same.
    pub conflict: bool,
    /// Is its session what it was, but for how far it has come: the same session in the same state, with the same flags
    /// and initial numbers?
    pub unchanged: bool,
    /// Was its session picked up only because [`Segment::pick_up`] said so?
    pub forgiven: bool,
    /// Are both directions at their depth, and may the flow be bypassed (`stream.bypass`)?
    pub bypass: bool,
}

/// Bytes of one direction without a gap, to be inspected.
#[derive(Clone, Copy, Debug)]
pub struct Window<'s> {
    /// The bytes.
    pub bytes: &'s [u8],
    /// Where in `bytes` what was not inspected before begins. What is before it was, and is there so that
    /// what goes over the boundary is found.
    pub new_from: usize,
    /// Where `bytes` begins in the stream, in bytes from its begin; for what is remembered about a window.
    pub offset: u64,
}
