//! Numbers of the TCP header, for the keywords on them.

use portcullis_wire::decoded::{Tcp, Transport};

use super::Setting;
use super::number::Condition;
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

#[derive(Debug)]
struct TcpNumber {
    field: fn(&Tcp) -> u32,
    condition: Condition,
}

impl PacketTest for TcpNumber {
    fn matches(&self, input: &Input<'_>) -> bool {
        let Transport::Tcp(header) = &input.decoded.transport else { return false };
        self.condition.holds((self.field)(header))
    }
}

/// Asks for a number of the header.
pub(super) fn add(
    draft: &mut Draft,
    setting: Setting<'_>,
    most: u32,
    field: fn(&Tcp) -> u32,
) -> Result<(), Fault> {
    let condition = Condition::parse(setting.value, most)?;
    draft.tests.push(Box::new(TcpNumber { field, condition }));
    Ok(())
}
