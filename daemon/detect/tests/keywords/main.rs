//! Keywords on packets that were built and decoded.
#![expect(clippy::unwrap_used, reason = "a test that fails tells so")]

mod bytes;
mod fields;
mod flowbits;
mod flowint;
mod flows;
mod headers;
mod hosts;
mod pcre;

use portcullis_detect::{Input, LoadOptions, RuleSet, Scratch, Source};
use portcullis_wire::LinkType;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decode::Decoder;

/// Does `alert PROTOCOL any any -> any any (OPTIONS sid:1;)` match the frame?
fn matches(protocol: &str, options: &str, frame: &[u8]) -> bool {
    let rule = format!("alert {protocol} any any -> any any ({options} sid:1;)");
    let rules = load(&rule);
    let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, frame);
    let input =
        Input { decoded: &decoded, frame, payload: decoded.payload.of(frame), flow: None, bits: None };
    let mut scratch = Scratch::new(&rules);
    !rules.inspect(&input, &mut scratch).alerts.is_empty()
}

/// Loads rules that have no fault.
fn load(text: &str) -> RuleSet {
    let loaded = RuleSet::load(&[Source { name: "rules", text: text.as_bytes() }], &LoadOptions::default());
    assert_eq!(loaded.errors, []);
    loaded.rules
}

/// The reason why a rule with these options is refused.
fn fault(options: &str) -> String {
    let rule = format!("alert tcp any any -> any any ({options} sid:1;)");
    let source = Source { name: "rules", text: rule.as_bytes() };
    let loaded = RuleSet::load(&[source], &LoadOptions::default());
    assert_eq!(loaded.errors.len(), 1, "{options}");
    loaded.errors.into_iter().next().unwrap().reason
}

fn v4<'a>() -> PacketBuilder<'a> {
    PacketBuilder::ethernet([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2])
}

fn v6<'a>() -> PacketBuilder<'a> {
    PacketBuilder::ethernet([2; 6], [4; 6]).ipv6([1; 16], [2; 16])
}
