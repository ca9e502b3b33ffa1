use super::*;
use portcullis_wire::decoded::{DecodeEvent, Quoted, Tcp, Udp};
use proptest::prelude::*;

fn v4(d: u8) -> Address {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, d]
}

fn udp(source: (u8, u16), destination: (u8, u16)) -> Decoded {
    Decoded {
        ip_version: 4,
        protocol: protocol::UDP,
        source: v4(source.0),
        destination: v4(destination.0),
        source_port: source.1,
        destination_port: destination.1,
        transport: Transport::Udp(Udp::default()),
        ..Decoded::default()
    }
}

fn icmp(from: u8, to: u8, kind: u8, quoted: Option<Quoted>) -> Decoded {
    let icmp = Icmp { kind, quoted, ..Icmp::default() };
    let transport = Transport::Icmpv4(icmp);
    Decoded {
        protocol: protocol::ICMP,
        transport,
        source_port: 0,
        destination_port: 0,
        ..udp((from, 0), (to, 0))
    }
}

fn keyed(decoded: &Decoded) -> Keyed {
    FlowKey::of(decoded, &KeyScope::default()).expect("it has a flow")
}

fn has_no_flow(decoded: &Decoded) -> bool {
    FlowKey::of(decoded, &KeyScope::default()).is_none()
}

#[test]
fn both_directions_have_one_key() {
    let (there, back) = (keyed(&udp((1, 5000), (2, 53))), keyed(&udp((2, 53), (1, 5000))));
    assert_eq!(there.key, back.key);
    assert_eq!((there.swapped, back.swapped), (false, true));
    assert_eq!((there.key.lower(), there.key.higher()), ((v4(1), 5000), (v4(2), 53)));
    // One host talks to itself: the ports tell the direction.
    let (there, back) = (keyed(&udp((1, 9), (1, 7))), keyed(&udp((1, 7), (1, 9))));
    assert_eq!((there.key, there.swapped, back.swapped), (back.key, true, false));
}

#[test]
fn equal_endpoints_keep_their_direction() {
    let keyed = keyed(&udp((1, 7), (1, 7)));
    assert!(!keyed.swapped && keyed.key.has_equal_endpoints());
}

/// Changes one thing: it must be another flow, unless the settings say that it does not matter.
fn check_tells_apart(change: impl Fn(&mut Decoded, &mut KeyScope), options: Option<KeyOptions>) {
    let mut decoded = udp((1, 5000), (2, 53));
    let before = keyed(&decoded);
    let mut scope = KeyScope::default();
    change(&mut decoded, &mut scope);
    assert_ne!(FlowKey::of(&decoded, &scope).map(|after| after.key), Some(before.key));
    if let Some(options) = options {
        let scope = KeyScope { options, ..scope };
        assert_eq!(FlowKey::of(&decoded, &scope), Some(before));
    }
}

#[test]
fn everything_in_the_key_tells_flows_apart() {
    check_tells_apart(|decoded, _| decoded.source = v4(3), None);
    check_tells_apart(|decoded, _| decoded.destination_port = 54, None);
    check_tells_apart(|decoded, _| decoded.ip_version = 6, None);
    check_tells_apart(
        |decoded, _| (decoded.protocol, decoded.transport) = (protocol::TCP, Transport::Tcp(Tcp::default())),
        None,
    );
    check_tells_apart(|_, scope| scope.tenant = 1 << 31, None);
    let options = KeyOptions::default();
    check_tells_apart(|_, scope| scope.inline_set = 1, Some(KeyOptions { inline_set: false, ..options }));
    check_tells_apart(
        |decoded, _| decoded.recursion = 1,
        Some(KeyOptions { recursion_level: false, ..options }),
    );
    for layers in 1..=3 {
        let tag = move |decoded: &mut Decoded, _: &mut KeyScope| {
            for layer in 1..=layers {
                assert!(decoded.vlans.push(if layer == layers { 4095 } else { 0 }));
            }
        };
        check_tells_apart(tag, Some(KeyOptions { vlan: false, ..options }));
    }
}

#[test]
fn what_went_into_the_key_can_be_read_from_it() {
    let mut decoded = udp((9, 65535), (2, 1));
    for id in [4095, 1, 2048] {
        assert!(decoded.vlans.push(id));
    }
    decoded.recursion = 3;
    let scope = KeyScope { tenant: 0xdead_beef, inline_set: 200, ..KeyScope::default() };
    let keyed = FlowKey::of(&decoded, &scope).expect("UDP has a flow");
    let key = keyed.key;
    assert_eq!((key.lower(), key.higher(), keyed.swapped), ((v4(2), 1), (v4(9), 65535), true));
    assert_eq!((key.protocol(), key.ip_version(), key.recursion_level()), (17, 4, 3));
    assert_eq!((key.tenant(), key.inline_set(), key.vlans()), (0xdead_beef, 200, [4095, 1, 2048]));
    let debug = format!("{key:?}");
    assert!(debug.contains("(10.0.0.2, 1)") && debug.contains("vlans: [4095, 1, 2048]"), "{debug}");
}

#[test]
fn what_has_no_flow() {
    let decoded = udp((1, 1), (2, 2));
    assert!(has_no_flow(&Decoded { invalid: Some(DecodeEvent::UdpTooSmall), ..decoded }));
    assert!(has_no_flow(&Decoded { ip_version: 0, ..decoded }));
    assert!(has_no_flow(&Decoded { transport: Transport::None, ..decoded }));
    assert!(has_no_flow(&Decoded { protocol: 2, transport: Transport::None, ..decoded }));
    let fragment = |offset, more| Decoded { fragment: Some(Fragment { id: 1, offset, more }), ..decoded };
    assert!(has_no_flow(&fragment(0, true)) && has_no_flow(&fragment(8, false)));
    assert!(!has_no_flow(&fragment(0, false)), "an atomic fragment is a whole packet");
}

