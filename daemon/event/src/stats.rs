//! The engine's counters at a moment: EVE's `stats`.

use crate::counters::Counters;
use portcullis_wire::Timestamp;

/// The merged counters of all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsRecord {
    /// When they were taken.
    pub timestamp: Timestamp,
    /// Seconds since the engine started.
    pub uptime: u64,
    /// The counters. Boxed, for a record is moved about far more often than statistics are made.
    pub counters: Box<Counters>,
    /// The loaded rule set: EVE's `detect.engines`.
    pub rules: Option<RuleCounts>,
}

/// What came of loading the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// When they were loaded.
    pub last_reload: Timestamp,
    /// Rules in use.
    pub loaded: u64,
    /// Rules that could not be loaded.
    pub failed: u64,
    /// Rules left out on purpose.
    pub skipped: u64,
}
