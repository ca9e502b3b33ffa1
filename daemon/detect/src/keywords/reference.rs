//! `reference`: where to read more.

use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;
use crate::signature::Reference;

pub(super) const KEYWORD: Entry = Entry { names: &["reference"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let text = setting.value.text()?;
    let parts = text.split_once(',').map(|(system, value)| (system.trim(), value.trim()));
    let Some((system, value)) = parts.filter(|(system, value)| !system.is_empty() && !value.is_empty())
    else {
        return Err(Fault::new(setting.value.at, format!("expected `system,reference`, found `{text}`")));
    };
    draft.texts.references.push(Reference { system: system.to_owned(), value: value.to_owned() });
    Ok(())
}
