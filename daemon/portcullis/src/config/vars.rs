//! `[vars]`: the names that rules use for groups of addresses and ports. What a value means is the
//! rule language's business and checked with the rules.

use super::section::Section;
use super::tree::{Node, Value};
use super::value::{Setting, expected};
use std::collections::BTreeMap;

const ADDRESS_GROUPS: &[(&str, &str)] = &[
    ("HOME_NET", "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"),
    ("EXTERNAL_NET", "!$HOME_NET"),
    ("HTTP_SERVERS", "$HOME_NET"),
    ("SMTP_SERVERS", "$HOME_NET"),
    ("SQL_SERVERS", "$HOME_NET"),
    ("DNS_SERVERS", "$HOME_NET"),
    ("TELNET_SERVERS", "$HOME_NET"),
    ("AIM_SERVERS", "$EXTERNAL_NET"),
    ("DC_SERVERS", "$HOME_NET"),
    ("DNP3_SERVER", "$HOME_NET"),
    ("DNP3_CLIENT", "$HOME_NET"),
    ("MODBUS_CLIENT", "$HOME_NET"),
    ("MODBUS_SERVER", "$HOME_NET"),
    ("ENIP_CLIENT", "$HOME_NET"),
    ("ENIP_SERVER", "$HOME_NET"),
];

const PORT_GROUPS: &[(&str, &str)] = &[
    ("HTTP_PORTS", "80"),
    ("SHELLCODE_PORTS", "!80"),
    ("ORACLE_PORTS", "1521"),
    ("SSH_PORTS", "22"),
    ("DNP3_PORTS", "20000"),
    ("MODBUS_PORTS", "502"),
    ("FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"),
    ("FTP_PORTS", "21"),
    ("GENEVE_PORTS", "6081"),
    ("VXLAN_PORTS", "4789"),
    ("TEREDO_PORTS", "3544"),
    ("SIP_PORTS", "[5060, 5061]"),
];

/// `[vars]`: those that Suricata ships, replaced and extended by those of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vars {
    /// Address variables by name, without `$`.
    pub address_groups: BTreeMap<String, String>,
    /// Port variables by name, without `$`.
    pub port_groups: BTreeMap<String, String>,
}

/// A group as rules write it; an array is taken as the list of its items.
struct Group(String);

impl Setting for Group {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(String::read).collect::<Result<_, _>>()?;
                Ok(Self(format!("[{}]", items.join(","))))
            }
            Value::String(text) if text.trim().is_empty() => expected("a group", node),
            _ => String::read(node).map(Self),
        }
    }
}

impl Vars {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            address_groups: section.section("address-groups", |inner| groups(inner, ADDRESS_GROUPS)),
            port_groups: section.section("port-groups", |inner| groups(inner, PORT_GROUPS)),
        }
    }
}

fn groups(section: &mut Section<'_>, shipped: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> =
        shipped.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (name, entry) in section.free_entries() {
        match Group::read(&entry.node) {
            Ok(group) => {
                all.insert(name.to_owned(), group.0);
            }
            Err(reason) => section.bad_value(name, &reason, &entry.node.place),
        }
    }
    all
}
