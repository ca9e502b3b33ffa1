//! What keywords share that read numbers from buffers: their parts, their options, values with names.

use super::Setting;
use crate::content::VARIABLES_MAX;
use crate::content::bytes::{Amount, BINARY_MAX, Form, Number, Origin, TEXT_MAX};
use crate::draft::Draft;
use crate::error::Fault;
use crate::syntax::Value;

/// Largest offset either way, as in Suricata.
pub(super) const OFFSET_MAX: i64 = 65_535;

/// The variable called `name`, made if there is none.
pub(super) fn name_variable(draft: &mut Draft, name: Value<'_>) -> Result<usize, Fault> {
    let text = name.text()?;
    if text.is_empty() || text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        return Err(Fault::new(name.at, format!("`{text}` is not a name")));
    }
    if let Some(known) = draft.variables.iter().position(|known| known == text) {
        return Ok(known);
    }
    if draft.variables.len() == VARIABLES_MAX {
        return Err(Fault::new(name.at, format!("the rule extracts more than {VARIABLES_MAX} values")));
    }
    draft.variables.push(text.to_owned());
    Ok(draft.variables.len() - 1)
}

/// A number from `least` to `most`, or the name of a value extracted before.
pub(super) fn amount(draft: &Draft, value: Value<'_>, least: i64, most: i64) -> Result<Amount, Fault> {
    let text = value.text()?;
    if text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        return variable(draft, value).map(Amount::Extracted);
    }
    value.number(least, most).map(Amount::Fixed)
}

/// The value extracted before under this name.
pub(super) fn variable(draft: &Draft, value: Value<'_>) -> Result<usize, Fault> {
    let text = value.text()?;
    let known = draft.variables.iter().position(|known| known == text);
    known.ok_or_else(|| {
        Fault::following(value.at, format!("`{text}` is neither a number nor a value extracted before"))
    })
}

/// A number as C writes it: decimal, `0x` and hexadecimal, `0` and octal.
pub(super) fn c_number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok();
    }
    let base = if text.len() > 1 && text.starts_with('0') { 8 } else { 10 };
    u64::from_str_radix(text, base).ok().filter(|_| !text.starts_with('+'))
}

/// The parts of a value, between commas.
pub(super) struct Parts<'a>(pub(super) std::vec::IntoIter<Value<'a>>, usize);

impl<'a> Iterator for Parts<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.0.next()
    }
}

impl<'a> Parts<'a> {
    pub(super) fn of(setting: Setting<'a>) -> Self {
        let end = setting.value.at + setting.value.bytes.len();
        Self(setting.value.list().collect::<Vec<_>>().into_iter(), end)
    }

    /// The next part, which has to be there.
    pub(super) fn expect(&mut self, what: &str) -> Result<Value<'a>, Fault> {
        self.0.next().ok_or_else(|| Fault::new(self.1, format!("expected {what}")))
    }
}

/// The options that follow the fixed parts.
#[derive(Debug, Default)]
pub(super) struct Options {
    relative: bool,
    little: bool,
    text: bool,
    base: Option<u32>,
    pub(super) mask: Option<u64>,
    pub(super) multiplier: Option<u16>,
    pub(super) align: Option<u64>,
    pub(super) origin: Option<Origin>,
    pub(super) post_offset: Option<i32>,
}

impl Options {
    /// Reads them; those that not every keyword has are `allowed` by name.
    pub(super) fn read(parts: Parts<'_>, allowed: &[&str]) -> Result<Self, Fault> {
        let mut options = Self::default();
        for part in parts.0 {
            let text = part.text()?;
            let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            let lower = name.to_ascii_lowercase();
            let common = ["relative", "big", "little", "string", "dec", "hex", "oct"];
            let unknown = || Fault::new(part.at, format!("unknown option `{text}`"));
            if lower == "dce" {
                return Err(Fault::new(part.at, "`dce` is not supported"));
            }
            if !common.contains(&&*lower) && !allowed.contains(&&*lower) {
                return Err(unknown());
            }
            let start = part.bytes.len() - rest.trim_start().len();
            let argument = Value { at: part.at + start, bytes: rest.trim_start().as_bytes() };
            let wants = matches!(&*lower, "multiplier" | "post_offset" | "bitmask");
            if wants == rest.is_empty() && lower != "align" {
                return Err(unknown());
            }
            options.set(&lower, argument)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, argument: Value<'_>) -> Result<(), Fault> {
        match name {
            "relative" => self.relative = true,
            "big" => self.little = false,
            "little" => self.little = true,
            "string" => self.text = true,
            "dec" => self.base = Some(10),
            "hex" => self.base = Some(16),
            "oct" => self.base = Some(8),
            "multiplier" => self.multiplier = Some(argument.number(1, u16::MAX)?),
            "align" if argument.bytes.is_empty() => self.align = Some(4),
            "align" => match argument.number(2_u64, 4)? {
                3 => return Err(Fault::new(argument.at, "`align` takes 2 or 4")),
                align => self.align = Some(align),
            },
            "from_beginning" => self.origin = Some(Origin::Beginning),
            "from_end" => self.origin = Some(Origin::End),
            "post_offset" => self.post_offset = Some(argument.number(-65_535, 65_535)?),
            _ => {
                let mask = c_number(argument.text()?).filter(|&mask| mask != 0);
                let fault = || Fault::new(argument.at, "expected a mask with at least one bit");
                self.mask = Some(mask.ok_or_else(fault)?);
            }
        }
        Ok(())
    }

    /// The number that the keyword reads; `base` is that of text without one.
    pub(super) fn number(
        &mut self,
        draft: &Draft,
        length: Value<'_>,
        offset: Value<'_>,
        base: u32,
    ) -> Result<Number, Fault> {
        let form = match (self.text, self.little) {
            (true, _) => Form::Text(self.base.unwrap_or(base)),
            (false, true) => Form::Little,
            (false, false) => Form::Big,
        };
        let most = if self.text { TEXT_MAX } else { BINARY_MAX };
        Ok(Number {
            length: amount(draft, length, 0, most)?,
            offset: amount(draft, offset, i64::from(i32::MIN), i64::from(i32::MAX))?,
            relative: self.relative,
            form,
        })
    }
}
