//! The verdict cache: flows about which the gate has decided, and whose packets the program then answers by itself. The C
//! side is `cache.h`.
//!
//! - [`VerdictCache`]: fills it, reads the counts, takes out what has had its time: the kernel never evicts
//!
//! It is an array of cache lines that whoever holds it maps and writes, so that neither needs a system call, and a process
//! without privileges can do it. There must be one of them at a time that puts and takes.

mod line;
#[cfg(test)]
mod program_tests;
mod table;

pub use table::{CacheMap, VerdictCache};

/// What the program does with the packets of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheAction {
    /// They are dropped, also while no worker lives.
    Drop,
    /// They go to the peer port; where the gate fails closed, only while a worker lives.
    Pass,
}

/// One entry: of one direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// Packets that were answered by it.
    pub packets: u64,
    /// Their bytes, link headers included.
    pub bytes: u64,
    /// Until when it holds, in the time of [`coarse_now`](crate::pulse::coarse_now), down to an eighth of a second.
    pub until: u64,
    /// The generation of rules that it was decided by: of others it does not hold. Of one that was read and is not of the
    /// generation in force, it only tells that.
    pub generation: u32,
    /// What becomes of the packets.
    pub action: CacheAction,
}

/// Why something could not be put into the cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It is full, or has no room where this entry would have to be.
    #[error("the verdict cache is full")]
    Full,
}
