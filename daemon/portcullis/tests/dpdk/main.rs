//! The gate between DPDK's ports, end to end: the same program over interfaces in namespaces and over capture files.
//! Needs root and DPDK's drivers; what it makes vanishes with it.
#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

mod captures;
mod forwarding;
#[path = "../run/gate.rs"]
mod gate;
mod ports;
mod records;
mod refusals;
