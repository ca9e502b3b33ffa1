//! Keywords on the IP header: `ttl tos id ip_proto sameip ipopts`.

use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORDS: &[Entry] = &[
    Entry { names: &["ttl"], takes: Takes::Value, setup: ttl },
    Entry { names: &["tos"], takes: Takes::Value, setup: tos },
    Entry { names: &["id"], takes: Takes::Value, setup: id },
    Entry { names: &["ip_proto"], takes: Takes::Value, setup: ip_proto },
    Entry { names: &["ipopts"], takes: Takes::Value, setup: ipopts },
    Entry { names: &["sameip"], takes: Takes::Nothing, setup: sameip },
];

#[derive(Debug)]
enum IpTest {
    Ttl(Condition),
    /// Type of service.
    Service(Condition),
    /// IPv4 identification.
    Id(Condition),
    Protocol(Condition),
    SameAddress,
}

impl PacketTest for IpTest {
    fn matches(&self, input: &Input<'_>) -> bool {
        let packet = input.decoded;
        packet.ip_version != 0
            && match self {
                Self::Ttl(condition) => condition.holds(u32::from(packet.ttl)),
                Self::Service(condition) => packet.ip_version == 4 && condition.holds(u32::from(packet.tos)),
                Self::Id(condition) => packet.ip_version == 4 && condition.holds(u32::from(packet.ip_id)),
                Self::Protocol(condition) => condition.holds(u32::from(packet.protocol)),
                Self::SameAddress => packet.source == packet.destination,
            }
    }

    fn is_of_flow(&self) -> bool {
        matches!(self, Self::Protocol(_) | Self::SameAddress)
    }
}

fn ttl(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(IpTest::Ttl(Condition::parse(setting.value, 255)?)));
    Ok(())
}

fn tos(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(IpTest::Service(Condition::parse(setting.value, 255)?)));
    Ok(())
}

fn id(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(IpTest::Id(Condition::parse(setting.value, 65_535)?)));
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

/// `any`, or the name of an option that the packet must have.
fn ipopts(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let name = setting.value.text()?;
    let known = OPTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let option = match known {
        Some(&(_, number)) => Some(number),
        None if name.eq_ignore_ascii_case("any") => None,
        None => return Err(Fault::new(setting.value.at, format!("unknown IP option `{name}`"))),
    };
    draft.tests.push(Box::new(HasOption(option)));
    Ok(())
}

/// The IPv4 option with this number; any where there is none.
#[derive(Debug)]
struct HasOption(Option<u8>);

impl PacketTest for HasOption {
    fn matches(&self, input: &Input<'_>) -> bool {
        let packet = input.decoded;
        let mut options = packet.ip_options.of(input.frame);
        if packet.ip_version != 4 || options.is_empty() {
            return false;
        }
        let Some(wanted) = self.0 else { return true };
        loop {
            options = match *options {
                [option, ..] if option == wanted => return true,
                [] | [0, ..] => return false,
                [1, ref rest @ ..] => rest,
                [_, length, ..] if length >= 2 => match options.get(usize::from(length)..) {
                    Some(rest) => rest,
                    None => return false,
                },
                _ => return false,
            };
        }
    }
}

/// Names of IPv4 options, with their numbers (IANA's registry of IP options).
const OPTIONS: &[(&str, u8)] = &[
    ("eol", 0),
    ("nop", 1),
    ("rr", 7),
    ("ts", 68),
    ("sec", 130),
    ("lsrr", 131),
    ("lsrre", 131),
    ("esec", 133),
    ("cipso", 134),
    ("satid", 136),
    ("ssrr", 137),
    ("rtralt", 148),
];

const PROTOCOLS: &[(&str, u32)] =
    &[("icmp", 1), ("igmp", 2), ("tcp", 6), ("udp", 17), ("gre", 47), ("esp", 50), ("ah", 51), ("sctp", 132)];
