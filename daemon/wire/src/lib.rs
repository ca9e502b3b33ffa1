//! What is on the wire: checked views of packet bytes, one decoder, and a builder for tests and
//! forged packets.
//!
//! - [`decode`]: the decoder, from a frame to a [`Decoded`](decoded::Decoded) description
//! - [`decoded`]: what decoding found, as offsets and plain values
//! - [`link`]: link types by their capture-file numbers
//! - [`time`]: the one notion of time, nanoseconds since the epoch
//!
//! Invariants: nothing here allocates on the decoding path, does I/O, reads a clock or panics,
//! whatever the bytes.
#![forbid(unsafe_code)]

pub mod decoded;
pub mod link;
pub mod time;

pub use decoded::{Address, Decoded, Span};
pub use link::LinkType;
pub use time::Timestamp;
