//! What the measurements without devices run on, and over.
//!
//! - [`frames`]: frames of so many flows, spread over addresses and ports
//! - [`flows`]: decoded packets of so many flows, by choice of popularity
//! - [`rig`]: a flow worker with a module that lends the same frames again and again
//! - [`tables`]: the flow table, and hash tables that do its least work
//! - [`floor`]: that work with nothing around it
//! - [`payloads`], [`rulegen`]: payloads as HTTP has them, and rules as public sets have them
//! - [`segments`]: TCP sessions, and segments of them in any order
//! - [`random`]: numbers that are the same in every run
//! - [`works`]: pieces of work, for criterion and for callgrind
//! - [`samples`]: frames to decode beside etherparse
//! - [`spread`]: medians and ranges
//! - `vectorscan`: a binding to the system's library, with the feature of that name
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "the floor checks nothing that it does not have to")]
pub mod floor;
pub mod flows;
pub mod frames;
pub mod payloads;
pub mod random;
pub mod rig;
pub mod rulegen;
pub mod samples;
pub mod segments;
pub mod spread;
pub mod tables;
#[cfg(feature = "vectorscan")]
#[expect(unsafe_code, reason = "it is a C library")]
pub mod vectorscan;
pub mod works;

/// The CPU time of this thread: leaves out when others had its CPU.
#[must_use]
pub fn cpu_time() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::try_from(time).unwrap_or_default()
}
