//! `nocase`: upper and lower case are alike.

use super::content::flag;
use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["nocase"], takes: Takes::Nothing, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let content = draft.content(setting.at, "nocase")?;
    flag(&mut content.spec.nocase, setting.at, "nocase")
}
