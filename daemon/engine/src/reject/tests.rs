//! Answers, decoded again and compared with what they must be.

use super::*;
use portcullis_capture::PacketMeta;
use portcullis_wire::decode::Decoder;

const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];

fn decode(link: LinkType, frame: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let decoder = Decoder::default();
    decoder.decode_into(link, None, false, frame, &mut decoded);
    decoded
}

fn link() -> PacketBuilder<'static> {
    PacketBuilder::ethernet(MAC_A, MAC_B)
}

/// What a frame that came in at port 2 is answered with, and where that leaves; `None` where it may not be
/// answered.
fn answers(to: RejectTarget, link: LinkType, mut frame: Vec<u8>) -> Option<Vec<(u8, Vec<u8>, Decoded)>> {
    let decoded = decode(link, &frame);
    let packet = Packet::new(&mut frame, PacketMeta { ingress: PortId(2), link, ..PacketMeta::default() });
    if !is_answerable(&decoded, &packet) {
        return None;
    }
    let mut outbox = Outbox::default();
    let sent = send(to, &decoded, &packet, &mut outbox);
    assert_eq!((sent.sent, sent.refused), (outbox.forged().count() as u64, 0));
    let shown = |forged: portcullis_capture::outbox::Forged<'_>| {
        assert_eq!(forged.origin, Origin::Engine);
        let answer = decode(link, forged.bytes);
        assert_eq!((answer.invalid, answer.bad_checksums), (None, Default::default()));
        (forged.egress.0, forged.bytes.to_vec(), answer)
    };
    Some(outbox.forged().map(shown).collect())
}

fn on_ethernet(to: RejectTarget, frame: &PacketBuilder<'_>) -> Vec<(u8, Vec<u8>, Decoded)> {
    answers(to, LinkType::Ethernet, frame.to_vec()).unwrap()
}

fn tcp_of(decoded: &Decoded) -> (u16, u16, u8, u32, u32) {
    let Transport::Tcp(tcp) = decoded.transport else { panic!("{decoded:?}") };
    (decoded.source_port, decoded.destination_port, tcp.flags.0, tcp.seq, tcp.ack)
}

#[test]
fn resets_have_the_numbers_that_their_receivers_wait_for() {
    const ACK: u8 = TcpFlags::ACK;
    const RST: u8 = TcpFlags::RST;
    let check = |flags: u8, payload: &[u8], source: (u8, u32, u32), destination: (u8, u32, u32)| {
        let segment = link().ipv4(A, B).tcp(4000, 80).flags(flags).seq(1000).ack(77).payload(payload);
        let sent = on_ethernet(RejectTarget::Both, &segment);
        let [(back, _, one), (onward, _, other)] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((*back, *onward), (2, 3));
        assert_eq!(tcp_of(one), (80, 4000, source.0, source.1, source.2), "{flags:#x}");
        assert_eq!(tcp_of(other), (4000, 80, destination.0, destination.1, destination.2), "{flags:#x}");
        assert_eq!((one.source, one.destination), (other.destination, other.source));
    };
    check(TcpFlags::SYN, b"", (RST | ACK, 0, 1001), (RST, 1000, 0));
    check(TcpFlags::SYN | ACK, b"", (RST | ACK, 77, 1001), (RST | ACK, 1000, 77));
    check(ACK | TcpFlags::PSH, b"hello", (RST | ACK, 77, 1005), (RST | ACK, 1000, 77));
    check(ACK | TcpFlags::FIN, b"bye", (RST | ACK, 77, 1004), (RST | ACK, 1000, 77));
    check(TcpFlags::SYN | TcpFlags::ECN, b"early", (RST | ACK, 0, 1006), (RST, 1000, 0));
}

#[test]
fn answers_keep_tags_and_swap_ethernet_addresses() {
    let tagged = link().vlan_tag(0x88a8, 0xe00a).vlan_tag(0x8100, 0x6014);
    let sent = on_ethernet(RejectTarget::Both, &tagged.ipv4(A, B).tcp(1, 2));
    let tags = [0x88, 0xa8, 0xe0, 0x0a, 0x81, 0x00, 0x60, 0x14, 0x08, 0x00];
    assert_eq!(sent[0].1[..12], [MAC_A, MAC_B].concat());
    assert_eq!(sent[1].1[..12], [MAC_B, MAC_A].concat());
    for (_, frame, _) in &sent {
        assert_eq!((&frame[12..22], frame.len()), (&tags[..], MINIMUM_FRAME + 2));
    }
    // A tag that the device took off is put back.
    let mut frame = link().ipv4(A, B).tcp(1, 2).to_vec();
    let decoded = decode(LinkType::Ethernet, &frame);
    let packet = Packet::new(&mut frame, PacketMeta { vlan: Some(0x2005), ..PacketMeta::default() });
    let mut outbox = Outbox::default();
    let _ = send(RejectTarget::ToClient, &decoded, &packet, &mut outbox);
    assert_eq!(outbox.forged().next().unwrap().bytes[12..18], [0x81, 0, 0x20, 5, 8, 0]);
}

