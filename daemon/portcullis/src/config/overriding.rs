//! `[[flow-timeouts.override]]`: other idle timeouts for the flows of a protocol, network or port.

use super::section::Section;
use super::tree::{Node, Value};
use super::value::{Setting, expected};
use portcullis_flow::{FlowMatch, Network, TimeoutOverride};
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The longest time that a flow of its own can have, in seconds: 22 days.
const LONGEST: u32 = 22 * 86_400;

/// Reads one of the tables.
pub(super) fn read(section: &mut Section<'_>) -> TimeoutOverride {
    let protocol = section.optional::<ProtocolName>("proto").map(|ProtocolName(number)| number);
    let network = section.optional::<NetworkText>("network").map(|NetworkText(network)| network);
    let ports = section.optional::<Ports>("port").map(|Ports(ports)| ports);
    if ["proto", "network", "port"].iter().all(|key| !section.is_set(key)) {
        let reason = "it names no flows: set proto, network or port";
        section.bad_value("timeout", reason, &first_place(section));
    }
    let mut secs = |key| section.optional::<Seconds>(key).map(|Seconds(secs)| secs);
    let all = secs("timeout");
    let [new, established, closed, bypassed] = ["new", "established", "closed", "bypassed"].map(secs);
    if [all, new, established, closed, bypassed].iter().all(Option::is_none) {
        let reason = "it changes nothing: set timeout, new, established, closed or bypassed";
        section.bad_value("timeout", reason, &first_place(section));
    }
    TimeoutOverride {
        flows: FlowMatch { protocol, network, ports },
        new: new.or(all),
        established: established.or(all),
        closed: closed.or(all),
        bypassed: bypassed.or(all),
    }
}

/// Where something of the table stands, for a fault of the whole.
fn first_place(section: &Section<'_>) -> super::Place {
    let keys = ["proto", "network", "port", "timeout", "new", "established", "closed", "bypassed"];
    let set = keys.iter().find(|key| section.is_set(key));
    set.map_or(super::Place::Nowhere, |key| section.place(key))
}

/// A time of 1 second to 22 days.
struct Seconds(u32);

impl Setting for Seconds {
    fn read(node: &Node) -> Result<Self, String> {
        match u32::read(node)? {
            secs @ 1..=LONGEST => Ok(Self(secs)),
            other => Err(format!("{other} is not within 1 to {LONGEST} seconds")),
        }
    }
}

/// A protocol by name or number.
pub(super) struct ProtocolName(pub(super) u8);

impl Setting for ProtocolName {
    fn read(node: &Node) -> Result<Self, String> {
        if let Ok(number) = u8::read(node) {
            return Ok(Self(number));
        }
        let Value::String(name) = &node.value else { return expected("a protocol", node) };
        protocol(name).map_or_else(
            || expected("a protocol such as \"udp\" or its number", node),
            |number| Ok(Self(number)),
        )
    }
}

/// The number of a protocol that flows can have.
pub(crate) fn protocol(name: &str) -> Option<u8> {
    Some(match name.to_ascii_lowercase().as_str() {
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        "esp" => 50,
        "icmpv6" | "ipv6-icmp" => 58,
        "sctp" => 132,
        _ => return None,
    })
}

/// An address, or a network in the form of `10.0.0.0/8`.
struct NetworkText(Network);

impl Setting for NetworkText {
    fn read(node: &Node) -> Result<Self, String> {
        let text = String::read(node)?;
        network(&text)
            .map_or_else(|| expected("a network such as \"10.0.0.0/8\"", node), |network| Ok(Self(network)))
    }
}

/// The network that a text names.
pub(crate) fn network(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    Network::new(address, prefix.unwrap_or(whole))
}

/// A port, or a range of ports in the form of `1000:2000`.
pub(super) struct Ports(pub(super) RangeInclusive<u16>);

impl Setting for Ports {
    fn read(node: &Node) -> Result<Self, String> {
        if let Ok(port) = u16::read(node) {
            return Ok(Self(port..=port));
        }
        let Value::String(text) = &node.value else { return expected("a port", node) };
        let range = text.split_once(':').and_then(|(first, last)| {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some(Self(first..=last))
        });
        range.map_or_else(|| expected("a port or a range such as \"1000:2000\"", node), Ok)
    }
}
