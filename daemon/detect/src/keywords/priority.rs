//! `priority`: how urgent a match is.

use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["priority"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    once(&mut draft.texts.priority, setting.value.number(1, 255)?, setting.at, "priority")
}
