//! The arguments of `flow-end`: which flows a command means. Values may be strings or what they look like,
//! so that a command line can give them.

use crate::config::{network, protocol};
use portcullis_flow::{FlowEnd, FlowMatch, FlowSelector};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// What a command without arguments is told.
const USAGE: &str = "which flows? all=yes, id=N, proto=NAME, ip=ADDRESS or NETWORK, port=N, or \
                     src-ip=, src-port=, dest-ip= and dest-port= together";

const KEYS: [&str; 9] = ["all", "id", "proto", "ip", "port", "src-ip", "src-port", "dest-ip", "dest-port"];

/// Reads the arguments.
///
/// # Errors
/// What is wrong with them: nothing is ended for an argument that was not understood.
pub(super) fn selector(arguments: &Value) -> Result<FlowSelector, String> {
    let none = Map::new();
    let arguments = arguments.as_object().unwrap_or(&none);
    if let Some(unknown) = arguments.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("unknown argument {unknown:?}; {USAGE}"));
    }
    let text = |key: &str| arguments.get(key).map(as_text);
    if arguments.is_empty() {
        return Err(USAGE.to_owned());
    }
    if let Some(all) = text("all") {
        let yes = matches!(all.as_str(), "yes" | "true" | "1");
        return match (yes, arguments.len()) {
            (true, 1) => Ok(FlowSelector::default()),
            (true, _) => Err("all=yes goes with no other argument".to_owned()),
            (false, _) => Err(format!("all is {all:?}, not yes")),
        };
    }
    let proto = |name: String| {
        let number = protocol(&name).or_else(|| name.parse().ok());
        number.ok_or_else(|| format!("proto: {name:?} is no protocol"))
    };
    let ip = |text: String| network(&text).ok_or_else(|| format!("ip: {text:?} is no address or network"));
    Ok(FlowSelector {
        id: text("id").map(|id| number("id", &id)).transpose()?,
        flows: FlowMatch {
            protocol: text("proto").map(proto).transpose()?,
            network: text("ip").map(ip).transpose()?,
            ports: text("port").map(|port| number("port", &port).map(|port| port..=port)).transpose()?,
        },
        between: between(text)?,
    })
}

/// The two ends of a flow: both addresses, and ports where the protocol has any.
fn between(text: impl Fn(&str) -> Option<String>) -> Result<Option<[FlowEnd; 2]>, String> {
    let end = |ip: &str, port: &str| -> Result<Option<FlowEnd>, String> {
        let given_port = text(port);
        let Some(given) = text(ip) else {
            return given_port.map_or(Ok(None), |_| Err(format!("{port} needs {ip}")));
        };
        let address = match given.parse() {
            Ok(IpAddr::V4(v4)) => v4.to_ipv6_mapped().octets(),
            Ok(IpAddr::V6(v6)) => v6.octets(),
            Err(_) => return Err(format!("{ip}: {given:?} is no address")),
        };
        let port = given_port.map_or(Ok(0), |given| number(port, &given))?;
        Ok(Some((address, port)))
    };
    match (end("src-ip", "src-port")?, end("dest-ip", "dest-port")?) {
        (None, None) => Ok(None),
        (Some(one), Some(other)) => Ok(Some([one, other])),
        _ => Err("src-ip and dest-ip go together; ip means either end".to_owned()),
    }
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
    use portcullis_flow::Network;
    use serde_json::json;

    #[test]
    fn arguments_say_which_flows() {
        let check = |arguments: Value, expected: FlowSelector| {
            assert_eq!(selector(&arguments), Ok(expected), "{arguments}");
        };
        let flows = |flows: FlowMatch| FlowSelector { flows, ..FlowSelector::default() };
        check(json!({"all": "yes"}), FlowSelector::default());
        check(json!({"all": true}), FlowSelector::default());
        check(json!({"id": 77}), FlowSelector { id: Some(77), ..FlowSelector::default() });
        check(json!({"id": "77"}), FlowSelector { id: Some(77), ..FlowSelector::default() });
        let network = Network::new("10.1.0.0".parse().unwrap(), 16);
        check(json!({"ip": "10.1.0.0/16"}), flows(FlowMatch { network, ..FlowMatch::default() }));
        let dns = FlowMatch { protocol: Some(17), ports: Some(53..=53), network: None };
        check(json!({"proto": "udp", "port": 53}), flows(dns));
        let v4 = |text: &str| text.parse::<std::net::Ipv4Addr>().unwrap().to_ipv6_mapped().octets();
        let between = Some([(v4("10.0.0.1"), 4000), (v4("10.0.0.2"), 80)]);
        let tuple = json!({"proto": "tcp", "src-ip": "10.0.0.1", "src-port": "4000",
            "dest-ip": "10.0.0.2", "dest-port": 80});
        let of_tcp = FlowMatch { protocol: Some(6), ..FlowMatch::default() };
        check(tuple, FlowSelector { between, flows: of_tcp, id: None });
    }

    #[test]
    fn what_is_not_understood_ends_nothing() {
        let check = |arguments: Value, expected: &str| {
            let reason = selector(&arguments).unwrap_err();
            assert!(reason.contains(expected), "{arguments}: {reason}");
        };
        check(Value::Null, "which flows?");
        check(json!({}), "which flows?");
        check(json!({"ipp": "1.2.3.4"}), "unknown argument \"ipp\"");
        check(json!({"all": "no"}), "not yes");
        check(json!({"all": "yes", "ip": "10.0.0.1"}), "no other argument");
        check(json!({"ip": "10.0.0.0/33"}), "no address or network");
        check(json!({"proto": "http"}), "no protocol");
        check(json!({"port": 70000}), "no such number");
        check(json!({"id": -1}), "no such number");
        check(json!({"src-ip": "10.0.0.1"}), "go together");
        check(json!({"src-port": 1}), "src-port needs src-ip");
        check(json!({"src-ip": "x", "dest-ip": "y"}), "no address");
    }
}
