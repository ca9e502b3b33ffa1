//! Keywords on what is known about the flow.

use crate::{fault, load, v4};
use portcullis_detect::{FlowFacts, Input, Scratch};
use portcullis_wire::LinkType;
use portcullis_wire::decode::Decoder;

fn check(options: &str, flow: Option<FlowFacts>, expect: bool) {
    let rules = load(&format!("alert udp any any -> any any ({options} sid:1;)"));
    let frame = v4().udp(1, 2).payload(b"x").to_vec();
    let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, &frame);
    let payload = decoded.payload.of(&frame);
    let input = Input { decoded: &decoded, frame: &frame, payload, flow, bits: None };
    let found = !rules.inspect(&input, &mut Scratch::new(&rules)).alerts.is_empty();
    assert_eq!(found, expect, "{options} on {flow:?}");
}

#[test]
fn counts_of_packets_and_bytes() {
    let flow = Some(FlowFacts { age: 61, packets: [3, 1], bytes: [u64::MAX, 70], ..FlowFacts::default() });
    check("flow.age:>60;", flow, true);
    check("flow.age:>61;", flow, false);
    check("flow.pkts_toserver:3;", flow, true);
    check("flow.pkts_toclient:>1;", flow, false);
    check("flow.pkts:either,>2;", flow, true);
    check("flow.pkts:toclient,1;", flow, true);
    check("flow.bytes_toserver:>5;", flow, true);
    check("flow.bytes:toclient,<70;", flow, false);
    check("flow.age:<100;", None, false);
}

#[test]
fn sizes_of_streams() {
    let flow = |sizes| Some(FlowFacts { stream_bytes: sizes, ..FlowFacts::default() });
    let sizes = Some([100, 5]);
    check("stream_size:client,>,99;", flow(sizes), true);
    check("stream_size:server,>,99;", flow(sizes), false);
    check("stream_size:both,>=,5;", flow(sizes), true);
    check("stream_size:both,>,5;", flow(sizes), false);
    check("stream_size:either,=,5;", flow(sizes), true);
    check("stream_size:server,!=,6;", flow(sizes), true);
    check("stream_size:server,<,6;", flow(None), false);
}

#[test]
fn faults_say_what_is_wrong() {
    let check = |options: &str, reason: &str| assert_eq!(fault(options), reason, "{options}");
    check("stream_size:server,<;", "expected a side, an operator and a number");
    check("stream_size:left,<,5;", "expected server, client, both or either, found `left`");
    check("stream_size:server,~,5;", "unknown operator `~`");
    check("flow.pkts:5;", "expected toserver, toclient or either, and a condition");
    check("flow.age:old;", "`old` is not a whole number from 0 to 4294967295");
    check("requires:feature geoip;", "the rule requires `feature geoip`, which this is not");
    check("requires:version >= 99;", "the rule requires `version >= 99`, which this is not");
    check("requires:keyword lua;", "the rule requires `keyword lua`, which this is not");
    assert!(fault("requires:keyword pcre, version >= 7.0.3 < 9; x:1;").contains("unknown keyword"));
}
