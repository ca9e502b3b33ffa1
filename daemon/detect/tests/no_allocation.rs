//! Nothing is allocated while rules are matched, whatever they ask for.

use portcullis_detect::{FlowFacts, Input, LoadOptions, RuleSet, Scratch, Source};
use portcullis_flow::{Direction, FlowBits};
use portcullis_wire::LinkType;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decode::Decoder;
use std::cell::Cell;

/// One of every kind of thing that a rule can look at.
const RULES: &str = r#"
    alert tcp any any -> any any (content:"needle"; nocase; sid:1;)
    alert tcp any any -> any [80,8080] (content:"Needle"; content:"in"; distance:0; within:20; sid:2;)
    alert tcp any any -> any any (content:"|00 01|"; offset:2; depth:2; sid:3;)
    alert tcp any any -> any any (content:"ab"; sid:4;)
    alert tcp any any -> any any (pcre:"/ne+dle\s+in/i"; sid:5;)
    alert tcp any any -> any any (pcre:"/(\w+) in (?!b)/"; sid:6;)
    alert tcp any any -> any any (pcre:"/^(a+)+\1(?!b)[bc]$/"; sid:7;)
    alert tcp any any -> any any (content:"stack"; pcre:"/(\d)\1/R"; sid:8;)
    alert tcp any any -> any any (byte_extract:1,0,n; byte_math:bytes 1,offset 1,oper +,rvalue n,result m; isdataat:m; sid:9;)
    alert tcp [10.0.0.1,10.0.0.9,2001:db8::/32] any -> any any (flags:*PA; sid:10;)
    alert ip [10.0.0.0/24,!10.0.0.7] any -> any any (sid:11;)
    alert tcp any any -> any any (flowbits:set,seen; content:"hay"; sid:12;)
    alert tcp any any -> any any (flowbits:isset,seen; tcp.hdr; content:"|50|"; offset:12; sid:13;)
    alert tcp any any -> any any (content:!"absent"; dsize:>1; flow:established; sid:14;)
"#;

#[test]
fn matching_allocates_nothing() {
    let source = Source { name: "rules", text: RULES.as_bytes() };
    let loaded = RuleSet::load(&[source], &LoadOptions::default());
    assert_eq!(loaded.errors, []);
    let rules = loaded.rules;
    let mut scratch = Scratch::new(&rules);
    let payloads: [Vec<u8>; 7] = [
        b"a NEEDLE in the hay stack 11".to_vec(),
        b"\x01\x02\x00\x01Needle in".to_vec(),
        [b"needle in ".as_slice(), &[b'a'; 1200]].concat(),
        vec![b'a'; 1400],
        [&[b'a'; 1400][..], b"b"].concat(),
        (0..=255).cycle().take(1400).collect(),
        Vec::new(),
    ];
    let builder = || PacketBuilder::ethernet([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    let frames: Vec<Vec<u8>> =
        payloads.iter().map(|payload| builder().tcp(1000, 80).payload(payload).to_vec()).collect();
    let decoded: Vec<_> = frames
        .iter()
        .map(|frame| Decoder::default().decode(LinkType::Ethernet, None, false, frame))
        .collect();
    let bits = Cell::new(FlowBits::default());
    let mut alerts = 0;
    let mut judge = |first_in_direction| {
        for (decoded, frame) in decoded.iter().zip(&frames) {
            let flow = FlowFacts {
                direction: Direction::ToServer,
                established: true,
                first_in_direction,
                stream_data: true,
                ..FlowFacts::default()
            };
            let payload = decoded.payload.of(frame);
            let input = Input { decoded, frame, payload, flow: Some(flow), bits: Some(&bits) };
            alerts += rules.inspect(&input, &mut scratch).alerts.len();
        }
    };
    let allocated = allocation_counter::measure(|| {
        for first in [true, false, true] {
            judge(first);
        }
    });
    assert_eq!((allocated.count_total, alerts > 30), (0, true), "{alerts} alerts");
}
