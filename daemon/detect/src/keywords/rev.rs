//! `rev`: the revision of a rule.

use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["rev"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    once(&mut draft.texts.rev, setting.value.number(0, u32::MAX)?, setting.at, "rev")
}
