//! Who makes and sends the frames of a trial.
//!
//! - [`live`]: the kernel, by BPF live frames
//! - [`xdp`]: we, by an AF_XDP socket
//! - [`trafgen`]: trafgen, with number and time put in where its frames leave
//! - [`program`]: the BPF programs of the first and the last

pub(crate) mod live;
pub(crate) mod program;
mod run_frames;
pub(crate) mod trafgen;
pub(crate) mod xdp;

use std::time::Duration;

/// What a sender did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Frames, numbered from 0.
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// Of the first frame and of the last, in nanoseconds.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// CPU time of who sent.
    pub(crate) cpu: Duration,
}
