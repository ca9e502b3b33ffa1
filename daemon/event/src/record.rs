//! One record of any kind, and its class.

use crate::alert::AlertRecord;
use crate::blind::BlindRecord;
use crate::codec;
use crate::dropped::DropRecord;
use crate::flow::{FlowRecord, NetflowRecord};
use crate::listed::ListedRecord;
use crate::stats::StatsRecord;

/// Most bytes of an encoded record, its length prefix included: 192 KiB. The longest IP packet in its frame, a payload as
/// long and all that is said about them have room in it.
pub const MAX_RECORD: usize = 192 * 1024;

/// What a worker reports. Borrows its bytes and strings from the worker, or after decoding from
/// the encoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A rule alerted on a packet.
    Alert(AlertRecord<'a>),
    /// A packet was dropped.
    Drop(DropRecord<'a>),
    /// A flow ended.
    Flow(FlowRecord<'a>),
    /// One direction of a flow that ended.
    Netflow(NetflowRecord<'a>),
    /// The engine's counters.
    Stats(StatsRecord),
    /// A time in which no worker saw what came in.
    Blind(BlindRecord),
    /// A list in the kernel decided about a packet.
    Listed(ListedRecord<'a>),
}

/// Which ring a record goes through, so that cheap records never displace evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Alerts, drops and what lists decided.
    Evidence,
    /// Flows, netflows, statistics and blind windows.
    Flow,
}

impl<'a> Record<'a> {
    /// Which ring it goes through.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Alert(_) | Self::Drop(_) | Self::Listed(_) => Class::Evidence,
            Self::Flow(_) | Self::Netflow(_) | Self::Stats(_) | Self::Blind(_) => Class::Flow,
        }
    }

    /// Appends the record to `out` as bytes, at most [`MAX_RECORD`] of them, and tells whether
    /// something was cut to fit: first the packet and the payload, which share what room there
    /// is; a rule's strings only where they are longer than a few kilobytes each.
    ///
    /// The bytes are for this machine and this build: a length of four bytes, little-endian, and
    /// that many bytes of content.
    pub fn encode(&self, out: &mut Vec<u8>) -> bool {
        codec::encode(self, out)
    }

    /// Reads back what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// The bytes are not exactly one record.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes)
    }
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the record ends before its last field")]
    TooShort,
    /// There are more than the record needs.
    #[error("{0} bytes follow the record's last field")]
    TooLong(usize),
    /// A value that no such field has.
    #[error("no record has the value {value} for its {field}")]
    BadValue {
        /// Which field.
        field: &'static str,
        /// The value it had.
        value: u8,
    },
    /// A list of strings is torn.
    #[error("a list of strings does not hold whole entries")]
    BadList,
}
