//! Keys: which packets are of one flow.

use crate::packets::{ACK, CLIENT, SERVER, at, between, names, tcp, udp};
use portcullis_flow::tracker::{
    Extracted, FiveTuple, FiveTupleKey, FlowExtractor, FlowTracker, InnerTuple, IpPair, IpPairKey, L4Proto,
    MacPair, MacPairKey, Orientation, PacketView, from_fn,
};
use portcullis_wire::{Decoded, Decoder, LinkType, PacketBuilder};
use std::net::SocketAddr;

fn extract<E: FlowExtractor>(extractor: &E, frame: &[u8]) -> Option<Extracted<E::Key>> {
    extractor.extract(&PacketView::new(frame, at(0)))
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("address and port")
}

#[test]
fn either_port_is_that_of_one_of_the_ends() {
    let key = FiveTupleKey::between(L4Proto::Tcp, socket("10.0.0.1:1234"), socket("10.0.0.2:80"));
    assert!(key.either_port(1234) && key.either_port(80) && !key.either_port(443));
}

#[test]
fn a_five_tuple_is_the_same_both_ways_and_tells_its_parts() {
    for (a, b) in [("10.0.0.1:40000", "10.0.0.2:80"), ("[fd00::1]:1", "[fd00::2]:2")] {
        let (a, b) = (socket(a), socket(b));
        let builder = PacketBuilder::raw().ip(a.ip(), b.ip()).tcp(a.port(), b.port()).to_vec();
        let back = PacketBuilder::raw().ip(b.ip(), a.ip()).tcp(b.port(), a.port()).to_vec();
        let of = |frame: &[u8]| {
            let packet = PacketView::new(frame, at(0)).with_link(LinkType::Raw);
            FiveTuple::bidirectional().extract(&packet).unwrap()
        };
        let (there, back) = (of(&builder), of(&back));
        assert_eq!(there.key, FiveTupleKey::between(L4Proto::Tcp, b, a));
        assert_eq!((there.key.a(), there.key.b(), there.key.protocol()), (a, b, L4Proto::Tcp));
        assert_eq!(there.key, back.key);
        assert_eq!((there.orientation, back.orientation), (Orientation::Forward, Orientation::Reverse));
        assert!(there.tcp.is_some());
    }
}

#[test]
fn a_mapped_address_is_not_an_ipv4_address() {
    let v4 = PacketBuilder::raw().ip("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()).udp(1, 2);
    let v6 = PacketBuilder::raw()
        .ip("::ffff:10.0.0.1".parse().unwrap(), "::ffff:10.0.0.2".parse().unwrap())
        .udp(1, 2);
    let of = |builder: PacketBuilder<'_>| {
        let frame = builder.to_vec();
        FiveTuple::bidirectional()
            .extract(&PacketView::new(&frame, at(0)).with_link(LinkType::Raw))
            .unwrap()
            .key
    };
    assert_ne!(of(v4), of(v6));
    assert!(of(v6).a().is_ipv6() && of(v4).a().is_ipv4());
}

#[test]
fn one_way_tuples_are_two_flows() {
    let mut tracker = FlowTracker::<_, ()>::new(FiveTuple::unidirectional()).unwrap();
    for (source, destination) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let events = tracker.track(PacketView::new(&udp(source, destination, b""), at(0)));
        assert_eq!(names(&events), ["started", "packet"]);
    }
    let key = FiveTupleKey::directed(L4Proto::Udp, socket("10.0.0.2:80"), socket("10.0.0.1:40000"));
    assert_eq!(tracker.get(&key).unwrap().stats.packets_initiator, 1);
    assert_eq!(tracker.extractor(), &FiveTuple::unidirectional());
}

#[test]
fn fragments_have_no_five_tuple_but_an_ip_pair() {
    let frame = between(1, 2).udp(1, 2).fragment(0, true).payload(&[0; 64]).to_vec();
    assert!(extract(&FiveTuple::bidirectional(), &frame).is_none());
    let pair = IpPairKey::between("10.0.0.2".parse().unwrap(), "10.0.0.1".parse().unwrap());
    assert_eq!(extract(&IpPair, &frame).unwrap().key, pair);
    assert_eq!(pair.addresses(), ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()));
}

#[test]
fn an_ip_pair_is_all_that_two_hosts_say() {
    let mut tracker = FlowTracker::<_, ()>::new(IpPair).unwrap();
    let frames =
        [udp((1, 1), (2, 2), b""), tcp((2, 80), (1, 9), ACK, 1, 1).to_vec(), udp((1, 7), (2, 7), b"")];
    for frame in &frames {
        tracker.track(PacketView::new(frame, at(0)));
    }
    let (_, entry) = tracker.flows().next().unwrap();
    assert_eq!((entry.stats.packets_initiator, entry.stats.packets_responder, entry.l4()), (2, 1, None));
    assert_eq!((tracker.flow_count(), entry.conn_state().name()), (1, "OTH"));
}

