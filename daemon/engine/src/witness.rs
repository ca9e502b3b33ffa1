//! Whoever knows what passed while nobody judged.

use portcullis_capture::PortId;
use portcullis_wire::{Address, Timestamp};
use std::fmt;

/// A connection, as one of its packets has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passing {
    /// The port that the packet came in by.
    pub ingress: PortId,
    /// Who sent it, and from which port.
    pub source: (Address, u16),
    /// Whom it was sent to, and to which port.
    pub destination: (Address, u16),
}

/// Remembers TCP connections of which packets passed that nobody judged. Asked on the packet path, but only about packets
/// of connections that nobody knows: it must neither wait nor allocate.
pub trait Witness: fmt::Debug + Send {
    /// Did a packet of this connection pass unjudged at `since` or later? It is `now`.
    fn saw(&self, connection: &Passing, since: Timestamp, now: Timestamp) -> bool;
}
