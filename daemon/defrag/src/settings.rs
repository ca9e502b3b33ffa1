//! What a defragmenter is told at start: Suricata's `defrag` settings.

use crate::policy::OverlapPolicy;
use portcullis_wire::NetworkMap;
use std::time::Duration;

/// The settings of all workers' defragmenters together.
#[derive(Clone, Debug)]
pub struct DefragSettings {
    /// `defrag.memcap`: most bytes that all workers take for fragments, each an equal share.
    pub memcap: u64,
    /// `defrag.trackers`: most datagrams that are put together at the same time. Fewer where
    /// they would take more than half of `memcap`.
    pub trackers: u32,
    /// `defrag.max-frags`: most fragments that are kept at the same time.
    pub max_frags: u32,
    /// `defrag.prealloc`: is the memory touched at start? Otherwise the system maps it as it is used.
    pub prealloc: bool,
    /// `defrag.timeout`: how long a datagram may stay incomplete after its last fragment.
    pub timeout: Duration,
    /// `defrag.host-config`: other timeouts by destination.
    pub timeouts: NetworkMap<Duration>,
    /// `host-os-policy`: how overlaps are settled by destination, where nothing is dropped. Other
    /// destinations settle them as BSD does, as in Suricata.
    pub policies: NetworkMap<OverlapPolicy>,
    /// Are fragments held to what a receiver can only put together in one way? See the crate's
    /// documentation.
    pub inline: bool,
    /// `vlan.use-for-tracking`: are fragments in different VLANs of different datagrams?
    pub track_vlan: bool,
    /// `livedev.use-for-tracking`: are fragments in different inline sets of different datagrams?
    pub track_inline_set: bool,
}

impl Default for DefragSettings {
    /// As in the suricata.yaml that Suricata comes with; not inline.
    fn default() -> Self {
        Self {
            memcap: 32 << 20,
            trackers: 65_535,
            max_frags: 65_535,
            prealloc: true,
            timeout: Duration::from_secs(60),
            timeouts: NetworkMap::default(),
            policies: NetworkMap::default(),
            inline: false,
            track_vlan: true,
            track_inline_set: true,
        }
    }
}

/// Why a defragmenter cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The share of one worker does not hold a datagram of 64 KiB.
    #[error("defrag.memcap gives each worker {share} bytes, the least is {least}")]
    Memcap {
        /// What there is for a worker.
        share: u64,
        /// What there must be.
        least: u64,
    },
    /// No trackers or no fragments are allowed.
    #[error("defrag.trackers and defrag.max-frags must be at least 1")]
    Nothing,
}
