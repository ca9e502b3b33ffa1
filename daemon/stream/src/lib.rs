//! TCP as an inspector has to see it: Suricata's session state machine, and the bytes of each
//! direction put together as their receiver will.
//!
//! - [`Streams`]: one worker's sessions; [`Streams::packet`] takes in a segment
//! - [`Segment`] and [`Seen`]: what goes in, and what is said about it
//! - [`Window`]: the contiguous bytes to be inspected, and which of them are new
//! - [`StreamEvent`]: what is wrong or remarkable, by the names of `stream-event`
//! - [`StreamSettings`]: the `stream` settings as plain data
//! - [`Streams::export`] and [`Streams::import`]: a session as bytes, for whoever takes the flow over
//! - [`StreamStats`]: what is counted, by the names of `tcp.*`
//!
//! Below them: `seq` (sequence numbers), `options` (TCP options), `session` and `peer` (what is
//! remembered), `state` (the state machine, a file for each phase of a connection), `arena` (the
//! sessions' memory), `pages` (memory for payload), `reassembly` (payload to windows, overlaps).
//!
//! Invariants: no I/O, no clock (time comes with the packets), no lock; memory is reserved by
//! [`Streams::new`] and never exceeds the worker's share of `stream.memcap` and
//! `stream.reassembly.memcap`. What a segment costs is bounded by its own length and by the settings,
//! never by what was sent before. Whatever the bytes, nothing panics.
//!
//! `pkt_on_wrong_thread` and its event have no meaning here: a flow has one worker, which gets all of
//! its packets. Rules that ask for the event load, and never match.
#![forbid(unsafe_code)]

mod arena;
mod events;
mod export;
mod options;
mod os;
mod pages;
mod peer;
mod reassembly;
mod segment;
mod seq;
mod session;
mod settings;
mod state;
mod stats;
mod streams;

pub use arena::StreamHandle;
pub use events::{StreamEvent, StreamEvents};
pub use export::{CARRIED_MAX, ImportError, PAST_MAX};
pub use options::TcpOptions;
pub use reassembly::Matches;
pub use segment::{Fate, Faults, Seen, Segment, Window};
pub use session::{DirectionSummary, SessionSummary};
pub use settings::{Reassembly, SetupError, Share, StreamSettings, Urgent, UrgentPolicy};
pub use stats::StreamStats;
pub use streams::Streams;
