//! A rule's header: who talks to whom over what.

use hashbrown::HashMap;
use std::sync::Arc;

use portcullis_wire::Decoded;
use portcullis_wire::decoded::Transport;

use crate::address::AddressSet;
use crate::error::Fault;
use crate::outcome::RejectTo;
use crate::port::PortSet;
use crate::ruleset::LoadOptions;
use crate::signature::Action;
use crate::space;
use crate::syntax::Word;

/// IANA protocol numbers.
pub(crate) mod number {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const SCTP: u8 = 132;
}

/// What a rule's protocol word selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// Any IP packet.
    Ip,
    Ipv4,
    Ipv6,
    Tcp,
    /// TCP, contents in packets only.
    TcpPacket,
    /// TCP, contents in the stream only.
    TcpStream,
    Udp,
    /// ICMP of either IP version.
    Icmp,
    Icmpv4,
    Icmpv6,
    Sctp,
    /// Any frame, also one that could not be decoded.
    PacketHeader,
}

impl Protocol {
    /// Has each of its packets two ports?
    pub(crate) const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::TcpPacket | Self::TcpStream | Self::Udp | Self::Sctp)
    }

    fn parse(word: Word<'_>) -> Result<Self, Fault> {
        let name = word.text.to_ascii_lowercase();
        Ok(match name.as_str() {
            "ip" => Self::Ip,
            "ip4" | "ipv4" => Self::Ipv4,
            "ip6" | "ipv6" => Self::Ipv6,
            "tcp" => Self::Tcp,
            "tcp-pkt" => Self::TcpPacket,
            "tcp-stream" => Self::TcpStream,
            "udp" => Self::Udp,
            "icmp" => Self::Icmp,
            "icmpv4" => Self::Icmpv4,
            "icmpv6" => Self::Icmpv6,
            "sctp" => Self::Sctp,
            "pkthdr" => Self::PacketHeader,
            name if APPLICATION.contains(&name) => {
                return Err(Fault::new(
                    word.at,
                    format!("application-layer protocol `{name}` is not supported"),
                ));
            }
            _ => return Err(Fault::new(word.at, format!("unknown protocol `{}`", word.text))),
        })
    }

    /// Is a packet with this IP version and protocol number one of them?
    pub(crate) fn covers(self, version: u8, protocol: u8) -> bool {
        match self {
            Self::Ip | Self::PacketHeader => true,
            Self::Ipv4 => version == 4,
            Self::Ipv6 => version == 6,
            Self::Tcp | Self::TcpPacket | Self::TcpStream => protocol == number::TCP,
            Self::Udp => protocol == number::UDP,
            Self::Icmp => protocol == number::ICMP || protocol == number::ICMPV6,
            Self::Icmpv4 => protocol == number::ICMP,
            Self::Icmpv6 => protocol == number::ICMPV6,
            Self::Sctp => protocol == number::SCTP,
        }
    }
}

/// Protocols whose rules need parsers above the transport.
const APPLICATION: &[&str] = &[
    "bittorrent-dht",
    "dcerpc",
    "dhcp",
    "dnp3",
    "dns",
    "doh2",
    "enip",
    "ftp",
    "ftp-data",
    "http",
    "http1",
    "http2",
    "ike",
    "imap",
    "krb5",
    "ldap",
    "mdns",
    "modbus",
    "mqtt",
    "nfs",
    "ntp",
    "pgsql",
    "pop3",
    "quic",
    "rdp",
    "rfb",
    "sip",
    "smb",
    "smtp",
    "snmp",
    "ssh",
    "telnet",
    "tftp",
    "tls",
    "ssl",
    "websocket",
];

/// One side of a header.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// `None` for any.
    pub(crate) addresses: Option<Arc<AddressSet>>,
    /// `None` for any.
    pub(crate) ports: Option<PortSet>,
}

impl Side {
    fn holds(&self, version: u8, address: &portcullis_wire::Address, port: Option<u16>) -> bool {
        let port_fits = match (&self.ports, port) {
            (None, _) => true,
            (Some(ports), Some(port)) => ports.contains(port),
            // A port is asked for and the packet has none to show.
            (Some(_), None) => false,
        };
        port_fits && self.addresses.as_ref().is_none_or(|set| set.contains(version, address))
    }
}

