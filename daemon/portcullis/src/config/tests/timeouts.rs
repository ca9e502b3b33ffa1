//! Flow timeouts: emergency ones, and overrides.

use super::*;

#[test]
fn emergency_timeouts_are_never_longer() {
    let text = "[flow-timeouts.tcp]\nnew = 60\nemergency-new = 70\n";
    let expected = "\
warning: `flow-timeouts.tcp.emergency-new` is longer than `flow-timeouts.tcp.new` and becomes a tenth of it, 6 s
 --> gate/portcullis.toml:3:17
  |
3 | emergency-new = 70
  |                 ^^
";
    assert_eq!(shown(text, &[]), expected);
    let config = good(text, &["flow-timeouts.udp.new=5"], Inline::ByCopyMode);
    assert_eq!(config.flow_timeouts.tcp.emergency.new, Duration::from_secs(6));
    // The default of 10 s is longer than the 5 s that were set: no word about it.
    assert_eq!(config.flow_timeouts.udp.emergency.new, Duration::ZERO);
    assert_eq!(shown("", &["flow-timeouts.udp.new=5"]), "");
}

#[test]
fn timeouts_are_overridden_by_protocol_network_and_port() {
    use portcullis_flow::{FlowMatch, Network, TimeoutOverride};
    let text = r#"
[[flow-timeouts.override]]
port = 53
proto = "udp"
network = "10.0.0.0/8"
timeout = 5
new = 2

[[flow-timeouts.override]]
port = "6000:6010"
established = 86400

[[flow-timeouts.override]]
proto = 47
network = "2001:db8::1"
bypassed = 7
"#;
    let address = |text: &str| text.parse().unwrap();
    let dns =
        FlowMatch { protocol: Some(17), network: Network::new(address("10.0.0.0"), 8), ports: Some(53..=53) };
    let gre =
        FlowMatch { protocol: Some(47), network: Network::new(address("2001:db8::1"), 128), ports: None };
    let expected = [
        TimeoutOverride {
            flows: dns,
            new: Some(2),
            established: Some(5),
            closed: Some(5),
            bypassed: Some(5),
        },
        TimeoutOverride {
            flows: FlowMatch { ports: Some(6000..=6010), ..FlowMatch::default() },
            established: Some(86_400),
            ..TimeoutOverride::default()
        },
        TimeoutOverride { flows: gre, bypassed: Some(7), ..TimeoutOverride::default() },
    ];
    assert_eq!(good(text, &[], Inline::Yes).flow_timeouts.overrides, expected);
    let check = |table: &str, expected: &str| {
        let text = format!("[[flow-timeouts.override]]\n{table}\n");
        let error = parse(sources(&text, &[]), Inline::Yes).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("portcullis.toml:2:"), "{table}: {error}");
    };
    check("timeout = 5", "it names no flows");
    check("port = 53", "it changes nothing");
    check("port = \"2:1\"\ntimeout = 5", "a port or a range");
    check("port = 70000\ntimeout = 5", "expected a port");
    check("proto = \"http\"\ntimeout = 5", "expected a protocol such as");
    check("network = \"10.0.0.0/33\"\ntimeout = 5", "expected a network such as");
    check("timeout = 0\nport = 1", "0 is not within 1 to 1900800 seconds");
    check("prot = 5\ntimeout = 5", "unknown setting `flow-timeouts.override[0].prot`");
}
