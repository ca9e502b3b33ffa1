//! Contents that look at headers.

use crate::{matches, v4, v6};

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
