//! Packets that another worker judges.

use crate::common::{Bench, Options, PATIENCE, all, frame, poll};
use portcullis_capture::{Burst, CaptureStats, PacketModule, Poll, Verdict, WorkerId};
use portcullis_capture_dpdk::{CopyMode, DpdkModule};
use std::time::Instant;

const OTHER: Verdict = Verdict::Steer(WorkerId(1));

fn two() -> Options {
    Options { queues: 2, workers: 2, ..Options::default() }
}

#[test]
fn a_full_ring_drops_and_counts() {
    let mut bench = Bench::new(&two());
    for _ in 0..1500 {
        bench.client.send(&frame(60));
    }
    // Worker 1 does nothing.
    while poll(&mut bench.modules[0], &mut |burst| all(burst, OTHER)) > 0 {}
    let stats = bench.modules[0].stats();
    assert_eq!((stats.received, stats.steered_out), (1500, 1024), "{stats:?}");
    assert_eq!((stats.steer_refused, stats.dropped), (476, 476), "{stats:?}");
    bench.run(1024, |_, burst| all(burst, Verdict::Accept));
    assert_eq!(bench.server.received().len(), 1024);
    bench.end();
}

#[test]
fn a_worker_that_is_gone_takes_nothing() {
    for (copy_mode, arrives) in [(CopyMode::Ips, 0), (CopyMode::Tap, 1)] {
        let mut bench = Bench::new(&Options { copy_mode, ..two() });
        drop(bench.modules.pop());
        bench.client.send(&frame(60));
        bench.run(1, |_, burst| all(burst, OTHER));
        assert_eq!(bench.modules[0].stats().steer_refused, 1);
        assert_eq!(bench.server.received().len(), arrives);
        bench.end();
    }
}

/// A worker's life: accepts what is its own by a byte of the packet, passes on the rest, until the end.
fn by_owner(mut module: DpdkModule, worker: usize) -> DpdkModule {
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
    const EACH: usize = 3000;
    let mut bench = Bench::new(&Options { queues: 3, workers: 3, ..Options::default() });
    let modules = std::mem::take(&mut bench.modules);
    let (set, client, server) = (&bench.set, &mut bench.client, &mut bench.server);
    let (mut to_client, mut to_server) = (0, 0);
    bench.modules = std::thread::scope(|scope| {
        let workers: Vec<_> = modules
            .into_iter()
            .enumerate()
            .map(|(worker, module)| scope.spawn(move || by_owner(module, worker)))
            .collect();
        for number in 0..EACH {
            let mut frame = frame(60);
            frame[15] = u8::try_from(number % 3).unwrap();
            client.send_by(number % 2, &frame);
            server.send_by(2 - number % 2, &frame);
            (to_client, to_server) =
                (to_client + client.received().len(), to_server + server.received().len());
            // The wires are short.
            std::thread::sleep(std::time::Duration::from_micros(20));
        }
        set.quiesce();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    (to_client, to_server) = (to_client + client.received().len(), to_server + server.received().len());
    let stats: Vec<_> = bench.modules.iter().map(PacketModule::stats).collect();
    let sum = |count: fn(&CaptureStats) -> u64| stats.iter().map(count).sum::<u64>();
    assert!(stats.iter().all(|stats| stats.received > 0), "{stats:?}");
    assert_eq!(sum(|stats| stats.steered_in), sum(|stats| stats.steered_out), "{stats:?}");
    assert_eq!(sum(|stats| stats.received), sum(|stats| stats.accepted + stats.dropped), "{stats:?}");
    assert_eq!(sum(|stats| stats.dropped), sum(|stats| stats.steer_refused), "{stats:?}");
    let sent = u64::try_from(to_client + to_server).unwrap();
    assert_eq!(sum(|stats| stats.accepted - stats.send_errors), sent, "{stats:?}");
    assert_eq!(sum(|stats| stats.received), 2 * EACH as u64, "{stats:?}");
    bench.end();
}
