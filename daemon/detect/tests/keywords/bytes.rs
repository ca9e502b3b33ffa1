//! Keywords that read numbers out of the payload.

use crate::{fault, matches, v4};

fn check(options: &str, payload: &[u8], expect: bool) {
    let frame = v4().udp(1, 2).payload(payload).to_vec();
    assert_eq!(matches("udp", options, &frame), expect, "{options} on {payload:?}");
}

#[test]
fn byte_test() {
    check("byte_test:2,=,0x0102,0;", &[1, 2, 3], true);
    check("byte_test:2,=,513,0,little;", &[1, 2, 3], true);
    check("byte_test:2, !=, 0x0102, 1;", &[1, 2, 3], true);
    check("byte_test:2,!,0x0203,1;", &[1, 2, 3], false);
    check("byte_test:1,&,0x80,0; byte_test:1,<=,0x80,0;", &[0x80], true);
    check("byte_test:1,=,0x9,0, bitmask 0xf8;", b"HTTP", true);
    check("byte_test:4,>,1,2;", &[1, 2, 3], false);
    check(r#"content:"n="; byte_test:3,=,123,0,relative,string,dec;"#, b"n=1 n=123", true);
    check(r#"content:"n="; byte_test:3,=,124,0,relative,string,dec;"#, b"n=1 n=123", false);
    check("byte_test:3,=,0x7f,0,string,hex;", b"7f ", true);
}

#[test]
fn byte_jump() {
    check(r#"byte_jump:1,0; content:"x"; distance:0; within:1;"#, b"\x02aax", true);
    check(r#"byte_jump:1,0; content:"x"; distance:0; within:1;"#, b"\x01aax", false);
    check(
        r#"content:"at"; byte_jump:1,0,relative,from_beginning; content:"x"; within:1;"#,
        b"at\x04.x",
        true,
    );
    check("byte_jump:1,0,align;", b"\x01.....", true);
    check("byte_jump:1,0,align;", b"\x01....", false);
    check(r#"byte_jump:2,0,string,dec,multiplier 2; content:"x"; within:1;"#, b"02....x", true);
    check(
        r#"content:"?"; byte_jump:2,0,relative,string,from_end,post_offset -15; content:"x"; within:1;"#,
        b"?13.x..",
        false,
    );
    check(
        r#"content:"?"; byte_jump:2,0,relative,string,from_end,post_offset -15; content:"."; within:1;"#,
        b"?13.x..",
        true,
    );
    // A later occurrence of what it is relative to may lead on.
    check(r#"content:"a"; byte_jump:1,0,relative; content:"x"; within:1;"#, b"a\x09a\x01.x", true);
}

#[test]
fn byte_extract() {
    check(r#"byte_extract:1,0,n; content:"x"; offset:n; depth:1;"#, b"\x03..x", true);
    check(r#"byte_extract:1,0,n; content:"x"; offset:n; depth:1;"#, b"\x03.x.", false);
    check(r#"byte_extract:1,0,n,multiplier 2; isdataat:!n;"#, b"\x01.", true);
    check(r#"byte_extract:1,0,n,multiplier 2; isdataat:!n;"#, b"\x01..", false);
    check(
        r#"content:"len="; byte_extract:1,0,n,relative,string; content:"end"; distance:n; within:3;"#,
        b"len=2..end",
        true,
    );
    check(
        "byte_extract:1,0,a; byte_extract:1,1,b; byte_test:1,=,a,2; byte_test:b,=,b,3;",
        &[7, 1, 7, 1],
        true,
    );
    check("byte_extract:1,0,a; byte_test:1,=,a,1;", &[7, 8], false);
}

#[test]
fn byte_math() {
    check("byte_math:bytes 1, offset 0, oper +, rvalue 2, result n; byte_test:1,=,n,1;", &[5, 7], true);
    check("byte_math:bytes 1, offset 0, oper -, rvalue 1, result n; byte_test:1,=,n,1;", &[5, 7], false);
    check(
        "byte_math:bytes 2,offset 0,oper *,rvalue 2,result n,endian little; byte_test:1,=,n,2;",
        &[3, 0, 6],
        true,
    );
    check("byte_math:bytes 1,offset 0,oper /,rvalue 0,result n;", &[3], false);
    check(
        "byte_math:bytes 1,offset 0,oper <<,rvalue 2,result n,bitmask 0xf0; byte_test:1,=,n,1;",
        &[0x3f, 12],
        true,
    );
    check(
        r#"content:"n="; byte_math:bytes 2,offset 0,oper >>,rvalue 1,result n,relative,string dec; content:"x"; distance:n;"#,
        b"n=04..x",
        true,
    );
    check(
        "byte_extract:1,0,a; byte_math:bytes 1,offset 1,oper +,rvalue a,result b; isdataat:!b;",
        &[1, 1],
        true,
    );
}

#[test]
fn bsize() {
    check(r#"content:"a"; bsize:3;"#, b"bab", true);
    check(r#"content:"a"; bsize:>3;"#, b"bab", false);
    check(r#"content:"a"; bsize:1<>4;"#, b"bab", true);
}

#[test]
fn isdataat() {
    check("isdataat:2;", b"abc", true);
    check("isdataat:3;", b"abc", false);
    check("isdataat:!3;", b"abc", true);
    check(r#"content:"a"; depth:1; isdataat:2,relative;"#, b"abc", true);
    check(r#"content:"a"; depth:1; isdataat:3,relative;"#, b"abc", false);
    check(r#"content:"a"; isdataat:!1,relative;"#, b"a.a", true);
    check("isdataat:1,relative;", b"a", true);
}

#[test]
fn faults_say_what_is_wrong() {
    let check = |options: &str, reason: &str| assert_eq!(fault(options), reason, "{options}");
    check("byte_test:1,=,1;", "expected an offset");
    check("byte_test:1,~,1,0;", "unknown operator `~`");
    check("byte_test:9,=,1,0;", "`9` is not a whole number from 0 to 8");
    check("byte_test:1,=,n,0;", "`n` is neither a number nor a value extracted before");
    check("byte_test:1,=,1,0,align;", "unknown option `align`");
    check("byte_test:1,=,1,0,dce;", "`dce` is not supported");
    check("byte_test:1,=,1,0,bitmask;", "unknown option `bitmask`");
    check("byte_test:1,=,1,0,bitmask 0;", "expected a mask with at least one bit");
    check("byte_jump:1,0,post_offset 99999;", "`99999` is not a whole number from -65535 to 65535");
    check("byte_extract:1,0,7;", "`7` is not a name");
    check("byte_extract:1,0,n,align 3;", "`align` takes 2 or 4");
    check("byte_math:bytes 1,offset 0,oper %,rvalue 2,result n;", "expected one of + - * / << >>, found `%`");
    check("byte_math:bytes 1,offset 0,rvalue 2,result n;", "`byte_math` needs `oper`");
    check("byte_math:bytes 9,offset 0,oper +,rvalue 2,result n;", "`9` is not a whole number from 1 to 8");
    check("byte_math:bytes 1,oper +,rvalue 2,result n,dce;", "`dce` is not supported");
    check("isdataat:x;", "`x` is neither a number nor a value extracted before");
    check("isdataat:1,absolute;", "unknown option `absolute`");
    check(r#"content:"a"; distance:n;"#, "`n` is neither a number nor a value extracted before");
    let many: String = (0..9).map(|n| format!("byte_extract:1,0,n{n}; ")).collect();
    check(&many, "the rule extracts more than 8 values");
}
