//! Exception policies: what is inherited, what cannot be, and what becomes another one.

use super::*;
use ExceptionPolicy::{Bypass, DropFlow, DropPacket, Ignore, PassFlow, PassPacket, Reject, RejectBoth};

#[test]
fn policies_are_resolved_as_suricata_does() {
    let check = |overrides: &[&str], inline: Inline, memcap: ExceptionPolicy, midstream: ExceptionPolicy| {
        let config = good("", overrides, inline);
        let got = (config.flow.memcap_policy, config.stream.midstream_policy);
        assert_eq!(got, (memcap, midstream), "{overrides:?} {inline:?}");
    };
    check(&[], Inline::Yes, DropPacket, DropFlow);
    check(&[], Inline::No, Ignore, Ignore);
    check(&[], Inline::ByCopyMode, DropPacket, DropFlow);
    check(&["copy-mode=tap"], Inline::ByCopyMode, DropPacket, DropFlow);
    check(&["copy-mode=ids"], Inline::ByCopyMode, Ignore, Ignore);
    check(&["stream.midstream=yes"], Inline::Yes, DropPacket, Ignore);
    check(&["exception-policy=auto"], Inline::Yes, DropPacket, DropFlow);
    check(&["exception-policy=ignore"], Inline::Yes, Ignore, Ignore);
    check(&["exception-policy=pass-flow"], Inline::Yes, PassPacket, PassFlow);
    check(&["exception-policy=pass-flow", "stream.midstream=yes"], Inline::Yes, PassPacket, PassFlow);
    check(&["exception-policy=reject"], Inline::Yes, Reject, Reject);
    check(&["exception-policy=drop-flow"], Inline::No, Ignore, Ignore);
    check(&["exception-policy=bypass", "stream.midstream-policy=ignore"], Inline::Yes, Ignore, Ignore);
    check(&["flow.memcap-policy=pass-packet"], Inline::Yes, PassPacket, DropFlow);
    check(&["stream.midstream-policy=pass-flow"], Inline::No, Ignore, PassFlow);
    check(&["flow.memcap-policy=rejectboth"], Inline::Yes, RejectBoth, DropFlow);
    check(&["flow.memcap-policy=bypass"], Inline::Yes, Ignore, DropFlow);
    check(&["flow.memcap-policy=drop-packet"], Inline::No, Ignore, Ignore);
}

#[test]
fn every_place_has_its_policy_and_scope() {
    let values = [
        "auto",
        "drop-flow",
        "drop-packet",
        "reject",
        "rejectboth",
        "bypass",
        "pass-flow",
        "pass-packet",
        "ignore",
    ];
    let flow = [DropFlow, DropFlow, DropPacket, Reject, RejectBoth, Bypass, PassFlow, PassPacket, Ignore];
    let packet = flow.map(ExceptionPolicy::in_packet_scope);
    let check = |key: &str, expected: [ExceptionPolicy; 9], read: fn(&Config) -> ExceptionPolicy| {
        for (value, expected) in values.iter().zip(expected) {
            let config = good("", &[&format!("{key}={value}")], Inline::Yes);
            assert_eq!(read(&config), expected, "{key}={value}");
            // What is inherited is what would have been set, where the midstream policy allows it.
            if !value.ends_with("-packet") {
                let config = good("", &[&format!("exception-policy={value}")], Inline::Yes);
                assert_eq!(read(&config), expected, "{key} inherits {value}");
            }
            let watched = good("", &[&format!("{key}={value}")], Inline::No);
            assert!(!read(&watched).drops(), "{key}={value} where nothing can be dropped");
        }
    };
    check("flow.memcap-policy", packet, |config| config.flow.memcap_policy);
    check("defrag.memcap-policy", packet, |config| config.defrag.memcap_policy);
    check("stream.memcap-policy", flow, |config| config.stream.memcap_policy);
    check("stream.reassembly.memcap-policy", flow, |config| config.stream.reassembly.memcap_policy);
    check("app-layer.error-policy", flow, |config| config.app_layer.error_policy);
}

#[test]
fn policies_that_cannot_be_are_refused() {
    let check = |overrides: &[&str], inline: Inline, expected: &str| {
        let error = parse(sources("", overrides), inline).unwrap_err().to_string();
        assert!(error.contains(expected), "{overrides:?}: {error}");
    };
    check(&["stream.midstream-policy=drop-packet"], Inline::Yes, "it acts on whole flows");
    check(&["stream.midstream-policy=pass-packet"], Inline::Yes, "it acts on whole flows");
    check(&["stream.midstream-policy=drop-flow"], Inline::No, "dropping needs inline mode");
    check(
        &["stream.midstream=1", "stream.midstream-policy=bypass"],
        Inline::Yes,
        "only ignore and pass-flow",
    );
    check(&["exception-policy=drop-packet"], Inline::Yes, "set `stream.midstream-policy` as well");
    check(&["exception-policy=drop-flow", "stream.midstream=1"], Inline::Yes, "cannot inherit drop-flow");
}

#[test]
fn policies_that_change_are_announced() {
    let text = shown("[flow]\nmemcap-policy = \"drop-flow\"\n", &[]);
    let expected = "\
warning: `flow.memcap-policy` acts on packets: drop-flow becomes drop-packet
 --> gate/portcullis.toml:2:17
  |
2 | memcap-policy = \"drop-flow\"
  |                 ^^^^^^^^^^^
";
    assert_eq!(text, expected);
    let text = shown("copy-mode = \"ids\"\nexception-policy = \"drop-flow\"\n", &[]);
    assert!(
        text.starts_with("warning: `exception-policy` is ignored: drop-flow needs inline mode\n"),
        "{text}"
    );
    let text = shown("copy-mode = \"ids\"\n[flow]\nmemcap-policy = \"reject\"\n", &[]);
    let expected = "\
warning: `flow.memcap-policy` is ignored: reject needs inline mode
 --> gate/portcullis.toml:3:17
  |
3 | memcap-policy = \"reject\"
  |                 ^^^^^^^^
";
    assert_eq!(text, expected);
}
