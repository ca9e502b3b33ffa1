//! What `tuple.h` makes of frames, case by case and beside the decoder, by BPF_PROG_TEST_RUN of a program that shows it.

use crate::config::TunnelPorts;
use crate::layout;
use crate::sys;
use crate::tuple::{Side, Tuple};
use crate::tuple_probe::TupleProbeSkelBuilder;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use portcullis_testkit::require_root;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::{TcpFlags, mapped};
use portcullis_wire::{Decoder, LinkType};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

const ADDRESSES: u32 = 1;
const PORTS: u32 = 1 << 1;
const CONTROL: u32 = 1 << 2;
const FRAGMENT: u32 = 1 << 3;
const OPTIONS: u32 = 1 << 4;
const TUNNEL: u32 = 1 << 5;
const LENGTH: u32 = 1 << 6;
const UNKNOWN: u32 = 1 << 7;
const PLAIN: u32 = ADDRESSES | PORTS;

/// What the probe answers for a frame that may be answered in the kernel.
const XDP_PASS: u32 = 2;

struct Probe {
    programs: [OwnedFd; 2],
    seen: MapHandle,
    tunnels: MapHandle,
}

/// As the program says it.
struct Seen {
    tuple: Tuple,
    flags: u32,
    length: u32,
    plain: bool,
}

impl Probe {
    fn new() -> Self {
        require_root();
        let mut storage = MaybeUninit::uninit();
        let skeleton = TupleProbeSkelBuilder::default().open(&mut storage).unwrap().load().unwrap();
        let programs = [skeleton.progs.probe.as_fd(), skeleton.progs.probe_frags.as_fd()]
            .map(|program| program.try_clone_to_owned().unwrap());
        let seen = MapHandle::try_from(&skeleton.maps.seen).unwrap();
        let tunnels = MapHandle::try_from(&skeleton.maps.tunnels).unwrap();
        let probe = Self { programs, seen, tunnels };
        probe.look_into(&TunnelPorts::These(vec![4789, 6081, 3544]));
        probe
    }

    fn look_into(&self, ports: &TunnelPorts) {
        self.tunnels.update(&[0; 4], &layout::tunnels(ports), MapFlags::ANY).unwrap();
    }

    fn run(&self, program: usize, frame: &[u8]) -> Seen {
        let action = sys::test_run(self.programs[program].as_fd(), frame, 1, 0).unwrap();
        let bytes = self.seen.lookup(&[0; 4], MapFlags::ANY).unwrap().unwrap();
        let (tuple, rest) = bytes.split_first_chunk().unwrap();
        let word = |at: usize| u32::from_ne_bytes(*rest[at..].first_chunk().unwrap());
        Seen { tuple: Tuple::from_bytes(tuple), flags: word(0), length: word(4), plain: action == XDP_PASS }
    }

    /// The flags of a frame; both programs say the same.
    fn flags(&self, frame: &[u8]) -> u32 {
        let [one, other] = [0, 1].map(|program| self.run(program, frame));
        assert_eq!((one.flags, one.tuple, one.length), (other.flags, other.tuple, other.length));
        assert_eq!(usize::try_from(one.length).unwrap(), frame.len());
        assert_eq!(one.plain, one.flags & (PORTS | !PLAIN) == PORTS);
        one.flags
    }
}

const ONE: [u8; 4] = [192, 0, 2, 1];
const OTHER: [u8; 4] = [198, 51, 100, 2];
const ONE_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const OTHER_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

fn ethernet<'a>() -> PacketBuilder<'a> {
    PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

fn v4<'a>() -> PacketBuilder<'a> {
    ethernet().ipv4(ONE, OTHER)
}

fn v6<'a>() -> PacketBuilder<'a> {
    ethernet().ipv6(ONE_V6, OTHER_V6)
}

fn data<'a>(packet: PacketBuilder<'a>) -> PacketBuilder<'a> {
    packet.tcp(40_000, 80).flags(TcpFlags::PSH | TcpFlags::ACK).payload(b"data")
}

