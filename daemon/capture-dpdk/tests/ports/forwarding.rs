//! What goes through, byte by byte, and where buffers are in the end.

use crate::common::{Bench, Options, PATIENCE, all, frame, poll};
use portcullis_capture::outbox::Origin;
use portcullis_capture::{DropReason, PacketModule, Poll, PortId, Verdict};
use portcullis_capture_dpdk::{CopyMode, Link};
use std::time::Instant;

const REFUSED: Verdict = Verdict::Drop(DropReason::Rules);

#[test]
fn every_buffer_is_back_in_the_end() {
    for copy_mode in [CopyMode::Ips, CopyMode::Tap, CopyMode::Ids] {
        let mut bench = Bench::new(&Options { queues: 2, workers: 2, copy_mode, ..Options::default() });
        for round in 0..200 {
            for _ in 0..8 {
                bench.client.send_by(round % 2, &frame(60 + round));
                bench.server.send_by(0, &frame(61 + round));
            }
            // Kept, dropped, passed on, and with packets of our own.
            bench.run(16, |worker, burst| {
                for index in 0..burst.len() {
                    let verdict = match (index % 3, burst.packets()[index].meta.steered) {
                        (0, _) => Verdict::Accept,
                        (1, false) => {
                            Verdict::Steer(portcullis_capture::WorkerId(1 - u8::try_from(worker).unwrap()))
                        }
                        _ => REFUSED,
                    };
                    burst.judge(index, verdict);
                }
                if let Some(bytes) = burst.outbox.forge(60, PortId(1), Origin::Engine) {
                    bytes.copy_from_slice(&frame(60));
                }
            });
            bench.client.received();
            bench.server.received();
        }
        bench.end();
    }
}

#[test]
fn buffers_held_when_it_ends_are_back_too() {
    let mut bench = Bench::new(&Options { queues: 2, workers: 2, ..Options::default() });
    for _ in 0..100 {
        bench.client.send(&frame(100));
    }
    // Passed on to a worker that never takes them, and one burst received but never judged.
    for _ in 0..2 {
        poll(&mut bench.modules[0], &mut |burst| {
            all(burst, Verdict::Steer(portcullis_capture::WorkerId(1)));
        });
    }
    let soon = bench.modules[0].now().after(PATIENCE);
    bench.modules[0].wait(soon).unwrap();
    bench.run(0, |_, burst| all(burst, Verdict::Accept));
    bench.end();
}

/// The count at the end is worth something: it misses what is not back.
#[test]
fn buffers_that_are_elsewhere_are_missed() {
    let mut bench = Bench::new(&Options::default());
    bench.client.send(&frame(100));
    bench.run(1, |_, burst| {
        all(burst, REFUSED);
        burst.outbox.forge(60, PortId(1), Origin::Engine).unwrap().copy_from_slice(&frame(60));
    });
    let Bench { modules, set, client: _client, mut server } = bench;
    // It lies on the wire.
    let count = set.close(modules);
    assert!(count.missing() == 1 && !count.is_kept, "{count:?}");
    assert_eq!(server.received(), [frame(60)]);
}

#[test]
fn frames_leave_as_they_came() {
    let mut bench = Bench::new(&Options::default());
    for length in [14, 15, 60, 64, 1514, 1522] {
        bench.client.send(&frame(length));
        bench.run(1, |_, burst| all(burst, Verdict::Accept));
        assert_eq!(bench.server.received(), [frame(length)]);
    }
    bench.end();
}

