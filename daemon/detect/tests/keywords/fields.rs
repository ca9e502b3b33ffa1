//! Each keyword on a field of a header: what it matches, and what it does not.

use crate::{fault, matches, v4, v6};
use portcullis_wire::decoded::TcpFlags;

fn check(protocol: &str, frame: &[u8], holds: &str, fails: &str) {
    assert!(matches(protocol, holds, frame), "{holds}");
    assert!(!matches(protocol, fails, frame), "{fails}");
}

#[test]
fn tcp() {
    let frame = v4().tcp(1000, 80).seq(7).ack(9).flags(TcpFlags::SYN).window(512).payload(b"four").to_vec();
    check("tcp", &frame, "flags:S;", "flags:A;");
    check("tcp", &frame, "tcp.flags:S;", "tcp.flags:SA;");
    check("tcp", &frame, "seq:7;", "seq:8;");
    check("tcp", &frame, "ack:9;", "ack:!9;");
    check("tcp", &frame, "window:512;", "window:>512;");
    check("tcp", &frame, "dsize:4;", "dsize:<4;");
    check("tcp-pkt", &frame, "content:\"four\";", "content:\"five\";");
}

#[test]
fn ip() {
    let frame = v4().ttl(9).udp(1, 2).payload(b"xyz").to_vec();
    check("ip", &frame, "ttl:<10;", "ttl:10;");
    check("ip", &frame, "ip_proto:17;", "ip_proto:!udp;");
    check("ip", &frame, "ip_proto:udp;", "ip_proto:tcp;");
    check("ip", &v6().ttl(9).udp(1, 2).to_vec(), "ttl:9;", "ttl:8;");
    assert!(!matches("ip", "sameip;", &frame));
    let mut same = v4().udp(1, 2).to_vec();
    same.copy_within(26..30, 30);
    assert!(matches("ip", "sameip;", &same));
}

#[test]
fn icmp() {
    let frame = v4().echo_request(7, 9).payload(b"ping").to_vec();
    check("icmp", &frame, "itype:8;", "itype:0;");
    check("icmp", &frame, "icode:0;", "icode:>0;");
    check("icmp", &frame, "icmp_id:7;", "icmp_id:8;");
    check("icmp", &frame, "icmp_seq:9;", "icmp_seq:7;");
    let frame = v6().echo_request(7, 9).to_vec();
    check("icmp", &frame, "itype:128;", "icmpv6.mtu:>0;");
}

#[test]
fn events_of_the_decoder() {
    let mut frame = v4().udp(1, 2).payload(b"xyz").to_vec();
    // Fewer words of header than a header has.
    frame[14] = 0x44;
    check("pkthdr", &frame, "decode-event:ipv4.hlen_too_small;", "decode-event:ipv4.pkt_too_small;");
    assert_eq!(fault("decode-event:none;"), "decoder event `none` is not supported");
}

#[test]
fn what_rules_say_about_themselves() {
    let frame = v4().udp(1, 2).payload(b"xyz").to_vec();
    // An alert that is kept out of the log is none.
    check("udp", &frame, "msg:\"a\"; rev:3; gid:1; priority:2;", "noalert;");
    check("udp", &frame, "target:src_ip; reference:url,example.org; metadata:a b;", "dsize:2;");
    check("udp", &frame, "requires:keyword content;", "dsize:2;");
    check("udp", &frame, "classtype:misc-activity; bypass;", "dsize:2;");
    assert_eq!(fault("target:both;"), "expected `src_ip` or `dest_ip`, found `both`");
}
