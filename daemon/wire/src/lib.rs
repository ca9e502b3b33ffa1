//! What is on the wire: one decoder for packet bytes, and a builder for tests and forged packets.
//!
//! - [`config`]: how frames are decoded
//! - [`decode`]: the decoder, from a frame to a [`Decoded`] description
//! - [`decoded`]: what decoding found, as offsets and plain values
//! - [`events`]: decoder events by Suricata's names
//! - [`layers`]: the layers that were met, for the `decoder.*` counters
//! - [`builder`]: packets with right lengths and checksums
//! - [`link`]: link types by their capture-file numbers
//! - [`mix`]: what seeded hashes are made of
//! - [`rewrite`]: checksums of packets that were changed in place
//! - [`networks`]: values by network, the most specific one deciding
//! - [`target_os`]: the operating systems that overlap policies are named after
//! - [`time`]: the one notion of time, nanoseconds since the epoch
//!
//! Invariants: nothing here allocates on the decoding path, does I/O, reads a clock or panics,
//! whatever the bytes.
#![forbid(unsafe_code)]

pub mod builder;
mod checksum;
pub mod config;
pub mod decode;
pub mod decoded;
pub mod events;
pub mod layers;
pub mod link;
pub mod mix;
pub mod networks;
pub mod rewrite;
pub mod target_os;
pub mod time;

pub use builder::PacketBuilder;
pub use config::{DecoderConfig, Ports};
pub use decode::Decoder;
pub use decoded::{Address, Decoded, Span};
pub use link::LinkType;
pub use networks::{Network, NetworkMap};
pub use target_os::TargetOs;
pub use time::Timestamp;
