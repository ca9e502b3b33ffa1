//! Lists of addresses as data: allow-lists and blocklists from files.
//!
//! - [`net`]: [`Net`], a network of either family, and what is special about some of them
//! - [`line`](mod@line): one line of a list file
//! - [`file`](mod@file): a whole list from its files, with what was wrong with them
//! - [`set`]: [`NetSet`], the networks of a list, sorted and without what others cover
//! - [`change`]: how much differs between two sets
//! - [`table`]: [`Table`], many lists in one: which of them an address is on
//!
//! Invariants: it knows no kernel and no device, it opens nothing but the files it is told to read, and what it
//! cannot make sense of is reported with its line and left out, never guessed at.
#![forbid(unsafe_code)]

pub mod change;
pub mod file;
pub mod line;
pub mod net;
pub mod set;
pub mod table;

pub use change::Change;
pub use file::{Checks, Fault, List, ListError, Report};
pub use net::{Net, Word};
pub use set::NetSet;
pub use table::{Entry, ListId, Marks, Table};
