//! The compiled engine against asking every rule.

use proptest::prelude::*;

use super::*;

/// Rule text over a small alphabet, so that rules share patterns, ports and payloads.
fn rule() -> impl Strategy<Value = String> {
    let content = ("[abAB]{1,3}|[abAB]{4,7}", any::<bool>(), 0_usize..8, 0..6).prop_map(
        |(text, nocase, place, negated)| {
            let place =
                ["", "offset:1;", "depth:8;", "distance:1;", "within:8;", "startswith;", "endswith;", ""]
                    [place];
            let (not, nocase) = (if negated == 0 { "!" } else { "" }, if nocase { "nocase;" } else { "" });
            format!("content:{not}\"{text}\"; {nocase} {place}")
        },
    );
    let port = prop::sample::select(vec!["any", "80", "[80,1000]", "!80", "1:900", "[1,3,5,7,9,11]", "1000"]);
    let address =
        prop::sample::select(vec!["any", "10.0.0.1", "!10.0.0.1", "[10.0.0.0/30,!10.0.0.2]", "10.0.0.0/7"]);
    let protocol = prop::sample::select(vec!["ip", "tcp", "udp", "tcp-pkt", "icmp", "pkthdr", "tcp-stream"]);
    let action = prop::sample::select(vec!["alert", "alert", "alert", "drop", "pass"]);
    let flow = prop::sample::select(vec![
        "",
        "",
        "flow:to_server;",
        "flow:to_client;",
        "flow:established;",
        "flow:not_established; ip_proto:6;",
        "flags:*SA;",
        "itype:8;",
    ]);
    let arrow = prop::sample::select(vec!["->", "->", "<>"]);
    let header = (action, protocol, address.clone(), port.clone(), arrow, address, port);
    (header, flow, prop::collection::vec(content, 0..3)).prop_map(|(header, flow, contents)| {
        let (action, protocol, source, source_port, arrow, destination, port) = header;
        let contents = contents.join(" ");
        format!("{action} {protocol} {source} {source_port} {arrow} {destination} {port} ({flow} {contents} ")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn groups_and_prefilter_find_what_asking_every_rule_finds(
        rules in prop::collection::vec(rule(), 1..40),
        payload in "[abAB]{0,12}|[abAB]{12,40}",
        protocol in prop::sample::select(vec![6_u8, 17, 1, 47]),
        direction in prop::sample::select(vec![None, Some(Direction::ToServer), Some(Direction::ToClient)]),
        [established, first_in_direction, stream_data, swap] in any::<[bool; 4]>(),
    ) {
        let text: String =
            rules.iter().zip(1..).map(|(rule, sid)| format!("{rule} sid:{sid};)\n")).collect();
        let rules = load(&text);
        let mut decoded = packet(protocol);
        if swap {
            std::mem::swap(&mut decoded.source, &mut decoded.destination);
            std::mem::swap(&mut decoded.source_port, &mut decoded.destination_port);
        }
        let flow = direction.map(|direction| FlowFacts { direction, established, first_in_direction, stream_data, ..FLOW });
        let payload = payload.as_bytes();
        let input = Input { decoded: &decoded, frame: payload, payload, flow, bits: None };
        let lower = payload.to_ascii_lowercase();
        let (mut verdict, mut logged) = ("none", Vec::new());
        for (id, rule) in rules.rules.iter().enumerate() {
            let asked = rule.kind != crate::rule::Kind::IpOnly || flow.is_none_or(|flow| flow.first_in_direction);
            let haystack = Haystack { bytes: payload, lower: Some(&lower) };
            let stream = StreamWindow::of_payload(&input).map(|window| (window, Some(&lower[..])));
            let searched = Searched { payload: haystack, stream };
            if !asked || rule.matches(RuleId(0), &input, searched, &mut Work { left: u32::MAX, memory: None }).unwrap().is_none() {
                continue;
            }
            match rule.header.action {
                Action::Pass => {
                    verdict = if verdict == "none" { "pass" } else { verdict };
                    break;
                }
                Action::Drop => verdict = "drop",
                _ => {}
            }
            logged.push(rules.signatures()[id].sid);
        }
        logged.truncate(15);
        let (found, alerts) = judge(&rules, &decoded, payload, flow);
        let found = match found {
            Verdict::None => "none",
            Verdict::Pass { .. } => "pass",
            Verdict::Drop { .. } => "drop",
        };
        prop_assert_eq!((found, alerts), (verdict, logged));
    }
}
