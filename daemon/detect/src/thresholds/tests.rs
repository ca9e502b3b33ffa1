use super::*;

fn options() -> LoadOptions {
    let mut options = LoadOptions::default();
    options.address_groups.insert("HOME".to_owned(), "10.0.0.0/8".to_owned());
    options
}

fn parse(text: &str) -> (Thresholds, Vec<String>) {
    let (thresholds, errors) =
        Thresholds::parse(&Source { name: "threshold.config", text: text.as_bytes() }, &options());
    (thresholds, errors.iter().map(ToString::to_string).collect())
}

#[test]
fn lines_are_read_whatever_their_form() {
    let text = "# a comment\n\n\
        threshold gen_id 1, sig_id 2, type limit, track by_src, count 1, seconds 10\n\
        event_filter gen_id 1,sig_id 3,count 1,seconds 10,track by_rule,type both\n\
        \trate_filter gen_id 1, sig_id 4, track by_both, \\\n\
          count 5, seconds 60, new_action drop, timeout 300  \n\
        suppress gen_id 0, sig_id 0, track by_either, ip [1.1.1.1,!$HOME, 2001:db8::/32]\r\n\
        suppress gen_id 1, sig_id 5\n";
    let (thresholds, errors) = parse(text);
    assert_eq!((thresholds.len(), errors), (5, vec![]));
    assert!(parse("").0.is_empty());
}

#[test]
fn faults_name_file_line_and_column_and_the_rest_is_kept() {
    let check = |line: &str, column: usize, reason: &str| {
        let (thresholds, errors) =
            parse(&format!("suppress gen_id 1, sig_id 1\n{line}\nsuppress gen_id 1, sig_id 2\n"));
        assert_eq!(
            (thresholds.len(), errors),
            (2, vec![format!("threshold.config:2:{column}: {reason}")]),
            "{line}"
        );
    };
    let limit = "type limit, track by_src, count 1, seconds 1";
    check("limit gen_id 1", 1, "expected threshold, event_filter, rate_filter or suppress, found `limit`");
    check("suppress gen_id 1", 1, "`sig_id` is missing");
    check("suppress sig_id 1", 1, "`gen_id` is missing");
    check("  suppress", 11, "expected one of: gen_id, sig_id, track, ip");
    check("suppress gen_id one, sig_id 1", 17, "`one` is not a whole number from 0 to 4294967295");
    check("suppress gen_id 0, sig_id 1", 17, "`gen_id 0` means all rules and goes with `sig_id 0` only");
    check("suppress gen_id 1, sig_id 1, track by_src", 36, "`track` needs an `ip`");
    check("suppress gen_id 1, sig_id 1, ip 1.1.1.1", 33, "`ip` needs a `track`");
    check(
        "suppress gen_id 1, sig_id 1, track by_rule, ip 1.1.1.1",
        36,
        "expected by_src, by_dst or by_either, found `by_rule`",
    );
    check(
        "suppress gen_id 1, sig_id 1, track by_src, ip 1.1.1",
        47,
        "`1.1.1` is not an address, a network or a range of addresses",
    );
    check(
        "suppress gen_id 1, sig_id 1, track by_src, ip $AWAY",
        47,
        "address variable `$AWAY` is not defined",
    );
    check(
        &format!("threshold gen_id 1, sig_id 1, {limit}, ip 1.1.1.1"),
        77,
        "unknown field `ip`, expected one of: gen_id, sig_id, type, track, count, seconds, multiplier",
    );
    let rate = "rate_filter gen_id 1, sig_id 1, track by_src, count 1, seconds 1";
    check(
        &format!("{rate}, new_action sdrop, timeout 1"),
        78,
        "expected alert, drop, pass or reject, found `sdrop`",
    );
    check(&format!("{rate}, new_action drop"), 1, "`timeout` is missing");
}

#[test]
fn lines_about_no_rule_are_remarked_on() {
    let remarks = |text: &str| {
        let mut options = options();
        options.thresholds = parse(text).0;
        let rules = b"alert udp any any -> any any (sid:1;)\nalert udp any any -> any any (gid:2; sid:1;)";
        let loaded = crate::RuleSet::load(&[Source { name: "rules", text: rules }], &options);
        assert_eq!(loaded.errors, []);
        loaded.remarks.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let known = "suppress gen_id 1, sig_id 1\nsuppress gen_id 2, sig_id 0\nsuppress gen_id 0, sig_id 0\n";
    assert_eq!(remarks(known), Vec::<String>::new());
    assert_eq!(
        remarks("suppress gen_id 1, sig_id 9\n\nsuppress gen_id 3, sig_id 0"),
        [
            "threshold.config:1:1: no rule has gid 1 and sid 9: the line has no effect",
            "threshold.config:3:1: no rule has gid 3: the line has no effect",
        ]
    );
    let rate =
        "rate_filter gen_id 1, sig_id 1, track by_src, count 1, seconds 1, new_action drop, timeout 1\n";
    let many = remarks(&rate.repeat(RATES_MAX + 1));
    assert_eq!(
        many,
        ["threshold.config:17:1: a rule has more than 16 rate filters: this one has no effect there"]
    );
}
