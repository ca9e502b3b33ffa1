//! `flowint`: numbers that rules keep about a flow.

use std::cell::Cell;

use portcullis_flow::{FlowBits, FlowNumber};

use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;
use crate::rule::{FlowChange, FlowName};
use crate::syntax::Value;

pub(super) const KEYWORD: Entry = Entry { names: &["flowint"], takes: Takes::Value, setup };

const WANTED: &str = "expected =, +, -, ==, !=, <, <=, >, >=, isset or notset";

/// `NAME,=|+|-,VALUE` after a match; `NAME,==|!=|<|<=|>|>=,VALUE` and `NAME,isset|notset` to match. VALUE is a
/// number of 32 bits or the name of another. What is asked of a number that was never set does not match, and
/// adding to it changes nothing, as in Suricata.
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let mut parts = setting.value.list();
    let name = parts.next().unwrap_or(setting.value);
    let number = named(draft, name)?;
    let Some(verb) = parts.next() else { return Err(Fault::new(name.at, WANTED)) };
    let operand = parts.next();
    if let Some(more) = parts.next() {
        return Err(Fault::new(more.at, "expected nothing after the value"));
    }
    let operand = |draft: &mut Draft| match operand {
        Some(value) => Operand::parse(draft, value),
        None => Err(Fault::new(verb.at, "a value is missing")),
    };
    if let Some(verb) = Arithmetic::named(verb.bytes) {
        let change = Change { number, verb, operand: operand(draft)? };
        draft.flow_changes.push(FlowChange::Number(change));
        return Ok(());
    }
    let asked = match verb.text()? {
        "isset" => Asked::Set(true),
        "notset" | "isnotset" => Asked::Set(false),
        "==" => Asked::Compares(|one, other| one == other, operand(draft)?),
        "!=" => Asked::Compares(|one, other| one != other, operand(draft)?),
        "<" => Asked::Compares(|one, other| one < other, operand(draft)?),
        "<=" => Asked::Compares(|one, other| one <= other, operand(draft)?),
        ">" => Asked::Compares(|one, other| one > other, operand(draft)?),
        ">=" => Asked::Compares(|one, other| one >= other, operand(draft)?),
        other => return Err(Fault::new(verb.at, format!("{WANTED}, found `{other}`"))),
    };
    draft.tests.push(Box::new(NumberTest { number, asked }));
    draft.reads_bits = true;
    Ok(())
}

/// The number of this name, which is kept so that no other is taken for it.
fn named(draft: &mut Draft, name: Value<'_>) -> Result<FlowNumber, Fault> {
    let text = name.text()?;
    let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte));
    if !is_name {
        let reason = "a number's name begins with a letter and has letters, digits, `_`, `.`, `/` and `-`";
        return Err(Fault::new(name.at, reason));
    }
    let number = FlowNumber::named(name.bytes);
    draft.flow_names.push((name.at, FlowName::Number(number), name.bytes.to_vec()));
    Ok(number)
}

/// What a number is set to, changed by or compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    Value(u32),
    Number(FlowNumber),
}

impl Operand {
    fn parse(draft: &mut Draft, value: Value<'_>) -> Result<Self, Fault> {
        if value.bytes.first().is_some_and(u8::is_ascii_alphabetic) {
            return named(draft, value).map(Self::Number);
        }
        value.number(0, u32::MAX).map(Self::Value)
    }

    /// `None` where it is a number that was never set.
    fn of(self, bits: &FlowBits) -> Option<u32> {
        match self {
            Self::Value(value) => Some(value),
            Self::Number(number) => bits.number(number),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Set(bool),
    Compares(fn(u32, u32) -> bool, Operand),
}

/// Is the number as the rule wants it?
#[derive(Debug)]
struct NumberTest {
    number: FlowNumber,
    asked: Asked,
}

impl PacketTest for NumberTest {
    fn matches(&self, input: &Input<'_>) -> bool {
        let Some(bits) = input.bits.map(Cell::get) else { return false };
        let number = bits.number(self.number);
        match self.asked {
            Asked::Set(wanted) => number.is_some() == wanted,
            Asked::Compares(holds, operand) => {
                number.zip(operand.of(&bits)).is_some_and(|(number, operand)| holds(number, operand))
            }
        }
    }

    fn is_of_flow(&self) -> bool {
        true
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arithmetic {
    Set,
    Add,
    Subtract,
}

impl Arithmetic {
    const fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"=" => Some(Self::Set),
            b"+" => Some(Self::Add),
            b"-" => Some(Self::Subtract),
            _ => None,
        }
    }
}

/// What a match does to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    number: FlowNumber,
    verb: Arithmetic,
    operand: Operand,
}

impl Change {
    /// Carries it out, beyond 32 bits from the other end; `false` where there was no room.
    pub(crate) fn apply(self, bits: &Cell<FlowBits>) -> bool {
        let mut changed = bits.get();
        let (Some(operand), known) = (self.operand.of(&changed), changed.number(self.number)) else {
            return true;
        };
        let value = match (self.verb, known) {
            (Arithmetic::Set, _) => operand,
            (Arithmetic::Add, Some(number)) => number.wrapping_add(operand),
            (Arithmetic::Subtract, Some(number)) => number.wrapping_sub(operand),
            (_, None) => return true,
        };
        let done = changed.set_number(self.number, value);
        bits.set(changed);
        done
    }
}
