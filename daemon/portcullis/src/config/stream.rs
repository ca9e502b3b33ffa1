//! `[stream]` and `[app-layer]`.

use super::known::{NO_APP_LAYER, NO_STREAM};
use super::policy::{ExceptionPolicy, Master, never_met};
use super::section::Section;

/// `[stream]`, as far as it has meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Are TCP connections whose beginning was not seen picked up?
    pub midstream: bool,
    /// What happens to TCP flows that were not seen from the beginning. Acts on flows.
    pub midstream_policy: ExceptionPolicy,
    /// What happens to a packet for whose TCP session there is no memory.
    pub memcap_policy: ExceptionPolicy,
    /// `reassembly.memcap-policy`: what happens to a segment that there is no memory for.
    pub reassembly_memcap_policy: ExceptionPolicy,
    /// Are TCP segments with a wrong checksum kept out of sessions and streams? Rules see such packets all the
    /// same. `-k` goes before it.
    pub checksum_validation: bool,
}

impl StreamConfig {
    pub(crate) fn read(section: &mut Section<'_>, master: Master) -> Self {
        let midstream = section.or("midstream", false);
        let midstream_policy = master.midstream(section, midstream);
        let memcap_policy = master.any_scope(section, "memcap-policy");
        for key in ["midstream-policy", "memcap-policy"] {
            never_met(section, key, NO_STREAM);
        }
        let reassembly_memcap_policy = section.section("reassembly", |inner| {
            never_met(inner, "memcap-policy", NO_STREAM);
            master.any_scope(inner, "memcap-policy")
        });
        Self {
            midstream,
            midstream_policy,
            memcap_policy,
            reassembly_memcap_policy,
            checksum_validation: section.or("checksum-validation", true),
        }
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
