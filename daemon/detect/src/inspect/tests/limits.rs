//! Bounds on alerts, work and memory.

use super::*;

#[test]
fn alerts_are_bounded_and_drops_are_not_lost_by_it() {
    let mut text: String =
        (1..=20).map(|sid| format!("alert udp any any -> any any (content:\"a\"; sid:{sid};)\n")).collect();
    text.push_str("drop udp any any -> any any (content:\"a\"; sid:90;)\n");
    text.push_str("drop udp any any -> any any (content:\"a\"; noalert; sid:91;)\n");
    let order = [Action::Alert, Action::Pass, Action::Drop, Action::Reject];
    let options = LoadOptions { packet_alert_max: 6, action_order: order, ..LoadOptions::default() };
    let rules = load_with(&text, &options);
    let mut scratch = Scratch::new(&rules);
    let decoded = packet(17);
    let outcome = rules.inspect(
        &Input { decoded: &decoded, frame: b"", payload: b"a", flow: None, bits: None },
        &mut scratch,
    );
    assert_eq!(sids(&rules, &outcome), [1, 2, 3, 4, 5, 6]);
    assert!(outcome.alerts.iter().all(|alert| !alert.blocked()));
    assert_eq!((outcome.overflow, outcome.suppressed), (15, 1));
    let Verdict::Drop { scope: Scope::Packet, rule } = outcome.verdict else { panic!("{outcome:?}") };
    assert_eq!(rules.signature(rule).map(|signature| signature.sid), Some(90));
}

#[test]
fn work_beyond_the_limit_is_reported() {
    let chain = r#"content:"a"; content:"a"; within:50; content:"a"; within:50; content:"b"; within:1;"#;
    let check = |action: &str, work: u32, expect: Unjudged| {
        let text = format!("{action} udp any any -> any any (content:\"aaaa\"; {chain} sid:1;)");
        let rules = load_with(&text, &LoadOptions { packet_work_max: work, ..LoadOptions::default() });
        let mut scratch = Scratch::new(&rules);
        let (decoded, payload) = (packet(17), [b'a'; 300]);
        let input = Input { decoded: &decoded, frame: &[], payload: &payload, flow: None, bits: None };
        let outcome = rules.inspect(&input, &mut scratch);
        assert_eq!((outcome.verdict, outcome.unjudged), (Verdict::None, expect), "{action}");
    };
    check("drop", 1000, Unjudged { rules: 1, pcre: 0, drop: true });
    check("alert", 1000, Unjudged { rules: 1, pcre: 0, drop: false });
    check("drop", 100_000_000, Unjudged::default());
}

#[test]
fn inspection_stays_within_the_memory_it_was_given() {
    let text: String = (1..=200)
        .map(|sid| format!("alert udp any any -> any [80,{sid}] (content:\"{sid}\"; sid:{sid};)\n"))
        .collect();
    let rules = load(&text);
    let mut scratch = Scratch::new(&rules);
    let held = |scratch: &Scratch| {
        (scratch.alerts.capacity(), scratch.lower.capacity(), scratch.candidates.capacity())
    };
    let before = held(&scratch);
    let payload: String = (1..=200).map(|sid| sid.to_string()).collect::<String>().repeat(100);
    let decoded = packet(17);
    let payload = &payload.as_bytes()[..payload.len().min(65_507)];
    let input = Input { decoded: &decoded, frame: payload, payload, flow: None, bits: None };
    assert_eq!(rules.inspect(&input, &mut scratch).overflow, 185);
    assert_eq!(held(&scratch), before);
}

#[test]
fn a_scratch_serves_any_rule_set() {
    let small = load("alert ip any any -> any any (sid:1;)");
    let large = load("alert ip any any -> any any (content:\"a\"; sid:1;)");
    let mut scratch = Scratch::new(&small);
    let decoded = packet(6);
    let input = Input { decoded: &decoded, frame: b"", payload: b"a", flow: None, bits: None };
    for rules in [&small, &large, &small] {
        assert_eq!(rules.inspect(&input, &mut scratch).alerts.len(), 1);
    }
}
