//! What a fragment came to, and what goes with it.

#[cfg(doc)]
use crate::Defragmenter;
use crate::key::DatagramKey;

/// What a fragment came to.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub struct Insertion {
    /// What became of it.
    pub outcome: Outcome,
    /// What is remarkable about it beside what the decoder found.
    pub event: Option<DefragEvent>,
}

/// What became of a fragment. With a ticket goes the duty to tell what became of the packet: see
/// [`Defragmenter::conclude`].
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken in; other fragments are still missing.
    Taken(Ticket),
    /// The very same was there before; it changes nothing.
    Duplicate(Ticket),
    /// It completes its datagram: see [`Defragmenter::assemble`].
    Complete(Ticket),
    /// Not taken in. Inline it must not go out, whatever else is thought of it, unless the policy for
    /// exhausted memory says so.
    Refused(Refusal),
}

/// Why a fragment was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No receiver takes it: no data, data that does not end on a multiple of eight though more
    /// follows, more than a datagram can have, or a wrong header checksum.
    Malformed,
    /// It overlaps other fragments, or contradicts what they say about the datagram's end.
    Overlap,
    /// Its datagram was dropped, or was let through with every fragment it has.
    Late,
    /// No memory (`defrag.memcap`).
    Memory,
    /// Too many datagrams at a time (`defrag.trackers`).
    Trackers,
    /// Too many fragments at a time (`defrag.max-frags`).
    Fragments,
}

impl Refusal {
    /// Is it a limit of ours, not a fault of the fragment? Then `defrag.memcap-policy` applies.
    #[must_use]
    pub const fn is_exhaustion(self) -> bool {
        matches!(self, Self::Memory | Self::Trackers | Self::Fragments)
    }
}

/// What is remarkable about a fragment among others, by the last part of Suricata's event name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefragEvent {
    /// `frag_overlap`
    Overlap,
    /// `frag_pkt_too_large`
    TooLarge,
    /// `frag_ignored`: a limit of ours was reached.
    Ignored,
}

impl Insertion {
    /// Refused for a limit of ours.
    pub(crate) const fn exhausted(refusal: Refusal) -> Self {
        Self { outcome: Outcome::Refused(refusal), event: Some(DefragEvent::Ignored) }
    }
}

/// Stands for a fragment's datagram until the verdict on the fragment is known.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(crate) place: u32,
    pub(crate) key: DatagramKey,
}

/// A whole datagram.
#[derive(Debug)]
pub struct Datagram<'b> {
    /// Link header (that of the first fragment) and IP packet.
    pub frame: &'b mut [u8],
    /// Where the IP packet begins; 0 also where the link header was too long to be kept: then the
    /// frame is a packet without link header.
    pub ip_start: usize,
}
