//! `byte_test`: a number in the payload is compared.

use super::bytes::{Options, Parts, c_number, variable};
use super::{Entry, Setting, Takes};
use crate::content::Item;
use crate::content::bytes::{ByteTest, Comparison, Value as Compared};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["byte_test"], takes: Takes::Value, setup };

/// `bytes, [!]operator, value, offset[, relative][, big|little][, string[, hex|dec|oct]][, bitmask N]`
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let mut parts = Parts::of(setting);
    let length = parts.expect("the number of bytes")?;
    let operator = parts.expect("an operator")?;
    let text = operator.text()?;
    let (negated, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest.trim_start()));
    let comparison = match text {
        "=" => Comparison::Equal,
        "" if negated => Comparison::Equal,
        "<" => Comparison::Less,
        ">" => Comparison::Greater,
        "<=" => Comparison::LessOrEqual,
        ">=" => Comparison::GreaterOrEqual,
        "&" => Comparison::And,
        "^" => Comparison::Xor,
        _ => return Err(Fault::new(operator.at, format!("unknown operator `{text}`"))),
    };
    let value = parts.expect("a value")?;
    let value = match c_number(value.text()?) {
        Some(number) => Compared::Fixed(number),
        None => Compared::Extracted(variable(draft, value)?),
    };
    let offset = parts.expect("an offset")?;
    let mut options = Options::read(parts, &["bitmask"])?;
    let number = options.number(draft, length, offset, 0)?;
    let test = ByteTest { number, mask: options.mask, comparison, negated, value };
    draft.push(setting.at, Item::Test(test))
}
