//! What the criterion suites measure: workers over preloaded frames.
//!
//! - [`frames`]: frames of so many flows, spread over addresses and ports
//! - [`rig`]: a flow worker with a module that lends the same frames again and again
#![forbid(unsafe_code)]

pub mod frames;
pub mod rig;
