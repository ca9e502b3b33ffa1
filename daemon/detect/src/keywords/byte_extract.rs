//! `byte_extract`: a number in the payload gets a name.

use super::bytes::{Options, Parts, name_variable};
use super::{Entry, Setting, Takes};
use crate::content::Item;
use crate::content::bytes::ByteExtract;
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["byte_extract"], takes: Takes::Value, setup };

/// `bytes, offset, name[, relative][, multiplier N][, big|little][, string[, hex|dec|oct]][, align 2|4]`
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let mut parts = Parts::of(setting);
    let length = parts.expect("the number of bytes")?;
    let offset = parts.expect("an offset")?;
    let name = parts.expect("a name")?;
    let mut options = Options::read(parts, &["multiplier", "align"])?;
    let number = options.number(draft, length, offset, 10)?;
    let variable = name_variable(draft, name)?;
    let align = options.align.unwrap_or(1);
    let extract = ByteExtract { number, variable, multiplier: options.multiplier.unwrap_or(1), align };
    draft.push(setting.at, Item::Extract(extract))
}
