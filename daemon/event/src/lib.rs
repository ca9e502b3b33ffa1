//! What a worker reports: as plain data, as bytes for a ring, and as counters.
//!
//! - [`record`]: [`Record`], one of an alert, a drop, a flow, a netflow, the statistics, a blind window or a listed packet
//! - [`common`]: what every record begins with
//! - [`alert`], [`dropped`], [`flow`], [`stats`], [`blind`], [`listed`]: the records themselves
//! - [`text`]: lists of strings that are packed once and copied as bytes
//! - [`ring`]: bounded byte rings that take records from a worker to the logger
//! - [`counters`]: the counter block that a worker publishes, by Suricata's names
//!
//! Records are self-contained: a rule's strings travel inside them, so that a reader never needs
//! the rule set that a worker used. They borrow everything, and are encoded and decoded without
//! allocation.
//!
//! Invariants: no JSON, no I/O and no clock here; an encoded record is at most
//! [`MAX_RECORD`] bytes, and what had to be cut is flagged; a full ring refuses and counts, and
//! never holds part of a record.
#![forbid(unsafe_code)]

mod alarm;
pub mod alert;
pub mod blind;
mod bytes;
mod codec;
pub mod common;
pub mod counters;
pub mod dropped;
pub mod flow;
pub mod listed;
mod named;
pub mod record;
pub mod ring;
pub mod stats;
pub mod text;

pub use alert::{
    Alert, AlertAction, AlertFlow, AlertRecord, PacketVerdict, RejectTarget, Target, VerdictAction, Would,
};
pub use blind::BlindRecord;
pub use common::{Common, Counts, Ether, IcmpType, Mac, PacketSource, Tunnel};
pub use counters::Counters;
pub use dropped::{DropRecord, DroppedPacket, DroppedTransport};
pub use flow::{
    ExceptionPolicy, ExceptionTarget, FlowRecord, NetflowRecord, PolicyTargets, TcpPart, TcpSession, TtlRange,
};
pub use listed::ListedRecord;
pub use record::{Class, DecodeError, MAX_RECORD, Record};
pub use ring::{RecordConsumer, RecordProducer, Refused, Reporter, RingCounts, RingMode};
pub use stats::{RuleCounts, StatsRecord};
pub use text::{TextList, TextListBuf};
