//! What the program notes of TCP that passes uninspected, by BPF_PROG_TEST_RUN, and what is found of it here.

use crate::config::{Fail, Liveness, Overload};
use crate::layout;
use crate::passed::{End, Passed, place};
use crate::program_tests::{Bench, QUEUES, REDIRECT};
use crate::pulse::{Pulses, coarse_now};
use crate::switch::PanicSwitch;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use portcullis_wire::builder::PacketBuilder;
use std::os::fd::AsFd;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

fn v4(host: u8, port: u16) -> End {
    let mut address = [0; 16];
    address[10..].copy_from_slice(&[0xff, 0xff, 10, 0, 0, host]);
    (address, port)
}

fn tcp(source: u16, destination: u16) -> Vec<u8> {
    let builder = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(source, destination).flags(0x10).to_vec()
}

fn udp() -> Vec<u8> {
    let builder = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1000, 80).to_vec()
}

fn passed(bench: &Bench) -> Passed {
    Passed::map(bench.loaded.maps.passed.as_fd()).unwrap()
}

/// Is the connection known, in either direction, as one of now?
fn knows(passed: &Passed, set: u8, port: u16) -> bool {
    let found = passed.last(set, v4(1, port), v4(2, 80));
    assert_eq!(found, passed.last(set, v4(2, 80), v4(1, port)));
    found.is_some_and(|time| coarse_now() - time < 60 * SECOND)
}

#[test]
fn what_passes_without_a_worker_is_noted_and_nothing_else() {
    let bench = Bench::new(Fail::Open, true);
    let passed = passed(&bench);
    assert!(!knows(&passed, 0, 1000));
    // Queue 0 has a socket, queue 1 has none.
    assert_eq!(bench.run(&tcp(1001, 80), 0, 0, 0).0, REDIRECT);
    assert!(!knows(&passed, 0, 1001), "it was inspected");
    assert_eq!(bench.run(&tcp(1000, 80), 0, 1, 0).0, REDIRECT);
    assert!(knows(&passed, 0, 1000) && !knows(&passed, 1, 1000));
    assert_eq!(passed.last(0, v4(1, 80), v4(2, 1000)), None, "ports belong to their addresses");
    assert_eq!(bench.run(&udp(), 0, 1, 0).0, REDIRECT);
    assert!(!knows(&passed, 0, 80));
    let closed = Bench::new(Fail::Closed, true);
    closed.run(&tcp(1000, 80), 0, 1, 0);
    assert!(!knows(&self::passed(&closed), 0, 1000), "it was dropped");
}

#[test]
fn so_is_what_the_panic_switch_lets_pass_and_an_overload() {
    let bench = Bench::new(Fail::Closed, true);
    let passed = passed(&bench);
    let map = MapHandle::from_map_id(bench.loaded.maps.panic_switch.info().unwrap().info.id).unwrap();
    let switch = PanicSwitch::new(map, 0);
    switch.on(Some(Duration::from_secs(60))).unwrap();
    bench.run(&tcp(1000, 80), 0, 0, 0);
    assert!(knows(&passed, 0, 1000));
    switch.off().unwrap();
    let busy = Liveness { overload: Overload::Bypass, room: 1, ..Liveness::default() };
    let settings = layout::settings(Fail::Closed, QUEUES, &busy, 0);
    bench.loaded.maps.settings.update(&[0; 4], &settings, MapFlags::ANY).unwrap();
    let pulses = Pulses::map(bench.loaded.maps.pulses.as_fd(), 2 * QUEUES, QUEUES, Duration::ZERO).unwrap();
    pulses.beat(0, 0).unwrap().store(coarse_now(), 0);
    bench.run(&tcp(1001, 80), 0, 0, 0);
    bench.run(&tcp(1002, 80), 0, 0, 0);
    assert!(!knows(&passed, 0, 1001) && knows(&passed, 0, 1002));
}

#[test]
fn where_there_is_no_room_the_one_goes_that_was_seen_longest_ago() {
    let bench = Bench::new(Fail::Open, true);
    let passed = passed(&bench);
    let map = &bench.loaded.maps.passed;
    let (line, tag) = place(0, 0, v4(1, 1000), v4(2, 80));
    let others = std::array::from_fn::<_, 8, _>(|at| {
        let at = u64::try_from(at).unwrap();
        (u64::from(tag) + 1 + at) << 32 | (100 + (at ^ 3))
    });
    let bytes: Vec<u8> = others.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let key = u32::try_from(line).unwrap().to_ne_bytes();
    map.update(&key, &bytes, MapFlags::ANY).unwrap();
    bench.run(&tcp(1000, 80), 0, 1, 0);
    assert!(knows(&passed, 0, 1000));
    let now = map.lookup(&key, MapFlags::ANY).unwrap().unwrap();
    let changed: Vec<usize> = (0..8).filter(|at| now[at * 8..][..8] != bytes[at * 8..][..8]).collect();
    assert_eq!(changed, [3], "the fourth was the oldest");
}
