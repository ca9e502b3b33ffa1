//! What the program makes of frames by its lists, case by case, by BPF_PROG_TEST_RUN.

use crate::cache::{CacheAction, CacheEntry};
use crate::config::Fail;
use crate::counters::GateCounters;
use crate::lists::{Bypass, ListMaps, ListPolicy, ListRoom, ListSample, Lists};
use crate::program_tests::{Bench, DROP, NONE, REDIRECT, SOCKET};
use crate::pulse::coarse_now;
use crate::tuple::{Side, Tuple};
use libbpf_rs::MapCore as _;
use portcullis_lists::net::Nets;
use portcullis_lists::{ListId, Marks, NetSet, Table};
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::mapped;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;

const BLOCKED: GateCounters = GateCounters { list_blocked: 1, ..NONE };
const BYPASSED: GateCounters = GateCounters { list_bypassed: 1, ..NONE };

struct Listed {
    bench: Bench,
    lists: Lists,
}

fn id(number: usize) -> ListId {
    ListId::new(number).unwrap()
}

fn marks(numbers: &[usize]) -> Marks {
    numbers.iter().fold(Marks::default(), |all, number| all.or(Marks::of(id(*number))))
}

fn table(lists: &[&[(&str, u8)]]) -> Table {
    let set = |entries: &&[(&str, u8)]| {
        let mut nets = Nets::default();
        entries.iter().for_each(|(address, length)| nets.add(address.parse().unwrap(), *length));
        NetSet::new(nets).0
    };
    let sets: Vec<NetSet> = lists.iter().map(set).collect();
    Table::new(sets.iter().enumerate().map(|(number, set)| (id(number), set)))
}

/// List 0 allows, 1 drops by either end, 2 tells, 3 drops by source, 4 by destination.
fn policy() -> ListPolicy {
    ListPolicy {
        sources: marks(&[0, 1, 2, 3]),
        destinations: marks(&[0, 1, 2, 4]),
        drop: marks(&[1, 3, 4]),
        allow: marks(&[0]),
        forward: true,
        sample_every: 1,
        sample_most: 1000,
    }
}

impl Listed {
    fn new(fail: Fail, forward: bool) -> Self {
        Self::of(fail, forward, false)
    }

    /// `frags`: with the program for frames of several buffers.
    fn of(fail: Fail, forward: bool, frags: bool) -> Self {
        let bench = Bench::with_lists(fail, forward, ListRoom::any(10_000).lines(), frags);
        let maps = &bench.loaded.maps;
        let own = |map: &libbpf_rs::MapHandle| map.as_fd().try_clone_to_owned().unwrap();
        let lists = Lists::open(&ListMaps {
            lines: own(&maps.lists),
            hits: own(&maps.list_hits),
            samples: own(&maps.list_samples),
            line_count: maps.lists.max_entries(),
            hit_count: maps.list_hits.max_entries(),
        });
        Self { bench, lists: lists.unwrap() }
    }

    fn publish(&mut self, lists: &[&[(&str, u8)]]) {
        self.lists.publish(&table(lists), &[], &policy()).unwrap();
    }

    fn check(&self, frame: &[u8], expected: (u32, GateCounters)) {
        assert_eq!(self.bench.run(frame, 0, 0, 0), expected, "{}", frame.escape_ascii());
    }
}

/// A UDP packet between two addresses, behind tags.
fn between(source: &str, destination: &str, tags: &[u16]) -> Vec<u8> {
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    packet(source, destination, tags).udp(1000, 53).to_vec()
}

fn packet(source: IpAddr, destination: IpAddr, tags: &[u16]) -> PacketBuilder<'static> {
    let frame = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    tags.iter().fold(frame, |frame, tag| frame.vlan(*tag)).ip(source, destination)
}

const GOES_ON: (u32, GateCounters) = (REDIRECT, SOCKET);

