use proptest::prelude::*;

use super::*;
use crate::signature::Target;

fn load(text: &str) -> Loaded {
    let groups = |list: &[(&str, &str)]| {
        list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
    };
    let options = LoadOptions {
        address_groups: groups(&[("HOME_NET", "[10.0.0.0/8]"), ("BAD", "[1.2.3]")]),
        port_groups: groups(&[("HTTP_PORTS", "[80,8080]")]),
        ..LoadOptions::default()
    };
    RuleSet::load(&[Source { name: "test.rules", text: text.as_bytes() }], &options)
}

/// The only signature of `alert tcp any any -> any any (options sid:1;)`.
fn signature(options: &str) -> Signature {
    let loaded = load(&format!("alert tcp any any -> any any ({options} sid:1;)"));
    assert_eq!(loaded.errors, [], "{options}");
    loaded.rules.signatures()[0].clone()
}

#[test]
fn a_file_of_rules_is_loaded_around_its_faults() {
    let text = "# comment\n\nalert ip any any -> any any (msg:\"one\"; sid:1;)\r\n\
                alert ip any any -> any any (sid:2; bogus;)\n  pass ip any any -> \\\n   any any \\\n (sid:3;)\n\
                drop ip any any <> any any \\\n  (sid:x;)\nalert ip any any -> any any (sid:4;)";
    let loaded = load(text);
    let errors: Vec<_> = loaded.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "test.rules:4:37: unknown keyword `bogus`",
            "test.rules:9:8: `x` is not a whole number from 1 to 4294967295",
        ]
    );
    let sids: Vec<_> = loaded.rules.signatures().iter().map(|signature| signature.sid).collect();
    assert_eq!(sids, [3, 1, 4], "pass before alert, then in the order of the file");
}

