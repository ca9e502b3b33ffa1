//! `sameip`: the packet comes from the address that it goes to.

use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["sameip"], takes: Takes::Nothing, setup };

#[derive(Debug)]
struct SameAddress;

impl PacketTest for SameAddress {
    fn matches(&self, input: &Input<'_>) -> bool {
        let packet = input.decoded;
        packet.ip_version != 0 && packet.source == packet.destination
    }

    fn is_of_flow(&self) -> bool {
        true
    }
}

fn setup(draft: &mut Draft, _: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(SameAddress));
    Ok(())
}