#[test]
fn what_is_on_a_list_is_dropped_by_the_end_that_counts() {
    let mut gate = Listed::new(Fail::Open, true);
    let both: &[_] = &[("198.51.100.7", 32), ("203.0.113.0", 24), ("2001:db8:7::", 48), ("2001:db8::9", 128)];
    gate.publish(&[&[], both, &[], &[("192.0.2.3", 32)], &[("192.0.2.4", 32)]]);
    let blocked = (DROP, BLOCKED);
    for tags in [&[][..], &[5], &[5, 6], &[0, 1, 4095]] {
        let check = |source: &str, destination: &str, expected| {
            gate.check(&between(source, destination, tags), expected);
        };
        check("198.51.100.7", "192.0.2.1", blocked);
        check("192.0.2.1", "198.51.100.7", blocked);
        check("198.51.100.6", "192.0.2.1", GOES_ON);
        check("203.0.113.255", "192.0.2.1", blocked);
        check("203.0.114.0", "192.0.2.1", GOES_ON);
        check("192.0.2.3", "192.0.2.1", blocked);
        check("192.0.2.1", "192.0.2.3", GOES_ON);
        check("192.0.2.4", "192.0.2.1", GOES_ON);
        check("192.0.2.1", "192.0.2.4", blocked);
        check("2001:db8:7::1", "2001:db8::1", blocked);
        check("2001:db8:7:ffff::1", "2001:db8::1", blocked);
        check("2001:db8:8::1", "2001:db8::1", GOES_ON);
        check("2001:db8::1", "2001:db8::9", blocked);
    }
    // More tags than are looked behind.
    gate.check(&between("198.51.100.7", "192.0.2.1", &[]), blocked);
    assert_eq!(gate.lists.hits(id(3)).packets, 4);
    let (one, other): (IpAddr, IpAddr) = ("198.51.100.7".parse().unwrap(), "192.0.2.1".parse().unwrap());
    gate.check(&packet(one, other, &[]).udp(1, 2).fragment(1480, true).to_vec(), blocked);
    gate.check(&packet(one, other, &[]).protocol(99).payload(b"anything").to_vec(), blocked);
}

#[test]
fn the_allow_list_exempts_and_the_first_list_has_the_drop() {
    let mut gate = Listed::new(Fail::Open, true);
    let net: &[_] = &[("203.0.113.0", 24)];
    let lists: [&[_]; 5] = [&[("203.0.113.7", 32)], net, net, net, net];
    gate.publish(&lists);
    gate.check(&between("203.0.113.7", "192.0.2.1", &[]), GOES_ON);
    gate.check(&between("203.0.113.8", "192.0.2.1", &[]), (DROP, BLOCKED));
    // Either end that is allowed exempts the packet.
    gate.check(&between("203.0.113.8", "203.0.113.7", &[]), GOES_ON);
    let packets = [0, 1, 2, 3, 4].map(|list| gate.lists.hits(id(list)).packets);
    assert_eq!(packets, [2, 1, 0, 0, 0]);
    assert_eq!(gate.lists.hits(id(1)).bytes, between("203.0.113.8", "192.0.2.1", &[]).len() as u64);
}

