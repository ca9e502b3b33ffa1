//! Detection: rule files in Suricata's language, compiled once, matched against packets.
//!
//! - [`RuleSet`]: compiled rules; [`RuleSet::load`] reads rule files, [`RuleSet::inspect`] judges a packet
//! - [`Input`] with [`FlowFacts`]: what the caller knows about a packet and its flow
//! - [`Outcome`] with [`Verdict`] and [`Alert`]: what the rules say about it
//! - [`Scratch`]: one worker's working memory, allocated before traffic flows
//! - [`Signature`]: what a rule says about itself, for alert records
//! - [`Classifications`]: what `classification.config` says
//! - [`Thresholds`]: what `threshold.config` says
//! - [`Hosts`]: the state about hosts that some rules need
//! - [`RuleError`]: why and where a rule was refused
//!
//! Every keyword is an entry of the table in `keywords`: its names, how its value is read into a rule,
//! and, for the keywords that look at packets, the test it adds. A new keyword is one file and one line.
//!
//! Invariants: a rule is loaded as it is written or refused with file, line, column and reason. A rule
//! set never changes after loading and holds no state about traffic (that about hosts is in `host`). Inspection does not allocate, lock,
//! read a clock or do I/O; its work is bounded per packet, and what the bound cut off is reported.
#![forbid(unsafe_code)]

mod address;
mod address_index;
mod address_sieve;
mod buffer;
mod changes;
mod classification;
mod content;
mod draft;
mod error;
mod fields;
#[cfg(test)]
mod firing_tests;
mod group;
mod header;
mod header_table;
mod host;
mod input;
mod inspect;
mod interval;
mod keywords;
mod lines;
mod loader;
mod matcher;
mod outcome;
mod pattern;
mod port;
mod rule;
mod ruleset;
mod scratch;
mod signature;
mod space;
mod stream;
mod syntax;
mod thresholds;

pub use changes::{RuleChange, RuleChanges};
pub use classification::{Classification, Classifications};
pub use error::RuleError;
pub use host::Hosts;
pub use input::{FlowFacts, Input};
pub use outcome::{Alert, Outcome, RejectTo, Scope, Unjudged, Verdict};
pub use portcullis_flow::Direction;
pub use ruleset::{LoadOptions, Loaded, RuleId, RuleSet, Source};
pub use scratch::Scratch;
pub use signature::{Action, Metadata, Reference, Signature, Target};
pub use stream::StreamWindow;
pub use thresholds::Thresholds;
