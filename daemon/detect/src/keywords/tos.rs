//! `tos`: the IPv4 header's type of service.

use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["tos"], takes: Takes::Value, setup };

#[derive(Debug)]
struct Test(Condition);

impl PacketTest for Test {
    fn matches(&self, input: &Input<'_>) -> bool {
        let packet = input.decoded;
        packet.ip_version == 4 && self.0.holds(u32::from(packet.tos))
    }
}

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(Test(Condition::parse(setting.value, 255)?)));
    Ok(())
}
