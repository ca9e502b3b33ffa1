//! What the program does with a frame, case by case: each is run in the kernel by BPF_PROG_TEST_RUN.

use crate::cache::{CacheMap, VerdictCache};
use crate::config::{Fail, Liveness};
use crate::counters::GateCounters;
use crate::device;
use crate::layout;
use crate::program::{Loaded, Sizes, load};
use crate::switch::PanicSwitch;
use crate::sys;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use portcullis_testkit::{NetNs, VethPair, require_root};
use rustix::net::{AddressFamily, SocketType, socket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

const ABORTED: u32 = 0;
pub(crate) const DROP: u32 = 1;
const PASS: u32 = 2;
pub(crate) const REDIRECT: u32 = 4;

pub(crate) const QUEUES: u32 = 2;

/// The program in the kernel over ports 0 and 1; a socket on queue 0 of port 0 alone.
pub(crate) struct Bench {
    namespace: NetNs,
    pub(crate) loaded: Loaded,
    indices: Vec<u32>,
    _socket: OwnedFd,
}

impl Bench {
    pub(crate) fn new(fail: Fail, forward: bool) -> Self {
        Self::with_lists(fail, forward, 1, false)
    }

    /// With as many lines of lists; `frags`: the program for frames of several buffers.
    pub(crate) fn with_lists(fail: Fail, forward: bool, lines: u32, frags: bool) -> Self {
        require_root();
        let namespace = NetNs::new("program").unwrap();
        VethPair::between(&namespace, "port0", &namespace, "port1", QUEUES, 1500).unwrap();
        VethPair::between(&namespace, "other0", &namespace, "other1", QUEUES, 1500).unwrap();
        let indices: Vec<u32> = namespace
            .run(|| ["port0", "port1", "other0"].map(|name| device::ifindex(name).unwrap()))
            .to_vec();
        let loaded =
            load(Sizes { slots: 2 * QUEUES, cache: CacheMap::lines(8), lists: lines }, None, frags).unwrap();
        let maps = &loaded.maps;
        for (place, value) in (0_u32..).zip(layout::port_places(&indices[..2])) {
            maps.port_of.update(&place.to_ne_bytes(), &value, MapFlags::ANY).unwrap();
        }
        for port in 0..2_u32 {
            let settings = layout::settings(fail, QUEUES, &Liveness::default(), 0);
            maps.settings.update(&port.to_ne_bytes(), &settings, MapFlags::ANY).unwrap();
            if forward {
                let peer = indices[1 - port as usize].to_ne_bytes();
                let put = || maps.peers.update(&port.to_ne_bytes(), &peer, MapFlags::ANY);
                namespace.run(put).unwrap();
            }
        }
        let socket = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
        let value = socket.as_raw_fd().to_ne_bytes();
        maps.sockets.update(&0_u32.to_ne_bytes(), &value, MapFlags::ANY).unwrap();
        Self { namespace, loaded, indices, _socket: socket }
    }

    /// Its verdict cache.
    pub(crate) fn cache(&self) -> VerdictCache {
        let verdicts = &self.loaded.maps.verdicts;
        let lines = verdicts.as_fd().try_clone_to_owned().unwrap();
        VerdictCache::open(&CacheMap { lines, line_count: verdicts.max_entries() }).unwrap()
    }

    /// Runs one frame; the action, and what was counted for `port`.
    pub(crate) fn run(&self, frame: &[u8], interface: usize, queue: u32, port: u32) -> (u32, GateCounters) {
        let before = self.counted(port);
        let run = || sys::test_run(self.loaded.program.as_fd(), frame, self.indices[interface], queue);
        let action = self.namespace.run(run).unwrap();
        let after = self.counted(port);
        (action, after.since(&before))
    }

    fn counted(&self, port: u32) -> GateCounters {
        let values = self.loaded.maps.counters.lookup_percpu(&port.to_ne_bytes(), MapFlags::ANY);
        let mut total = GateCounters::default();
        for value in values.unwrap().unwrap() {
            total += GateCounters::from_bytes(&value[..GateCounters::SIZE]).unwrap();
        }
        total
    }
}

pub(crate) fn to(mac: [u8; 6]) -> Vec<u8> {
    let mut frame = mac.to_vec();
    frame.extend([2, 0, 0, 0, 0, 1, 0x08, 0x00]);
    frame.resize(60, 0x5a);
    frame
}

pub(crate) const UNICAST: [u8; 6] = [2, 0, 0, 0, 0, 2];
const BROADCAST: [u8; 6] = [0xff; 6];

/// Destinations of frames about the link itself.
const CONTROL: [(&str, [u8; 6]); 7] = [
    ("STP", [0x01, 0x80, 0xc2, 0, 0, 0x00]),
    ("pause, as its first reserved neighbour", [0x01, 0x80, 0xc2, 0, 0, 0x01]),
    ("LACP", [0x01, 0x80, 0xc2, 0, 0, 0x02]),
    ("EAPOL", [0x01, 0x80, 0xc2, 0, 0, 0x03]),
    ("LLDP and PTP peer delay", [0x01, 0x80, 0xc2, 0, 0, 0x0e]),
    ("the last of the block", [0x01, 0x80, 0xc2, 0, 0, 0x0f]),
    ("PTP", [0x01, 0x1b, 0x19, 0, 0, 0]),
];

/// Destinations that differ from those by one bit or byte.
const ORDINARY: [(&str, [u8; 6]); 8] = [
    ("unicast", UNICAST),
    ("broadcast", BROADCAST),
    ("GARP, past the block", [0x01, 0x80, 0xc2, 0, 0, 0x10]),
    ("GVRP", [0x01, 0x80, 0xc2, 0, 0, 0x21]),
    ("another group's OUI", [0x01, 0x80, 0xc3, 0, 0, 0x00]),
    ("a byte before the last", [0x01, 0x80, 0xc2, 0, 1, 0x00]),
    ("past PTP", [0x01, 0x1b, 0x19, 0, 0, 1]),
    ("IPv4 multicast", [0x01, 0x00, 0x5e, 0, 0, 1]),
];

/// Runs every frame of a table and compares the action and the one counter that moved.
fn check(bench: &Bench, table: &[(&str, [u8; 6])], queue: u32, action: u32, counted: GateCounters) {
    for (name, mac) in table {
        assert_eq!(bench.run(&to(*mac), 0, queue, 0), (action, counted), "{name}");
    }
}

pub(crate) const NONE: GateCounters = GateCounters {
    socket: 0,
    control: 0,
    uninspected: 0,
    closed: 0,
    no_peer: 0,
    foreign: 0,
    overload_bypassed: 0,
    overload_dropped: 0,
    switched: 0,
    cache_passed: 0,
    cache_dropped: 0,
    list_bypassed: 0,
    list_blocked: 0,
    no_socket: 0,
    stale: 0,
};
pub(crate) const SOCKET: GateCounters = GateCounters { socket: 1, ..NONE };
const TO_PEER: GateCounters = GateCounters { control: 1, ..NONE };
const UNINSPECTED: GateCounters = GateCounters { uninspected: 1, no_socket: 1, ..NONE };
const CLOSED: GateCounters = GateCounters { closed: 1, no_socket: 1, ..NONE };
const NO_PEER: GateCounters = GateCounters { no_peer: 1, ..NONE };
const FOREIGN: GateCounters = GateCounters { foreign: 1, ..NONE };

#[test]
fn frames_go_to_the_socket_of_their_queue() {
    for fail in [Fail::Open, Fail::Closed] {
        check(&Bench::new(fail, true), &ORDINARY, 0, REDIRECT, SOCKET);
    }
}

#[test]
fn control_frames_go_to_the_peer_while_a_worker_lives() {
    for fail in [Fail::Open, Fail::Closed] {
        check(&Bench::new(fail, true), &CONTROL, 0, REDIRECT, TO_PEER);
    }
}

#[test]
fn without_a_socket_an_open_gate_passes_everything_on() {
    let bench = Bench::new(Fail::Open, true);
    check(&bench, &ORDINARY, 1, REDIRECT, UNINSPECTED);
    check(&bench, &CONTROL, 1, REDIRECT, TO_PEER);
}

#[test]
fn without_a_socket_a_closed_gate_drops_everything() {
    let bench = Bench::new(Fail::Closed, true);
    check(&bench, &ORDINARY, 1, DROP, CLOSED);
    check(&bench, &CONTROL, 1, DROP, CLOSED);
}

#[test]
fn a_queue_beyond_the_slots_is_one_without_a_socket() {
    // One slot a port: queue 1 of port 0 must not reach the socket slot of port 1.
    let bench = Bench::new(Fail::Closed, true);
    let settings = layout::settings(Fail::Closed, 1, &Liveness::default(), 0);
    bench.loaded.maps.settings.update(&[0; 4], &settings, MapFlags::ANY).unwrap();
    let other = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
    let value = other.as_raw_fd().to_ne_bytes();
    bench.loaded.maps.sockets.update(&1_u32.to_ne_bytes(), &value, MapFlags::ANY).unwrap();
    check(&bench, &ORDINARY, 1, DROP, CLOSED);
    check(&bench, &CONTROL, 1, DROP, CLOSED);
}

#[test]
fn a_set_that_only_listens_sends_nothing() {
    let bench = Bench::new(Fail::Open, false);
    check(&bench, &ORDINARY, 0, REDIRECT, SOCKET);
    check(&bench, &ORDINARY, 1, DROP, GateCounters { no_socket: 1, ..NO_PEER });
    check(&bench, &CONTROL, 0, DROP, NO_PEER);
}

#[test]
fn frames_of_other_interfaces_are_left_to_the_stack() {
    let bench = Bench::new(Fail::Closed, true);
    assert_eq!(bench.run(&to(UNICAST), 2, 0, 0), (PASS, FOREIGN));
}

#[test]
fn each_port_counts_its_own() {
    let bench = Bench::new(Fail::Open, true);
    assert_eq!(bench.run(&to(UNICAST), 1, 0, 1), (REDIRECT, UNINSPECTED));
    assert_eq!(bench.run(&to(UNICAST), 1, 0, 0), (REDIRECT, GateCounters::default()));
}

#[test]
fn each_set_has_its_own_policy_and_switch() {
    let bench = Bench::new(Fail::Closed, true);
    let maps = &bench.loaded.maps;
    let open = layout::settings(Fail::Open, QUEUES, &Liveness::default(), 7);
    maps.settings.update(&1_u32.to_ne_bytes(), &open, MapFlags::ANY).unwrap();
    assert_eq!(bench.run(&to(UNICAST), 0, 1, 0), (DROP, CLOSED));
    assert_eq!(bench.run(&to(UNICAST), 1, 1, 1), (REDIRECT, UNINSPECTED));
    let map = || MapHandle::from_map_id(maps.panic_switch.info().unwrap().info.id).unwrap();
    PanicSwitch::new(map(), 7).on(None).unwrap();
    assert_eq!(bench.run(&to(UNICAST), 0, 1, 0), (DROP, CLOSED), "another set's switch");
    let switched = (REDIRECT, GateCounters { switched: 1, ..NONE });
    assert_eq!(bench.run(&to(UNICAST), 1, 1, 1), switched);
    PanicSwitch::new(map(), 0).on(None).unwrap();
    assert_eq!(bench.run(&to(UNICAST), 0, 1, 0), switched);
}

#[test]
fn every_length_that_the_kernel_takes_has_an_action() {
    let bench = Bench::new(Fail::Open, true);
    for length in 14..=100 {
        let (action, counted) = bench.run(&vec![0x11; length], 0, 0, 0);
        assert_eq!((action, counted), (REDIRECT, SOCKET), "{length} bytes");
        assert_ne!(action, ABORTED);
    }
}