#[test]
fn datagrams_and_echoes_are_prohibited_by_icmp() {
    let long = [7; 1400];
    let datagram = link().ipv4(A, B).udp(5000, 53).payload(&long).to_vec();
    let sent = answers(RejectTarget::ToClient, LinkType::Ethernet, datagram.clone()).unwrap();
    let [(2, frame, answer)] = sent.as_slice() else { panic!("{sent:?}") };
    let Transport::Icmpv4(icmp) = answer.transport else { panic!("{answer:?}") };
    assert_eq!((icmp.kind, icmp.code, answer.ip.len()), (3, 13, 576));
    assert_eq!((answer.source, answer.destination), (v4(B), v4(A)));
    assert_eq!(frame[14 + 28..], datagram[14..][..QUOTE_V4]);

    let (a, b) = ([0xfd; 16], [0xfc; 16]);
    let datagram = link().ipv6(a, b).udp(5000, 53).payload(&long).to_vec();
    let sent = answers(RejectTarget::ToClient, LinkType::Ethernet, datagram.clone()).unwrap();
    let [(2, frame, answer)] = sent.as_slice() else { panic!("{sent:?}") };
    let Transport::Icmpv6(icmp) = answer.transport else { panic!("{answer:?}") };
    assert_eq!((icmp.kind, icmp.code, answer.ip.len()), (1, 1, 1280));
    assert_eq!((answer.source, answer.destination), (b, a));
    assert_eq!(frame[14 + 48..], datagram[14..][..QUOTE_V6]);

    let sent = on_ethernet(RejectTarget::Both, &link().ipv4(A, B).echo_request(1, 2).payload(b"ping"));
    assert_eq!(sent.len(), 1, "whom an echo is for is not told");
}

#[test]
fn whom_a_datagram_was_for_gets_an_error_about_its_own_answer() {
    for datagram in [link().ipv4(A, B).udp(5000, 53), link().ipv6([0xfd; 16], [0xfc; 16]).udp(5000, 53)] {
        let original = decode(LinkType::Ethernet, &datagram.to_vec());
        let sent = on_ethernet(RejectTarget::ToServer, &datagram.payload(b"query"));
        let [(3, _, answer)] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((answer.source, answer.destination), (original.source, original.destination));
        let (Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp)) = answer.transport else {
            panic!("{answer:?}")
        };
        let quoted = icmp.quoted.unwrap();
        assert_eq!((quoted.source, quoted.source_port), (original.destination, 53));
        assert_eq!((quoted.destination, quoted.destination_port), (original.source, 5000));
        assert_eq!(quoted.protocol, 17);
    }
}

#[test]
fn what_must_not_be_answered_is_not() {
    let check = |what: &str, frame: Vec<u8>| {
        assert!(answers(RejectTarget::Both, LinkType::Ethernet, frame).is_none(), "{what}");
    };
    let quoted = PacketBuilder::raw().ipv4(B, A).udp(1, 2).to_vec();
    check("a reset", link().ipv4(A, B).tcp(1, 2).flags(TcpFlags::RST).to_vec());
    check("an ICMP error", link().ipv4(A, B).icmp_error(3, 3, &quoted).to_vec());
    check(
        "neighbour discovery",
        link().ipv6([0xfd; 16], [0xfc; 16]).icmp(135, 0, [0; 4]).payload(&[1; 16]).to_vec(),
    );
    check("a fragment", link().ipv4(A, B).udp(1, 2).fragment(0, true).to_vec());
    check("to a group", link().ipv4(A, [239, 1, 2, 3]).udp(1, 2).to_vec());
    check("to all", link().ipv4(A, [255; 4]).udp(67, 68).to_vec());
    check("from nobody", link().ipv4([0; 4], B).udp(68, 67).to_vec());
    check("to a group of IPv6", link().ipv6([0xfd; 16], [0xff; 16]).udp(1, 2).to_vec());
    check("to all of a link", PacketBuilder::ethernet(MAC_A, [0xff; 6]).ipv4(A, B).udp(1, 2).to_vec());
    check("from a group", PacketBuilder::ethernet([3; 6], MAC_B).ipv4(A, B).udp(1, 2).to_vec());
    check("another protocol", link().ipv4(A, B).protocol(47).payload(&[0; 40]).to_vec());
    let mut broken = link().ipv4(A, B).tcp(1, 2).to_vec();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    check("a wrong checksum", broken);
    check("a runt", vec![0; 20]);
}

#[test]
fn packets_without_ethernet_are_answered_without_it() {
    let frame = PacketBuilder::raw().ipv4(A, B).tcp(1, 2).to_vec();
    let sent = answers(RejectTarget::ToClient, LinkType::Raw, frame).unwrap();
    assert_eq!((sent[0].1.len(), sent[0].1[0]), (40, 0x45));
    let mut null = vec![2, 0, 0, 0];
    null.extend(PacketBuilder::raw().ipv4(A, B).tcp(1, 2).to_vec());
    assert!(answers(RejectTarget::ToClient, LinkType::Null, null).is_none());
}

#[test]
fn a_full_outbox_refuses_and_that_is_counted() {
    let mut frame = link().ipv4(A, B).tcp(1, 2).to_vec();
    let decoded = decode(LinkType::Ethernet, &frame);
    let packet = Packet::new(&mut frame, PacketMeta::default());
    let sent = send(RejectTarget::Both, &decoded, &packet, &mut Outbox::without_room());
    assert_eq!(sent, Sent { sent: 0, refused: 2 });
}

fn v4(octets: [u8; 4]) -> Address {
    portcullis_wire::decoded::mapped(octets)
}
