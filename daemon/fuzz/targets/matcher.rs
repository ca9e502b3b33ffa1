//! Rules up to an empty line, then a frame: judging it neither panics nor depends on what was judged before.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_detect::{FlowFacts, Input, LoadOptions, RuleSet, Scratch, Source};
use portcullis_wire::LinkType;
use portcullis_wire::decode::Decoder;

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.windows(2).position(|pair| pair == b"\n\n") else { return };
    let (text, frame) = (&data[..end], &data[end + 2..]);
    let rules = RuleSet::load(&[Source { name: "fuzz", text }], &LoadOptions::default()).rules;
    let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, frame);
    let payload = decoded.payload.of(frame);
    let flow = decoded.invalid.is_none().then(FlowFacts::default);
    let input = Input { decoded: &decoded, frame, payload, flow, bits: None };
    let mut scratch = Scratch::new(&rules);
    let first =
        (rules.inspect(&input, &mut scratch).verdict, rules.inspect(&input, &mut scratch).alerts.len());
    let mut fresh = Scratch::new(&rules);
    let outcome = rules.inspect(&input, &mut fresh);
    assert_eq!((outcome.verdict, outcome.alerts.len()), first);
});
