//! `fast_pattern`: what a rule is found by.

use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["fast_pattern"], takes: Takes::Maybe, setup };

/// `fast_pattern`, `fast_pattern:only` or `fast_pattern:offset,length`. On a negated content, which no
/// prefilter can look for, it is a hint without effect.
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    if draft.contents().any(|(_, content)| content.fast_pattern) {
        return Err(Fault::new(setting.at, "`fast_pattern` is given twice"));
    }
    let content = draft.content(setting.at, "fast_pattern")?;
    content.fast_pattern = true;
    match setting.value.bytes {
        b"" => {}
        b"only" => content.only = true,
        _ => {
            let mut parts = setting.value.list();
            let (Some(offset), Some(length), None) = (parts.next(), parts.next(), parts.next()) else {
                let reason = "expected `only` or `offset,length` after `fast_pattern:`";
                return Err(Fault::new(setting.value.at, reason));
            };
            let offset = usize::from(offset.number(0, u16::MAX)?);
            content.chop = Some((offset, usize::from(length.number(1, u16::MAX)?)));
        }
    }
    Ok(())
}