/// A rule's header, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) action: Action,
    /// Whom a match of a `reject` rule answers.
    pub(crate) reject: Option<RejectTo>,
    pub(crate) protocol: Protocol,
    pub(crate) source: Side,
    pub(crate) destination: Side,
    /// `<>`: either side may be the source.
    pub(crate) both_ways: bool,
    /// Does a `!` take part in an address?
    pub(crate) negated_address: bool,
}

impl Header {
    /// Is the packet between the sides that the rule names? The protocol is not looked at.
    pub(crate) fn matches(&self, packet: &Decoded) -> bool {
        let ports = ports(packet);
        let (source_port, destination_port) = (ports.map(|(port, _)| port), ports.map(|(_, port)| port));
        let version = packet.ip_version;
        let forward = self.source.holds(version, &packet.source, source_port)
            && self.destination.holds(version, &packet.destination, destination_port);
        forward
            || self.both_ways
                && self.source.holds(version, &packet.destination, destination_port)
                && self.destination.holds(version, &packet.source, source_port)
    }
}

/// Source and destination port of a packet that shows them: not of a fragment, not of ICMP.
pub(crate) fn ports(packet: &Decoded) -> Option<(u16, u16)> {
    let has = match packet.transport {
        Transport::Tcp(_) | Transport::Udp(_) => true,
        Transport::None => packet.protocol == number::SCTP && packet.fragment.is_none(),
        Transport::Icmpv4(_) | Transport::Icmpv6(_) => false,
    };
    has.then_some((packet.source_port, packet.destination_port))
}

/// Address groups are few and large: rules that name the same share one.
#[derive(Debug, Default)]
pub(crate) struct AddressPool(HashMap<String, (Option<Arc<AddressSet>>, bool)>);

/// Reads the seven words of a header.
pub(crate) fn parse(
    words: &[Word<'_>; 7],
    options: &LoadOptions,
    pool: &mut AddressPool,
) -> Result<Header, Fault> {
    let [action, protocol, source, source_port, direction, destination, destination_port] = *words;
    let (action, reject) = parse_action(action)?;
    let protocol = Protocol::parse(protocol)?;
    let (source_set, source_negated) = addresses(source, options, pool)?;
    let source = Side { addresses: source_set, ports: ports_of(source_port, options)? };
    let both_ways = match direction.text {
        "->" => false,
        "<>" => true,
        "<-" => {
            return Err(Fault::new(direction.at, "`<-` is not a direction: swap the sides and write `->`"));
        }
        other => return Err(Fault::new(direction.at, format!("expected `->` or `<>`, found `{other}`"))),
    };
    let (destination_set, destination_negated) = addresses(destination, options, pool)?;
    let destination = Side { addresses: destination_set, ports: ports_of(destination_port, options)? };
    let negated_address = source_negated || destination_negated;
    Ok(Header { action, reject, protocol, source, destination, both_ways, negated_address })
}

fn parse_action(word: Word<'_>) -> Result<(Action, Option<RejectTo>), Fault> {
    let reject = |to| Ok((Action::Reject, Some(to)));
    match word.text {
        "alert" => Ok((Action::Alert, None)),
        "pass" => Ok((Action::Pass, None)),
        "drop" => Ok((Action::Drop, None)),
        "reject" | "rejectsrc" => reject(RejectTo::Source),
        "rejectdst" => reject(RejectTo::Destination),
        "rejectboth" => reject(RejectTo::Both),
        "config" | "accept" => {
            Err(Fault::new(word.at, format!("action `{}` is not supported yet", word.text)))
        }
        other => Err(Fault::new(word.at, format!("unknown action `{other}`"))),
    }
}

fn addresses(
    word: Word<'_>,
    options: &LoadOptions,
    pool: &mut AddressPool,
) -> Result<(Option<Arc<AddressSet>>, bool), Fault> {
    if let Some(known) = pool.0.get(word.text) {
        return Ok(known.clone());
    }
    let named = space::parse::<AddressSet>(word.text, word.at, &options.address_groups)?;
    let set = (!named.set.is_any()).then(|| Arc::new(named.set));
    pool.0.insert(word.text.to_owned(), (set.clone(), named.negated));
    Ok((set, named.negated))
}

fn ports_of(word: Word<'_>, options: &LoadOptions) -> Result<Option<PortSet>, Fault> {
    let named = space::parse::<PortSet>(word.text, word.at, &options.port_groups)?;
    Ok((!named.set.is_full()).then_some(named.set))
}
