//! `[stream]` and `[decoder]`.

use super::policy::{ExceptionPolicy, Master};
use super::section::Section;
use super::value::words;

/// `[stream]`, as far as it has meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Are TCP connections whose beginning was not seen picked up?
    pub midstream: bool,
    /// What happens to TCP flows that were not seen from the beginning. Acts on flows.
    pub midstream_policy: ExceptionPolicy,
    /// Are TCP segments with a wrong checksum kept out of sessions and streams? Rules see such packets all the
    /// same. `-k` goes before it.
    pub checksum_validation: bool,
}

impl StreamConfig {
    pub(crate) fn read(section: &mut Section<'_>, master: Master) -> Self {
        let midstream = section.or("midstream", false);
        Self {
            midstream,
            midstream_policy: master.midstream(section, midstream),
            checksum_validation: section.or("checksum-validation", true),
        }
    }
}

words! {
    /// `decoder.invalid-policy`: what happens inline to a frame that cannot be decoded.
    pub InvalidPolicy {
        /// It is forwarded and counted.
        Accept = "accept",
        /// It is dropped and counted.
        Drop = "drop",
    }
}

/// `[decoder]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// What happens to frames that cannot be decoded.
    pub invalid_policy: InvalidPolicy,
    /// `recursion-level.use-for-tracking`.
    pub(crate) recursion_level: bool,
}

impl DecoderConfig {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            invalid_policy: section.or("invalid-policy", InvalidPolicy::Accept),
            recursion_level: section.section("recursion-level", |inner| inner.or("use-for-tracking", true)),
        }
    }
}
