//! `[stream]` and `[app-layer]`.

use super::known::NO_APP_LAYER;
use super::policy::{ExceptionPolicy, Master, never_met};
use super::section::Section;
use super::tree::Node;
use super::value::{Setting, Size, words};

/// Seconds within which most connections that are in use show themselves.
const GRACE: u32 = 60;

/// Connections that a busy gate may have when it starts.
const GRACE_FLOWS: u32 = 100_000;

/// `[stream]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Memory for TCP sessions of all workers together, in bytes.
    pub memcap: u64,
    /// What happens to a packet for whose TCP session there is no memory.
    pub memcap_policy: ExceptionPolicy,
    /// Sessions made ready at start, for each worker.
    pub prealloc_sessions: u32,
    /// Are TCP segments with a wrong checksum kept out of sessions and streams? Rules see such packets all the
    /// same. `-k` goes before it.
    pub checksum_validation: bool,
    /// Are TCP connections whose beginning was not seen picked up?
    pub midstream: bool,
    /// What happens to TCP flows that were not seen from the beginning. Acts on flows.
    pub midstream_policy: ExceptionPolicy,
    /// For how many seconds after a start, or after a time in which packets passed unjudged, connections are
    /// picked up whose beginning nobody could see; 0 for none.
    pub midstream_grace: u32,
    /// How many of them each time.
    pub midstream_grace_flows: u32,
    /// Are connections followed of which only one direction is seen?
    pub async_oneside: bool,
    /// Is data inspected as it comes, rather than once it was acknowledged?
    pub inline: bool,
    /// Are segments that their session cannot have dropped, where packets may be?
    pub drop_invalid: bool,
    /// Are flows bypassed that were inspected as far as they should be?
    pub bypass: bool,
    /// Different SYNs remembered of a session.
    pub max_syn_queued: u8,
    /// Different SYN/ACKs remembered of a session.
    pub max_synack_queued: u8,
    /// Are timestamps of zero accepted?
    pub liberal_timestamps: bool,
    /// `reassembly`.
    pub reassembly: ReassemblyConfig,
}

impl StreamConfig {
    /// `inline`: can packets be dropped? `live`: do they come from a wire, where connections were there before?
    pub(crate) fn read(section: &mut Section<'_>, master: Master, inline: bool, live: bool) -> Self {
        let midstream = section.or("midstream", false);
        Self {
            memcap: memory(section, "memcap", 64 << 20, LEAST_SESSIONS),
            memcap_policy: master.any_scope(section, "memcap-policy"),
            prealloc_sessions: section.or("prealloc-sessions", 2048),
            checksum_validation: section.or("checksum-validation", true),
            midstream,
            midstream_policy: master.midstream(section, midstream),
            midstream_grace: section.within(
                "midstream-grace",
                if inline && live { GRACE } else { 0 },
                0..=86_400,
            ),
            midstream_grace_flows: section.or("midstream-grace-flows", GRACE_FLOWS),
            async_oneside: section.or("async-oneside", false),
            inline: match section.or("inline", Switch::Auto) {
                Switch::Auto => inline,
                Switch::Own(own) => own,
            },
            drop_invalid: section.or("drop-invalid", true),
            bypass: section.or("bypass", false),
            max_syn_queued: section.or("max-syn-queued", 10),
            max_synack_queued: section.or("max-synack-queued", 5),
            liberal_timestamps: section.or("liberal-timestamps", false),
            reassembly: section.section("reassembly", |inner| ReassemblyConfig::read(inner, master)),
        }
    }
}

