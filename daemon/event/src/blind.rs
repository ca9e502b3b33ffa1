//! A time in which no worker saw what came in: ours, Suricata has nothing like it.

use portcullis_capture::PortId;
use portcullis_wire::Timestamp;

/// A blind window of one queue: while it lasted, the fail policy decided about its packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlindRecord {
    /// When it was noticed.
    pub timestamp: Timestamp,
    /// The port that the packets came in by.
    pub port: PortId,
    /// Its receive queue.
    pub queue: u32,
    /// The first packet that nobody saw.
    pub start: Timestamp,
    /// The last one.
    pub end: Timestamp,
    /// How many there were.
    pub packets: u64,
    /// How many of them went on to the peer port, uninspected; the others were dropped.
    pub passed: u64,
}
