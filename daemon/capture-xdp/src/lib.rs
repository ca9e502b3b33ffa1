//! AF_XDP queue pairs as a packet module: the gate between two interfaces.
//!
//! - [`config`]: what to open
//! - [`set`]: [`InlineSet`], opens the queues of all pairs for all workers, and ends them gracefully
//! - [`module`]: [`XdpModule`], one worker's queues as a `PacketModule`
//! - [`ports`]: makes interfaces fit for inspection, and restores them
//! - [`napi`]: when a driver's receive loop runs
//! - [`slots`]: where sockets are published, [`SocketSlots`]
//! - [`error`]: every way in which opening can fail, with what to do about it
//!
//! A worker owns the same receive queues of both ports of every pair. All of them share one UMEM, so that an
//! accepted frame leaves through the peer port without having been copied in user space. A frame is at any time in
//! exactly one of a worker's pool, a fill ring, a worker's hands, a transmit or completion ring, or a ring between
//! two workers; the frame types cannot be copied, and debug builds check every move.
//!
//! Invariants: a live module never waits for room, what does not fit is dropped and counted; only `port` knows
//! xsk-rs, and there is no system call a packet, only a few a burst.
#![deny(unsafe_code)]

mod addresses;
mod chain;
pub mod config;
mod doorbell;
mod drain;
pub mod error;
mod frames;
mod heart;
mod intake;
mod kernel_stats;
mod links;
pub mod module;
pub mod napi;
mod outlet;
mod port;
pub mod ports;
mod rss;
pub mod set;
mod sleep;
pub mod slots;
mod wake;

pub use config::{BindMode, BusyPoll, CopyMode, XdpConfig};
pub use error::{PortError, XdpError};
pub use frames::FrameAccount;
pub use module::XdpModule;
pub use napi::NapiDefer;
pub use ports::{HostTies, PortRestore, PortSetup};
pub use rss::RssRestore;
pub use set::{Bound, InlineSet, Prepared};
pub use slots::SocketSlots;