#[test]
fn a_mac_pair_needs_no_ip() {
    let arp = PacketBuilder::ethernet([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 1]).ethertype(0x0806);
    let extracted = extract(&MacPair, &arp.to_vec()).unwrap();
    assert_eq!(extracted.key, MacPairKey::between([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 9]));
    assert_eq!(extracted.key.addresses(), ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 9]));
    assert_eq!(extracted.orientation, Orientation::Reverse);
    assert!(extract(&MacPair, &[0; 13]).is_none());
    let frame = arp.to_vec();
    assert!(MacPair.extract(&PacketView::new(&frame, at(0)).with_link(LinkType::Raw)).is_none());
}

/// The inner packet's tuple, its payload found in the frame.
#[track_caller]
fn check_inner(frame: &[u8]) {
    let extracted = extract(&InnerTuple, frame).expect("a five-tuple");
    let expect = FiveTupleKey::between(L4Proto::Tcp, socket("10.0.0.1:40000"), socket("10.0.0.2:80"));
    assert_eq!(extracted.key, expect);
    assert_eq!(extracted.payload.of(frame), b"inner");
}

#[test]
fn an_inner_tuple_is_the_innermost() {
    let inner = tcp(CLIENT, SERVER, ACK, 1, 1).payload(b"inner").to_vec();
    let packet = &inner[14..];
    let gre = |flags: u8, protocol: [u8; 2], options: usize, packet: &[u8]| {
        [&[flags, 0, protocol[0], protocol[1]][..], &vec![0; options], packet].concat()
    };
    check_inner(&inner);
    check_inner(&between(7, 8).protocol(4).payload(packet).to_vec());
    check_inner(&between(7, 8).protocol(47).payload(&gre(0, [8, 0], 0, packet)).to_vec());
    check_inner(&between(7, 8).protocol(47).payload(&gre(0xb0, [8, 0], 12, packet)).to_vec());
    check_inner(&between(7, 8).protocol(47).payload(&gre(0x20, [0x65, 0x58], 4, &inner)).to_vec());
    let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &inner].concat();
    check_inner(&between(7, 8).udp(5000, 4789).payload(&vxlan).to_vec());
    let geneve = [&[0, 0, 0x65, 0x58, 0, 0, 1, 0][..], &inner].concat();
    check_inner(&between(7, 8).udp(5000, 6081).payload(&geneve).to_vec());
    let twice = between(5, 6).protocol(4).payload(packet).to_vec();
    check_inner(&between(7, 8).protocol(47).payload(&gre(0, [8, 0], 0, &twice[14..])).to_vec());
}

#[test]
fn a_tunnel_that_carries_nothing_known_is_its_own_flow() {
    for payload in [&b"\x00\x00\x99\x99abcd"[..], b"\x00\x00\x08\x00broken"] {
        let extracted = extract(&InnerTuple, &between(7, 8).protocol(47).payload(payload).to_vec()).unwrap();
        assert_eq!(extracted.key.protocol(), L4Proto::Other(47), "{payload:?}");
    }
    // One whose own header is damaged is no packet of any flow.
    for payload in [&b"\x00\x01\x08\x00"[..], b"\x00"] {
        assert!(extract(&InnerTuple, &between(7, 8).protocol(47).payload(payload).to_vec()).is_none());
    }
    // So is one too deep: five tunnels, four are followed.
    let mut packet = udp(CLIENT, SERVER, b"")[14..].to_vec();
    for _ in 0..5 {
        packet = between(7, 8).protocol(4).payload(&packet).to_vec()[14..].to_vec();
    }
    let packet = PacketView::new(&packet, at(0)).with_link(LinkType::Raw);
    assert_eq!(InnerTuple.extract(&packet).unwrap().key.protocol(), L4Proto::Other(4));
}

#[test]
fn what_was_decoded_before_is_not_decoded_again() {
    let frame = udp(CLIENT, SERVER, b"");
    let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, &frame);
    let other = Decoded { source_port: 7, ..decoded };
    let packet = PacketView::new(&frame, at(0)).with_decoded(&other);
    for key in
        [FiveTuple::bidirectional().extract(&packet).unwrap().key, InnerTuple.extract(&packet).unwrap().key]
    {
        assert!(key.either_port(7) && !key.either_port(CLIENT.1));
    }
}

#[test]
fn a_program_brings_its_own_key() {
    /// The last byte of each address decides.
    struct ByHostParity;
    impl FlowExtractor for ByHostParity {
        type Key = String;
        fn extract(&self, packet: &PacketView<'_>) -> Option<Extracted<String>> {
            let odd = packet.with_decoding(false, |decoded| decoded.source[15] % 2 == 1);
            Some(Extracted::new(if odd { "odd" } else { "even" }.to_owned(), Orientation::Forward))
        }
    }
    let mut tracker = FlowTracker::<_, ()>::new(ByHostParity).unwrap();
    for host in 1..=5 {
        tracker.track(PacketView::new(&udp((host, 1), (9, 9), b""), at(0)));
    }
    assert_eq!(tracker.get(&"odd".to_owned()).unwrap().stats.packets_initiator, 3);
    assert_eq!(tracker.get(&"even".to_owned()).unwrap().stats.packets_initiator, 2);

    let by_length = from_fn(|packet| Some(Extracted::new(packet.frame().len(), Orientation::Forward)));
    let mut tracker = FlowTracker::<_, ()>::new(by_length).unwrap();
    assert_eq!(names(&tracker.track(PacketView::new(&[], at(0)))), ["started", "packet"]);
    assert!(tracker.get(&0).is_some());
}
