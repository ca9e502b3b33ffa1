//! `depth`: how far from its offset a content may reach.

use super::bytes::amount;
use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["depth"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let number = amount(draft, setting.value, 1, i64::from(u16::MAX))?;
    let content = draft.content(setting.at, "depth")?;
    once(&mut content.spec.depth, number, setting.at, "depth")
}
