//! `ip_proto`: the protocol that the IP header announces.

use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["ip_proto"], takes: Takes::Value, setup };

#[derive(Debug)]
struct Protocol(Condition);

impl PacketTest for Protocol {
    fn matches(&self, input: &Input<'_>) -> bool {
        let packet = input.decoded;
        packet.ip_version != 0 && self.0.holds(u32::from(packet.protocol))
    }

    fn is_of_flow(&self) -> bool {
        true
    }
}

/// A number, or the name of a protocol that a header could name too.
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let (negated, name) = match setting.value.text()?.strip_prefix('!') {
        Some(name) => (true, name.trim()),
        None => (false, setting.value.text()?),
    };
    let named = PROTOCOLS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let condition = match named {
        Some(&(_, number)) if negated => Condition::Not(number),
        Some(&(_, number)) => Condition::Within(number, number),
        None => Condition::parse(setting.value, 255)?,
    };
    draft.tests.push(Box::new(Protocol(condition)));
    Ok(())
}

const PROTOCOLS: &[(&str, u32)] =
    &[("icmp", 1), ("igmp", 2), ("tcp", 6), ("udp", 17), ("gre", 47), ("esp", 50), ("ah", 51), ("sctp", 132)];