#[test]
fn packets_in_several_buffers_are_judged_whole() {
    let options = |copy_mode| Options {
        copy_mode,
        room: 9216,
        change: |config| config.mtu = Some(9000),
        ..Options::default()
    };
    let sent = frame(9000);
    for copy_mode in [CopyMode::Ips, CopyMode::Tap] {
        let mut bench = Bench::new(&options(copy_mode));
        bench.client.send_in_parts(&sent, 1000);
        bench.client.send(&sent);
        bench.run(2, |_, burst| {
            for index in 0..burst.len() {
                assert_eq!(burst.packets()[index].bytes(), sent);
                let bytes = burst.packets_mut()[index].bytes_mut();
                (bytes[20], bytes[1000], bytes[8999]) = (0xaa, 0xbb, 0xcc);
                burst.judge(index, Verdict::Accept);
            }
        });
        let mut expected = sent.clone();
        if copy_mode == CopyMode::Ips {
            (expected[20], expected[1000], expected[8999]) = (0xaa, 0xbb, 0xcc);
        }
        let mut received = bench.server.received();
        // What lies in several buffers leaves only where the device can send it.
        let stats = bench.modules[0].stats();
        assert_eq!(stats.received, 2);
        assert_eq!(received.len() as u64 + stats.send_errors, 2, "{stats:?}");
        assert!(received.iter().all(|frame| *frame == expected));
        received.clear();
        bench.end();
    }
}

#[test]
fn what_is_longer_than_any_packet_may_be_is_not_judged() {
    let mut bench = Bench::new(&Options::default());
    bench.client.send_in_parts(&frame(3000), 1500);
    bench.client.send(&frame(60));
    bench.run(1, |_, burst| all(burst, Verdict::Accept));
    assert_eq!(bench.server.received(), [frame(60)]);
    let stats = bench.modules[0].stats();
    assert_eq!((stats.received, stats.errors), (1, 1), "{stats:?}");
    bench.end();
}

#[test]
fn what_a_device_has_no_room_for_is_counted() {
    let mut bench = Bench::new(&Options::default());
    let mut sent = 0;
    // Nobody takes anything from the wire on the other side.
    while bench.modules[0].stats().send_errors == 0 {
        for _ in 0..32 {
            bench.client.send(&frame(60));
            sent += 1;
        }
        bench.run(32, |_, burst| all(burst, Verdict::Accept));
        assert!(sent < 10_000, "the wire takes more than it holds");
    }
    let stats = bench.modules[0].stats();
    assert_eq!(stats.accepted, sent, "{stats:?}");
    assert_eq!(bench.server.received().len() as u64 + stats.send_errors, sent, "{stats:?}");
    bench.end();
}

#[test]
fn the_end_comes_after_what_was_there() {
    let mut bench = Bench::new(&Options { queues: 2, workers: 2, ..Options::default() });
    for _ in 0..100 {
        bench.client.send(&frame(60));
    }
    bench.set.quiesce();
    let deadline = Instant::now() + PATIENCE;
    let mut ended = [false; 2];
    while ended != [true; 2] {
        for (module, ended) in bench.modules.iter_mut().zip(&mut ended) {
            let mut accept = |burst: &mut portcullis_capture::Burst<'_>| all(burst, Verdict::Accept);
            *ended = module.poll(&mut accept).unwrap() == Poll::End;
            module.wait(module.now().after(PATIENCE)).unwrap();
        }
        assert!(Instant::now() < deadline, "it does not end");
    }
    assert_eq!(bench.server.received().len(), 100);
    bench.end();
}

#[test]
fn ports_tell_what_they_are() {
    let bench = Bench::new(&Options::default());
    assert_eq!(bench.set.links().len(), 2);
    assert!(bench.set.links().iter().all(|link| matches!(link, Link::Up(_))), "{:?}", bench.set.links());
    let ports: Vec<_> = bench.set.ports().cloned().collect();
    assert_eq!((ports[0].name.as_str(), ports[1].name.as_str()), ("left", "right"));
    assert_eq!((ports[0].driver.as_str(), ports[0].queues, ports[0].mtu), ("net_ring", 1, 1500));
    let extended = bench.set.extended();
    let names: Vec<&str> = extended[0].1.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"rx_good_packets"), "{names:?}");
    bench.end();
}