#[test]
fn signatures_hold_what_rules_say_about_themselves() {
    let plain = signature("");
    assert_eq!((plain.gid, plain.rev, plain.priority), (1, 0, 3));
    assert_eq!((plain.msg.as_str(), plain.category.as_str(), plain.noalert), ("", "", false));
    let full = signature(
        r#"msg:"a \"b\"\; c"; gid:7; rev:9; classtype:trojan-activity; reference:url,example.org/x; \
           reference:cve,2020-1; metadata:tag One, created 2020, tag Two words, alone; noalert;"#,
    );
    assert_eq!(full.msg, r#"a "b"; c"#);
    assert_eq!((full.gid, full.rev, full.priority), (7, 9, 1));
    assert_eq!(full.category, "A Network Trojan was detected");
    assert!(full.noalert);
    let references: Vec<_> = full.references.iter().map(ToString::to_string).collect();
    let cve = "http://cve.mitre.org/cgi-bin/cvename.cgi?name=2020-1";
    assert_eq!(references, ["http://example.org/x", cve]);
    let metadata: Vec<_> =
        full.metadata.iter().map(|item| (item.key.as_str(), item.values.join("|"))).collect();
    let expect = [("tag", "One|Two words"), ("created", "2020"), ("alone", "")];
    assert_eq!(metadata, expect.map(|(key, values)| (key, values.to_owned())));
    assert_eq!(signature("classtype:trojan-activity; priority:5;").priority, 5);
    assert_eq!(signature("target:dest_ip;").target, Some(Target::Destination));
}

#[test]
fn rules_are_ordered_by_action_then_priority_then_place() {
    let text = "alert ip any any -> any any (sid:1;)\nalert ip any any -> any any (priority:1; sid:2;)\n\
                drop ip any any -> any any (sid:3;)\npass ip any any -> any any (priority:9; sid:4;)\n\
                alert ip any any -> any any (sid:5;)";
    let order = |action_order| {
        let options = LoadOptions { action_order, ..LoadOptions::default() };
        let loaded = RuleSet::load(&[Source { name: "x", text: text.as_bytes() }], &options);
        loaded.rules.signatures().iter().map(|signature| signature.sid).collect::<Vec<_>>()
    };
    assert_eq!(order(Action::DEFAULT_ORDER), [4, 3, 2, 1, 5]);
    assert_eq!(order([Action::Alert, Action::Drop, Action::Reject, Action::Pass]), [2, 1, 5, 3, 4]);
}

#[test]
fn rules_that_operators_write_load() {
    let check = |rule: &str| assert_eq!(load(rule).errors, [], "{rule}");
    check("alert tcp-pkt $HOME_NET any -> !$HOME_NET ![$HTTP_PORTS, 1:5] (content:\"x\"; sid:1;)");
    check(
        r#"alert udp any any -> any 53 (content:"|01 00|"; depth:2; offset:2; content:!"a\;b"; within:9; distance:-2; sid:1;)"#,
    );
    check(r#"alert ip any any -> any any (content:"a"; nocase; fast_pattern:only; content:"bcd"; sid:1;)"#);
    check(r#"alert ip any any -> any any (content:"bcd"; fast_pattern:1,2; content:!"x"; sid:1;)"#);
    check("alert icmpv6 any any -> any any (target:src_ip; sid:1;)");
    check("alert pkthdr any any -> any any (sid:1;)");
    check("alert ipv6 any any -> any any (ttl:<5; sid:1;)");
    check("alert icmp any any -> any any (itype:7<>20; icode:0; icmp_id:1; icmp_seq:>4; sid:1;)");
    check("alert tcp any any -> any any (flags: S,CE; seq:0; ack:!5; window:<9; dsize:1<>9; sid:1;)");
    check("alert tcp any any -> any any (flow: to_server, established, only_stream; content: \"x\"; sid:1;)");
    check(r#"alert tcp any any -> any any (content:"abc"; startswith; endswith; rawbytes; sid:1;)"#);
    check("alert ip any any -> any any (ip_proto:!udp; sameip; sid:09901034;)");
}

#[test]
fn faults_have_their_place_and_reason() {
    let check = |rule: &str, column: usize, reason: &str| {
        let loaded = load(rule);
        let found: Vec<_> =
            loaded.errors.iter().map(|error| (error.line, error.column, error.reason.as_str())).collect();
        assert_eq!(found, [(1, column, reason)], "{rule}");
        assert!(loaded.rules.is_empty());
    };
    // The header.
    check("warn tcp any any -> any any (sid:1;)", 1, "unknown action `warn`");
    check("config tcp any any -> any any (sid:1;)", 1, "action `config` is not supported yet");
    check("alert http any any -> any any (sid:1;)", 7, "application-layer protocol `http` is not supported");
    check("alert tpc any any -> any any (sid:1;)", 7, "unknown protocol `tpc`");
    check("alert tcp $DMZ any -> any any (sid:1;)", 11, "address variable `$DMZ` is not defined");
    check(
        "alert tcp any any -> [1.1.1.1,$BAD] any (sid:1;)",
        31,
        "in `$BAD`, `[1.2.3]`: `1.2.3` is not an address, a network or a range of addresses",
    );
    check("alert tcp any $X -> any any (sid:1;)", 15, "port variable `$X` is not defined");
    check(
        "alert tcp any any <- any any (sid:1;)",
        19,
        "`<-` is not a direction: swap the sides and write `->`",
    );
    check("alert tcp any any => any any (sid:1;)", 19, "expected `->` or `<>`, found `=>`");
    // Options.
    let check = |options: &str, column: usize, reason: &str| {
        check(&format!("alert tcp any any -> any any ({options})"), column + 30, reason);
    };
    check("msg:\"x\";", 9, "the rule has no `sid`");
    check("sid:1; sid:2;", 8, "`sid` is given twice");
    check("sid:0;", 5, "`0` is not a whole number from 1 to 4294967295");
    check("sid:1; asn1:\"/a/\";", 8, "keyword `asn1` is not supported");
    check("nocase; sid:1;", 1, "`nocase` needs a `content` before it");
    check("content:\"a\"; nocase:1; sid:1;", 21, "`nocase` does not take a value");
    check("content; sid:1;", 1, "`content` needs a value");
    check("content:\"a;b\"; sid:1;", 9, "the quotes are not closed (within them, write `;` as `\\;`)");
    check("content:\"|4|\"; sid:1;", 11, "hex digits come in pairs");
    check(
        "content:\"ab\"; depth:1; sid:1;",
        1,
        "`depth` 1 is less than the content's 2 bytes: it can never match",
    );
    check(
        "content:\"ab\"; within:1; sid:1;",
        1,
        "`within` 1 is less than the content's 2 bytes: it can never match",
    );
    let mixed = "`distance` and `within` cannot be mixed with `offset` and `depth`";
    check("content:\"a\"; content:\"b\"; offset:1; within:2; sid:1;", 14, mixed);
    check(
        "content:\"a\"; startswith; offset:1; sid:1;",
        1,
        "`startswith` cannot be mixed with other placements",
    );
    check("content:\"a\"; offset:1; offset:1; sid:1;", 24, "`offset` is given twice");
    check(
        "content:\"a\"; distance:len; sid:1;",
        23,
        "`len` is neither a number nor a value extracted before",
    );
    check(
        "content:\"ab\"; fast_pattern:1,2; sid:1;",
        1,
        "`fast_pattern:1,2` reaches beyond the content's 2 bytes",
    );
    check(
        "content:\"a\"; fast_pattern; content:\"b\"; fast_pattern; sid:1;",
        41,
        "`fast_pattern` is given twice",
    );
    check(
        "content:\"a\"; fast_pattern:x; sid:1;",
        27,
        "expected `only` or `offset,length` after `fast_pattern:`",
    );
    let only = "`fast_pattern:only` cannot be mixed with placements or negation";
    check("content:!\"a\"; fast_pattern:only; sid:1;", 1, only);
    check("flow:to_server,sideways; sid:1;", 16, "unknown `flow` option `sideways`");
    check("flow:to_server,from_server; sid:1;", 16, "`from_server` cannot be combined with `to_server`");
    check("flow:established, established; sid:1;", 19, "`established` is given twice");
    check("flow:no_frags; sid:1;", 6, "unknown `flow` option `no_frags`");
    check("classtype:nonsense; sid:1;", 11, "class `nonsense` is not in the classification file");
    check("reference:url; sid:1;", 11, "expected `system,reference`, found `url`");
    check("target:me; sid:1;", 8, "expected `src_ip` or `dest_ip`, found `me`");
    check("itype:9<>3; sid:1;", 7, "no number satisfies `9<>3`");
}

#[test]
fn a_sid_is_used_once_per_generator() {
    let loaded = load(
        "alert ip any any -> any any (sid:1;)\nalert ip any any -> any any (sid:1; gid:2;)\n\
         alert ip any any -> any any (rev:2; sid:1;)",
    );
    let errors: Vec<_> = loaded.errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, ["test.rules:3:37: sid 1 is already used at test.rules:1"]);
    assert_eq!(loaded.rules.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn any_damage_is_reported_within_the_file(
        at in any::<prop::sample::Index>(),
        cut in 0_usize..4,
        insert in prop::collection::vec(
            prop_oneof![prop::sample::select(b"\\\"|;:!,[]()$<>- \n\xff0aA".to_vec()), any::<u8>()],
            0..4,
        ),
    ) {
        let mut text = b"drop tcp [10.0.0.0/8, !$HOME_NET] !$HTTP_PORTS <> any [1:5,\\\n 9:] (msg:\"a\\;b\"; flow:to_server; \
            content:!\"|41 42|c\"; within:9; content:\"xy\"; fast_pattern:0,1; itype:1<>9; flags:+S,C; \
            reference:url,x; metadata:a b, c d; classtype:misc-attack; sid:1; rev:2;)\n"
            .to_vec();
        let start = at.index(text.len());
        let end = (start + cut).min(text.len());
        text.splice(start..end, insert);
        let options = LoadOptions {
            address_groups: [("HOME_NET".to_owned(), "10.1.0.0/16".to_owned())].into(),
            port_groups: [("HTTP_PORTS".to_owned(), "80".to_owned())].into(),
            ..LoadOptions::default()
        };
        let loaded = RuleSet::load(&[Source { name: "x", text: &text }], &options);
        let lines: Vec<_> = text.split(|&byte| byte == b'\n').collect();
        for error in &loaded.errors {
            let line = lines.get(error.line - 1).map(|line| line.len());
            prop_assert!(line.is_some_and(|length| error.column <= length + 1), "{}", error);
        }
    }
}

#[test]
fn all_that_is_wrong_with_a_rule_is_told_at_once() {
    let text = "# drop tcp any any -> any any (sid:9;)\n\
                alert tcp any any -> any any (contnet:\"a\"; nocase; http.uri; dsize:x; sid:7; \\\n  rev:y;)\n";
    let loaded = load(text);
    assert_eq!((loaded.rules.len(), loaded.refused, loaded.disabled), (0, 1, 1));
    let found: Vec<_> = loaded
        .errors
        .iter()
        .map(|error| {
            (error.line, error.column, error.length, error.keyword.as_deref(), error.reason.as_str())
        })
        .collect();
    assert_eq!(
        found,
        [
            (2, 31, 7, Some("contnet"), "unknown keyword `contnet`"),
            (2, 52, 8, Some("http.uri"), "keyword `http.uri` is not supported"),
            (2, 68, 1, Some("dsize"), "`x` is not a whole number from 0 to 65535"),
            (3, 7, 1, Some("rev"), "`y` is not a whole number from 0 to 4294967295"),
        ]
    );
    assert_eq!(loaded.errors[0].help.as_deref(), Some("did you mean `content`?"));
    assert_eq!((loaded.errors[3].sid, loaded.errors[3].text.as_str()), (Some(7), "  rev:y;)"));
}

#[test]
fn rules_are_changed_one_by_one() {
    use crate::changes::RuleChange::{AlertOnly, Disable};
    let text = b"drop udp any any -> any any (sid:1;)\nreject udp any any -> any any (sid:2;)\n\
        pass udp any any -> any any (sid:3;)\ndrop udp any any -> any any (gid:7; sid:1;)\n";
    let changes = [((1, 1), Disable), ((1, 2), AlertOnly), ((1, 3), AlertOnly), ((9, 9), Disable)].into();
    let options = LoadOptions { changes, ..LoadOptions::default() };
    let loaded = RuleSet::load(&[Source { name: "rules", text }], &options);
    assert_eq!((loaded.errors, loaded.disabled), (vec![], 1));
    let signatures = loaded.rules.signatures().iter();
    let found: Vec<_> = signatures.map(|rule| (rule.gid, rule.sid, rule.action)).collect();
    assert_eq!(found, [(1, 3, Action::Pass), (7, 1, Action::Drop), (1, 2, Action::Alert)]);
    assert!(loaded.rules.rules.iter().all(|rule| rule.header.reject.is_none()));
}
