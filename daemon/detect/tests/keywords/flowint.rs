//! Numbers that rules keep about a flow.

use crate::fault;
use crate::flowbits::alerts;
use std::fmt::Write as _;

#[test]
fn numbers_are_counted_over_the_packets_of_a_flow() {
    let rules = r#"
        alert udp any any -> any any (content:"n"; flowint:count,notset; flowint:count,=,1; sid:1;)
        alert udp any any -> any any (content:"+"; flowint:count,+,2; noalert; sid:2;)
        alert udp any any -> any any (content:"-"; flowint:count,-,1; noalert; sid:3;)
        alert udp any any -> any any (flowint: count, >=, 3; sid:4;)
        alert udp any any -> any any (flowint:count,isset; flowint:count,!=,3; sid:5;)
    "#;
    let packets: [&[u8]; 6] = [b"+", b"n", b"n+", b"-", b"+", b"n"];
    let expect = [vec![], vec![1, 5], vec![4], vec![5], vec![4, 5], vec![4, 5]];
    assert_eq!(alerts(rules, &packets, true), expect);
    assert_eq!(alerts(rules, &[b"n"], false), [Vec::<u32>::new()], "there is no flow to keep it");
}

#[test]
fn numbers_are_compared_with_each_other() {
    let mut rules = String::from(
        r#"alert udp any any -> any any (content:"a"; flowint:one,=,5; flowint:other,=,7; noalert; sid:90;)
           alert udp any any -> any any (content:"b"; flowint:one,=,other; noalert; sid:91;)
           alert udp any any -> any any (content:"c"; flowint:one,-,other; noalert; sid:92;)
        "#,
    );
    for (sid, verb) in (1..).zip(["==", "!=", "<", "<=", ">", ">="]) {
        writeln!(rules, "alert udp any any -> any any (flowint:one,{verb},other; sid:{sid};)").unwrap();
    }
    let packets: [&[u8]; 4] = [b"x", b"a", b"b", b"ac"];
    // The last goes below zero, and so on from the largest number.
    let expect = [vec![], vec![2, 3, 4], vec![1, 4, 6], vec![2, 5, 6]];
    assert_eq!(alerts(&rules, &packets, true), expect);
}

#[test]
fn a_bit_and_a_number_may_have_one_name() {
    let rules = r#"
        alert udp any any -> any any (content:"x"; flowbits:set,seen; flowint:seen,=,0; noalert; sid:1;)
        alert udp any any -> any any (flowbits:isset,seen; flowint:seen,==,0; sid:2;)
        alert udp any any -> any any (content:"u"; flowbits:unset,seen; noalert; sid:3;)
    "#;
    assert_eq!(alerts(rules, &[b"x", b"u"], true), [vec![2], vec![]]);
}

#[test]
fn faults_say_what_is_wrong() {
    let check = |options: &str, reason: &str| assert_eq!(fault(options), reason, "{options}");
    check("flowint:a;", "expected =, +, -, ==, !=, <, <=, >, >=, isset or notset");
    check("flowint:a,~,1;", "expected =, +, -, ==, !=, <, <=, >, >=, isset or notset, found `~`");
    check("flowint:a,+;", "a value is missing");
    check("flowint:a,+,1,2;", "expected nothing after the value");
    check(
        "flowint:1a,+,1;",
        "a number's name begins with a letter and has letters, digits, `_`, `.`, `/` and `-`",
    );
    assert!(fault("flowint:a,+,4294967296;").contains("4294967295"));
}
