//! The settings of a worker's sessions as plain data, with the defaults of the shipped suricata.yaml.
//! Knows no file format.

use portcullis_wire::{NetworkMap, TargetOs};
use thiserror::Error;

/// The `stream` settings.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// `stream.memcap` in bytes, over all workers; 64 MiB by default. Sessions.
    pub memcap: u64,
    /// `stream.prealloc-sessions`: sessions to have ready at start, for each worker; 2048 by default, and
    /// never more than memcap allows.
    pub prealloc_sessions: u32,
    /// `stream.midstream`, off by default: may a session begin with something else than a SYN?
    pub midstream: bool,
    /// `stream.async-oneside`, off by default: may only one direction be seen?
    pub async_oneside: bool,
    /// `stream.inline`: inspect data as it comes, let the first data win, and rewrite what differs. Else
    /// data is inspected when its receiver has acknowledged it.
    pub inline: bool,
    /// `stream.bypass`, off by default: bypass flows of which both directions have reached their depth.
    pub bypass: bool,
    /// `stream.max-syn-queued`: different SYNs remembered while none is answered; 10 by default.
    pub max_syn_queued: u8,
    /// `stream.max-synack-queued`: different SYN/ACKs remembered while none is acknowledged; 5 by default.
    pub max_synack_queued: u8,
    /// `stream.liberal-timestamps`, off by default: accept a timestamp of zero after the handshake.
    pub liberal_timestamps: bool,
    /// `stream.reassembly`.
    pub reassembly: Reassembly,
    /// `host-os-policy`: what receivers run; BSD where nothing is said, as in Suricata.
    pub host_os: NetworkMap<TargetOs>,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            memcap: 64 << 20,
            prealloc_sessions: 2048,
            midstream: false,
            async_oneside: false,
            inline: false,
            bypass: false,
            max_syn_queued: 10,
            max_synack_queued: 5,
            liberal_timestamps: false,
            reassembly: Reassembly::default(),
            host_os: NetworkMap::default(),
        }
    }
}

/// `stream.reassembly`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reassembly {
    /// `memcap` in bytes, over all workers; 256 MiB by default. Payload.
    pub memcap: u64,
    /// `depth` in bytes: how much of each direction is inspected; 1 MiB by default, 0 for all.
    pub depth: u64,
    /// `toserver-chunk-size` in bytes: not inline, how much must have been acknowledged before it is
    /// inspected; and how far a rule without a bound of its own looks back. 2560 by default.
    pub toserver_chunk_size: u32,
    /// `toclient-chunk-size`; 2560 by default.
    pub toclient_chunk_size: u32,
    /// `randomize-chunk-size` and `randomize-chunk-range`, in percent: by how much the chunk sizes vary
    /// from one start to the next, so that nobody can know them; 10 by default, 0 for not at all.
    pub randomize_chunk_range: u8,
    /// `segment-prealloc`: pages for payload to have ready at start, for each worker; 2048 by default.
    pub segment_prealloc: u32,
    /// `max-regions`: stretches of payload with gaps between them that are kept for a direction; 8 by
    /// default, 0 for no limit but that of memory.
    pub max_regions: u8,
    /// `check-overlap-different-data`, on by default: report overlaps that differ. They are rewritten
    /// inline either way.
    pub check_overlap_different_data: bool,
    /// `urgent`.
    pub urgent: Urgent,
}

impl Default for Reassembly {
    fn default() -> Self {
        Self {
            memcap: 256 << 20,
            depth: 1 << 20,
            toserver_chunk_size: 2560,
            toclient_chunk_size: 2560,
            randomize_chunk_range: 10,
            segment_prealloc: 2048,
            max_regions: 8,
            check_overlap_different_data: true,
            urgent: Urgent::default(),
        }
    }
}

/// `stream.reassembly.urgent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urgent {
    /// `policy`; `oob` by default.
    pub policy: UrgentPolicy,
    /// `oob-limit-policy`: what is done with urgent data beyond what can be kept apart; `drop` by default.
    pub limit_policy: UrgentPolicy,
}

impl Default for Urgent {
    fn default() -> Self {
        Self { policy: UrgentPolicy::OutOfBand, limit_policy: UrgentPolicy::Drop }
    }
}

/// How a receiver reads urgent data (RFC 6093).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrgentPolicy {
    /// `oob`: the last byte of it is not part of the stream.
    OutOfBand,
    /// `inline`: it is data like any other.
    Inline,
    /// `drop`: segments with it are dropped where dropping is possible, and not inspected as stream.
    Drop,
    /// `gap`: segments with it are a gap in the stream.
    Gap,
}

impl UrgentPolicy {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::OutOfBand, Self::Inline, Self::Drop, Self::Gap];

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutOfBand => "oob",
            Self::Inline => "inline",
            Self::Drop => "drop",
            Self::Gap => "gap",
        }
    }
}

/// A worker's part of what is set for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How many workers there are, 1 to 255.
    pub workers: u8,
    /// The seed of this start; the same for all workers.
    pub seed: u64,
}

/// Why sessions cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetupError {
    /// A worker's share holds nothing.
    #[error("{setting} of {memcap} bytes over {workers} workers is too small: each needs {least} bytes")]
    MemcapTooSmall {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        memcap: u64,
        /// Workers it is divided by.
        workers: u8,
        /// Bytes that one worker's share must have at least.
        least: u64,
    },
    /// The operating system refused the memory.
    #[error("cannot reserve {bytes} bytes for {setting}: {reason}")]
    Memory {
        /// The setting's name.
        setting: &'static str,
        /// Bytes asked for.
        bytes: u64,
        /// What the system said.
        reason: String,
    },
}
