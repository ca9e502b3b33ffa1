//! Keywords on ICMP messages: `itype icode icmp_id icmp_seq`.

use portcullis_wire::decoded::{Icmp, Transport};

use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORDS: &[Entry] = &[
    Entry { names: &["itype"], takes: Takes::Value, setup: itype },
    Entry { names: &["icode"], takes: Takes::Value, setup: icode },
    Entry { names: &["icmp_id"], takes: Takes::Value, setup: icmp_id },
    Entry { names: &["icmp_seq"], takes: Takes::Value, setup: icmp_seq },
];

#[derive(Debug)]
struct IcmpTest {
    /// The field; `None` where the message has none.
    field: fn(&Icmp) -> Option<u32>,
    condition: Condition,
}

impl PacketTest for IcmpTest {
    fn matches(&self, input: &Input<'_>) -> bool {
        let (Transport::Icmpv4(message) | Transport::Icmpv6(message)) = &input.decoded.transport else {
            return false;
        };
        (self.field)(message).is_some_and(|number| self.condition.holds(number))
    }
}

fn itype(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 255, |message| Some(u32::from(message.kind)))
}

fn icode(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 255, |message| Some(u32::from(message.code)))
}

fn icmp_id(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 65_535, |message| message.echo.map(|(id, _)| u32::from(id)))
}

fn icmp_seq(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 65_535, |message| message.echo.map(|(_, sequence)| u32::from(sequence)))
}

fn add(
    draft: &mut Draft,
    setting: Setting<'_>,
    most: u32,
    field: fn(&Icmp) -> Option<u32>,
) -> Result<(), Fault> {
    let condition = Condition::parse(setting.value, most)?;
    draft.tests.push(Box::new(IcmpTest { field, condition }));
    Ok(())
}
