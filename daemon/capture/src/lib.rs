//! The packet module interface, and the modules that need no device.
//!
//! - [`module`]: [`PacketModule`], what every source and sink of packets must do
//! - [`burst`]: the packets that a module lends, one verdict slot each
//! - [`verdict`]: verdicts and drop reasons
//! - [`copy_mode`]: what becomes of judged packets
//! - [`frame`]: frames that we own, sources and sinks of them
//! - [`offline`]: the packet module over any such source and sink
//! - [`memory`]: that module over memory, for tests and benchmarks
//! - `suite`: what every packet module must pass (feature `suite`)
//! - [`mesh`]: what the workers of a live module share, whatever their packets lie in
//! - [`outbox`]: what the engine wants sent or offloaded beyond the verdicts
//!
//! Invariants: a packet is lent once and judged once; one that was left without a verdict is
//! dropped (Haka's release rule); nothing here knows a device, the kernel or a file format.
#![forbid(unsafe_code)]

pub mod burst;
pub mod copy_mode;
pub mod frame;
pub mod memory;
pub mod mesh;
pub mod module;
pub mod offline;
pub mod outbox;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
pub mod verdict;

pub use burst::{BURST, Burst, Judgement, Packet, PacketMeta};
pub use copy_mode::CopyMode;
pub use frame::{Frame, FrameSink, FrameSource, Read};
pub use module::{CaptureStats, PacketModule, Poll, Properties, Unseen, Wake};
pub use offline::{Offline, OfflineOptions};
pub use outbox::Outbox;
pub use verdict::{DropReason, PortId, Verdict, WorkerId};
