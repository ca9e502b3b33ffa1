//! `dsize`: the payload's length.

use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["dsize"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let condition = Condition::parse(setting.value, u32::from(u16::MAX))?;
    draft.tests.push(Box::new(PayloadSize(condition)));
    Ok(())
}

#[derive(Debug)]
struct PayloadSize(Condition);

impl PacketTest for PayloadSize {
    fn matches(&self, input: &Input<'_>) -> bool {
        u32::try_from(input.payload.len()).is_ok_and(|length| self.0.holds(length))
    }
}
