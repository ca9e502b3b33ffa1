//! `offset`: where a content may begin.

use super::bytes::amount;
use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["offset"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let number = amount(draft, setting.value, 0, i64::from(u16::MAX))?;
    let content = draft.content(setting.at, "offset")?;
    once(&mut content.spec.offset, number, setting.at, "offset")
}
