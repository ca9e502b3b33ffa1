//! The XDP program, its maps and its loader: the part of the gate that lives in the kernel.
//!
//! - [`config`]: what to attach where, and what happens without a worker
//! - [`gate`]: [`Gate`], loads, attaches, pins, adopts and removes the program
//! - [`counters`]: frames by outcome, as the program counted them
//! - [`pulse`]: the heartbeats of the workers, and the time in which nobody saw a frame
//! - [`holder`]: the death of a worker's thread, told to the program by the kernel itself
//! - [`passed`]: which TCP connections passed while nobody judged
//! - [`lists`]: static bypasses, the allow-list and blocklists
//! - [`switch`]: the panic switch, which any process with the rights to may turn
//! - [`tuple`](mod@tuple): who talks to whom, as the program takes it from a frame's headers
//! - [`cache`]: flows that are decided, which the program answers by itself
//! - [`device`]: facts and switches of a network interface, by ioctl
//! - [`error`]: every way in which loading can fail, with what to do about it
//!
//! Invariants: a program that is not ours is never replaced or removed; what is attached and pinned survives a
//! crash, so that the fail policy acts, and is gone after a clean end; libbpf never prints, its messages are
//! part of the error.
#![deny(unsafe_code)]

mod attach;
pub mod cache;
pub mod config;
pub mod counters;
mod crash;
pub mod device;
pub mod error;
pub mod facts;
pub mod gate;
pub mod holder;
mod layout;
#[cfg(test)]
mod list_tests;
pub mod lists;
#[cfg(test)]
mod liveness_tests;
mod mapping;
mod messages;
pub mod passed;
#[cfg(test)]
mod passed_tests;
mod pins;
mod program;
#[cfg(test)]
mod program_tests;
pub mod pulse;
mod setup;
mod skeleton;
pub mod switch;
mod sys;
pub mod tuple;
#[cfg(test)]
mod tuple_probe;
#[cfg(test)]
mod tuple_tests;

pub use attach::AttachedMode;
pub use cache::{CacheAction, CacheEntry, CacheError, CacheMap, VerdictCache};
pub use config::{Fail, GateConfig, GatePort, GateSet, Liveness, Overload, TunnelPorts, XdpMode};
pub use counters::GateCounters;
pub use crash::stop_on_crash;
pub use error::GateError;
pub use gate::Gate;
pub use holder::Hold;
pub use lists::{Bypass, ListHits, ListMaps, ListPolicy, ListRoom, ListSample, Lists, ListsError};
pub use passed::Passed;
pub use pulse::{Beat, BlindWindow, Pulses};
pub use switch::PanicSwitch;
pub use sys::wait_for_readers;
pub use tuple::{Side, Tuple};
