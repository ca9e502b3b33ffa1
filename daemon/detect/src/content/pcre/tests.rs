//! The rewritten patterns against PCRE2 on what rules wrote.

use proptest::prelude::*;

use super::*;

fn find(counted: &Counted, bytes: &[u8], start: usize) -> Result<Option<(usize, usize)>, Unsure> {
    let mut memory = Memory(counted.regexes[0].capture_locations());
    let mut work = Work { left: u32::MAX, memory: Some(&mut memory) };
    counted.find(bytes, start, &mut work)
}

/// Patterns of a few bytes, of which most bombs could be made.
fn patterns() -> impl Strategy<Value = String> {
    let byte = prop::sample::select(vec!["a", "b", ".", r"\w", "[ab]", "[^b]", r"\x62", "aa", r"\s", ""]);
    let often = prop::sample::select(vec![
        "", "", "*", "+", "?", "*?", "+?", "*+", "++", "{2}", "{17}", "{2,}", "{3,40}", "{1,33}?", "{0,18}+",
        "{20,}?",
    ]);
    let one = (byte, often).prop_map(|(byte, often)| match byte {
        "" | "aa" => byte.to_owned(),
        byte => format!("{byte}{often}"),
    });
    one.prop_recursive(4, 24, 4, move |inner| {
        let several = prop::collection::vec(inner.clone(), 1..4).prop_map(|all| all.concat());
        let group = prop::sample::select(vec!["(", "(?:", "(?>", "(?=", "(?!"]);
        let often = prop::sample::select(vec!["", "", "", "*", "+", "?", "{2}", "{1,3}?"]);
        prop_oneof![
            several,
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("(?:{one}|{other})")),
            (group, inner.clone(), often).prop_map(|(group, inner, often)| {
                let often = if matches!(group, "(?=" | "(?!") { "" } else { often };
                format!("{group}{inner}){often}")
            }),
            (inner.clone(), inner).prop_map(|(one, other)| format!(r"({one}){other}\1")),
        ]
    })
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let letters = |most: usize| prop::collection::vec(prop::sample::select(b"aaaaabb \n".to_vec()), 0..most);
    let run = prop::sample::select(vec![0, 0, 0, 17, 40, counted::STARTS - 9]);
    (letters(12), run, letters(40)).prop_map(|(start, run, end)| [start, vec![b'a'; run], end].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn rewritten_patterns_match_what_the_written_ones_do(
        pattern in patterns(),
        payload in payloads(),
        [caseless, dot_all, ungreedy, anchored] in any::<[bool; 4]>(),
        start in 0_usize..8,
    ) {
        let spec = PcreSpec { pattern, caseless, dot_all, ungreedy, anchored, ..PcreSpec::default() };
        let start = start.min(payload.len());
        let start = if anchored { 0 } else { start };
        let mut builder = spec.builder();
        builder.jit_if_available(true).max_jit_stack_size(Some(STACK_MAX));
        let written = spec.for_pcre2().replace(&MATCH_LIMIT.to_string(), "1000000");
        let text = format!("(*NO_AUTO_POSSESS){written}");
        let Ok(written) = builder.build(&text) else { return Ok(()) };
        let Some(counted) = spec.counted(anchored) else { return Ok(()) };
        let mut locations = written.capture_locations();
        let Ok(expect) = written.captures_read_at(&mut locations, &payload, start) else { return Ok(()) };
        let expect = expect.map(|found| (found.start(), found.end()));
        if let Some((dfa, anchored)) = &counted.skim {
            let input = Input::new(&payload).range(start..).anchored(*anchored);
            let found = dfa.try_search_fwd(&input).unwrap();
            prop_assert!(found.is_some() || expect.is_none(), "the DFA rules out {expect:?} of {}", spec.pattern);
        }
        if let Ok(found) = find(&Counted { skim: None, ..counted }, &payload, start) {
            prop_assert_eq!(found, expect, "{}", spec.pattern);
        }
    }
}

