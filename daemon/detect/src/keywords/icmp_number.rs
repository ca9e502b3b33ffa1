//! Numbers of ICMP messages, for the keywords on them.

use portcullis_wire::decoded::{Icmp, Transport};

use super::Setting;
use super::number::Condition;
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::header_table::HeaderKey;
use crate::input::Input;

#[derive(Debug)]
struct IcmpTest {
    /// The field; `None` where the message has none.
    field: fn(&Icmp) -> Option<u32>,
    condition: Condition,
    /// Is it the type?
    is_type: bool,
}

impl PacketTest for IcmpTest {
    fn matches(&self, input: &Input<'_>) -> bool {
        let (Transport::Icmpv4(message) | Transport::Icmpv6(message)) = &input.decoded.transport else {
            return false;
        };
        (self.field)(message).is_some_and(|number| self.condition.holds(number))
    }

    fn admits(&self, key: HeaderKey) -> bool {
        matches!(key, HeaderKey::IcmpType(kind) if !self.is_type || self.condition.holds(u32::from(kind)))
    }
}

/// Asks for a number of the message; `is_type` where it is its type.
pub(super) fn add(
    draft: &mut Draft,
    setting: Setting<'_>,
    most: u32,
    is_type: bool,
    field: fn(&Icmp) -> Option<u32>,
) -> Result<(), Fault> {
    let condition = Condition::parse(setting.value, most)?;
    draft.tests.push(Box::new(IcmpTest { field, condition, is_type }));
    Ok(())
}
