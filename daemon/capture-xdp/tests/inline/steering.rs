//! Packets that another worker judges: their frames come back, and a worker that sleeps is woken.

use crate::common::{Bench, Options, PATIENCE, all, poll};
use portcullis_capture::{Burst, PacketModule, Verdict, WorkerId};
use portcullis_wire::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};

const OTHER: Verdict = Verdict::Steer(WorkerId(1));

fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.resize(length, 0x5a);
    frame
}

/// Everything is worker 1's.
fn to_worker_1(worker: usize, burst: &mut Burst<'_>) {
    all(burst, if worker == 1 { Verdict::Accept } else { OTHER });
}

#[test]
fn frames_come_home_so_that_no_pool_drains() {
    let mut bench = Bench::new(&Options { queues: 2, ring_size: 64, ..Options::default() });
    let each = bench.set.frames() / 2;
    let mut sent = 0;
    while sent < 6 * each {
        for _ in 0..16 {
            bench.client.send(&frame(60)).unwrap();
            bench.server.send(&frame(60)).unwrap();
            sent += 2;
        }
        // Each packet is judged twice: to be passed on, and to leave.
        bench.run(64, to_worker_1);
        bench.assert_nothing_lost();
    }
    let [first, second] = [0, 1].map(|worker: usize| bench.modules[worker].stats());
    assert_eq!((first.received, first.steered_out, first.steer_refused), (sent, sent, 0), "{first:?}");
    assert_eq!((second.steered_in, second.accepted, second.send_errors), (sent, sent, 0), "{second:?}");
    for _ in 0..3 {
        bench.run(0, to_worker_1);
    }
    for module in &bench.modules {
        assert_eq!(module.account().total(), each, "{:?}", module.account());
    }
}

#[test]
fn a_full_ring_drops_and_counts() {
    let mut bench = Bench::new(&Options { queues: 2, ring_size: 2048, ..Options::default() });
    let mut received = 0;
    while received < 1500 {
        for _ in 0..16 {
            bench.client.send(&frame(60)).unwrap();
        }
        // Worker 1 does nothing.
        while poll(&mut bench.modules[0], &mut |burst| all(burst, OTHER)) > 0 {}
        received = bench.modules[0].stats().received;
    }
    let stats = bench.modules[0].stats();
    assert_eq!(stats.steered_out, 1024, "{stats:?}");
    assert_eq!(stats.steer_refused, stats.received - 1024, "{stats:?}");
    assert_eq!(stats.dropped, stats.steer_refused, "{stats:?}");
    bench.assert_nothing_lost();
    assert_eq!(bench.modules[1].account().steering, 1024);
    bench.run(1024, to_worker_1);
    bench.assert_nothing_lost();
}

#[test]
fn a_sleeping_owner_is_woken() {
    let mut bench = Bench::new(&Options { queues: 2, ..Options::default() });
    let waker = bench.modules[1].waker();
    let done = AtomicBool::new(false);
    let Bench { modules, client, server, .. } = &mut bench;
    let [first, second] = modules.as_mut_slice() else { panic!("two workers") };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                second.wait(Timestamp::NEVER).unwrap();
                second.poll(&mut |burst| all(burst, Verdict::Accept)).unwrap();
            }
        });
        for length in 60..110 {
            client.send(&frame(length)).unwrap();
            while poll(first, &mut |burst| all(burst, OTHER)) == 0 {
                first.wait(Timestamp::NEVER).unwrap();
            }
            let arrived = server.receive_matching(PATIENCE, |received| received == frame(length)).unwrap();
            assert!(arrived.is_some(), "the owner sleeps on");
        }
        done.store(true, Ordering::Release);
        waker.wake_by_ref();
    });
    bench.assert_nothing_lost();
}
