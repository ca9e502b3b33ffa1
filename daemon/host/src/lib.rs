//! State about hosts, shared by all workers: how often a rule matched for whom, and the bits that rules
//! set on addresses.
//!
//! - [`HostTable`]: the state; [`HostTable::count`] for thresholds, [`HostTable::count_distinct`] for ports, [`HostTable::set`] and its sisters
//!   for bits
//! - [`Key`] with [`Who`]: what an entry is about
//! - [`Limit`] with [`LimitKind`]: what is counted for; [`Ruling`]: what follows for the rule
//! - [`BitName`]: the name of a bit
//!
//! Invariants: the table is allocated once and never grows; nothing in it locks, waits or allocates; an
//! entry is one atomic word, so that whoever reads it sees all of it as one writer left it. Time is an
//! argument. An entry whose time is over counts as absent, and its place is taken by the next that needs
//! one. Where all places that a key may have are taken, the key is refused, which the answer says, so that
//! the worker counts it; what a rule does then is [`LimitKind::without_state`].
//!
//! The table does not know rules, packets or flows.
#![forbid(unsafe_code)]

mod hash;
mod key;
mod limit;
mod slot;
mod table;

pub use key::{BitName, Key, Who};
pub use limit::{COUNT_MAX, Counted, Limit, LimitKind, Ruling};
pub use table::{HostSettings, HostTable, Refused};
