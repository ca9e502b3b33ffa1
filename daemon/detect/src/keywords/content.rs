//! `content`: bytes that a packet must hold, or must not.

use super::{Entry, Setting, Takes};
use crate::content::Spec;
use crate::draft::{ContentDraft, Draft};
use crate::error::Fault;
use crate::pattern;

pub(super) const KEYWORD: Entry = Entry { names: &["content"], takes: Takes::Value, setup };

/// Largest distance either way, as in Suricata.
pub(super) const DISTANCE_MAX: i64 = 1_048_576;

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let (negated, bytes) = pattern::parse(setting.value)?;
    let spec = Spec { bytes, negated, ..Spec::default() };
    draft.push_content(ContentDraft { at: setting.at, spec, ..ContentDraft::default() })
}

/// Sets what may be set once.
pub(super) fn flag(slot: &mut bool, at: usize, name: &str) -> Result<(), Fault> {
    if std::mem::replace(slot, true) {
        return Err(Fault::new(at, format!("`{name}` is given twice")));
    }
    Ok(())
}
