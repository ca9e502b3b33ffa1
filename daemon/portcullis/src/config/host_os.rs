//! What is set by host: `host-os-policy`, and networks as settings write them.

use super::section::Section;
use super::tree::Node;
use super::value::Setting;
use ipnet::IpNet;
use portcullis_wire::{Network, TargetOs};
use std::net::IpAddr;

/// What hosts run, by network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostOsPolicy(pub Vec<(Network, TargetOs)>);

impl HostOsPolicy {
    /// Reads the table. Where nothing is set, every IPv4 host runs Windows, as in the suricata.yaml that
    /// Suricata comes with.
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let mut all: Vec<(Network, TargetOs)> = Vec::new();
        let mut is_set = false;
        for system in TargetOs::ALL {
            let key = system.name();
            is_set |= section.is_set(key);
            for network in section.or(key, Networks::default()).0 {
                match all.iter().find(|(other, other_system)| *other == network && *other_system != system) {
                    Some((_, other)) => {
                        let reason = format!("one of the networks is also one of `{}`", other.name());
                        section.bad_value(key, &reason, &section.place(key));
                    }
                    None => all.push((network, system)),
                }
            }
        }
        if !is_set && let Some(everything) = Network::new(4, [0; 16], 0) {
            all.push((everything, TargetOs::Windows));
        }
        Self(all)
    }
}

/// Networks, or single addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks(pub(crate) Vec<Network>);

impl Setting for Networks {
    fn read(node: &Node) -> Result<Self, String> {
        let one = |text: &String| network(text).ok_or_else(|| format!("{text:?} is no address or network"));
        Vec::<String>::read(node)?.iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Option<Network> {
    let text = text.trim();
    let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    match parsed {
        IpNet::V4(network) => Network::new(4, network.addr().to_ipv6_mapped().octets(), network.prefix_len()),
        IpNet::V6(network) => Network::new(6, network.addr().octets(), network.prefix_len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::decoded::mapped;

    #[test]
    fn networks_and_addresses() {
        let v4 = |octets, prefix| Network::new(4, mapped(octets), prefix);
        assert_eq!(network("10.1.2.3/8"), v4([10, 0, 0, 0], 8));
        assert_eq!(network(" 10.1.2.3 "), v4([10, 1, 2, 3], 32));
        assert_eq!(network("0.0.0.0/0"), v4([0; 4], 0));
        assert_eq!(network("::/0"), Network::new(6, [0; 16], 0));
        assert_eq!(network("::1"), Network::new(6, std::net::Ipv6Addr::LOCALHOST.octets(), 128));
        for wrong in ["", "10.0.0.0/33", "10.0.0", "any", "!10.0.0.1", "::1/129"] {
            assert_eq!(network(wrong), None, "{wrong}");
        }
    }
}
