//! What lists and bypasses make of two ends, for whoever asks: which of them each is on, and when packets between the
//! two were last noted.

use crate::config::{ALLOWLIST, BypassConfig};
use crate::lists::{Lists, Loaded};
use portcullis_bpf::Bypass;
use portcullis_engine::Question;
use portcullis_event::Common;
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::Address;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// Most packets that are remembered.
const MOST: usize = 4096;

/// The last packets that the kernel noted for a list: some of those that a list decided.
#[derive(Debug, Default)]
pub(crate) struct Noted(VecDeque<Note>);

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Note {
    time: Timestamp,
    list: u8,
    ends: [(Address, u16); 2],
    protocol: u8,
}

impl Noted {
    /// Remembers a packet that this list decided.
    pub(crate) fn add(&mut self, list: u8, packet: &Common<'_>) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        let ends = [(packet.source, packet.source_port), (packet.destination, packet.destination_port)];
        self.0.push_back(Note { time: packet.timestamp, list, ends, protocol: packet.protocol });
    }

    /// How many packets between two ends, either way, are remembered for a list, and when the last one was.
    fn of(&self, list: usize, question: &Question) -> (usize, Option<Timestamp>) {
        let [one, other] = question.ends;
        let is_it = |note: &&Note| {
            let is_between = note.ends == [one, other] || note.ends == [other, one];
            usize::from(note.list) == list && note.protocol == question.protocol && is_between
        };
        let found = self.0.iter().filter(is_it);
        (found.clone().count(), found.map(|note| note.time).max())
    }
}

/// The lists that either end is on, in the order in which they decide.
pub(crate) fn lists_value(lists: &Lists, noted: &Noted, question: &Question, now: Timestamp) -> Value {
    let ends = question.ends.map(|end| address(question.ip_version, end.0));
    let value = |(number, Loaded { config, list }): (usize, &Loaded)| {
        let listed: Vec<String> =
            ends.iter().filter(|end| list.set.has(**end)).map(ToString::to_string).collect();
        let (count, last) = noted.of(number, question);
        (!listed.is_empty() || count > 0).then(|| {
            json!({
                "name": config.name,
                "action": if config.name == ALLOWLIST { "allow" } else { config.action.word() },
                "direction": config.direction.word(),
                "addresses": listed,
                "noted": count,
                "seconds_ago": last.map(|time| now.since(time).as_secs()),
            })
        })
    };
    lists.all.iter().enumerate().filter_map(value).collect()
}

/// The first bypass that packets between the two ends meet, by its name.
pub(crate) fn bypass_value(bypasses: &[Bypass], rules: &[BypassConfig], question: &Question) -> Value {
    let met = bypasses.iter().position(|bypass| meets(bypass, question));
    met.and_then(|number| rules.get(number)).map_or(Value::Null, |rule| rule.name.clone().into())
}

fn meets(bypass: &Bypass, question: &Question) -> bool {
    let [one, other] = question.ends.map(|end| address(question.ip_version, end.0));
    let within = |end, net: Option<(IpAddr, u8)>| net.is_none_or(|net| is_within(end, net));
    let is_at = |near, far| within(near, Some(bypass.network)) && within(far, bypass.peer);
    let of_protocol = bypass.protocol.is_none_or(|protocol| protocol == question.protocol);
    let has_port = |ports: &RangeInclusive<u16>| question.ends.iter().any(|end| ports.contains(&end.1));
    of_protocol && bypass.ports.as_ref().is_none_or(has_port) && (is_at(one, other) || is_at(other, one))
}

fn is_within(end: IpAddr, (network, length): (IpAddr, u8)) -> bool {
    let (differ, most) = match (end, network) {
        (IpAddr::V4(end), IpAddr::V4(network)) => {
            (u128::from(u32::from(end) ^ u32::from(network)) << 96, length)
        }
        (IpAddr::V6(end), IpAddr::V6(network)) => (u128::from(end) ^ u128::from(network), length),
        _ => return false,
    };
    differ.leading_zeros() >= u32::from(most)
}

/// An address as one writes it.
pub(crate) fn address(version: u8, bytes: Address) -> IpAddr {
    let six = Ipv6Addr::from(bytes);
    match six.to_ipv4_mapped() {
        Some(four) if version == 4 => IpAddr::V4(Ipv4Addr::from(four.octets())),
        _ => IpAddr::V6(six),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_around_what_begins_alike() {
        let check = |end: &str, network: &str, length, expected| {
            let found = is_within(end.parse().unwrap(), (network.parse().unwrap(), length));
            assert_eq!(found, expected, "{end} in {network}/{length}");
        };
        check("192.0.2.7", "192.0.2.0", 24, true);
        check("192.0.3.7", "192.0.2.0", 24, false);
        check("192.0.2.7", "192.0.2.7", 32, true);
        check("192.0.2.6", "192.0.2.7", 32, false);
        check("192.0.2.6", "0.0.0.0", 0, true);
        check("2001:db8::1", "2001:db8::", 64, true);
        check("2001:db8::1", "2001:db8::", 128, false);
        check("2001:db8::1", "0.0.0.0", 0, false);
    }
}
