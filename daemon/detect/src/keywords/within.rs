//! `within`: how far behind the match before a content may reach.

use super::bytes::amount;
use super::content::DISTANCE_MAX;
use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["within"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let number = amount(draft, setting.value, 1, DISTANCE_MAX)?;
    let content = draft.content(setting.at, "within")?;
    once(&mut content.spec.within, number, setting.at, "within")
}
