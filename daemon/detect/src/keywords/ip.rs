//! Keywords on the IP header: `ttl ip_proto sameip`.

use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORDS: &[Entry] = &[
    Entry { names: &["ttl"], takes: Takes::Value, setup: ttl },
    Entry { names: &["ip_proto"], takes: Takes::Value, setup: ip_proto },
    Entry { names: &["sameip"], takes: Takes::Nothing, setup: sameip },
];

#[derive(Debug)]
enum IpTest {
    Ttl(Condition),
    Protocol(Condition),
    SameAddress,
}

impl PacketTest for IpTest {
    fn matches(&self, input: &Input<'_>) -> bool {
        let packet = input.decoded;
        packet.ip_version != 0
            && match self {
                Self::Ttl(condition) => condition.holds(u32::from(packet.ttl)),
                Self::Protocol(condition) => condition.holds(u32::from(packet.protocol)),
                Self::SameAddress => packet.source == packet.destination,
            }
    }
}

fn ttl(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(IpTest::Ttl(Condition::parse(setting.value, 255)?)));
    Ok(())
}

/// A number, or the name of a protocol that a header could name too.
fn ip_proto(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
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
    draft.tests.push(Box::new(IpTest::Protocol(condition)));
    Ok(())
}

fn sameip(draft: &mut Draft, _: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(IpTest::SameAddress));
    Ok(())
}

const PROTOCOLS: &[(&str, u32)] =
    &[("icmp", 1), ("igmp", 2), ("tcp", 6), ("udp", 17), ("gre", 47), ("esp", 50), ("ah", 51), ("sctp", 132)];
