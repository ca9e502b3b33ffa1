//! Packets that another worker judges: their frames come back, and a worker that sleeps is woken.

use crate::common::{Bench, Options, PATIENCE, all, poll, until};
use portcullis_bpf::Liveness;
use portcullis_capture::{Burst, CaptureStats, PacketModule, Poll, Verdict, WorkerId};
use portcullis_capture_xdp::{CopyMode, XdpModule};
use portcullis_testkit::{Lab, RawSocket};
use portcullis_wire::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
    until("more packets than the ring holds", || {
        for _ in 0..16 {
            bench.client.send(&frame(60)).unwrap();
        }
        // Worker 1 does nothing.
        while poll(&mut bench.modules[0], &mut |burst| all(burst, OTHER)) > 0 {}
        (bench.modules[0].stats().received >= 1500).then_some(())
    });
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
fn a_full_ring_is_passed_by_where_that_is_wanted() {
    let mut bench = Bench::new(&Options { queues: 2, ring_size: 2048, bypass: true, ..Options::default() });
    until("more packets than the ring holds", || {
        for _ in 0..16 {
            bench.client.send(&frame(60)).unwrap();
        }
        while poll(&mut bench.modules[0], &mut |burst| all(burst, OTHER)) > 0 {}
        (bench.modules[0].stats().steer_refused > 0).then_some(())
    });
    let stats = bench.modules[0].stats();
    assert_eq!((stats.steered_out, stats.dropped), (1024, 0), "{stats:?}");
    let passed = bench.server.receive_matching(PATIENCE, |other| other == frame(60)).unwrap();
    assert!(passed.is_some(), "it passed unjudged");
    bench.run(1024, to_worker_1);
    bench.assert_nothing_lost();
}

#[test]
fn an_owner_that_hung_drops_what_was_passed_on_to_it() {
    let limit = Duration::from_millis(200);
    let liveness = Liveness { beat_limit: limit, full_limit: limit, ..Liveness::default() };
    let mut bench = Bench::new(&Options { queues: 2, liveness, ..Options::default() });
    poll(&mut bench.modules[1], &mut |_| {});
    for _ in 0..3 {
        bench.client.send(&frame(60)).unwrap();
    }
    until("packets passed on", || {
        poll(&mut bench.modules[0], &mut |burst| all(burst, OTHER));
        (bench.modules[0].stats().steered_out == 3).then_some(())
    });
    std::thread::sleep(limit * 2);
    poll(&mut bench.modules[1], &mut |burst| panic!("{} late packets were lent", burst.len()));
    let stats = bench.modules[1].stats();
    assert_eq!((stats.steered_in, stats.late_drops), (3, 3), "{stats:?}");
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
        // However this ends, the owner must.
        let _end = OnDrop(|| {
            done.store(true, Ordering::Release);
            waker.wake_by_ref();
        });
        for length in 60..110 {
            client.send(&frame(length)).unwrap();
            until("the packet", || {
                let count = poll(first, &mut |burst| all(burst, OTHER));
                if count == 0 {
                    first.wait(first.now().after(PATIENCE)).unwrap();
                }
                (count > 0).then_some(())
            });
            let arrived = server.receive_matching(PATIENCE, |received| received == frame(length)).unwrap();
            assert!(arrived.is_some(), "the owner sleeps on");
        }
    });
    bench.assert_nothing_lost();
}

/// Does something when it goes out of scope, also by a panic.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// An IPv4 UDP frame of a flow, which a sender's queue is chosen by.
fn of_flow(flow: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    frame.extend([0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0x10, flow, 0x20, flow, 0, 26, 0, 0]);
    frame.resize(60, flow);
    frame
}

/// A worker's life: accepts what is its own by a byte of the packet, passes on the rest, until the end.
fn by_owner(mut module: XdpModule, worker: usize) -> XdpModule {
    let mut judge = |burst: &mut Burst<'_>| {
        for index in 0..burst.len() {
            let owner = burst.packets()[index].bytes()[15] % 3;
            let own = usize::from(owner) == worker;
            burst.judge(index, if own { Verdict::Accept } else { Verdict::Steer(WorkerId(owner)) });
        }
    };
    let deadline = Instant::now() + 6 * PATIENCE;
    while module.poll(&mut judge).unwrap() != Poll::End {
        assert!(Instant::now() < deadline, "worker {worker} does not end");
        module.wait(module.now().after(PATIENCE)).unwrap();
    }
    module
}

#[test]
fn workers_on_threads_keep_the_books() {
    const EACH: u64 = 6000;
    let options = Options { queues: 3, spread: true, busy_poll_us: 50, ..Options::default() };
    let mut bench = Bench::new(&options);
    let from_server = RawSocket::open(&bench.lab.server, Lab::SERVER_PORT).unwrap();
    let (set, gate) = (&bench.set, &mut bench.gate);
    let modules = std::mem::take(&mut bench.modules);
    bench.modules = std::thread::scope(|scope| {
        let workers: Vec<_> = modules
            .into_iter()
            .enumerate()
            .map(|(worker, module)| scope.spawn(move || by_owner(module, worker)))
            .collect();
        for number in 0..EACH {
            let mut frame = of_flow(u8::try_from(number % 251).unwrap());
            frame[15] = u8::try_from(number % 3).unwrap();
            bench.client.send(&frame).unwrap();
            from_server.send(&frame).unwrap();
        }
        set.quiesce(gate).unwrap();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    bench.assert_nothing_lost();
    let stats: Vec<_> = bench.modules.iter().map(PacketModule::stats).collect();
    let sum = |count: fn(&CaptureStats) -> u64| stats.iter().map(count).sum::<u64>();
    assert!(stats.iter().all(|stats| stats.received > 0), "the senders spread: {stats:?}");
    assert_eq!(sum(|stats| stats.steered_in), sum(|stats| stats.steered_out), "{stats:?}");
    assert_eq!(sum(|stats| stats.received), sum(|stats| stats.accepted + stats.dropped), "{stats:?}");
    assert_eq!(sum(|stats| stats.dropped), sum(|stats| stats.steer_refused), "{stats:?}");
    let counters = bench.gate.counters().unwrap();
    assert_eq!(counters.socket + counters.closed, 2 * EACH, "{counters:?}");
    assert_eq!(sum(|stats| stats.received + stats.kernel_drops), counters.socket, "{stats:?} {counters:?}");
}

#[test]
fn a_worker_that_is_gone_takes_no_frame_of_others() {
    let mut bench = Bench::new(&Options { queues: 2, ring_size: 64, ..Options::default() });
    let each = bench.set.frames() / 2;
    drop(bench.modules.pop());
    for _ in 0..200 {
        for _ in 0..16 {
            bench.client.send(&frame(60)).unwrap();
        }
        bench.run(16, |_, burst| all(burst, OTHER));
        assert_eq!(bench.account().total(), each, "{:?}", bench.account());
    }
    let stats = bench.modules[0].stats();
    assert_eq!((stats.steer_refused, stats.steered_out), (3200, 0), "{stats:?}");
}

#[test]
fn a_tap_passes_what_nobody_can_judge() {
    let copy_mode = CopyMode::Tap;
    let mut bench = Bench::new(&Options { queues: 2, copy_mode, ..Options::default() });
    drop(bench.modules.pop());
    let sent = frame(70);
    bench.client.send(&sent).unwrap();
    bench.run(1, |_, burst| all(burst, OTHER));
    assert_eq!(bench.server.receive_matching(PATIENCE, |frame| frame == sent).unwrap(), Some(sent));
    assert_eq!(bench.modules[0].stats().steer_refused, 1);
}
