//! Evasions: what an attacker does to a TCP session so that an inspector in the middle sees something else than
//! the host behind it; and hosts that make of it what hosts make of it.
//!
//! - [`Wire`]: whose session it is; [`Text`]: what it carries
//! - [`Segment`] and [`Step`]: what the attacker sends
//! - [`Host`]: the receiver, in the [`Manner`] of one system or another. It knows nothing of the inspector's code:
//!   it reads the bytes of frames by itself.
//! - [`rows`]: the matrix
//! - [`LISTS`]: which row tries which item of the lists that the rows come from
//!
//! The rows come from Handley, Paxson and Kreibich, "Network Intrusion Detection: Evasion, Traffic Normalization,
//! and End-to-End Protocol Semantics" (2001), header field by field; Ptacek and Newsham, "Insertion, Evasion, and
//! Denial of Service: Eluding Network Intrusion Detection" (1998); and Wang and others, "`SymTCP`: Eluding Stateful
//! Deep Packet Inspection with Automated Discrepancy Discovery" (2020).

mod fields;
mod frame;
mod host;
mod lists;
mod packet;
mod pieces;
mod published;
mod rows;
mod segment;
mod strategies;
mod streams;

pub use host::{Host, Manner};
pub use lists::{LISTS, List, Tried};
pub use pieces::Overlap;
pub use rows::{Row, rows};
pub use segment::{Segment, Step, Text, Wire};
