//! Community ids: the same text for the same connection in every tool that knows them
//! (<https://github.com/corelight/community-id-spec>, version 1).

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use portcullis_event::{Common, IcmpType};
use serde::{Serialize, Serializer};
use sha1::{Digest as _, Sha1};
use std::fmt;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A connection's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommunityId([u8; 20]);

impl CommunityId {
    /// The id of a record's packet or flow; `None` for what is not IP and for fragments, which do not show
    /// their ports.
    pub(crate) fn new(common: &Common<'_>, seed: u16) -> Option<Self> {
        let ports = match common.protocol {
            6 | 17 | 132 => Ports::Both(common.source_port, common.destination_port),
            ICMP | ICMPV6 => icmp_ports(common.protocol, common.icmp?),
            _ => Ports::None,
        };
        if common.flow_id.is_none() && ports == Ports::Both(0, 0) {
            return None;
        }
        let unused = match common.ip_version {
            4 => 12,
            6 => 0,
            _ => return None,
        };
        let (source, destination) = (common.source.get(unused..)?, common.destination.get(unused..)?);
        let (source, destination, ports) = match ports {
            Ports::Both(one, other) if (destination, other) < (source, one) => {
                (destination, source, Ports::Both(other, one))
            }
            Ports::None if destination < source => (destination, source, ports),
            _ => (source, destination, ports),
        };
        let mut hash = Sha1::new();
        hash.update(seed.to_be_bytes());
        hash.update(source);
        hash.update(destination);
        hash.update([common.protocol, 0]);
        if let Ports::Both(one, other) | Ports::OneWay(one, other) = ports {
            hash.update(one.to_be_bytes());
            hash.update(other.to_be_bytes());
        }
        Some(Self(hash.finalize().into()))
    }
}

impl fmt::Display for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1:{}", Base64Display::new(&self.0, &STANDARD))
    }
}

impl Serialize for CommunityId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What takes the place of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    None,
    Both(u16, u16),
    /// Of messages that are not answered: type and code, and the ends stay in their order.
    OneWay(u16, u16),
}

/// A type and that of its answer stand for the ports of ICMP.
fn icmp_ports(protocol: u8, icmp: IcmpType) -> Ports {
    let pairs: &[(u8, u8)] = if protocol == ICMP {
        &[(8, 0), (13, 14), (15, 16), (17, 18), (10, 9)]
    } else {
        &[(128, 129), (133, 134), (135, 136), (130, 131), (139, 140), (144, 145)]
    };
    let counterpart = pairs.iter().find_map(|&(one, other)| match icmp.kind {
        kind if kind == one => Some(other),
        kind if kind == other => Some(one),
        _ => None,
    });
    match counterpart {
        Some(other) => Ports::Both(icmp.kind.into(), other.into()),
        None => Ports::OneWay(icmp.kind.into(), icmp.code.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn common(protocol: u8, source: &str, destination: &str) -> Common<'static> {
        let octets = |text: &str| match text.parse().unwrap() {
            IpAddr::V4(v4) => (4, v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => (6, v6.octets()),
        };
        let (ip_version, source) = octets(source);
        let (_, destination) = octets(destination);
        Common { ip_version, protocol, source, destination, flow_id: Some(1), ..Common::default() }
    }

    fn id(common: &Common<'_>, seed: u16) -> Option<String> {
        CommunityId::new(common, seed).map(|id| id.to_string())
    }

    /// Both directions have the same id.
    fn check(protocol: u8, source: (&str, u16), destination: (&str, u16), seed: u16, expected: &str) {
        for (one, other) in [(source, destination), (destination, source)] {
            let (source_port, destination_port) = (one.1, other.1);
            let record = Common { source_port, destination_port, ..common(protocol, one.0, other.0) };
            assert_eq!(id(&record, seed).as_deref(), Some(expected));
        }
    }

    /// The values of the specification.
    #[test]
    fn connections_have_the_ids_of_the_specification() {
        let (client, server) = (("128.232.110.120", 34_855), ("66.35.250.204", 80));
        check(6, client, server, 0, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        check(6, client, server, 1, "1:3V71V58M3Ksw/yuFALMcW0LAHvc=");
        check(17, ("192.168.1.52", 54_585), ("8.8.8.8", 53), 0, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        check(132, ("192.168.170.8", 7), ("192.168.170.56", 80), 0, "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=");
        // Of the same address the lower port comes first; worked out apart from this code.
        check(6, ("192.168.0.254", 56_162), ("192.168.0.254", 3306), 0, "1:0HUQbshhYbATQXDHv/ysOs0DlZA=");
    }

    #[test]
    fn icmp_has_types_for_ports() {
        let check = |protocol, source, destination, kind, code, expected: &str| {
            let icmp = Some(IcmpType { kind, code });
            let record = Common { icmp, ..common(protocol, source, destination) };
            assert_eq!(id(&record, 0).as_deref(), Some(expected), "{kind}");
        };
        check(1, "192.168.0.89", "192.168.0.1", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
        check(1, "192.168.0.1", "192.168.0.89", 0, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
        let (one, other) = ("fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea");
        check(58, one, other, 135, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
        check(58, other, one, 136, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
        // Errors are not answered: each direction has its own id.
        let error = |source, destination| {
            let icmp = Some(IcmpType { kind: 3, code: 1 });
            id(&Common { icmp, ..common(1, source, destination) }, 0)
        };
        assert_ne!(error("10.0.0.1", "10.0.0.2"), error("10.0.0.2", "10.0.0.1"));
    }

    #[test]
    fn what_has_no_tuple_has_no_id() {
        assert_eq!(id(&Common::default(), 0), None);
        let fragment = Common { flow_id: None, ..common(17, "10.0.0.1", "10.0.0.2") };
        assert_eq!(id(&fragment, 0), None);
        assert!(id(&common(47, "10.0.0.1", "10.0.0.2"), 0).is_some());
    }
}
