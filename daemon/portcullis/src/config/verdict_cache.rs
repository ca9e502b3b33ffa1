//! `[verdict-cache]`: decided flows that the XDP program answers by itself.

use super::section::Section;
use std::time::Duration;

/// `[verdict-cache]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerdictCacheConfig {
    /// `entries`: how many it holds; a flow has one in each direction. 0: there is none.
    pub entries: u32,
    /// `lifetime`: how long a verdict holds before the engine is asked once more, in seconds.
    pub lifetime: Duration,
}

impl VerdictCacheConfig {
    /// Reads the section.
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let entries = section.within("entries", 65_536, 0..=16_777_216);
        let lifetime = section.within("lifetime", 60_u32, 1..=3600);
        Self { entries, lifetime: Duration::from_secs(lifetime.into()) }
    }
}
