//! Contents that look at headers.

use crate::{fault, matches, v4, v6};

#[test]
fn ip_options_are_asked_for_by_name() {
    let check = |name: &str, options: &[u8], expect: bool| {
        let frame = v4().ip_options(options).udp(1, 2).to_vec();
        assert_eq!(matches("ip", &format!("ipopts:{name};"), &frame), expect, "{name} in {options:?}");
    };
    let route = [1, 7, 3, 4];
    check("rr", &route, true);
    check("nop", &route, true);
    check("eol", &route, false);
    check("eol", &[7, 3, 4, 0], true);
    check("lsrr", &route, false);
    check("any", &route, true);
    check("any", &[], false);
    // After the end there is none.
    check("rr", &[0, 7, 3, 4], false);
    check("rtralt", &[148, 4, 0, 0], true);
    assert!(!matches("ip", "ipopts:any;", &v6().extension(0, &[1, 4, 0, 0, 0, 0]).udp(1, 2).to_vec()));
    assert_eq!(crate::fault("ipopts:none;"), "unknown IP option `none`");
}

#[test]
fn the_largest_segment_is_an_option() {
    let check = |condition: &str, options: &[u8], expect: bool| {
        let frame = v4().tcp(1, 2).tcp_options(options).to_vec();
        assert_eq!(matches("tcp", &format!("tcp.mss:{condition};"), &frame), expect, "{condition}");
    };
    check("1460", &[2, 4, 5, 180], true);
    check("<536", &[1, 3, 3, 7, 2, 4, 2, 0], true);
    check("<536", &[2, 4, 5, 180], false);
    check(">0", &[0, 0, 0, 0, 2, 4, 5, 180], false);
    check(">0", &[], false);
}

#[test]
fn contents_look_at_the_buffer_before_them() {
    let check = |protocol: &str, options: &str, frame: &[u8], expect: bool| {
        assert_eq!(matches(protocol, options, frame), expect, "{options}");
    };
    let tcp = v4().ttl(77).tcp(1000, 80).tcp_options(&[2, 4, 5, 180]).payload(b"Some data").to_vec();
    check("ip", r#"ipv4.hdr; content:"|45|"; startswith;"#, &tcp, true);
    check("ip", r#"ipv4.hdr; content:"|4d 06|"; offset:8; depth:2;"#, &tcp, true);
    check("ip", r#"ipv4.hdr; content:"|0a 00 00 02|"; endswith;"#, &tcp, true);
    check("ip", r#"ipv4.hdr; content:"data";"#, &tcp, false);
    check("ip", r#"ipv6.hdr; content:"|0a|";"#, &tcp, false);
    check("ip", r#"ipv6.hdr; content:!"|0a|";"#, &tcp, false);
    check("tcp", r#"tcp.hdr; content:"|03 e8 00 50|"; startswith;"#, &tcp, true);
    check("tcp", r#"tcp.hdr; content:"|02 04 05 b4|"; offset:20; depth:4; endswith;"#, &tcp, true);
    check("tcp", r#"tcp.hdr; content:"|02 04|"; pkt_data; content:"data"; endswith;"#, &tcp, true);
    check("tcp", r#"content:"some"; nocase; tcp.hdr; content:"|02 04|";"#, &tcp, true);
    check("tcp", r#"content:"other"; tcp.hdr; content:"|02 04|";"#, &tcp, false);
    check("udp", r#"tcp.hdr; content:"|02 04|";"#, &tcp, false);

    let options = v4().ip_options(&[148, 4, b'a', b'B']).udp(1, 2).payload(b"xyz").to_vec();
    check("ip", r#"ipv4.hdr; content:"|94 04|Ab"; nocase; endswith;"#, &options, true);
    check("ip", r#"ipv4.hdr; content:"|94 04|Ab";"#, &options, false);
    check("udp", r#"udp.hdr; content:"|00 01 00 02 00 0b|"; startswith;"#, &options, true);
    check("udp", r#"udp.hdr; content:"xyz";"#, &options, false);

    let extended = v6().extension(60, &[1, 4, 0, 0, 0, 9]).udp(1, 2).to_vec();
    check("ip", r#"ipv6.hdr; content:"|11 00 01 04 00 00 00 09|"; offset:40; endswith;"#, &extended, true);
    let ping = v4().echo_request(7, 9).payload(b"ping").to_vec();
    check("icmp", r#"icmpv4.hdr; content:"|00 07 00 09|"; offset:4; endswith;"#, &ping, true);
    check("icmp", r#"icmpv6.hdr; content:"|00 07|";"#, &ping, false);
    let ping = v6().echo_request(7, 9).payload(b"ping").to_vec();
    check("icmp", r#"icmpv6.hdr; content:"|00 07 00 09|"; offset:4; endswith;"#, &ping, true);
}

#[test]
fn fields_of_the_ip_header() {
    let check = |options: &str, expect: bool| {
        let mut frame = v4().ttl(9).udp(1, 2).payload(b"xyz").to_vec();
        // Service, identification, and the field of fragments behind the Ethernet header.
        frame[15] = 0x10;
        frame[18..22].copy_from_slice(&[0x12, 0x34, 0x40, 0]);
        assert_eq!(matches("ip", options, &frame), expect, "{options}");
    };
    check("id:4660;", true);
    check("id:4661;", false);
    check("tos:16;", true);
    check("tos:!16;", false);
    check("fragbits:D;", true);
    check("fragbits:M;", false);
    check("fragbits:!M;", true);
    check("fragbits:+D;", true);
    check("fragbits:*MD;", true);
    check("fragbits:+MD;", false);
    check("fragoffset:0;", true);
    check("fragoffset:>0;", false);
    check("flow:no_frag;", true);
    check("flow:only_frag;", false);
    let check = |options: &str, reason: &str| assert_eq!(fault(options), reason, "{options}");
    check("fragbits:X;", "expected M, D or R, found `X`");
    check("fragbits:;", "`fragbits` needs a value");
    check("fragbits:+;", "expected at least one of M, D, R");
}
