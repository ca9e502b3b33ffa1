//! `threshold`: how often a rule that matches may alert.

use portcullis_host::{Limit, LimitKind};

use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;
use crate::fields::Fields;
use crate::host::{Filter, Track};

pub(super) const KEYWORD: Entry = Entry { names: &["threshold"], takes: Takes::Value, setup };

/// The fields of a threshold.
pub(crate) const FIELDS: [&str; 5] = ["type", "track", "count", "seconds", "multiplier"];

/// `type limit|threshold|both, track by_…, count N, seconds T`, or
/// `type backoff, track by_flow, count N, multiplier M`; in any order.
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let filter = filter(&Fields::read(setting.at, setting.value, &FIELDS)?)?;
    set(draft, filter, setting.at)
}

/// A rule has one threshold or one detection filter.
pub(super) fn set(draft: &mut Draft, filter: Filter, at: usize) -> Result<(), Fault> {
    match draft.host.filter.replace(filter) {
        None => Ok(()),
        Some(_) => Err(Fault::new(at, "a rule has one `threshold` or one `detection_filter`")),
    }
}

/// Reads a threshold's fields.
pub(crate) fn filter(fields: &Fields<'_>) -> Result<Filter, Fault> {
    let kind = fields.required("type")?;
    let track = fields.track()?;
    let count = fields.count()?;
    if kind.text()? == "backoff" {
        if track != Track::Flow {
            return Err(Fault::new(kind.at, "`type backoff` counts by flow only: write `track by_flow`"));
        }
        if let Some(seconds) = fields.optional("seconds") {
            return Err(Fault::new(seconds.at, "`type backoff` has a `multiplier` and no `seconds`"));
        }
        let multiplier = fields.required("multiplier")?.number(2, u32::MAX)?;
        return Ok(Filter {
            track,
            limit: Limit { kind: LimitKind::Backoff { multiplier }, count, seconds: 0 },
            distinct: None,
        });
    }
    if let Some(multiplier) = fields.optional("multiplier") {
        return Err(Fault::new(multiplier.at, "only `type backoff` has a `multiplier`"));
    }
    let kind = match kind.text()? {
        "limit" => LimitKind::Limit,
        "threshold" => LimitKind::Threshold,
        "both" => LimitKind::Both,
        other => {
            let reason = format!("expected limit, threshold, both or backoff, found `{other}`");
            return Err(Fault::new(kind.at, reason));
        }
    };
    let limit = Limit { kind, count, seconds: fields.seconds("seconds")? };
    Ok(Filter { track, limit, distinct: None })
}
