//! What the program makes of a worker that is late or busy, case by case, by BPF_PROG_TEST_RUN. The socket of queue 0 of
//! port 0 stands; its heartbeat is ours to write.

use crate::config::{Fail, Liveness, Overload};
use crate::counters::GateCounters;
use crate::layout;
use crate::program_tests::{Bench, DROP, NONE, QUEUES, REDIRECT, SOCKET, UNICAST, to};
use crate::pulse::{Beat, BlindWindow, Pulses, coarse_now};
use crate::switch::PanicSwitch;
use libbpf_rs::{MapCore, MapFlags, MapHandle, RingBufferBuilder};
use std::cell::RefCell;
use std::os::fd::AsFd;
use std::time::Duration;

const ROOM: u32 = 8;
const LIMIT: Duration = Duration::from_secs(20);
const FULL_LIMIT: Duration = Duration::from_secs(5);

/// Heartbeats watched, with limits so long that a slow machine does not meet them by itself.
fn watched() -> Liveness {
    Liveness { room: ROOM, beat_limit: LIMIT, full_limit: FULL_LIMIT, ..Liveness::default() }
}

struct Watched {
    bench: Bench,
    pulses: Pulses,
    beat: Beat,
}

impl Watched {
    fn new(fail: Fail, liveness: &Liveness) -> Self {
        let bench = Bench::new(fail, true);
        let maps = &bench.loaded.maps;
        let settings = layout::settings(fail, QUEUES, liveness, 0);
        maps.settings.update(&[0; 4], &settings, MapFlags::ANY).unwrap();
        let pulses = Pulses::map(maps.pulses.as_fd(), 2 * QUEUES, QUEUES, liveness.beat_limit).unwrap();
        let beat = pulses.beat(0, 0).unwrap();
        beat.store(coarse_now(), 0);
        Self { bench, pulses, beat }
    }

    fn frame(&self) -> (u32, GateCounters) {
        self.bench.run(&to(UNICAST), 0, 0, 0)
    }

    /// Has the worker last looked this long ago.
    fn looked(&self, ago: Duration, taken: u64) {
        self.beat.store(coarse_now() - u64::try_from(ago.as_nanos()).unwrap(), taken);
    }

    fn fill(&self) {
        for _ in 0..ROOM {
            assert_eq!(self.frame(), (REDIRECT, SOCKET));
        }
    }

    fn windows(&self) -> Vec<BlindWindow> {
        let found = RefCell::new(Vec::new());
        let mut ring = RingBufferBuilder::new();
        let take = |bytes: &[u8]| {
            found.borrow_mut().push(BlindWindow::from_bytes(bytes).unwrap());
            0
        };
        ring.add(&self.bench.loaded.maps.windows, take).unwrap();
        ring.build().unwrap().consume().unwrap();
        found.into_inner()
    }
}

const STALE_OPEN: GateCounters = GateCounters { uninspected: 1, stale: 1, ..NONE };
const STALE_CLOSED: GateCounters = GateCounters { closed: 1, stale: 1, ..NONE };

#[test]
fn a_late_worker_is_a_dead_one() {
    for (fail, action, counted) in [(Fail::Open, REDIRECT, STALE_OPEN), (Fail::Closed, DROP, STALE_CLOSED)] {
        let watched = Watched::new(fail, &watched());
        watched.looked(LIMIT / 2, 0);
        assert_eq!(watched.frame(), (REDIRECT, SOCKET), "in time");
        watched.looked(LIMIT * 2, 0);
        assert_eq!(watched.frame(), (action, counted), "late");
        watched.looked(Duration::ZERO, 0);
        assert_eq!(watched.frame(), (REDIRECT, SOCKET), "back");
    }
}

#[test]
fn heartbeats_count_only_where_they_are_watched() {
    let watched = Watched::new(Fail::Closed, &Liveness::default());
    watched.pulses.stop_all();
    for _ in 0..4 * ROOM {
        assert_eq!(watched.frame(), (REDIRECT, SOCKET));
    }
}

#[test]
fn a_crash_handler_stops_all_at_once() {
    let watched = Watched::new(Fail::Open, &watched());
    assert_eq!(watched.frame(), (REDIRECT, SOCKET));
    watched.pulses.stop_all();
    assert_eq!(watched.frame(), (REDIRECT, STALE_OPEN));
}

#[test]
fn a_worker_whose_thread_has_died_is_dead_at_once() {
    // Whether or not heartbeats are watched.
    for liveness in [watched(), Liveness::default()] {
        let watched = Watched::new(Fail::Open, &liveness);
        let hold = Pulses::hold([&watched.beat]).unwrap();
        assert_eq!(watched.frame(), (REDIRECT, SOCKET));
        drop(hold);
        assert_eq!(watched.frame(), (REDIRECT, STALE_OPEN));
        watched.beat.release();
        assert_eq!(watched.frame(), (REDIRECT, SOCKET), "another one's");
    }
}

#[test]
fn a_busy_worker_meets_the_overload_policy() {
    let dropped = GateCounters { overload_dropped: 1, ..NONE };
    let bypassed = GateCounters { overload_bypassed: 1, ..NONE };
    for (overload, action, counted) in
        [(Overload::Drop, DROP, dropped), (Overload::Bypass, REDIRECT, bypassed)]
    {
        let watched = Watched::new(Fail::Closed, &Liveness { overload, ..watched() });
        watched.fill();
        assert_eq!(watched.frame(), (action, counted), "as many outstanding as there is room for");
        assert_eq!(watched.beat.offered(), u64::from(ROOM), "what is not handed over is not offered");
        watched.looked(Duration::ZERO, 1);
        assert_eq!(watched.frame(), (REDIRECT, SOCKET), "one was taken");
        assert_eq!(watched.frame(), (action, counted));
        assert_eq!(watched.windows(), [], "busy is not blind");
    }
}