#[test]
fn frames_of_several_buffers_are_on_lists_and_in_the_cache() {
    let mut gate = Listed::of(Fail::Open, true, true);
    gate.publish(&[&[], &[("198.51.100.7", 32)], &[("192.0.2.9", 32)]]);
    let long = |source: &str, destination: &str| {
        let packet = packet(source.parse().unwrap(), destination.parse().unwrap(), &[]);
        packet.udp(1000, 2000).payload(&[0x5a; 8900]).to_vec()
    };
    let listed = long("198.51.100.7", "192.0.2.1");
    gate.check(&listed, (DROP, BLOCKED));
    gate.check(&between("192.0.2.1", "198.51.100.7", &[]), (DROP, BLOCKED));
    gate.check(&long("192.0.2.1", "192.0.2.9"), GOES_ON);
    let bytes = listed.len() + between("192.0.2.1", "198.51.100.7", &[]).len();
    assert_eq!((gate.lists.hits(id(1)).packets, gate.lists.hits(id(1)).bytes), (2, bytes as u64));
    // A sample has the first bytes of the frame, and its length.
    let samples = gate.lists.samples(10);
    let first = samples.iter().find(|sample| sample.length as usize == listed.len()).unwrap();
    assert!(listed.starts_with(&first.bytes) && first.dropped);
    assert!(samples.iter().any(|sample| !sample.dropped), "{samples:?}");

    let cache = gate.bench.cache();
    cache.set_generation(1);
    let (source, destination) = (mapped([192, 0, 2, 1]), mapped([192, 0, 2, 2]));
    let flow = long("192.0.2.1", "192.0.2.2");
    gate.check(&flow, GOES_ON);
    let tuple = Tuple {
        source,
        destination,
        source_port: 1000,
        destination_port: 2000,
        vlans: [None; 3],
        version: 4,
        protocol: 17,
        set: 0,
        side: Side::First,
    };
    let (until, action) = (coarse_now() + 3_600_000_000_000, CacheAction::Drop);
    cache.put(&tuple, &CacheEntry { packets: 0, bytes: 0, until, generation: 1, action }).unwrap();
    gate.check(&flow, (DROP, GateCounters { cache_dropped: 1, ..NONE }));
    assert_eq!(cache.get(&tuple).map(|entry| (entry.packets, entry.bytes)), Some((1, flow.len() as u64)));
}

#[test]
fn a_list_that_only_tells_lets_through() {
    let mut gate = Listed::new(Fail::Open, true);
    gate.publish(&[&[], &[], &[("203.0.113.0", 24)]]);
    let frame = between("203.0.113.8", "192.0.2.1", &[7]);
    gate.check(&frame, GOES_ON);
    assert_eq!(gate.lists.hits(id(2)).packets, 1);
    let [sample] = <[ListSample; 1]>::try_from(gate.lists.samples(10)).unwrap();
    assert_eq!((sample.list, sample.dropped, sample.port), (2, false, 0));
    assert_eq!((sample.length as usize, sample.bytes.as_slice()), (frame.len(), frame.as_slice()));
}

#[test]
fn lists_hold_whether_or_not_a_worker_lives() {
    for fail in [Fail::Open, Fail::Closed] {
        let mut gate = Listed::new(fail, true);
        let everywhere =
            Bypass { network: bits("198.51.100.0", 24), peer: None, protocol: None, ports: None };
        let table = table(&[&[], &[("203.0.113.0", 24)]]);
        gate.lists.publish(&table, &[everywhere], &policy()).unwrap();
        let on = |queue: u32, source: &str| gate.bench.run(&between(source, "192.0.2.1", &[]), 0, queue, 0);
        for queue in [0, 1] {
            assert_eq!(on(queue, "203.0.113.1"), (DROP, BLOCKED));
            assert_eq!(on(queue, "198.51.100.1"), (REDIRECT, BYPASSED));
        }
    }
}

fn bits(address: &str, length: u8) -> (IpAddr, u8) {
    (address.parse().unwrap(), length)
}

