use super::*;

fn spec(pattern: &str) -> PcreSpec {
    PcreSpec { pattern: pattern.to_owned(), ..PcreSpec::default() }
}

fn check(pattern: &str, counted: &str, skim: &str) {
    let keeps = counted.contains("(?>");
    let expect = Rewritten { counted: counted.to_owned(), skim: skim.to_owned(), keeps };
    assert_eq!(rewrite(&spec(pattern)), Some(expect), "{pattern}");
}

#[test]
fn repetitions_are_taken_in_pieces() {
    check("ab?c{2,5}", "ab{0,1}c{2,5}", "ab?c+");
    check("a*", "(?:(?:a{16})*a{0,15})", "a*");
    check("a+?", "(?:a{1}(?:a{16})*?a{0,15}?)", "a+");
    check("a*+", "(?>(?:a{16})*a{0,15})", "a*");
    check(r"[^\x27]{1075,}", r"(?:(?:[^\x27]{16}){67}[^\x27]{3}(?:[^\x27]{16})*[^\x27]{0,15})", r"[^\x27]+");
    check(r"\d{100}", r"(?:(?:\d{16}){6}\d{4})", r"\d+");
    check(".{1,20}", "(?:.{1}(?:(?:.{16}){1}.{0,3}|(?:.{16}){0,0}.{0,15}))", ".+");
    check(".{0,20}?", "(?:(?:(?:.{16}){0,0}?.{0,15}?|(?:.{16}){1}.{0,4}?))", ".*");
}

#[test]
fn groups_that_repeat_are_counted() {
    check("(ab)+", "((?:|(?!))ab){1,}", "(?:ab)+");
    check("((a)(?:b)?)", "((a)(?:(?:|(?!))b){0,1})", "(?:(?:a)(?:b)?)");
    check("(a|b){3}", "((?:|(?!))a|b){3,3}", "(?:a|b)+");
}

#[test]
fn what_a_dfa_has_not_is_left_out_for_it() {
    check(r"(\w)=\1", r"(\w)=\1", r"(?:\w)=[\x00-\xff]*");
    check(r"a(?!b(c)*)d$", r"a(?!b((?:|(?!))c){0,})d$", "ad");
    check(r"(?<=\s)a(?>b)\bc\Z", r"(?<=\s)a(?>b)\bc\Z", r"a(?:b)\bc");
    check("{?a}", "{{0,1}a}", r"\{?a\}");
}

#[test]
fn what_is_not_understood_stays_as_it_is() {
    for pattern in [
        r"(a)\1+",
        r"a\Kb",
        r"\Qa+\E",
        r"(?#+)a+",
        r"(?P<n>a)",
        r"(?|a)",
        r"(?R)",
        r"(?1)(a)",
        r"a(*SKIP)b",
        r"[[:alpha:]]+",
        r"\012",
        r"\12",
        r"\p{L}",
        r"\X",
        r"\R+",
        "a{,3}",
        "a{9000}",
        "\u{e9}+",
        "(?x) a +",
    ] {
        assert_eq!(rewrite(&spec(pattern)), None, "{pattern}");
    }
}