#[test]
fn icmp_requests_and_replies_are_one_flow() {
    for (request, reply) in [(8, 0), (13, 14), (15, 16), (17, 18)] {
        let (there, back) = (keyed(&icmp(1, 2, request, None)), keyed(&icmp(2, 1, reply, None)));
        assert_eq!(there.key, back.key, "{request} {reply}");
        assert_ne!(there.swapped, back.swapped);
        assert_ne!(keyed(&icmp(2, 1, request, None)).key, there.key, "a request back is another flow");
    }
    assert_ne!(keyed(&icmp(1, 2, 9, None)).key, keyed(&icmp(1, 2, 10, None)).key);
    let v6 = |from, to, kind| {
        let transport = Transport::Icmpv6(Icmp { kind, ..Icmp::default() });
        Decoded { protocol: protocol::ICMPV6, ip_version: 6, transport, ..udp((from, 0), (to, 0)) }
    };
    for (request, reply) in [(128, 129), (133, 134), (135, 136)] {
        assert_eq!(keyed(&v6(1, 2, request)).key, keyed(&v6(2, 1, reply)).key);
    }
    assert!(has_no_flow(&v6(1, 2, 1)), "an error without a quote");
}

#[test]
fn icmp_errors_have_the_flow_they_quote_the_other_way() {
    for (kind, swapped) in [3, 4, 5, 11, 12].into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let ends = if swapped { ((9, 80), (2, 5000)) } else { ((2, 5000), (9, 80)) };
        let packet = udp(ends.0, ends.1);
        let quoted = Quoted {
            source: packet.source,
            destination: packet.destination,
            protocol: protocol::UDP,
            source_port: packet.source_port,
            destination_port: packet.destination_port,
        };
        let (packet, error) = (keyed(&packet), keyed(&icmp(77, 2, kind, Some(quoted))));
        assert_eq!((error.key, error.quoted), (packet.key, true));
        assert_ne!(error.swapped, packet.swapped, "it goes back to the packet's source");
        assert!(has_no_flow(&icmp(77, 2, kind, None)), "without a quote");
        assert!(has_no_flow(&icmp(77, 2, kind, Some(Quoted { protocol: 2, ..quoted }))));
    }
}

#[test]
fn esp_flows_are_told_apart_by_their_spi() {
    let esp = |from, to, spi| {
        let transport = Transport::None;
        Decoded { protocol: protocol::ESP, spi, transport, ..udp((from, 0), (to, 0)) }
    };
    let there = keyed(&esp(9, 1, 0xdead_beef));
    assert_eq!((there.key.spi(), there.swapped), (Some(0xdead_beef), true));
    assert_eq!((there.key.lower(), there.key.higher()), ((v4(1), 0), (v4(9), 0)));
    assert_ne!(there.key, keyed(&esp(9, 1, 0xdead_beee)).key);
    assert!(keyed(&esp(1, 1, 7)).key.has_equal_endpoints());
    assert_eq!(keyed(&udp((1, 1), (2, 2))).key.spi(), None);
}

#[test]
fn an_error_about_a_ping_belongs_to_the_ping() {
    let quoted = Quoted {
        source: v4(1),
        destination: v4(9),
        protocol: protocol::ICMP,
        source_port: 0,
        destination_port: 0,
    };
    let (ping, error) = (keyed(&icmp(1, 9, 8, None)), keyed(&icmp(5, 1, 11, Some(quoted))));
    assert_eq!((ping.key, ping.swapped), (error.key, !error.swapped));
}

proptest! {
    #[test]
    fn direction_is_the_only_difference_between_both_ways(
        source: Address, destination: Address, ports: (u16, u16), tenant: u32, inline_set: u8, recursion: u8,
    ) {
        let there = Decoded {
            source, destination, recursion,
            source_port: ports.0, destination_port: ports.1,
            ip_version: 6,
            ..udp((0, 0), (0, 0))
        };
        let back = Decoded {
            source: destination, destination: source,
            source_port: ports.1, destination_port: ports.0,
            ..there
        };
        let scope = KeyScope { tenant, inline_set, ..KeyScope::default() };
        let (there, back) = (FlowKey::of(&there, &scope), FlowKey::of(&back, &scope));
        let (there, back) = (there.expect("UDP has a flow"), back.expect("UDP has a flow"));
        prop_assert_eq!(there.key, back.key);
        prop_assert!(there.swapped != back.swapped || there.key.has_equal_endpoints());
        let ends = [(source, ports.0), (destination, ports.1)];
        let (lower, higher) = (ends.iter().min(), ends.iter().max());
        prop_assert_eq!((Some(&there.key.lower()), Some(&there.key.higher())), (lower, higher));
    }

    #[test]
    fn same_is_equality(bit in prop::option::of(0usize..384)) {
        let key = keyed(&udp((1, 5000), (2, 53))).key;
        let mut other = key;
        if let Some(bit) = bit {
            other.words[bit / 64] ^= 1 << (bit % 64);
        }
        prop_assert_eq!((key.same(&other), key == other), (bit.is_none(), bit.is_none()));
    }
}