#[test]
fn a_bypass_is_for_both_directions_and_what_it_names() {
    let mut gate = Listed::new(Fail::Closed, true);
    let rules = [
        Bypass {
            network: bits("198.51.100.0", 24),
            peer: Some(bits("203.0.113.7", 32)),
            protocol: None,
            ports: None,
        },
        Bypass { network: bits("192.0.2.0", 24), peer: None, protocol: Some(17), ports: Some(53..=54) },
        Bypass { network: bits("2001:db8::", 32), peer: None, protocol: Some(6), ports: None },
    ];
    gate.lists.publish(&table(&[&[], &[("203.0.113.7", 32)]]), &rules, &policy()).unwrap();
    let bypassed = (REDIRECT, BYPASSED);
    gate.check(&between("198.51.100.1", "203.0.113.7", &[]), bypassed);
    gate.check(&between("203.0.113.7", "198.51.100.1", &[9]), bypassed);
    // A bypass goes before a blocklist; whom it does not name meets that.
    gate.check(&between("203.0.113.7", "198.51.101.1", &[]), (DROP, BLOCKED));
    gate.check(&between("198.51.100.1", "198.51.100.2", &[]), GOES_ON);
    gate.check(&between("192.0.2.1", "198.51.101.1", &[]), bypassed);
    gate.check(&between("198.51.101.1", "192.0.2.1", &[]), bypassed);
    let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "198.51.101.1".parse().unwrap());
    gate.check(&packet(one, other, &[]).udp(54, 1000).to_vec(), bypassed);
    gate.check(&packet(one, other, &[]).udp(55, 1000).to_vec(), GOES_ON);
    gate.check(&packet(one, other, &[]).tcp(1000, 53).to_vec(), GOES_ON);
    // A fragment has no ports, not even the first one.
    gate.check(&packet(one, other, &[]).udp(1000, 53).fragment(0, true).to_vec(), GOES_ON);
    gate.check(&between("2001:db8::1", "2a00::1", &[]), GOES_ON);
    let (one, other): (IpAddr, IpAddr) = ("2a00::1".parse().unwrap(), "2001:db8::1".parse().unwrap());
    gate.check(&packet(one, other, &[]).tcp(1000, 53).to_vec(), bypassed);
    assert_eq!([0, 1, 2, 3].map(|rule| gate.lists.bypass_hits(rule).packets), [2, 3, 1, 0]);
}

#[test]
fn where_nothing_is_forwarded_a_bypass_is_not_looked_at() {
    let mut gate = Listed::new(Fail::Open, false);
    let rule = Bypass { network: bits("198.51.100.0", 24), peer: None, protocol: None, ports: None };
    let policy = ListPolicy { forward: false, ..policy() };
    gate.lists.publish(&Table::default(), &[rule], &policy).unwrap();
    gate.check(&between("198.51.100.1", "203.0.113.7", &[]), (DROP, BYPASSED));
}

#[test]
fn a_generation_takes_the_place_of_the_one_before() {
    let mut gate = Listed::new(Fail::Open, true);
    for round in 0..5_u8 {
        let (is, was) = (format!("198.51.100.{round}"), format!("198.51.100.{}", round.wrapping_sub(1)));
        gate.publish(&[&[], &[(&is, 32)]]);
        gate.check(&between(&is, "192.0.2.1", &[]), (DROP, BLOCKED));
        gate.check(&between(&was, "192.0.2.1", &[]), GOES_ON);
    }
    gate.publish(&[]);
    gate.check(&between("198.51.100.4", "192.0.2.1", &[]), GOES_ON);
    let many: Vec<String> =
        (0..=255_u8).flat_map(|a| (0..=255_u8).map(move |b| format!("9.{a}.{b}.1"))).collect();
    let many: Vec<(&str, u8)> = many.iter().map(|address| (address.as_str(), 32)).collect();
    gate.publish(&[&[], &[("198.51.100.9", 32)]]);
    let refused = gate.lists.publish(&table(&[&[], &many]), &[], &policy()).unwrap_err().to_string();
    assert!(refused.contains("65536 entries of IPv4"), "{refused}");
    gate.check(&between("198.51.100.9", "192.0.2.1", &[]), (DROP, BLOCKED));
}

