//! `icmpv6.mtu`: what a packet-too-big message tells.

use portcullis_wire::decoded::Transport;

use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["icmpv6.mtu"], takes: Takes::Value, setup };

/// The MTU of a packet-too-big message (RFC 4443 §3.2).
#[derive(Debug)]
struct Mtu(Condition);

/// Its type.
const PACKET_TOO_BIG: u8 = 2;

impl PacketTest for Mtu {
    fn matches(&self, input: &Input<'_>) -> bool {
        let Transport::Icmpv6(message) = &input.decoded.transport else { return false };
        let field =
            input.decoded.ip_payload.of(input.frame).get(4..8).and_then(|bytes| bytes.try_into().ok());
        message.kind == PACKET_TOO_BIG && field.is_some_and(|field| self.0.holds(u32::from_be_bytes(field)))
    }
}

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(Mtu(Condition::parse(setting.value, u32::MAX)?)));
    Ok(())
}