#[test]
fn a_full_worker_that_is_late_is_dead_sooner() {
    let watched = Watched::new(Fail::Open, &watched());
    watched.looked(FULL_LIMIT * 2, 0);
    watched.fill();
    assert_eq!(watched.frame(), (REDIRECT, STALE_OPEN));
}

#[test]
fn a_worker_ahead_of_the_count_is_ready() {
    let watched = Watched::new(Fail::Closed, &watched());
    watched.beat.store(coarse_now() + 1_000_000_000, 5);
    assert_eq!(watched.frame(), (REDIRECT, SOCKET));
}

#[test]
fn control_frames_follow_the_worker() {
    let stp = to([0x01, 0x80, 0xc2, 0, 0, 0]);
    for (fail, action) in [(Fail::Open, REDIRECT), (Fail::Closed, DROP)] {
        let watched = Watched::new(fail, &watched());
        watched.fill();
        let control = GateCounters { control: 1, ..NONE };
        assert_eq!(watched.bench.run(&stp, 0, 0, 0), (REDIRECT, control), "past a busy worker");
        watched.looked(LIMIT * 2, 0);
        let dead = if fail == Fail::Open { control } else { STALE_CLOSED };
        assert_eq!(watched.bench.run(&stp, 0, 0, 0), (action, dead));
    }
}

#[test]
fn a_blind_window_is_known_by_its_frames() {
    for (fail, passed) in [(Fail::Open, 3), (Fail::Closed, 0)] {
        let watched = Watched::new(fail, &watched());
        let before = coarse_now();
        watched.pulses.stop_all();
        for _ in 0..3 {
            watched.frame();
        }
        let open: Vec<BlindWindow> = watched.pulses.open_windows().collect();
        let [window] = open.as_slice() else { panic!("one window: {open:?}") };
        assert_eq!((window.port, window.queue, window.frames, window.passed), (0, 0, 3, passed));
        assert!(before <= window.since && window.since <= window.until && window.until <= coarse_now());
        assert_eq!(watched.windows(), [], "it has not ended");
        watched.looked(Duration::ZERO, 0);
        assert_eq!(watched.frame(), (REDIRECT, SOCKET));
        assert_eq!(watched.windows(), [*window]);
        assert_eq!(watched.pulses.open_windows().count(), 0);
        assert_eq!((watched.pulses.windows(), watched.pulses.latched()), (1, 0));
    }
}

#[test]
fn too_many_windows_latch() {
    let liveness = Liveness { latch_after: 2, latched_fail: Fail::Closed, ..watched() };
    let watched = Watched::new(Fail::Open, &liveness);
    for window in 1..=4 {
        watched.pulses.stop_all();
        let expected = if window <= 2 { (REDIRECT, STALE_OPEN) } else { (DROP, STALE_CLOSED) };
        assert_eq!(watched.frame(), expected, "window {window}");
        watched.looked(Duration::ZERO, 0);
        assert_eq!(watched.frame(), (REDIRECT, SOCKET), "a live worker judges, latched or not");
    }
    assert_eq!((watched.pulses.windows(), watched.pulses.latched()), (4, 1));
    watched.pulses.unlatch();
    watched.pulses.stop_all();
    assert_eq!(watched.frame(), (REDIRECT, STALE_OPEN));
}

#[test]
fn the_panic_switch_goes_before_everything() {
    let watched = Watched::new(Fail::Closed, &watched());
    let map = &watched.bench.loaded.maps.panic_switch;
    let switch = PanicSwitch::new(MapHandle::from_map_id(map.info().unwrap().info.id).unwrap(), 0);
    let passed = (REDIRECT, GateCounters { switched: 1, ..NONE });
    assert_eq!(switch.left().unwrap(), Duration::ZERO);
    switch.on(None).unwrap();
    assert_eq!((watched.frame(), switch.left().unwrap()), (passed, Duration::MAX));
    watched.pulses.stop_all();
    assert_eq!(watched.frame(), passed, "also where the gate is dead");
    switch.off().unwrap();
    assert_eq!(watched.frame(), (DROP, STALE_CLOSED));
    switch.on(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(watched.frame(), passed);
    assert!(switch.left().unwrap() <= Duration::from_secs(60));
    switch.on(Some(Duration::ZERO)).unwrap();
    assert_eq!(watched.frame(), (DROP, STALE_CLOSED), "it comes back by itself");
}

#[test]
fn what_the_panic_switch_lets_pass_is_a_blind_window_that_latches_nothing() {
    let liveness = Liveness { latch_after: 1, latched_fail: Fail::Closed, ..watched() };
    let watched = Watched::new(Fail::Open, &liveness);
    let map = &watched.bench.loaded.maps.panic_switch;
    let switch = PanicSwitch::new(MapHandle::from_map_id(map.info().unwrap().info.id).unwrap(), 0);
    for turn in 1..=3 {
        switch.on(None).unwrap();
        watched.frame();
        watched.frame();
        switch.off().unwrap();
        watched.looked(Duration::ZERO, 0);
        assert_eq!(watched.windows(), [], "it has not ended");
        assert_eq!(watched.frame(), (REDIRECT, SOCKET));
        let [window] = watched.windows()[..] else { panic!("turn {turn}") };
        assert_eq!((window.frames, window.passed), (2, 2));
    }
    assert_eq!((watched.pulses.windows(), watched.pulses.latched()), (3, 0));
    watched.pulses.stop_all();
    assert_eq!(watched.frame(), (REDIRECT, STALE_OPEN), "the first for want of a worker");
}
