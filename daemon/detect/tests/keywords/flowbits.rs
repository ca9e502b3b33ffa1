//! Bits that rules set on a flow and ask for.

use crate::{fault, v4};
use portcullis_detect::{FlowFacts, Input, LoadOptions, RuleSet, Scratch, Source};
use portcullis_flow::{Direction, FlowBit, FlowBits};
use portcullis_wire::LinkType;
use portcullis_wire::decode::Decoder;
use std::cell::Cell;

/// The sids that alert on each of the packets of one flow; without `flow` they have none.
pub(crate) fn alerts(rules: &str, payloads: &[&[u8]], flow: bool) -> Vec<Vec<u32>> {
    let loaded = RuleSet::load(&[Source { name: "rules", text: rules.as_bytes() }], &LoadOptions::default());
    assert_eq!(loaded.errors, []);
    assert!(loaded.rules.uses_bits());
    let bits = Cell::new(FlowBits::default());
    let mut scratch = Scratch::new(&loaded.rules);
    let facts = FlowFacts {
        direction: Direction::ToServer,
        established: true,
        first_in_direction: false,
        ..FlowFacts::default()
    };
    let mut found = Vec::new();
    for payload in payloads {
        let frame = v4().udp(1, 2).payload(payload).to_vec();
        let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, &frame);
        let input = Input {
            decoded: &decoded,
            frame: &frame,
            payload: decoded.payload.of(&frame),
            flow: flow.then_some(facts),
            bits: flow.then_some(&bits),
        };
        let outcome = loaded.rules.inspect(&input, &mut scratch);
        let sid = |rule| loaded.rules.signature(rule).unwrap().sid;
        found.push(outcome.alerts.iter().map(|alert| sid(alert.rule)).collect());
    }
    found
}

#[test]
fn bits_are_seen_by_later_packets_and_later_rules() {
    let rules = r#"
        alert udp any any -> any any (flowbits:isset,a; sid:3;)
        alert udp any any -> any any (flowbits:isnotset,a; sid:4;)
        alert udp any any -> any any (content:"set"; flowbits:set,a; sid:1;)
        alert udp any any -> any any (content:"clear"; flowbits:unset,a; flowbits:noalert; sid:2;)
    "#;
    // Rules that set are asked before those that ask, whatever their place in the file.
    let packets: [&[u8]; 5] = [b"x", b"set", b"x", b"clear", b"x"];
    let expect = [vec![4], vec![1, 3], vec![3], vec![4], vec![4]];
    assert_eq!(alerts(rules, &packets, true), expect);
    assert_eq!(alerts(rules, &[b"set", b"x"], false), [vec![1], vec![]]);
}

#[test]
fn bits_are_toggled_and_asked_for_together() {
    let rules = r#"
        alert udp any any -> any any (content:"t"; flowbits:toggle, a; sid:1;)
        alert udp any any -> any any (flowbits:isset, a | b; sid:2;)
        alert udp any any -> any any (flowbits:isset,a; flowbits:isset,b; sid:3;)
        alert udp any any -> any any (content:"b"; flowbits:set,b; sid:4;)
    "#;
    let packets: [&[u8]; 4] = [b"t", b"t", b"b", b"tb"];
    let expect = [vec![1, 2], vec![1], vec![4, 2], vec![1, 4, 2, 3]];
    assert_eq!(alerts(rules, &packets, true), expect);
}

#[test]
fn a_rule_that_only_sets_is_still_about_addresses_only() {
    let rules = "alert ip any any -> any any (flowbits:set,a; sid:1;)
                 alert ip any any -> any any (flowbits:toggle,a; sid:2;)";
    // These packets are not the first of their direction.
    assert_eq!(alerts(rules, &[b"x"], true), [vec![2]]);
}

#[test]
fn what_a_flow_cannot_hold_is_counted() {
    let set: String = (0..=FlowBits::MOST).map(|bit| format!("flowbits:set,bit{bit}; ")).collect();
    let rule = format!("alert udp any any -> any any (dsize:1; {set} sid:1;)");
    let loaded = RuleSet::load(&[Source { name: "rules", text: rule.as_bytes() }], &LoadOptions::default());
    let frame = v4().udp(1, 2).payload(b"x").to_vec();
    let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, &frame);
    let bits = Cell::new(FlowBits::default());
    let payload = decoded.payload.of(&frame);
    let input = Input { decoded: &decoded, frame: &frame, payload, flow: None, bits: Some(&bits) };
    let mut scratch = Scratch::new(&loaded.rules);
    assert_eq!(loaded.rules.inspect(&input, &mut scratch).bits_refused, 1);
    assert!(bits.get().contains(FlowBit::named(b"bit0")));
    assert!(!bits.get().contains(FlowBit::named(b"bit8")));
}

#[test]
fn faults_say_what_is_wrong() {
    let check = |options: &str, reason: &str| assert_eq!(fault(options), reason, "{options}");
    check("flowbits:set;", "`set` needs a name");
    check("flowbits:noalert,a;", "`noalert` takes no name");
    check("flowbits:isset,a,b;", "expected nothing after the name");
    check("flowbits:set,a b;", "a bit's name is one word");
    check("flowbits:set,a|b;", "only `isset` and `isnotset` take several names");
    check("flowbits:keep,a;", "expected set, unset, toggle, isset, isnotset or noalert, found `keep`");
}
