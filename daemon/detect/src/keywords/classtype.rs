//! `classtype`: the class of a rule.

use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["classtype"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let name = (setting.value.at, setting.value.text()?.to_owned());
    once(&mut draft.texts.classtype, name, setting.at, "classtype")
}
