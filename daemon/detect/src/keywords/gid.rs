//! `gid`: the generator of a rule.

use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["gid"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    once(&mut draft.texts.gid, setting.value.number(0, u32::MAX)?, setting.at, "gid")
}
