//! Capture files as a packet module.
//!
//! - [`module`]: [`PcapModule`], the offline packet module over a file
//! - [`reader`]: [`PcapReader`], frames out of pcap and pcapng files, streaming
//! - [`writer`]: [`PcapWriter`], accepted frames into a pcap file
//! - [`error`]: what can be wrong, and where in the file
//!
//! Invariants: memory does not grow with the file; everything before a damage is delivered before
//! the damage is told; no bytes of a file make it panic.
#![forbid(unsafe_code)]

mod ahead;
mod classic;
mod direct;
pub mod error;
mod input;
pub mod module;
mod ng;
pub mod reader;
pub mod writer;

pub use error::{Damage, PcapError};
pub use input::Progress;
pub use module::{PcapModule, PcapOptions};
pub use reader::PcapReader;
pub use writer::PcapWriter;
