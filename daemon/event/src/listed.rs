//! A packet that a list in the kernel decided, one of some: EVE's `drop`, or `list` where it was let through.

use crate::common::Common;
use crate::dropped::DroppedPacket;

/// A packet one of whose addresses is on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedRecord<'a> {
    /// The packet's time and addresses. No flow: the engine never saw the packet, or has yet to.
    pub common: Common<'a>,
    /// Fields of its headers.
    pub packet: DroppedPacket,
    /// The list's name.
    pub list: &'a [u8],
    /// Was it dropped? Otherwise it went on to inspection.
    pub dropped: bool,
}
