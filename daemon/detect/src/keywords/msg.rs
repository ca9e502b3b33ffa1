//! `msg`: the message of a rule.

use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["msg"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    once(&mut draft.texts.msg, setting.value.quoted_text()?, setting.at, "msg")
}
