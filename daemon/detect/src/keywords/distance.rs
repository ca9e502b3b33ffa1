//! `distance`: how far behind the match before a content may begin.

use super::bytes::amount;
use super::content::DISTANCE_MAX;
use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["distance"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let number = amount(draft, setting.value, -DISTANCE_MAX, DISTANCE_MAX)?;
    let content = draft.content(setting.at, "distance")?;
    once(&mut content.spec.distance, number, setting.at, "distance")
}
