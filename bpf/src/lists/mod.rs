//! Static bypasses, the allow-list and blocklists in the kernel.
//!
//! - [`Lists`]: writes them while traffic passes, and reads how often they were met
//! - [`image`]: a generation as the program reads it, made here
//! - [`sample`]: frames that a list decided, as the program noted some of them
//!
//! Everything goes through shared memory, so whoever has the descriptors ([`ListMaps`]) needs no privileges.

pub mod image;
mod memory;
pub mod sample;

pub use image::{Bypass, ListPolicy};
pub use memory::{ListMaps, Lists};
pub use sample::ListSample;

use crate::layout;

/// Most rules of bypasses.
pub const MAX_BYPASSES: usize = layout::BYPASS_RULES;

/// Why lists cannot be put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListsError {
    /// There is no room for so many entries.
    #[error(
        "{entries} entries of IPv4 and {entries_v6} of IPv6 are more than the kernel's tables were made for: set \
         lists.max-entries higher and restart"
    )]
    NoRoom {
        /// Entries of IPv4.
        entries: usize,
        /// Entries of IPv6.
        entries_v6: usize,
    },
    /// More bypasses than [`MAX_BYPASSES`].
    #[error("{0} bypasses are more than the {MAX_BYPASSES} that there can be")]
    TooManyBypasses(usize),
    /// The shared memory cannot be had.
    #[error("cannot share the lists with the kernel: {0}")]
    Map(String),
}

/// How large the tables are to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListRoom {
    /// Are there any lists or bypasses at all? Without, the tables take no memory.
    pub wanted: bool,
    /// Entries of IPv4 that shall fit.
    pub entries: u32,
    /// Entries of IPv6 that shall fit, too.
    pub entries_v6: u32,
}

impl ListRoom {
    /// Room for so many entries of whichever family.
    #[must_use]
    pub const fn any(entries: u32) -> Self {
        Self { wanted: true, entries: 0, entries_v6: entries }
    }

    /// Lines of the whole map: what it takes in bytes is 64 times as much.
    #[must_use]
    pub(crate) fn lines(self) -> u32 {
        if !self.wanted {
            return 1;
        }
        let buckets = image::buckets(self.entries as usize, self.entries_v6 as usize);
        let lines = layout::LIST_BUCKETS + buckets.0 + buckets.1;
        u32::try_from(2 * lines + 1).unwrap_or(u32::MAX)
    }
}

/// How often a list or a bypass was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListHits {
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Samples that there was no room for.
    pub samples_lost: u64,
}