#[test]
fn dfas_are_shared_by_patterns_that_differ_in_numbers() {
    let skim = |pattern: &str, caseless| {
        let spec = PcreSpec { pattern: pattern.to_owned(), caseless, ..PcreSpec::default() };
        spec.counted(false).and_then(|counted| counted.skim).map(|(dfa, _)| dfa).unwrap()
    };
    let first = skim(r"(a+)b{20,}\1", false);
    assert!(Arc::ptr_eq(&first, &skim(r"(a+)b{30,}\1", false)));
    assert!(!Arc::ptr_eq(&first, &skim(r"(a+)b{30,}\1", true)));
    assert!(!Arc::ptr_eq(&first, &skim(r"(a+)c{30,}\1", false)));
    for number in 0..2 * SHARED_MAX {
        skim(&format!(r"(a+)x{number}\1"), false);
    }
    assert_eq!(SHARED.with_borrow(VecDeque::len), SHARED_MAX);
}

/// Of what is found within a packet's work, DFA and all: `Err` where a limit is met.
fn check(pattern: &str, payload: &[u8], expect: Result<bool, Unsure>) {
    let spec = PcreSpec { pattern: pattern.to_owned(), dot_all: true, ..PcreSpec::default() };
    let pcre = Pcre::compile(&spec, false);
    assert!(matches!(pcre.engine, Engine::Counted(_)), "{pattern}");
    let mut memory = Memory::new([&pcre].into_iter()).unwrap();
    let mut work = Work { left: 15_000 + 2 * 1460, memory: Some(&mut memory) };
    let found = pcre.find(payload, 0, &mut work).map(|found| found.is_some());
    assert_eq!(found, expect, "{pattern}");
}

#[test]
fn bombs_are_ruled_out_or_meet_the_limit() {
    let word = [b'a'; 1460];
    // What no match can be made of is known without a search.
    check(r"(\w+)=\1", &word, Ok(false));
    check(r"(\w+)\s*:=\s*\1", &[&word[..], b" : ="].concat(), Ok(false));
    check(r"(\w+)=(\d)\1", &[&word[..], b"=1"].concat(), Err(Unsure::Pcre));
    check(r"(\w+)\s*:=\s*\1x", &[&word[..700], b":=", &word[..700], b"bx"].concat(), Err(Unsure::Pcre));
    check(r"a.*b\w+;(?!c)\w", &[&b"ab".repeat(700)[..], b";c b;c"].concat(), Err(Unsure::Pcre));
    check(r"(?:aa|a)+(?!a)(b)\1", &[&word[..], b"bc bb"].concat(), Err(Unsure::Pcre));
}

#[test]
fn honest_payloads_are_searched_whole() {
    let name = r"((\w+)[\r\n\s]*:=[\r\n\s]*('[^']{1000,}'|\x22[^\x22]{1000,}\x22)[\r\n\s]*;.*name[\r\n\s]*=>[\r\n\s]*\2)";
    let text = b"Of each pattern a short piece is chosen where it is rarest; ".repeat(25);
    check(name, &text, Ok(false));
    check(r"(\w+)=\1", &text, Ok(false));
    let sql = |value: usize, other: &str| {
        let long: String = "some value, ".chars().cycle().take(value).collect();
        format!("declare\r\n  wanted :=\r\n '{long}' ;\r\nbegin f(sname => 1, gname => {other}); end;")
            .into_bytes()
    };
    check(name, &sql(1100, "wanted"), Ok(true));
    check(name, &sql(1100, "other"), Ok(false));
    check(name, &sql(999, "wanted"), Ok(false));
    // A run as long as a packet, of which it is one of several.
    let run = [&[b'x'; 1400][..], b" 'a=a"].concat();
    check(r"'(\w+)=\1", &run, Ok(true));
}

#[test]
fn what_cannot_be_rewritten_is_charged_for_the_square() {
    let spec = PcreSpec { pattern: r"(a+)\Kb+\1".to_owned(), ..PcreSpec::default() };
    let pcre = Pcre::compile(&spec, false);
    assert!(matches!(pcre.engine, Engine::Backtracking(_, true)));
    let mut memory = Memory::new([&pcre].into_iter()).unwrap();
    let mut work = Work { left: 15_000, memory: Some(&mut memory) };
    assert_eq!(pcre.find(&[b'a'; 1460], 0, &mut work), Err(Unsure::Work));
    let mut work = Work { left: 15_000, memory: Some(&mut memory) };
    assert_eq!(pcre.find(b"aabbaa", 0, &mut work), Ok(Some((2, 6))));
}