fn patched(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

#[test]
fn a_plain_frame_has_a_tuple() {
    let probe = Probe::new();
    let expected = Tuple {
        source: mapped(ONE),
        destination: mapped(OTHER),
        source_port: 40_000,
        destination_port: 80,
        vlans: [None; 3],
        version: 4,
        protocol: 6,
        set: 7,
        side: Side::Second,
    };
    let check = |frame: Vec<u8>, expected: Tuple| {
        assert_eq!(probe.flags(&frame), PLAIN);
        assert_eq!(probe.run(0, &frame).tuple, expected);
    };
    check(data(v4()).to_vec(), expected);
    check(data(v4()).minimum(90).to_vec(), expected);
    check(v4().udp(40_000, 80).to_vec(), Tuple { protocol: 17, ..expected });
    let six = Tuple { source: ONE_V6, destination: OTHER_V6, version: 6, ..expected };
    check(data(v6()).to_vec(), six);
    check(v6().udp(40_000, 80).to_vec(), Tuple { protocol: 17, ..six });
    let echo = Tuple { protocol: 1, source_port: 8, destination_port: 0, ..expected };
    check(v4().echo_request(1, 2).to_vec(), echo);
    check(v4().echo_reply(1, 2).to_vec(), Tuple { source_port: 0, ..echo });
    let echo = Tuple { protocol: 58, source_port: 128, destination_port: 0, ..six };
    check(v6().echo_request(1, 2).to_vec(), echo);
    check(v6().echo_reply(1, 2).to_vec(), Tuple { source_port: 129, ..echo });
    let tagged = Tuple { vlans: [Some(5), None, None], ..expected };
    check(data(ethernet().vlan_tag(0x8100, 0xe005).ipv4(ONE, OTHER)).to_vec(), tagged);
    let tagged = Tuple { vlans: [Some(0), None, None], ..expected };
    check(data(ethernet().vlan(0).ipv4(ONE, OTHER)).to_vec(), tagged);
    let tagged = Tuple { vlans: [Some(1), Some(2), Some(4095)], ..six };
    let three = ethernet().vlan_tag(0x88a8, 1).vlan_tag(0x9100, 2).vlan(4095);
    check(data(three.ipv6(ONE_V6, OTHER_V6)).to_vec(), tagged);
}

#[test]
fn what_is_for_user_space_says_why() {
    let probe = Probe::new();
    let check = |name: &str, frame: &[u8], flags: u32| assert_eq!(probe.flags(frame), flags, "{name}");
    for (name, flag) in [("SYN", TcpFlags::SYN), ("FIN", TcpFlags::FIN), ("RST", TcpFlags::RST)] {
        check(name, &data(v4()).flags(flag | TcpFlags::ACK).to_vec(), PLAIN | CONTROL);
        check(name, &data(v6()).flags(flag).to_vec(), PLAIN | CONTROL);
    }
    check("more fragments", &data(v4()).fragment(0, true).to_vec(), ADDRESSES | FRAGMENT);
    check("offset", &data(v4()).fragment(8, false).to_vec(), ADDRESSES | FRAGMENT);
    check("both", &data(v4()).fragment(65_528, true).to_vec(), ADDRESSES | FRAGMENT);
    check("may not be one", &data(v4()).dont_fragment().to_vec(), PLAIN);
    check("IPv6 fragment", &data(v6()).fragment(8, true).to_vec(), ADDRESSES | FRAGMENT | OPTIONS);
    check("atomic", &data(v6()).fragment(0, false).to_vec(), ADDRESSES | FRAGMENT | OPTIONS);
    check("options", &data(v4()).ip_options(&[1, 1, 1, 0]).to_vec(), ADDRESSES | OPTIONS);
    for extension in [0, 43, 51, 60, 135, 139, 140, 253, 254] {
        let frame = v6().protocol(extension).payload(&[6, 0, 0, 0, 0, 0, 0, 0]).to_vec();
        check("extension", &frame, ADDRESSES | OPTIONS);
    }
    for protocol in [4, 41, 47] {
        check("tunnel", &v4().protocol(protocol).payload(&[0x45; 40]).to_vec(), ADDRESSES | TUNNEL);
        check("tunnel", &v6().protocol(protocol).payload(&[0x60; 60]).to_vec(), ADDRESSES | TUNNEL);
    }
    for protocol in [50, 58, 59, 132, 0xff] {
        check("protocol", &v4().protocol(protocol).payload(&[0; 40]).to_vec(), ADDRESSES | UNKNOWN);
    }
    check("ICMP of the wrong version", &v6().protocol(1).payload(&[8; 40]).to_vec(), ADDRESSES | UNKNOWN);
    let quoted = data(PacketBuilder::raw().ipv4(OTHER, ONE)).to_vec();
    check("ICMP error", &v4().icmp_error(3, 1, &quoted).to_vec(), PLAIN | UNKNOWN);
    check("neighbour discovery", &v6().icmp(135, 0, [0; 4]).payload(&[0; 16]).to_vec(), PLAIN | UNKNOWN);
    check("ARP", &ethernet().ethertype(0x0806).payload(&[0; 46]).to_vec(), UNKNOWN);
    check("LLC", &ethernet().ethertype(0x0026).payload(&[0x42; 46]).to_vec(), UNKNOWN);
    check("MPLS", &ethernet().ethertype(0x8847).payload(&[0x45; 46]).to_vec(), UNKNOWN);
    let four = patched(data(ethernet().vlan(1).vlan(2).vlan(3).ipv4(ONE, OTHER)).to_vec(), 24, &[0x81, 0]);
    check("a fourth tag", &four, UNKNOWN);
}

#[test]
fn udp_that_may_be_a_tunnel() {
    let probe = Probe::new();
    let check = |source: u16, destination: u16, tunnel: bool| {
        let expected = if tunnel { PLAIN | TUNNEL } else { PLAIN };
        assert_eq!(probe.flags(&v4().udp(source, destination).to_vec()), expected, "{source} {destination}");
        assert_eq!(probe.flags(&v6().udp(source, destination).to_vec()), expected);
    };
    for port in [4789, 6081, 3544] {
        check(40_000, port, true);
        check(port, 53, true);
        // Of the same place in the filter, but another port.
        check(port ^ (1 | 1 << 6), 53, false);
    }
    check(40_000, 53, false);
    probe.look_into(&TunnelPorts::Any);
    check(40_000, 53, true);
    probe.look_into(&TunnelPorts::default());
    check(40_000, 4789, false);
    check(0, 0, false);
    let most = (1..=12).map(|port| port * 1000).collect::<Vec<u16>>();
    assert_eq!(most.len(), TunnelPorts::MOST);
    probe.look_into(&TunnelPorts::These(most.clone()));
    for port in most {
        check(port, 53, true);
    }
}

#[test]
fn lengths_that_contradict_each_other() {
    let probe = Probe::new();
    let check = |name: &str, frame: &[u8], flags: u32| assert_eq!(probe.flags(frame), flags, "{name}");
    let four = data(v4()).to_vec();
    let six = data(v6()).to_vec();
    check("of IPv4 beyond the frame", &patched(four.clone(), 16, &[0, 45]), ADDRESSES | LENGTH);
    check("of IPv4 below its header", &patched(four.clone(), 16, &[0, 19]), ADDRESSES | LENGTH);
    check("of IPv4 below TCP's", &patched(four.clone(), 16, &[0, 39]), ADDRESSES | LENGTH);
    check("of the IPv4 header", &patched(four.clone(), 14, &[0x44]), ADDRESSES | LENGTH);
    check("version in IPv4", &patched(four.clone(), 14, &[0x65]), LENGTH);
    check("of IPv6 beyond the frame", &patched(six.clone(), 18, &[0, 25]), ADDRESSES | LENGTH);
    check("of IPv6 below TCP's", &patched(six.clone(), 18, &[0, 19]), ADDRESSES | LENGTH);
    check("of a jumbogram", &patched(six.clone(), 18, &[0, 0]), ADDRESSES | LENGTH);
    check("version in IPv6", &patched(six.clone(), 14, &[0x45]), LENGTH);
    check("TCP's too small", &patched(four.clone(), 14 + 20 + 12, &[0x40]), PLAIN | LENGTH);
    check("TCP's beyond the packet", &patched(four.clone(), 14 + 20 + 12, &[0x70]), PLAIN | LENGTH);
    let udp = v4().udp(1, 2).payload(b"data").to_vec();
    for (length, flags) in
        [(12, PLAIN), (8, PLAIN), (7, PLAIN | LENGTH), (13, PLAIN | LENGTH), (0, PLAIN | LENGTH)]
    {
        check("UDP's", &patched(udp.clone(), 14 + 20 + 4, &[0, length]), flags);
    }
    for length in 14..four.len() {
        assert_eq!(probe.flags(&four[..length]) & LENGTH, LENGTH, "{length} of {}", four.len());
    }
    let tagged = data(ethernet().vlan(1).vlan(2).vlan(3).ipv6(ONE_V6, OTHER_V6)).to_vec();
    for length in 14..tagged.len() {
        assert_eq!(probe.flags(&tagged[..length]) & LENGTH, LENGTH, "{length} of {}", tagged.len());
    }
}

#[test]
fn frames_of_several_buffers() {
    let probe = Probe::new();
    let payload = vec![0x5a; 8900];
    let frame = v4().udp(1, 2).payload(&payload).to_vec();
    let seen = probe.run(1, &frame);
    assert_eq!((seen.flags, seen.length, seen.plain), (PLAIN, 8942, true));
    let long = patched(frame, 16, &8929_u16.to_be_bytes());
    assert_eq!(probe.run(1, &long).flags, ADDRESSES | LENGTH);
}

/// A frame of all that is put together here, with a few bytes of its headers changed.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let kinds = (0..4_usize, 0..6_usize, any::<bool>(), any::<u16>(), 0..20_usize);
    let changes = prop::collection::vec((12..80_usize, any::<u8>()), 0..3);
    (kinds, changes, 0..12_usize).prop_map(|((tags, kind, six, port, payload), changes, cut)| {
        let payload = vec![0x45; payload];
        let link = (1..).zip(0..tags).fold(ethernet(), |frame, (id, _)| frame.vlan(id));
        let ip = if six { link.ipv6(ONE_V6, OTHER_V6) } else { link.ipv4(ONE, OTHER) };
        let packet = match kind {
            0 => ip.tcp(port, 80).flags(TcpFlags::ACK),
            1 => ip.udp(port, 53),
            2 => ip.udp(40_000, port),
            3 => ip.echo_request(port, 1),
            4 => ip.protocol(port.to_be_bytes()[0]),
            _ => ip.tcp(port, 80).flags(port.to_be_bytes()[1]),
        };
        let mut frame = packet.payload(&payload).to_vec();
        for (at, byte) in changes {
            if let Some(slot) = frame.get_mut(at) {
                *slot = byte;
            }
        }
        frame.truncate(frame.len().saturating_sub(cut.saturating_sub(6)).max(14));
        frame
    })
}

