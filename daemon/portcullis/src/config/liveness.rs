//! `[liveness]`: when the XDP program takes a worker for dead, and what too many such times lead to.

use super::FailPolicy;
use super::diagnostic::Diagnostic;
use super::section::Section;
use std::time::Duration;

/// `[liveness]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivenessConfig {
    /// `limit-ms`: a worker that has not looked at its queues for longer is dead, and `fail` acts.
    pub limit: Duration,
    /// `full-limit-ms`: the same for a worker whose rings are full, which has no reason to sleep.
    pub full_limit: Duration,
    /// `replace-after`, in seconds: a gate that hangs for so long, one of its workers or the gate itself, is killed and
    /// replaced. Zero: never.
    pub replace_after: Duration,
    /// `outlive-warden`: does a gate go on judging when its warden has died?
    pub outlive_warden: bool,
    /// `latch-after`: blind windows of a queue within a minute that are too many. 0: never.
    pub latch_after: u32,
    /// `latched-fail`: what then happens instead of `fail` while a worker is dead; open or closed. `None`: the same.
    pub latched_fail: Option<FailPolicy>,
}

impl LivenessConfig {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let limit = section.within("limit-ms", 50_u32, 10..=60_000);
        let full_limit = section.within("full-limit-ms", limit.min(20), 10..=60_000);
        if full_limit > limit {
            let message = "`full-limit-ms` is longer than `limit-ms`, so it never counts".to_owned();
            section.note(Diagnostic::warning(message, section.place("full-limit-ms")));
        }
        // A queue alone cannot take the ports down.
        let mut latched_fail = section.optional("latched-fail");
        if latched_fail == Some(FailPolicy::LinkDown) {
            let place = section.place("latched-fail");
            section.bad_value("latched-fail", "for a single queue it can be open or closed only", &place);
            latched_fail = None;
        }
        Self {
            limit: Duration::from_millis(limit.into()),
            full_limit: Duration::from_millis(full_limit.min(limit).into()),
            replace_after: Duration::from_secs(section.within("replace-after", 10, 0..=3600)),
            outlive_warden: section.or("outlive-warden", true),
            latch_after: section.within("latch-after", 0, 0..=60_000),
            latched_fail,
        }
    }
}
