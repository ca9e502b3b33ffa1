//! Regular expressions.

use crate::{fault, matches, v4};

fn check(options: &str, payload: &[u8], expect: bool) {
    let frame = v4().udp(1, 2).payload(payload).to_vec();
    assert_eq!(matches("udp", options, &frame), expect, "{options} on {payload:?}");
}

#[test]
fn flags_have_perls_meaning() {
    check(r#"pcre:"/b+c/";"#, b"abbc", true);
    check(r#"pcre:"/b+c/";"#, b"ABBC", false);
    check(r#"pcre:"/b+c/i";"#, b"ABBC", true);
    check(r#"pcre:"/a.c/";"#, b"a\nc", false);
    check(r#"pcre:"/a.c/s";"#, b"a\nc", true);
    check(r#"pcre:"/^c$/";"#, b"a\nc\nd", false);
    check(r#"pcre:"/^c$/m";"#, b"a\nc\nd", true);
    check(r#"pcre:"/^a?$/m";"#, b"b\n", false);
    check(r#"pcre:"/a b # c/x";"#, b"ab", true);
    check(r#"pcre:"/b/A";"#, b"ab", false);
    check(r#"pcre:"/(?:b)\1?|c()/A";"#, b"ac", false);
    check(r#"pcre:"/a$/";"#, b"a\n", true);
    check(r#"pcre:"/a$/E";"#, b"a\n", false);
    check(r#"pcre:"/a$/E";"#, b"a", true);
    check(r#"pcre:"/\x00\xff/B";"#, b"a\x00\xff", true);
    // Greedy, the match ends behind the last `b`; ungreedy behind the first.
    check(r#"pcre:"/a.*b/A"; content:"c"; within:1;"#, b"abcb", false);
    check(r#"pcre:"/a.*b/AG"; content:"c"; within:1;"#, b"abcb", true);
}

#[test]
fn what_only_pcre_knows_is_understood() {
    check(r#"pcre:"/(\w+)=\1/";"#, b"ab=ab", true);
    check(r#"pcre:"/^(\w+)=\1$/";"#, b"ab=ac", false);
    check(r#"pcre:"/a(?!b)/";"#, b"abac", true);
    check(r#"pcre:"/a(?!b)/";"#, b"abab", false);
    check(r#"pcre:"/\<a\>/";"#, b"<a>", true);
    check(r#"pcre:"/a\Q.\E/";"#, b"a.", true);
    check("pcre:\"/\u{e9}$/\";", "caf\u{e9}".as_bytes(), true);
}

#[test]
fn places_are_relative_to_the_match_before() {
    check(r#"content:"n="; pcre:"/^\d{3}/R";"#, b"n=12 n=123", true);
    check(r#"content:"n="; pcre:"/^\d{3}/R";"#, b"n=12 n=12a", false);
    check(r#"pcre:"/n=/"; content:"3"; within:1;"#, b"n=12 n=3", true);
    check(r#"pcre:"/n=/"; content:"4"; within:1;"#, b"n=12 n=3", false);
    check(r#"pcre:"/n=/"; byte_test:1,=,3,0,relative,string,dec;"#, b"n=12 n=3", true);
    check(r#"content:"a"; pcre:"/b/R"; content:"c"; distance:0; within:1;"#, b"ab bc", true);
}

#[test]
fn negation_asks_for_none() {
    check(r#"content:"a"; pcre:!"/b\d/";"#, b"ab", true);
    check(r#"content:"a"; pcre:!"/b\d/";"#, b"ab1", false);
    check(r#"content:"a"; pcre:!"/^b/R";"#, b"abac", true);
}

#[test]
fn faults_say_what_is_wrong() {
    let check = |options: &str, reason: &str| assert_eq!(fault(options), reason, "{options}");
    check(r#"pcre:"a";"#, "expected `/pattern/flags`");
    check(r#"pcre:"/";"#, "expected `/pattern/flags`");
    check(r#"pcre:"//";"#, "the pattern is empty");
    check(r#"pcre:"/a/U";"#, "flag `U` needs an application-layer buffer");
    check(r#"pcre:"/a/q";"#, "unknown flag `q`");
    check(r#"pcre:"/(a)/,flow:name";"#, "captures into variables are not supported");
    check(r#"pcre:"/(*UTF)a/";"#, "a verb at the start of the pattern is not supported");
    check(r#"pcre:"/a(b/";"#, "the pattern is not valid: missing closing parenthesis");
}

#[test]
fn a_pattern_without_end_hits_its_limit_and_is_reported() {
    use portcullis_detect::{Input, LoadOptions, RuleSet, Scratch, Source};
    let text = br#"drop udp any any -> any any (pcre:"/^(a+)+\1(?!b)[bc]$/"; sid:1;)"#;
    let loaded = RuleSet::load(&[Source { name: "rules", text }], &LoadOptions::default());
    assert_eq!(loaded.errors, []);
    let frame = v4().udp(1, 2).payload(&[&[b'a'; 1000][..], b"b"].concat()).to_vec();
    let decoded = portcullis_wire::decode::Decoder::default().decode(
        portcullis_wire::LinkType::Ethernet,
        None,
        false,
        &frame,
    );
    let payload = decoded.payload.of(&frame);
    let input = Input { decoded: &decoded, frame: &frame, payload, flow: None, bits: None };
    let mut scratch = Scratch::new(&loaded.rules);
    let unjudged = loaded.rules.inspect(&input, &mut scratch).unjudged;
    assert_eq!((unjudged.rules, unjudged.pcre, unjudged.drop), (1, 1, true));
}