/// What may be answered by its tuple is what the decoder calls a packet of that flow, whole and with nothing in it.
#[test]
fn the_decoder_agrees_on_plain_frames() {
    let probe = Probe::new();
    let mut plain = 0;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(4096));
    let outcome = runner.run(&any_frame(), |frame| {
        let seen = probe.run(0, &frame);
        prop_assert_eq!(usize::try_from(seen.length).unwrap(), frame.len());
        let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, &frame);
        if seen.flags & ADDRESSES != 0 && decoded.ip_version != 0 {
            prop_assert_eq!(
                (seen.tuple.source, seen.tuple.destination),
                (decoded.source, decoded.destination)
            );
        }
        if !seen.plain {
            return Ok(());
        }
        prop_assert_eq!(decoded.invalid, None);
        prop_assert!(decoded.inner.is_none() && decoded.fragment.is_none());
        prop_assert!(decoded.ip_options.is_empty());
        prop_assert_eq!((seen.tuple.version, seen.tuple.protocol), (decoded.ip_version, decoded.protocol));
        let tags: Vec<u16> = seen.tuple.vlans.into_iter().flatten().collect();
        prop_assert_eq!(tags.as_slice(), decoded.vlans.as_slice());
        if matches!(decoded.protocol, 6 | 17) {
            let ports = (decoded.source_port, decoded.destination_port);
            prop_assert_eq!((seen.tuple.source_port, seen.tuple.destination_port), ports);
        }
        Ok(())
    });
    outcome.unwrap();
    // The cases are no good where hardly one is plain.
    for _ in 0..256 {
        let frame = any_frame().new_tree(&mut runner).unwrap().current();
        plain += u32::from(probe.run(0, &frame).plain);
    }
    assert!(plain > 32, "{plain} of 256");
}
