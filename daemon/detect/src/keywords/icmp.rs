//! Keywords on ICMP messages: `itype icode icmp_id icmp_seq icmpv6.mtu`.

use portcullis_wire::decoded::{Icmp, Transport};

use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::header_table::HeaderKey;
use crate::input::Input;

pub(super) const KEYWORDS: &[Entry] = &[
    Entry { names: &["itype"], takes: Takes::Value, setup: itype },
    Entry { names: &["icode"], takes: Takes::Value, setup: icode },
    Entry { names: &["icmp_id"], takes: Takes::Value, setup: icmp_id },
    Entry { names: &["icmp_seq"], takes: Takes::Value, setup: icmp_seq },
    Entry { names: &["icmpv6.mtu"], takes: Takes::Value, setup: mtu },
];

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

fn itype(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 255, true, |message| Some(u32::from(message.kind)))
}

fn icode(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 255, false, |message| Some(u32::from(message.code)))
}

fn icmp_id(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 65_535, false, |message| message.echo.map(|(id, _)| u32::from(id)))
}

fn icmp_seq(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 65_535, false, |message| message.echo.map(|(_, sequence)| u32::from(sequence)))
}

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

fn mtu(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(Mtu(Condition::parse(setting.value, u32::MAX)?)));
    Ok(())
}

fn add(
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
