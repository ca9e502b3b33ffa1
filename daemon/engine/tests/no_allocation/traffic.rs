//! Packets of every kind that is judged in its own way, and rules that ask of them all that can be asked.

use portcullis_capture::PortId;
use portcullis_detect::{LoadOptions, RuleSet, Source, Thresholds};
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;

/// 11 never matches, but PCRE2 works on it as long as it may.
const RULES: &str = r#"
    alert udp any any -> any 53 (msg:"name"; content:"name"; nocase; reference:url,example.com; metadata:a b; sid:1;)
    reject udp any any -> any 53 (msg:"bad name"; content:"bad"; content:"name"; distance:1; sid:2;)
    rejectboth tcp any any -> any 80 (msg:"forbidden"; flow:established,to_server; content:"forbidden"; sid:3;)
    alert icmp any any -> any any (msg:"ping"; sid:4;)
    alert udp any any -> any 53 (content:"good"; threshold:type limit,track by_src,count 1,seconds 5; sid:5;)
    alert udp any any -> any 53 (content:"good"; hostbits:set,good,both; xbits:toggle,good,track ip_pair; sid:6;)
    alert udp any any -> any any (hostbits:isset,good; detection_filter:track by_flow,count 1,seconds 9; sid:7;)
    alert udp any any -> any 53 (content:"good"; pcre:"/go+d\s+N[AE]ME/"; flowbits:set,asked; sid:8;)
    alert udp any 53 -> any any (flowbits:isset,asked; flowbits:unset,asked; flowbits:set,answered; sid:9;)
    alert udp any any -> any 53 (pcre:"/(?<=a )good (?!bad)(\w)(\w)/"; content:"E"; distance:0; sid:10;)
    alert udp any any -> any 53 (pcre:"/^(([a-z])+.)+[A-Z]([a-z])+$/"; sid:11;)
    pass udp any any -> any 54 (content:"trusted"; bypass; sid:12;)
    alert udp any any -> any any (content:"good"; threshold:type both,track by_both,count 2,seconds 60; sid:13;)
    alert tcp any any -> any any (flags:S; flow:to_server; byte_test:2,>,0,0,relative; content:!"x"; sid:14;)
    alert udp any any -> any 55 (byte_extract:1,0,len; byte_jump:1,0; isdataat:1,relative; content:"|07|"; sid:15;)
    drop udp any any -> any 56 (dsize:>3; threshold:type threshold,track by_rule,count 3,seconds 9; sid:16;)
    pass udp any any -> any 57 (sid:17;)
    alert udp any any -> any 58 (content:"good"; sid:18;)
    alert udp any any -> any 58 (content:"good"; sid:19;)
"#;

const THRESHOLDS: &str = "
    rate_filter gen_id 1, sig_id 18, track by_rule, count 2, seconds 60, new_action drop, timeout 30
    event_filter gen_id 1, sig_id 19, type limit, track by_dst, count 1, seconds 30
    suppress gen_id 1, sig_id 6, track by_src, ip 10.1.0.0/24
";

/// The rules, and what is said about them outside of them.
pub(crate) fn rules() -> RuleSet {
    let source = |text: &'static str| Source { name: "test", text: text.as_bytes() };
    let (thresholds, errors) = Thresholds::parse(&source(THRESHOLDS), &LoadOptions::default());
    assert!(errors.is_empty(), "{errors:?}");
    let loaded = RuleSet::load(&[source(RULES)], &LoadOptions { thresholds, ..LoadOptions::default() });
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    loaded.rules
}

/// A frame as the module takes it.
pub(crate) type Frame = (Timestamp, PortId, Vec<u8>);

/// Groups of packets, less than a second apart: later ones outlast the timeouts of the first.
pub(crate) fn frames() -> Vec<Frame> {
    (0..1000_u16).flat_map(group).collect()
}

fn group(number: u16) -> Vec<Frame> {
    let [high, low] = number.to_be_bytes();
    let (client, server) = ([10, 1, high, low], [10, 2, 0, low]);
    let builder = || PacketBuilder::ethernet([2; 6], [4; 6]);
    let out = || builder().ipv4(client, server);
    let back = || builder().ipv4(server, client);
    let tcp = |port, flags, seq, payload: &[u8]| {
        out().tcp(port, 80).flags(flags).seq(seq).ack(501).payload(payload).to_vec()
    };
    let names: [&[u8]; 4] =
        [b"a good NAME", b"a bad name", b"nothing", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaBb1"];
    let name = names[usize::from(number % 4)];
    let to = |port, payload: &[u8]| (0, out().udp(number, port).payload(payload).to_vec());
    let port = 1024 + number;
    let quoted = out().udp(number, 53).payload(name).to_vec();
    let answer = back().tcp(80, port).flags(TcpFlags::SYN | TcpFlags::ACK).seq(500).ack(101);
    let v6 = |end| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, end, 0, high, low];
    let frames = [
        to(53, name),
        (1, back().udp(53, number).payload(name).to_vec()),
        (0, tcp(port, TcpFlags::SYN, 100, b"")),
        (1, answer.to_vec()),
        (0, tcp(port, TcpFlags::ACK, 101, b"")),
        (0, tcp(port, TcpFlags::ACK | TcpFlags::PSH, 101, b"GET /forbidden")),
        (0, tcp(port, TcpFlags::ACK, 115, b"more")),
        (0, out().echo_request(number, 1).payload(b"ping").to_vec()),
        (0, vec![0x5a; usize::from(number % 20)]),
        to(54, b"trusted"),
        to(54, b"and more"),
        to(55, b"\x01ab\x07cd"),
        to(56, b"dropped in the end"),
        to(57, b"passed"),
        to(58, b"good"),
        (1, builder().ipv4([192, 0, 2, 1], client).icmp_error(3, 3, &quoted[14..]).to_vec()),
        (0, builder().vlan(7).ipv4(client, server).udp(number, 53).payload(name).to_vec()),
        (0, builder().ipv6(v6(1), v6(2)).udp(number, 53).payload(name).to_vec()),
        // One session after the other between the same ports: each takes the place of the one before.
        (0, tcp(7, TcpFlags::SYN, u32::from(number) * 1000, b"x")),
        (0, tcp(7, TcpFlags::RST, u32::from(number) * 1000 + 1, b"")),
        (
            0,
            builder()
                .ipv4([10, 3, 0, 1], [10, 3, 0, 2])
                .tcp(7, 80)
                .flags(TcpFlags::SYN)
                .seq(u32::from(number) * 1000)
                .payload(b"ab")
                .to_vec(),
        ),
        (
            1,
            builder()
                .ipv4([10, 3, 0, 2], [10, 3, 0, 1])
                .tcp(80, 7)
                .flags(TcpFlags::RST | TcpFlags::ACK)
                .ack(u32::from(number) * 1000 + 3)
                .to_vec(),
        ),
    ];
    let datagram = out().ip_id(u32::from(number)).udp(number, 53).payload(name);
    let fragments = datagram.to_fragments(8).into_iter().map(|fragment| (0, fragment));
    let at = Timestamp::from_nanos(1_700_000_000_000_000_000 + u64::from(number) * 800_000_000);
    frames.into_iter().chain(fragments).map(|(port, bytes)| (at, PortId(port), bytes)).collect()
}
