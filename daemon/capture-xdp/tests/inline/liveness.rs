//! A worker that does not look at its queues, and one that has more than it can hold.

use crate::common::{Bench, Options, PATIENCE, all, poll, until};
use portcullis_bpf::{Fail, GateCounters, Liveness, Overload};
use portcullis_capture::{PacketModule, Verdict};
use std::time::Duration;

const LIMIT: Duration = Duration::from_millis(200);

fn frame(tag: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.resize(100, tag);
    frame
}

fn send(bench: &Bench, tags: impl IntoIterator<Item = u8>) {
    for tag in tags {
        bench.client.send(&frame(tag)).unwrap();
    }
}

/// Waits until the program has seen so many frames, whatever became of them.
fn seen(bench: &Bench, frames: u64) -> GateCounters {
    until("frames at the gate", || {
        let counters = bench.gate.counters().unwrap();
        let GateCounters { socket, uninspected, closed, overload_bypassed, overload_dropped, .. } = counters;
        (socket + uninspected + closed + overload_bypassed + overload_dropped >= frames).then_some(counters)
    })
}

fn arrives(bench: &mut Bench, tag: u8, patience: Duration) -> bool {
    let wanted = frame(tag);
    bench.server.receive_matching(patience, |received| received == wanted).unwrap().is_some()
}

#[test]
fn a_worker_that_hangs_is_passed_by_and_forwards_nothing_late() {
    let liveness = Liveness { room: 192, beat_limit: LIMIT, full_limit: LIMIT, ..Liveness::default() };
    let mut bench = Bench::new(&Options { fail: Fail::Open, liveness, ..Options::default() });
    // A module that has not been polled for a while has been dead, too.
    poll(&mut bench.modules[0], &mut |_| {});
    send(&bench, 1..=3);
    assert_eq!(seen(&bench, 3).socket, 3);
    std::thread::sleep(LIMIT * 3 / 2);
    send(&bench, 4..=5);
    for tag in 4..=5 {
        assert!(arrives(&mut bench, tag, PATIENCE), "frame {tag} passes in the kernel");
    }
    let counters = bench.gate.counters().unwrap();
    assert_eq!((counters.uninspected, counters.stale), (2, 2));
    poll(&mut bench.modules[0], &mut |burst| panic!("{} late packets were lent", burst.len()));
    assert_eq!(bench.modules[0].stats().late_drops, 3);
    send(&bench, [6]);
    bench.run(1, |_, burst| all(burst, Verdict::Accept));
    assert!(arrives(&mut bench, 6, PATIENCE), "it judges again");
    let windows = bench.gate.windows().unwrap();
    let counted: Vec<_> = windows.iter().map(|window| (window.port, window.frames, window.passed)).collect();
    assert_eq!(counted, [(0, 2, 2)]);
    assert_eq!(bench.gate.windows().unwrap(), [], "each is told once");
    assert!(!arrives(&mut bench, 1, Duration::from_millis(50)), "nothing comes late");
    bench.assert_nothing_lost();
}

#[test]
fn a_worker_that_leaves_loses_nothing_of_what_it_has() {
    let liveness = Liveness { beat_limit: PATIENCE, full_limit: PATIENCE, ..Liveness::default() };
    let mut bench = Bench::new(&Options { fail: Fail::Open, liveness, ..Options::default() });
    poll(&mut bench.modules[0], &mut |_| {});
    send(&bench, 1..=3);
    assert_eq!(seen(&bench, 3).socket, 3);
    // The worker has had no time yet for what is on its rings.
    bench.set.quiesce(&mut bench.gate).unwrap();
    send(&bench, [4]);
    assert!(arrives(&mut bench, 4, PATIENCE), "frame 4 passes in the kernel");
    assert_eq!(bench.gate.counters().unwrap().no_socket, 1);
    bench.run(3, |_, burst| all(burst, Verdict::Accept));
    for tag in 1..=3 {
        assert!(arrives(&mut bench, tag, PATIENCE), "frame {tag} was there before");
    }
    assert_eq!(bench.modules[0].stats().late_drops, 0);
    bench.assert_nothing_lost();
}

#[test]
fn a_sleeping_worker_lives() {
    let liveness = Liveness { beat_limit: LIMIT, full_limit: LIMIT, ..Liveness::default() };
    let mut bench = Bench::new(&Options { fail: Fail::Closed, liveness, ..Options::default() });
    let module = &mut bench.modules[0];
    let until = module.now().after(LIMIT * 4);
    let sleeper = || module.wait(until).unwrap();
    let (client, gate) = (&bench.client, &bench.gate);
    std::thread::scope(|scope| {
        let sleeping = scope.spawn(sleeper);
        std::thread::sleep(LIMIT * 2);
        client.send(&frame(1)).unwrap();
        sleeping.join().unwrap();
    });
    let counters = gate.counters().unwrap();
    assert_eq!((counters.socket, counters.closed), (1, 0));
    bench.run(1, |_, burst| all(burst, Verdict::Accept));
    assert!(arrives(&mut bench, 1, PATIENCE));
}

/// Sends more than a worker may have outstanding; whether what is too much arrives.
fn overloaded(overload: Overload, arrive: bool) {
    let liveness =
        Liveness { overload, room: 4, beat_limit: PATIENCE, full_limit: PATIENCE, ..Liveness::default() };
    let mut bench = Bench::new(&Options { liveness, ..Options::default() });
    poll(&mut bench.modules[0], &mut |_| {});
    send(&bench, 1..=6);
    let counters = seen(&bench, 6);
    assert_eq!((counters.socket, counters.overload_bypassed + counters.overload_dropped), (4, 2));
    assert_eq!(arrives(&mut bench, 6, Duration::from_millis(if arrive { 5000 } else { 50 })), arrive);
    bench.run(4, |_, burst| all(burst, Verdict::Accept));
    for tag in 1..=4 {
        assert!(arrives(&mut bench, tag, PATIENCE));
    }
    send(&bench, 7..=9);
    bench.run(3, |_, burst| all(burst, Verdict::Accept));
    assert!(arrives(&mut bench, 9, PATIENCE), "there is room again");
    bench.assert_nothing_lost();
}

#[test]
fn what_a_busy_worker_cannot_hold_is_dropped() {
    overloaded(Overload::Drop, false);
}

#[test]
fn what_a_busy_worker_cannot_hold_is_passed_by() {
    overloaded(Overload::Bypass, true);
}
