//! `detection_filter`: a rule that matches after many matches only, or after matches at many ports.

use portcullis_host::{Limit, LimitKind};

use super::{Entry, Setting, Takes, threshold};
use crate::draft::Draft;
use crate::error::Fault;
use crate::fields::Fields;
use crate::host::{Filter, PortOf};
use crate::syntax::Value;

pub(super) const KEYWORD: Entry = Entry { names: &["detection_filter"], takes: Takes::Value, setup };

/// `track by_…, count N, seconds T[, unique_on src_port|dst_port]`, in any order
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let fields = Fields::read(setting.at, setting.value, &["track", "count", "seconds", "unique_on"])?;
    let track = fields.track()?;
    let limit =
        Limit { kind: LimitKind::Detection, count: fields.count()?, seconds: fields.seconds("seconds")? };
    let distinct = fields.optional("unique_on").map(|value| port(value, limit.count)).transpose()?;
    draft.distinct_at = fields.optional("unique_on").map(|value| value.at);
    threshold::set(draft, Filter { track, limit, distinct }, setting.at)
}

/// Which port it is whose values are counted.
fn port(value: Value<'_>, count: u32) -> Result<PortOf, Fault> {
    if count > u32::from(u16::MAX) {
        let reason = format!("more than {count} ports there are not: nothing would ever match");
        return Err(Fault::new(value.at, reason));
    }
    match value.text()? {
        "src_port" => Ok(PortOf::Source),
        "dst_port" => Ok(PortOf::Destination),
        other => Err(Fault::new(value.at, format!("expected src_port or dst_port, found `{other}`"))),
    }
}
