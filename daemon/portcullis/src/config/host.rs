//! `[host]`: state about hosts.

use super::section::Section;
use super::value::Size;

/// `[host]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// Memory for what rules count and remember about hosts, of all workers together, in bytes.
    pub memcap: u64,
}

impl HostConfig {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let memcap = section.or("memcap", Size(32 << 20)).0;
        if !RANGE.contains(&memcap) {
            let reason = format!("{memcap} bytes are not within {} to {}", RANGE.start(), RANGE.end());
            section.bad_value("memcap", &reason, &section.place("memcap"));
        }
        Self { memcap }
    }
}

/// From a few entries to two billion.
const RANGE: std::ops::RangeInclusive<u64> = 1 << 10..=32 << 30;
