//! `byte_jump`: what follows begins where a number in the payload says.

use super::bytes::{Options, Parts};
use super::{Entry, Setting, Takes};
use crate::content::Item;
use crate::content::bytes::{ByteJump, Origin};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["byte_jump"], takes: Takes::Value, setup };

/// `bytes, offset[, relative][, multiplier N][, big|little][, string[, hex|dec|oct]][, align]
/// [, from_beginning|from_end][, post_offset N]`
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let mut parts = Parts::of(setting);
    let length = parts.expect("the number of bytes")?;
    let offset = parts.expect("an offset")?;
    let allowed = ["multiplier", "align", "from_beginning", "from_end", "post_offset"];
    let mut options = Options::read(parts, &allowed)?;
    let number = options.number(draft, length, offset, 0)?;
    let jump = ByteJump {
        number,
        multiplier: options.multiplier.map_or(1, u32::from),
        align: options.align.is_some(),
        origin: options.origin.unwrap_or(Origin::Number),
        post_offset: options.post_offset.unwrap_or(0),
    };
    draft.push(setting.at, Item::Jump(jump))
}
