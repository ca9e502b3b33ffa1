//! What the kernel counts for a socket (`XDP_STATISTICS`).

use std::ops::AddAssign;

/// Packets that the kernel lost before we could see them, by its reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KernelStats {
    /// No frame for it, or it was longer than a frame.
    pub(crate) dropped: u64,
    /// The receive ring was full.
    pub(crate) ring_full: u64,
    /// The fill ring was empty.
    pub(crate) fill_empty: u64,
    /// Descriptors of ours that the kernel refused: none, unless we err.
    pub(crate) invalid: u64,
}

impl KernelStats {
    /// Packets lost.
    pub(crate) const fn lost(&self) -> u64 {
        self.dropped + self.ring_full + self.fill_empty
    }
}

impl AddAssign for KernelStats {
    fn add_assign(&mut self, other: Self) {
        let Self { dropped, ring_full, fill_empty, invalid } = other;
        self.dropped += dropped;
        self.ring_full += ring_full;
        self.fill_empty += fill_empty;
        self.invalid += invalid;
    }
}