/// `[stream.reassembly]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReassemblyConfig {
    /// Memory for payload of all workers together, in bytes.
    pub memcap: u64,
    /// What happens to a segment that there is no memory for.
    pub memcap_policy: ExceptionPolicy,
    /// How much of each direction is inspected, in bytes; 0 for all.
    pub depth: u64,
    /// Chunk sizes in bytes, to server and to client.
    pub chunk_sizes: [u32; 2],
    /// By how much the chunk sizes vary, in percent; 0 for not at all.
    pub randomize_chunk_range: u8,
    /// Pages for payload made ready at start, for each worker.
    pub segment_prealloc: u32,
    /// Stretches of payload with gaps between that are kept of a direction; 0 for any number.
    pub max_regions: u8,
    /// Are overlaps with different data reported?
    pub check_overlap_different_data: bool,
    /// How urgent data is read.
    pub urgent: UrgentWord,
    /// How urgent data is read of which there is too much to be kept apart.
    pub urgent_limit: UrgentWord,
}

impl ReassemblyConfig {
    fn read(section: &mut Section<'_>, master: Master) -> Self {
        let chunk = |section: &mut Section<'_>, key: &'static str| {
            let size = section.or(key, Size(2560)).0;
            u32::try_from(size).ok().filter(|size| (1..=MOST_CHUNK).contains(size)).unwrap_or_else(|| {
                let reason = format!("{size} is not within 1 to {MOST_CHUNK}");
                section.bad_value(key, &reason, &section.place(key));
                2560
            })
        };
        let randomize = section.or("randomize-chunk-size", true);
        let range = section.within("randomize-chunk-range", 10, 0..=100);
        let urgent = section.section("urgent", |inner| {
            let policy = inner.or("policy", UrgentWord::Oob);
            (policy, inner.or("oob-limit-policy", UrgentWord::Drop))
        });
        Self {
            memcap: memory(section, "memcap", 256 << 20, LEAST_PAYLOAD),
            memcap_policy: master.any_scope(section, "memcap-policy"),
            depth: section.or("depth", Size(1 << 20)).0,
            chunk_sizes: [chunk(section, "toserver-chunk-size"), chunk(section, "toclient-chunk-size")],
            randomize_chunk_range: if randomize { range } else { 0 },
            segment_prealloc: section.or("segment-prealloc", 2048),
            max_regions: section.or("max-regions", 8),
            check_overlap_different_data: section.or("check-overlap-different-data", true),
            urgent: urgent.0,
            urgent_limit: urgent.1,
        }
    }
}

/// The least memory for sessions, and for payload, in bytes.
const LEAST_SESSIONS: u64 = 64 << 10;
const LEAST_PAYLOAD: u64 = 128 << 10;

/// The largest chunk: rules look back as far in a stream.
const MOST_CHUNK: u32 = 64 << 10;

fn memory(section: &mut Section<'_>, key: &'static str, default: u64, least: u64) -> u64 {
    let memory = section.or(key, Size(default)).0;
    if memory < least {
        let reason = format!("{memory} bytes are too few, the least is {least}");
        section.bad_value(key, &reason, &section.place(key));
    }
    memory
}

/// `yes`, `no`, or `auto`: as packets may be dropped or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    Auto,
    Own(bool),
}

impl Setting for Switch {
    fn read(node: &Node) -> Result<Self, String> {
        if String::read(node).is_ok_and(|word| word == "auto") {
            return Ok(Self::Auto);
        }
        bool::read(node).map(Self::Own).map_err(|_| "expected yes, no or \"auto\"".to_owned())
    }
}

words! {
    /// How urgent data is read.
    pub UrgentWord {
        /// Its last byte is not part of the stream.
        Oob = "oob",
        /// As any other data.
        Inline = "inline",
        /// Segments with it are dropped, where packets may be.
        Drop = "drop",
        /// Segments with it are taken for missing.
        Gap = "gap",
    }
}

/// `[app-layer]`, as far as it has meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppLayerConfig {
    /// What happens where the parser of an application protocol cannot go on.
    pub error_policy: ExceptionPolicy,
}

impl AppLayerConfig {
    pub(crate) fn read(section: &mut Section<'_>, master: Master) -> Self {
        never_met(section, "error-policy", NO_APP_LAYER);
        Self { error_policy: master.any_scope(section, "error-policy") }
    }
}
