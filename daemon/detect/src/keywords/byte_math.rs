//! `byte_math`: computes with a number of the payload and keeps the result under a name.

use super::bytes::{Parts, amount, c_number, name_variable};
use super::{Entry, Setting, Takes};
use crate::content::Item;
use crate::content::bytes::{
    Amount, BINARY_MAX, ByteMath, Form, Number, Operation, TEXT_MAX, Value as Operand,
};
use crate::draft::Draft;
use crate::error::Fault;
use crate::syntax::Value;

pub(super) const KEYWORD: Entry = Entry { names: &["byte_math"], takes: Takes::Value, setup };

/// What the fields said so far.
#[derive(Default)]
struct Fields<'a> {
    bytes: Option<Value<'a>>,
    offset: Option<Value<'a>>,
    operation: Option<Operation>,
    operand: Option<Operand>,
    result: Option<Value<'a>>,
    relative: bool,
    little: bool,
    base: Option<u32>,
    mask: Option<u64>,
}

/// `bytes N, offset N, oper O, rvalue V, result NAME[, relative][, endian big|little][, string hex|dec|oct]
/// [, bitmask N]`, in any order
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let mut fields = Fields::default();
    for part in Parts::of(setting) {
        fields.read(draft, part)?;
    }
    let missing = |what: &str| Fault::new(setting.at, format!("`byte_math` needs `{what}`"));
    let text = fields.base.is_some();
    let most = if text { TEXT_MAX } else { BINARY_MAX };
    let form = match fields.base {
        Some(base) => Form::Text(base),
        None if fields.little => Form::Little,
        None => Form::Big,
    };
    let number = Number {
        length: amount(draft, fields.bytes.ok_or_else(|| missing("bytes"))?, 1, most)?,
        offset: match fields.offset {
            Some(offset) => amount(draft, offset, -65_535, 65_535)?,
            None => Amount::Fixed(0),
        },
        relative: fields.relative,
        form,
    };
    let operation = fields.operation.ok_or_else(|| missing("oper"))?;
    let operand = fields.operand.ok_or_else(|| missing("rvalue"))?;
    let variable = name_variable(draft, fields.result.ok_or_else(|| missing("result"))?)?;
    let math = ByteMath { number, mask: fields.mask, operation, operand, variable };
    draft.push(setting.at, Item::Math(math))
}

impl<'a> Fields<'a> {
    fn read(&mut self, draft: &Draft, part: Value<'a>) -> Result<(), Fault> {
        let text = part.text()?;
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let start = part.bytes.len() - rest.trim_start().len();
        let value = Value { at: part.at + start, bytes: rest.trim_start().as_bytes() };
        let word = value.text()?;
        let fault =
            |expected: &str| Err(Fault::new(value.at, format!("expected {expected}, found `{word}`")));
        match name {
            "bytes" => self.bytes = Some(value),
            "offset" => self.offset = Some(value),
            "oper" => {
                self.operation = Some(match word {
                    "+" => Operation::Add,
                    "-" => Operation::Subtract,
                    "*" => Operation::Multiply,
                    "/" => Operation::Divide,
                    "<<" => Operation::ShiftLeft,
                    ">>" => Operation::ShiftRight,
                    _ => return fault("one of + - * / << >>"),
                });
            }
            "rvalue" => {
                self.operand = Some(match c_number(word) {
                    Some(number) => Operand::Fixed(number),
                    None => match amount(draft, value, 0, i64::MAX)? {
                        Amount::Extracted(variable) => Operand::Extracted(variable),
                        Amount::Fixed(number) => Operand::Fixed(number.unsigned_abs()),
                    },
                });
            }
            "result" => self.result = Some(value),
            "relative" if word.is_empty() => self.relative = true,
            "endian" => match word {
                "big" => self.little = false,
                "little" => self.little = true,
                _ => return fault("big or little"),
            },
            "string" => match word {
                "hex" => self.base = Some(16),
                "dec" => self.base = Some(10),
                "oct" => self.base = Some(8),
                _ => return fault("hex, dec or oct"),
            },
            "bitmask" => match c_number(word).filter(|&mask| mask != 0) {
                Some(mask) => self.mask = Some(mask),
                None => return fault("a mask with at least one bit"),
            },
            "dce" => return Err(Fault::new(part.at, "`dce` is not supported")),
            _ => return Err(Fault::new(part.at, format!("unknown option `{text}`"))),
        }
        Ok(())
    }
}
