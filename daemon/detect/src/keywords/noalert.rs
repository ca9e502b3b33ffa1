//! `noalert`: matches are not reported.

use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["noalert"], takes: Takes::Nothing, setup };

fn setup(draft: &mut Draft, _: Setting<'_>) -> Result<(), Fault> {
    draft.texts.noalert = true;
    Ok(())
}
