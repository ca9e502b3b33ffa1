//! What the program makes of frames whose flows are decided, by BPF_PROG_TEST_RUN; and the cache as its user sees it.
//! Port 0 has a socket on queue 0 and none on queue 1.

use crate::cache::{CacheAction, CacheEntry, CacheError, VerdictCache};
use crate::config::{Fail, Liveness, Overload};
use crate::counters::GateCounters;
use crate::layout;
use crate::program_tests::{Bench, DROP, NONE, QUEUES, REDIRECT, SOCKET};
use crate::pulse::{Pulses, coarse_now};
use crate::tuple::{Side, Tuple};
use libbpf_rs::{MapCore, MapFlags};
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::{TcpFlags, mapped};
use std::collections::BTreeMap;
use std::os::fd::AsFd;

/// Entries that the bench's cache has room for.
const ROOM: u8 = 8;
const GENERATION: u32 = 5;
const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [198, 51, 100, 2];

const PASSED: GateCounters = GateCounters { cache_passed: 1, ..NONE };
const DROPPED: GateCounters = GateCounters { cache_dropped: 1, ..NONE };
const UNINSPECTED: GateCounters = GateCounters { uninspected: 1, no_socket: 1, ..NONE };
const CLOSED: GateCounters = GateCounters { closed: 1, no_socket: 1, ..NONE };

struct Cached {
    bench: Bench,
    cache: VerdictCache,
}

impl Cached {
    fn new(fail: Fail) -> Self {
        let bench = Bench::new(fail, true);
        let cache = bench.cache();
        cache.set_generation(GENERATION);
        Self { bench, cache }
    }

    fn put(&self, tuple: &Tuple, action: CacheAction) {
        self.cache.put(tuple, &fresh(action)).unwrap();
    }

    /// What becomes of a frame at port 0, by queue: the first has a worker.
    fn frame(&self, frame: &[u8], queue: u32) -> (u32, GateCounters) {
        self.bench.run(frame, 0, queue, 0)
    }

    fn counts(&self, tuple: &Tuple) -> (u64, u64) {
        let entries = self.cache.entries();
        let (_, entry) = entries.iter().find(|(other, _)| other == tuple).unwrap();
        (entry.packets, entry.bytes)
    }
}

fn fresh(action: CacheAction) -> CacheEntry {
    let until = coarse_now() + 3_600_000_000_000;
    CacheEntry { packets: 0, bytes: 0, until, generation: GENERATION, action }
}

fn tuple() -> Tuple {
    Tuple {
        source: mapped(CLIENT),
        destination: mapped(SERVER),
        source_port: 40_000,
        destination_port: 443,
        vlans: [None; 3],
        version: 4,
        protocol: 6,
        set: 0,
        side: Side::First,
    }
}

fn packet<'a>() -> PacketBuilder<'a> {
    PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(CLIENT, SERVER)
        .tcp(40_000, 443)
        .flags(TcpFlags::ACK)
        .minimum(60)
}

#[test]
fn a_decided_flow_is_answered_and_counted() {
    let cached = Cached::new(Fail::Open);
    let frame = packet().to_vec();
    assert_eq!(cached.frame(&frame, 0), (REDIRECT, SOCKET));
    cached.put(&tuple(), CacheAction::Drop);
    for _ in 0..3 {
        assert_eq!(cached.frame(&frame, 0), (DROP, DROPPED));
    }
    assert_eq!(cached.counts(&tuple()), (3, 180));
    cached.put(&tuple(), CacheAction::Pass);
    assert_eq!(cached.frame(&frame, 0), (REDIRECT, PASSED));
    assert_eq!(cached.frame(&packet().payload(&[0; 100]).to_vec(), 0), (REDIRECT, PASSED));
    assert_eq!(cached.cache.get(&tuple()).map(|entry| entry.packets), Some(2));
    let taken = cached.cache.take(&tuple()).unwrap();
    assert_eq!((taken.packets, taken.bytes, taken.action), (2, 60 + 154, CacheAction::Pass));
    assert_eq!(cached.cache.take(&tuple()), None);
    assert_eq!(cached.frame(&frame, 0), (REDIRECT, SOCKET));
}

#[test]
fn only_its_own_frames_are_answered() {
    let cached = Cached::new(Fail::Open);
    let frame = packet().to_vec();
    let others = [
        ("from the other side", Tuple { side: Side::Second, ..tuple() }),
        ("of another set", Tuple { set: 1, ..tuple() }),
        ("in a VLAN", Tuple { vlans: [Some(0), None, None], ..tuple() }),
        ("the other way", Tuple { source: mapped(SERVER), destination: mapped(CLIENT), ..tuple() }),
        ("of another port", Tuple { source_port: 40_001, ..tuple() }),
        ("of another protocol", Tuple { protocol: 17, ..tuple() }),
        ("of IPv6", Tuple { version: 6, ..tuple() }),
    ];
    for (name, other) in others {
        cached.put(&other, CacheAction::Drop);
        assert_eq!(cached.frame(&frame, 0), (REDIRECT, SOCKET), "{name}");
    }
    cached.put(&tuple(), CacheAction::Drop);
    assert_eq!(cached.frame(&frame, 0), (DROP, DROPPED));
    let tagged = PacketBuilder::ethernet([2; 6], [4; 6]).vlan(9).ipv4(CLIENT, SERVER).tcp(40_000, 443);
    assert_eq!(cached.frame(&tagged.flags(TcpFlags::ACK).to_vec(), 0), (REDIRECT, SOCKET));
}

