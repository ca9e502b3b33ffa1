//! Where verdicts on flows are kept so that their packets need not come to a worker: the XDP program's cache, or rules of
//! network cards. The thread in `cache` does not ask which.

use portcullis_bpf::{CacheEntry, CacheError, Tuple, VerdictCache};
use std::fmt::Debug;

/// A table of verdicts, each on one direction of a flow.
///
/// It never evicts: whoever holds it fills it, reads the counts, and takes out what has had its time.
pub(crate) trait VerdictTable: Debug + Send + Sync {
    /// Which generation of rules verdicts must be of; 0 while none holds.
    fn generation(&self) -> u32;

    /// Says so. What was decided by others holds no more once this returns.
    fn set_generation(&self, generation: u32);

    /// Puts a verdict, in the place of the one that was there for the same packets.
    fn put(&self, tuple: &Tuple, entry: &CacheEntry) -> Result<(), PutError>;

    /// A verdict as it stands; `None` where there is none.
    fn get(&self, tuple: &Tuple) -> Option<CacheEntry>;

    /// Takes a verdict out, and tells how far it had come.
    fn take(&self, tuple: &Tuple) -> Option<CacheEntry>;

    /// Every verdict.
    fn entries(&self) -> Vec<(Tuple, CacheEntry)>;

    /// Looks after what was taken out, every now and then.
    fn recycle(&self) {}
}

/// Why a verdict was not put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutError {
    /// There is no room.
    Full,
    /// Verdicts of this kind, or on such packets, cannot be had here: a worker goes on giving them.
    #[cfg_attr(not(feature = "dpdk"), expect(dead_code, reason = "the XDP program can do all"))]
    Unsupported,
}

impl VerdictTable for VerdictCache {
    fn generation(&self) -> u32 {
        Self::generation(self)
    }

    fn set_generation(&self, generation: u32) {
        Self::set_generation(self, generation);
    }

    fn put(&self, tuple: &Tuple, entry: &CacheEntry) -> Result<(), PutError> {
        Self::put(self, tuple, entry).map_err(|CacheError::Full| PutError::Full)
    }

    fn get(&self, tuple: &Tuple) -> Option<CacheEntry> {
        Self::get(self, tuple)
    }

    fn take(&self, tuple: &Tuple) -> Option<CacheEntry> {
        Self::take(self, tuple)
    }

    fn entries(&self) -> Vec<(Tuple, CacheEntry)> {
        Self::entries(self)
    }

    fn recycle(&self) {
        Self::recycle(self);
    }
}
