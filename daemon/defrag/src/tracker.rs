//! One datagram that is being put together, or that was.

use crate::blocks::NONE;
use crate::key::DatagramKey;
use crate::policy::{Extent, OverlapPolicy};
use portcullis_wire::Timestamp;
use std::time::Duration;

/// What a tracker is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// No datagram's.
    #[default]
    Free,
    /// Fragments are missing.
    Open,
    /// The datagram was let through; what comes now was not judged with it.
    Done,
    /// The datagram was dropped: nothing of it goes out any more.
    Condemned,
}

/// The end of a datagram whose last fragment has not come.
pub(crate) const END_UNKNOWN: u32 = u32::MAX;

/// A datagram's place in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tracker {
    pub(crate) key: DatagramKey,
    pub(crate) deadline: Timestamp,
    pub(crate) timeout: Duration,
    /// Links: in the bucket or the free list, and in the order of age.
    pub(crate) next: u32,
    pub(crate) older: u32,
    pub(crate) newer: u32,
    /// The block that lists those with the data.
    pub(crate) directory: u32,
    /// The block with link and IP header of the first fragment.
    pub(crate) header: u32,
    pub(crate) link_length: u16,
    pub(crate) header_length: u16,
    pub(crate) state: State,
    pub(crate) policy: OverlapPolicy,
    /// Time to live and type of service of the fragment that came first.
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    /// Might some fragments have reached us but not the receiver?
    pub(crate) is_uneven: bool,
    /// Units that are there.
    pub(crate) units: u16,
    /// Bytes of data in all, once the last fragment has come.
    pub(crate) end: u32,
    /// End of the data that came so far.
    pub(crate) high: u32,
    /// Fragments taken in.
    pub(crate) fragments: u32,
}

impl Default for Tracker {
    fn default() -> Self {
        Self {
            key: DatagramKey::default(),
            deadline: Timestamp::ZERO,
            timeout: Duration::ZERO,
            next: NONE,
            older: NONE,
            newer: NONE,
            directory: NONE,
            header: NONE,
            link_length: 0,
            header_length: 0,
            state: State::Free,
            policy: OverlapPolicy::default(),
            ttl: 0,
            tos: 0,
            is_uneven: false,
            units: 0,
            end: END_UNKNOWN,
            high: 0,
            fragments: 0,
        }
    }
}

impl Tracker {
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.deadline <= now
    }

    /// Does data at `extent` that ends at byte `end`, the last of the datagram or not, contradict what
    /// is known about the datagram's end?
    pub(crate) const fn contradicts_end(&self, end: u32, is_last: bool) -> bool {
        if self.end == END_UNKNOWN {
            return is_last && self.high > end;
        }
        end > self.end || (is_last && end != self.end)
    }

    /// Is every unit up to the known end there?
    pub(crate) fn is_complete(&self) -> bool {
        self.end != END_UNKNOWN && u32::from(self.units) == self.end.div_ceil(8)
    }
}

/// The units that `start..end` (bytes) touches. Both are at most 65,535.
pub(crate) fn extent(start: u32, end: u32) -> Extent {
    let units = |bytes: u32| u16::try_from(bytes).unwrap_or(u16::MAX);
    Extent { start: units(start / 8), end: units(end.div_ceil(8)) }
}
