//! `metadata`: keys and values for whoever reads alerts.

use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;
use crate::signature::Metadata;

pub(super) const KEYWORD: Entry = Entry { names: &["metadata"], takes: Takes::Value, setup };

/// `key value, key value, …`: a key may come again, with a further value.
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    for part in setting.value.list() {
        let text = part.text()?;
        let (key, value) =
            text.split_once(' ').map_or((text, None), |(key, value)| (key, Some(value.trim())));
        let known = draft.texts.metadata.iter_mut().find(|known| known.key == key);
        let values = value.map(str::to_owned);
        match known {
            Some(known) => known.values.extend(values),
            None if key.is_empty() => return Err(Fault::new(part.at, "expected `key value`")),
            None => {
                let values = values.into_iter().collect();
                draft.texts.metadata.push(Metadata { key: key.to_owned(), values });
            }
        }
    }
    Ok(())
}