#[test]
fn what_is_not_plain_goes_to_user_space() {
    let cached = Cached::new(Fail::Open);
    cached.put(&tuple(), CacheAction::Drop);
    let frames = [
        ("SYN", packet().flags(TcpFlags::SYN).to_vec()),
        ("FIN", packet().flags(TcpFlags::FIN | TcpFlags::ACK).to_vec()),
        ("RST", packet().flags(TcpFlags::RST).to_vec()),
        ("fragment", packet().fragment(0, true).to_vec()),
        ("options", packet().ip_options(&[1; 4]).to_vec()),
        ("cut", packet().payload(&[0; 100]).to_vec()[..80].to_vec()),
    ];
    for (name, frame) in frames {
        assert_eq!(cached.frame(&frame, 0), (REDIRECT, SOCKET), "{name}");
    }
    assert_eq!(cached.counts(&tuple()), (0, 0));
}

#[test]
fn other_rules_and_time_end_a_verdict() {
    let cached = Cached::new(Fail::Open);
    let frame = packet().to_vec();
    cached.put(&tuple(), CacheAction::Drop);
    for (generation, expected) in
        [(GENERATION + 1, (REDIRECT, SOCKET)), (0, (REDIRECT, SOCKET)), (GENERATION, (DROP, DROPPED))]
    {
        cached.cache.set_generation(generation);
        assert_eq!(cached.cache.generation(), generation);
        assert_eq!(cached.frame(&frame, 0), expected, "generation {generation}");
    }
    let over = CacheEntry { until: coarse_now(), ..fresh(CacheAction::Drop) };
    cached.cache.put(&tuple(), &over).unwrap();
    assert_eq!(cached.frame(&frame, 0), (REDIRECT, SOCKET));
}

#[test]
fn a_condemned_flow_stays_so_without_a_worker() {
    for (fail, uncached) in [(Fail::Open, (REDIRECT, UNINSPECTED)), (Fail::Closed, (DROP, CLOSED))] {
        let cached = Cached::new(fail);
        let frame = packet().to_vec();
        assert_eq!(cached.frame(&frame, 1), uncached);
        cached.put(&tuple(), CacheAction::Drop);
        assert_eq!(cached.frame(&frame, 1), (DROP, DROPPED));
    }
}

#[test]
fn a_passed_flow_needs_a_worker_or_an_open_gate() {
    let frame = packet().to_vec();
    for (fail, expected) in [(Fail::Open, (REDIRECT, PASSED)), (Fail::Closed, (DROP, CLOSED))] {
        let cached = Cached::new(fail);
        cached.put(&tuple(), CacheAction::Pass);
        assert_eq!(cached.frame(&frame, 0), (REDIRECT, PASSED));
        assert_eq!(cached.frame(&frame, 1), expected);
    }
}

#[test]
fn a_busy_worker_is_spared() {
    let cached = Cached::new(Fail::Closed);
    let maps = &cached.bench.loaded.maps;
    let liveness = Liveness { overload: Overload::Drop, room: 1, ..Liveness::default() };
    let settings = layout::settings(Fail::Closed, QUEUES, &liveness, 0);
    maps.settings.update(&[0; 4], &settings, MapFlags::ANY).unwrap();
    let pulses = Pulses::map(maps.pulses.as_fd(), 2 * QUEUES, QUEUES, liveness.beat_limit).unwrap();
    pulses.beat(0, 0).unwrap().store(coarse_now(), 0);
    let frame = packet().to_vec();
    assert_eq!(cached.frame(&frame, 0), (REDIRECT, SOCKET));
    let refused = GateCounters { overload_dropped: 1, ..NONE };
    assert_eq!(cached.frame(&frame, 0), (DROP, refused));
    cached.put(&tuple(), CacheAction::Pass);
    assert_eq!(cached.frame(&frame, 0), (REDIRECT, PASSED));
}

#[test]
fn a_full_cache_refuses_and_one_that_is_taken_makes_room() {
    let cached = Cached::new(Fail::Open);
    let port = |source_port| Tuple { source_port, ..tuple() };
    let mut room = 0;
    while cached.cache.put(&port(room), &fresh(CacheAction::Drop)).is_ok() {
        room += 1;
        assert!(room < 1000, "it has a bound");
    }
    assert_eq!(room, u16::from(ROOM));
    let refused = cached.cache.put(&port(room), &fresh(CacheAction::Drop));
    assert!(matches!(refused, Err(CacheError::Full)), "{refused:?}");
    // One in the place of another needs no room.
    cached.cache.put(&port(0), &fresh(CacheAction::Pass)).unwrap();
    assert!(cached.cache.take(&port(1)).is_some());
    cached.cache.put(&port(room), &fresh(CacheAction::Drop)).unwrap();
    let entries = cached.cache.entries().into_iter();
    let seen: BTreeMap<u16, _> = entries.map(|(tuple, entry)| (tuple.source_port, entry.action)).collect();
    let expected = (0..=room).filter(|port| *port != 1);
    assert!(seen.keys().copied().eq(expected), "{seen:?}");
    assert_eq!((seen[&0], seen[&room]), (CacheAction::Pass, CacheAction::Drop));
}
