//! `endswith`: a content ends its buffer.

use super::content::flag;
use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["endswith"], takes: Takes::Nothing, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let content = draft.content(setting.at, "endswith")?;
    flag(&mut content.spec.endswith, setting.at, "endswith")
}
