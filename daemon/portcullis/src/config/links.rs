//! `[links]`: what the loss of one port's link does to its peer.

use super::section::Section;
use std::time::Duration;

/// `[links]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinksConfig {
    /// `mirror`: is a port taken down while its peer has no link?
    pub mirror: bool,
    /// `hold-down-ms`: how long a link must be back before the peer is brought up again. The same for ports that
    /// `fail = "link-down"` took down, once a worker lives again.
    pub hold_down: Duration,
}

impl LinksConfig {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let hold_down = section.within("hold-down-ms", 1000_u32, 0..=600_000);
        Self { mirror: section.or("mirror", false), hold_down: Duration::from_millis(u64::from(hold_down)) }
    }
}
