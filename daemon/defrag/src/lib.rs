//! IP defragmentation (RFC 791 section 3.2, RFC 8200 section 4.5): fragments in, whole datagrams out.
//! One [`Defragmenter`] a worker.
//!
//! - [`defragmenter`]: [`Defragmenter`], what happens to a fragment
//! - [`insertion`]: what a fragment came to
//! - [`policy`]: which of two overlapping fragments counts, by the receiver's operating system
//! - [`settings`]: what it is told at start
//! - [`stats`]: what it counts
//!
//! **Inline** nothing is held back but the fragment that completes a datagram, until the whole was
//! judged. So what a receiver may put together must be what was judged here: a fragment that
//! overlaps what came before is refused (of IPv6 with the whole datagram, RFC 5722), one that says
//! the very same again is let through, and of a datagram that was dropped nothing more goes out
//! until it would be forgotten. A datagram that was let through is kept in mind, so that no other fragment
//! can take the place of one that reached us but not the receiver: for as long where its fragments differ in
//! what decides how far they get, and in IPv6; else for two seconds, since IPv4 identifications come again
//! soon. (What was lost behind us can be replaced after that: nobody here knows of the loss.)
//! **Otherwise** overlaps are settled as the receiver is configured to do it.
//!
//! **Bounds**: memory is taken once, at start, within the worker's share of `defrag.memcap`. A
//! datagram's data is stored by position, in blocks of 512 bytes with a mark for every eight: what a
//! fragment costs depends on its own length and never on how many came before it.
//!
//! Invariants: no I/O, no clock, no allocation after start, no panic whatever the bytes.
#![forbid(unsafe_code)]

pub mod defragmenter;
pub mod insertion;
pub mod policy;
pub mod settings;
pub mod stats;

mod assemble;
mod blocks;
mod key;
mod room;
mod store;
mod table;
mod tracker;

#[cfg(test)]
mod tests;

pub use defragmenter::{Defragmenter, MAX_DATAGRAM};
pub use insertion::{Datagram, DefragEvent, Insertion, Outcome, Refusal, Ticket};
pub use policy::OverlapPolicy;
pub use settings::{DefragSettings, SetupError};
pub use stats::DefragStats;
