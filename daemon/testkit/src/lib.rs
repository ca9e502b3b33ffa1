#![deny(unsafe_code)]
//! Ground for tests and for the lab: network namespaces, veth pairs, exact frames on a wire, and
//! captures made on the spot.
//!
//! Everything here goes away by itself: a namespace is held by a file descriptor only, so the
//! kernel removes it and its interfaces when the process that made it ends, even by `SIGKILL`, and
//! a program started inside it is killed with its parent. Only what is asked for by name
//! ([`NetNs::create_named`]) stays.
//!
//! Nothing here knows the daemon, AF_XDP or BPF, and nothing here is linked into a release binary
//! of the daemon.

pub mod evasion;

mod error;
mod lab;
mod netns;
mod packet_socket;
mod pcap_file;
mod root;
mod sys;
mod traffic;
mod veth;

pub use error::LabError;
pub use lab::{Lab, LabOptions};
pub use netns::{InterfaceCounters, NetNs};
pub use packet_socket::RawSocket;
pub use pcap_file::PcapWriter;
pub use root::{is_root, require_root};
pub use traffic::{Traffic, TrafficSummary};
pub use veth::VethPair;
