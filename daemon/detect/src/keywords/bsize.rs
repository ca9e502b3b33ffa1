//! `bsize`: the length of the buffer that the contents before it look at.

use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::content::Item;
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["bsize"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let condition = Condition::parse(setting.value, u32::MAX)?;
    draft.push(setting.at, Item::Size(condition))
}
