//! `rawbytes`: as written on the wire, which is how everything is searched.

use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["rawbytes"], takes: Takes::Nothing, setup };

/// Everything is searched raw, so this says what is so anyway.
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.content(setting.at, "rawbytes").map(|_| ())
}
