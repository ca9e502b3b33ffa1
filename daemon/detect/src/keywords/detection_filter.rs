//! `detection_filter`: a rule that matches after many matches only.

use portcullis_host::{Limit, LimitKind};

use super::{Entry, Setting, Takes, threshold};
use crate::draft::Draft;
use crate::error::Fault;
use crate::fields::Fields;
use crate::host::Filter;

pub(super) const KEYWORD: Entry = Entry { names: &["detection_filter"], takes: Takes::Value, setup };

/// `track by_…, count N, seconds T`, in any order
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let fields = Fields::read(setting.at, setting.value, &["track", "count", "seconds"])?;
    let track = fields.track()?;
    let limit =
        Limit { kind: LimitKind::Detection, count: fields.count()?, seconds: fields.seconds("seconds")? };
    threshold::set(draft, Filter { track, limit }, setting.at)
}
