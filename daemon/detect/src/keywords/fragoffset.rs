//! `fragoffset`: where a fragment belongs in its datagram.

use super::fragment::field;
use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["fragoffset"], takes: Takes::Value, setup };

/// The offset in units of eight bytes, as the header has it.
#[derive(Debug)]
struct Offset(Condition);

impl PacketTest for Offset {
    fn matches(&self, input: &Input<'_>) -> bool {
        field(input).is_some_and(|field| self.0.holds(u32::from(field & 0x1fff)))
    }
}

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(Offset(Condition::parse(setting.value, 0x1fff)?)));
    Ok(())
}
