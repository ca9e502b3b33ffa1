//! What the kernel counts for a socket (`XDP_STATISTICS`).
//!
//! `rx_fill_ring_empty_descs` is not among it: in copy mode each packet it counts is in `rx_dropped` as well (a test
//! shows it), and in zero-copy mode it counts a driver's attempts, not packets; what is lost for want of frames then
//! stands in the interface's own counters.

use std::ops::AddAssign;

/// Packets that the kernel lost before we could see them, by its reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KernelStats {
    /// No frame for it, or it was longer than a frame.
    pub(crate) dropped: u64,
    /// The receive ring was full.
    pub(crate) ring_full: u64,
    /// Descriptors of ours that the kernel refused: none, unless we err.
    pub(crate) invalid: u64,
}

impl KernelStats {
    /// Packets lost.
    pub(crate) const fn lost(&self) -> u64 {
        self.dropped + self.ring_full
    }
}

impl AddAssign for KernelStats {
    fn add_assign(&mut self, other: Self) {
        let Self { dropped, ring_full, invalid } = other;
        self.dropped += dropped;
        self.ring_full += ring_full;
        self.invalid += invalid;
    }
}
