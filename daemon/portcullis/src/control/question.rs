//! The arguments of `explain` and `drops`. Values may be strings or what they look like, so that a command line can give
//! them.

use crate::config::protocol;
use portcullis_engine::Question;
use portcullis_flow::FlowEnd;
use portcullis_wire::decoded::{VlanIds, mapped};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// What a command without arguments is told.
const USAGE: &str = "which packets? proto=, src-ip=, dest-ip=, with ports src-port= and dest-port=, and vlan=ID[,ID...] \
                     for tagged ones";

const KEYS: [&str; 6] = ["proto", "src-ip", "src-port", "dest-ip", "dest-port", "vlan"];

/// How many drops are told where nobody says.
const DROPS: usize = 100;

/// Most drops that are told at once.
pub(crate) const MOST_DROPS: usize = 10_000;

/// Reads the arguments of `explain`.
///
/// # Errors
/// What is wrong with them.
pub(super) fn question(arguments: &Value) -> Result<Question, String> {
    let none = Map::new();
    let arguments = arguments.as_object().unwrap_or(&none);
    if let Some(unknown) = arguments.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("unknown argument {unknown:?}; {USAGE}"));
    }
    let text = |key: &str| arguments.get(key).map(as_text);
    let needed = |key: &str| text(key).ok_or_else(|| USAGE.to_owned());
    let address = |key: &str| -> Result<IpAddr, String> {
        let given = needed(key)?;
        given.parse().map_err(|_| format!("{key}: {given:?} is no address"))
    };
    let name = needed("proto")?;
    let protocol = protocol(&name).or_else(|| name.parse().ok());
    let protocol = protocol.ok_or_else(|| format!("proto: {name:?} is no protocol"))?;
    let (source, destination) = (address("src-ip")?, address("dest-ip")?);
    if source.is_ipv4() != destination.is_ipv4() {
        return Err("src-ip and dest-ip are of two versions of IP".to_owned());
    }
    let end = |ip: IpAddr, port: &str| -> Result<FlowEnd, String> {
        let bytes = match ip {
            IpAddr::V4(v4) => mapped(v4.octets()),
            IpAddr::V6(v6) => v6.octets(),
        };
        let port = text(port).map_or(Ok(0), |given| number(port, &given))?;
        Ok((bytes, port))
    };
    let mut vlans = VlanIds::default();
    for id in text("vlan").iter().flat_map(|list| list.split(',')) {
        let id: u16 = number("vlan", id)?;
        if id > 4095 || !vlans.push(id) {
            return Err("vlan: at most three ids from 0 to 4095, the outermost first".to_owned());
        }
    }
    Ok(Question {
        ends: [end(source, "src-port")?, end(destination, "dest-port")?],
        ip_version: if source.is_ipv4() { 4 } else { 6 },
        protocol,
        vlans,
    })
}

/// Reads the arguments of `drops`: how many.
///
/// # Errors
/// What is wrong with them.
pub(super) fn most_drops(arguments: &Value) -> Result<usize, String> {
    let given = arguments.as_object().into_iter().flatten();
    let mut most = DROPS;
    for (key, value) in given {
        if key != "n" {
            return Err(format!("unknown argument {key:?}; n= says how many"));
        }
        most = number("n", &as_text(value))?;
    }
    if most == 0 || most > MOST_DROPS {
        return Err(format!("n: 1 to {MOST_DROPS}"));
    }
    Ok(most)
}

fn number<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{key}: {text:?} is no such number"))
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_say_which_packets() {
        let asked = question(&json!({
            "proto": "udp", "src-ip": "10.0.0.1", "src-port": "5", "dest-ip": "10.0.0.2", "dest-port": 53, "vlan": "7,8"
        }));
        let asked = asked.unwrap();
        assert_eq!(asked.ends, [(mapped([10, 0, 0, 1]), 5), (mapped([10, 0, 0, 2]), 53)]);
        assert_eq!((asked.ip_version, asked.protocol, asked.vlans.as_slice()), (4, 17, &[7, 8][..]));
        let six = question(&json!({ "proto": 58, "src-ip": "fe80::1", "dest-ip": "fe80::2" })).unwrap();
        assert_eq!((six.ip_version, six.protocol, six.ends[1].1), (6, 58, 0));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let check = |arguments: Value, expected: &str| {
            let reason = question(&arguments).unwrap_err();
            assert!(reason.contains(expected), "{arguments}: {reason}");
        };
        check(Value::Null, "which packets?");
        check(json!({ "proto": "udp" }), "which packets?");
        check(json!({ "port": 5 }), "unknown argument \"port\"");
        let with = |key: &str, value: &str| {
            let mut arguments = json!({ "proto": "tcp", "src-ip": "10.0.0.1", "dest-ip": "10.0.0.2" });
            arguments[key] = value.into();
            arguments
        };
        check(with("proto", "none"), "is no protocol");
        check(with("src-ip", "host"), "is no address");
        check(with("src-ip", "::1"), "two versions");
        check(with("dest-port", "65536"), "no such number");
        check(with("vlan", "1,2,3,4"), "at most three");
        check(with("vlan", "4096"), "at most three");
    }

    #[test]
    fn drops_are_bounded() {
        assert_eq!(most_drops(&Value::Null), Ok(DROPS));
        assert_eq!(most_drops(&json!({ "n": "7" })), Ok(7));
        for bad in [json!({ "n": 0 }), json!({ "n": 10_001 }), json!({ "n": "x" }), json!({ "most": 1 })] {
            assert!(most_drops(&bad).is_err(), "{bad}");
        }
    }
}
