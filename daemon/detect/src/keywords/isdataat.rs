//! `isdataat`: the payload goes on for so long, or does not.

use super::bytes::{OFFSET_MAX, Parts, amount};
use super::{Entry, Setting, Takes};
use crate::content::Item;
use crate::content::bytes::DataAt;
use crate::draft::Draft;
use crate::error::Fault;
use crate::syntax::Value;

pub(super) const KEYWORD: Entry = Entry { names: &["isdataat"], takes: Takes::Value, setup };

/// `[!]offset[, relative]`
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let mut parts = Parts::of(setting);
    let offset = parts.expect("an offset")?;
    let (negated, offset) = match offset.bytes.strip_prefix(b"!") {
        Some(rest) => {
            let blanks = rest.len() - rest.trim_ascii_start().len();
            (true, Value { at: offset.at + 1 + blanks, bytes: rest.trim_ascii_start() })
        }
        None => (false, offset),
    };
    let offset = amount(draft, offset, 0, OFFSET_MAX)?;
    let mut relative = false;
    for part in parts.0 {
        match part.text()? {
            "relative" => relative = true,
            // Everything is looked at raw.
            "rawbytes" => {}
            other => return Err(Fault::new(part.at, format!("unknown option `{other}`"))),
        }
    }
    draft.push(setting.at, Item::DataAt(DataAt { offset, relative, negated }))
}
