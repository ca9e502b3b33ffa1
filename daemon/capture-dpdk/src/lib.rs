//! DPDK ports as a packet module: the same gate where an operator's NIC or habit is DPDK.
//!
//! - `config`: what to open
//! - `set`: `DpdkSet`, opens all ports for all workers, and ends them gracefully
//! - `module`: `DpdkModule`, one worker's queues as a `PacketModule`
//! - `rules`: `FlowDrops`, flows whose packets devices drop by themselves
//! - `error`: every way in which opening can fail, with what to do about it
//! - `sys`: DPDK itself, behind types that cannot be misused: `Eal`, pools, buffers, ports
//!
//! Without the feature `dpdk` the crate is empty, so that nobody else needs DPDK to build.
//!
//! A worker owns the same queues of both ports of every pair. All buffers come from one pool; a packet in its buffer
//! is at any time in exactly one of the pool, a device's ring, a worker's hands, or a ring between two workers, for
//! the type that owns it can only be moved: sending takes it, dropping it gives the buffer back. At the end the pool
//! must be full.
//!
//! Invariants: a live module never waits for room, what does not fit is dropped and counted; nothing is allocated and
//! no system call made a packet (what a driver does is its own affair). There is no kernel program here that would
//! act on traffic while no worker lives: then the ports are dark.
#![cfg(feature = "dpdk")]
#![deny(unsafe_code)]

pub mod config;
mod drain;
pub mod error;
mod intake;
mod links;
pub mod module;
mod outlet;
pub mod rules;
pub mod set;
mod sleep;
#[expect(unsafe_code, reason = "DPDK is a C library")]
pub mod sys;

pub use config::{DpdkConfig, DpdkPort, EalConfig};
pub use error::DpdkError;
pub use module::DpdkModule;
pub use portcullis_capture::CopyMode;
pub use rules::FlowDrops;
pub use set::{DpdkSet, Link, OpenPort, PoolCount};
pub use sys::{Eal, FlowAbilities, FlowMatch, FlowRule};