#[test]
fn samples_are_one_in_so_many_and_bounded() {
    let mut gate = Listed::new(Fail::Open, true);
    let policy = ListPolicy { sample_every: 3, ..policy() };
    gate.lists.publish(&table(&[&[], &[("203.0.113.0", 24)]]), &[], &policy).unwrap();
    let frame = between("203.0.113.8", "192.0.2.1", &[]);
    let cpus = || (0..90).for_each(|_| gate.check(&frame, (DROP, BLOCKED)));
    cpus();
    let samples = gate.lists.samples(1000);
    // Counted for each CPU, of which the test may have been on several.
    assert!((20..=30).contains(&samples.len()), "{}", samples.len());
    assert!(samples.iter().all(|sample| sample.dropped && sample.list == 1 && sample.bytes == frame));
    assert_eq!(gate.lists.samples(1000), []);
}

#[test]
fn a_full_ring_loses_samples_and_says_so() {
    let mut gate = Listed::new(Fail::Open, true);
    let policy = ListPolicy { sample_most: u32::MAX, ..policy() };
    gate.lists.publish(&table(&[&[], &[("203.0.113.0", 24)]]), &[], &policy).unwrap();
    let frame = between("203.0.113.8", "192.0.2.1", &[]);
    for _ in 0..2000 {
        gate.check(&frame, (DROP, BLOCKED));
    }
    let hits = gate.lists.hits(id(1));
    let taken = gate.lists.samples(usize::MAX).len() as u64;
    assert!(hits.samples_lost > 0 && taken + hits.samples_lost == hits.packets, "{taken} {hits:?}");
    // There is room again, also across the end of the ring.
    for round in 0..20 {
        gate.check(&frame, (DROP, BLOCKED));
        let again = gate.lists.samples(usize::MAX);
        assert!(again.len() == 1 && again[0].bytes == frame, "{round}");
        for _ in 0..300 {
            gate.check(&frame, (DROP, BLOCKED));
        }
        assert_eq!(gate.lists.samples(usize::MAX).len(), 300);
    }
}

#[test]
fn the_program_finds_what_tables_say() {
    use proptest::prelude::*;
    let mut gate = Listed::new(Fail::Open, true);
    let entry = (any::<u32>(), 1_u8..=32).prop_map(|(address, length)| (address & 0xff03_0f83, length));
    let wide = (any::<u128>(), 1_u8..=128).prop_map(|(address, length)| {
        (address & 0xff03 << 112 | address & 0x0f83 << 60 | address & 3, length)
    });
    let lists = (proptest::collection::vec(entry, 1..30), proptest::collection::vec(wide, 1..30));
    let mut runner = TestRunner::new(Config::with_cases(12));
    for _ in 0..12 {
        let (v4, v6) = lists.new_tree(&mut runner).unwrap().current();
        let mut nets = Nets::default();
        v4.iter().for_each(|(address, length)| nets.add(Ipv4Addr::from(*address).into(), *length));
        v6.iter().for_each(|(address, length)| nets.add(Ipv6Addr::from(*address).into(), *length));
        let (set, _) = NetSet::new(nets);
        let table = Table::new(std::iter::once((id(1), &set)));
        gate.lists.publish(&table, &[], &policy()).unwrap();
        let ends4 = table.v4().iter().flat_map(|entry| {
            let (first, last) = (entry.net.first(), entry.net.last());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
        });
        let ends6 = table.v6().iter().flat_map(|entry| {
            let (first, last) = (entry.net.first(), entry.net.last());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
        });
        let ends4 = ends4.map(|end| IpAddr::from(Ipv4Addr::from(end)));
        for end in ends4.chain(ends6.map(|end| Ipv6Addr::from(end).into())) {
            let other = if end.is_ipv4() { "192.0.2.1" } else { "2001:db8::1" };
            let other: IpAddr = other.parse().unwrap();
            let listed = !table.find(end).is_empty() || !table.find(other).is_empty();
            let expected = if listed { (DROP, BLOCKED) } else { GOES_ON };
            assert_eq!(
                gate.bench.run(&packet(end, other, &[]).udp(1, 2).to_vec(), 0, 0, 0),
                expected,
                "{end}"
            );
        }
    }
}
