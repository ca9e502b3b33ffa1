//! Packets longer than a frame of the UMEM: judged as one, sent as they lie.

use crate::common::{Bench, Options, PATIENCE, all, lab, poll, until, xdp_config};
use portcullis_bpf::XdpMode;
use portcullis_capture::{Burst, DropReason, PacketModule, Verdict, WorkerId};
use portcullis_capture_xdp::{CopyMode, XdpError};
use portcullis_testkit::RawSocket;

const MTU: u32 = 9000;
const LONGEST: usize = 9014;

/// A frame without a pattern that a lost or doubled part would leave intact.
fn frame(length: usize, tag: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    let mut state = u32::from(tag) + 1;
    while frame.len() < length {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        frame.push(state.to_be_bytes()[0]);
    }
    frame
}

fn receive(socket: &mut RawSocket, wanted: &[u8]) {
    let received = socket.receive_matching(PATIENCE, |frame| frame == wanted).unwrap();
    assert!(received.is_some(), "{} bytes did not come as they were sent", wanted.len());
}

/// Lets a frame pass that must be as it was sent.
fn unharmed<'a>(frame: &'a [u8]) -> impl FnMut(usize, &mut Burst<'_>) + 'a {
    move |_, burst| {
        for packet in burst.packets() {
            assert!(packet.bytes() == frame, "{} bytes", packet.bytes().len());
            assert_eq!(packet.meta.wire_length as usize, frame.len());
        }
        all(burst, Verdict::Accept);
    }
}

#[test]
fn long_frames_go_both_ways_as_they_were() {
    for mode in [XdpMode::Native, XdpMode::Generic] {
        let mut bench = Bench::new(&Options { mode, mtu: MTU, ..Options::default() });
        // Around what one, two and three frames of 4096 bytes hold.
        for length in [60, 1514, 3839, 3840, 3841, 7679, 7680, 7681, LONGEST - 1, LONGEST] {
            let frame = frame(length, 7);
            bench.client.send(&frame).unwrap();
            bench.run(1, unharmed(&frame));
            receive(&mut bench.server, &frame);
            bench.server.send(&frame).unwrap();
            bench.run(1, unharmed(&frame));
            receive(&mut bench.client, &frame);
            bench.assert_nothing_lost();
        }
        let stats = bench.modules[0].stats();
        assert_eq!((stats.received, stats.accepted), (20, 20), "{stats:?}");
        assert_eq!((stats.send_errors, stats.errors, stats.kernel_drops), (0, 0, 0), "{stats:?}");
    }
}

#[test]
fn what_is_changed_leaves_changed() {
    let mut bench = Bench::new(&Options { mtu: MTU, ..Options::default() });
    let (sent, mut wanted) = (frame(LONGEST, 1), frame(LONGEST, 1));
    for place in [20, 3839, 3840, 7680, LONGEST - 1] {
        wanted[place] ^= 0xff;
    }
    bench.client.send(&sent).unwrap();
    bench.run(1, |_, burst| {
        burst.packets_mut()[0].bytes_mut().copy_from_slice(&wanted);
        all(burst, Verdict::Accept);
    });
    receive(&mut bench.server, &wanted);
    bench.assert_nothing_lost();
}

#[test]
fn a_tap_sends_what_came_whatever_was_done_to_it() {
    let mut bench = Bench::new(&Options { mtu: MTU, copy_mode: CopyMode::Tap, ..Options::default() });
    let sent = frame(LONGEST, 1);
    bench.client.send(&sent).unwrap();
    bench.run(1, |_, burst| {
        assert!(burst.packets()[0].bytes() == sent);
        burst.packets_mut()[0].bytes_mut().fill(0);
        all(burst, Verdict::Drop(DropReason::Rules));
    });
    receive(&mut bench.server, &sent);
    bench.assert_nothing_lost();
}

#[test]
fn dropped_and_steered_frames_all_come_home() {
    let mut bench = Bench::new(&Options { queues: 2, mtu: MTU, ring_size: 64, ..Options::default() });
    let each = bench.set.frames() / 2;
    let (long, short) = (frame(LONGEST, 3), frame(100, 4));
    let mut sent = 0;
    while sent < 2 * each {
        for _ in 0..4 {
            bench.client.send(&long).unwrap();
            bench.client.send(&short).unwrap();
            bench.server.send(&long).unwrap();
            sent += 3;
        }
        // All are worker 1's, which drops every other long one.
        let mut turn = false;
        bench.run(24, |worker, burst| {
            for index in 0..burst.len() {
                let is_long = burst.packets()[index].bytes().len() == LONGEST;
                turn ^= worker == 1 && is_long;
                let verdict = match worker {
                    0 => Verdict::Steer(WorkerId(1)),
                    _ if is_long && turn => Verdict::Drop(DropReason::Rules),
                    _ => Verdict::Accept,
                };
                assert!(burst.judge(index, verdict));
            }
        });
        bench.assert_nothing_lost();
    }
    let stats = bench.modules[1].stats();
    assert_eq!((stats.steered_in, stats.send_errors, stats.errors), (sent, 0, 0), "{stats:?}");
    assert_eq!(stats.dropped, sent / 3, "{stats:?}");
    // What waits to be judged is counted by its frames.
    bench.client.send(&long).unwrap();
    until("a packet passed on", || {
        (poll(&mut bench.modules[0], &mut |burst| all(burst, Verdict::Steer(WorkerId(1)))) > 0).then_some(())
    });
    assert_eq!(bench.modules[1].account().steering, 3);
    bench.assert_nothing_lost();
    bench.run(1, |_, burst| all(burst, Verdict::Accept));
    for _ in 0..3 {
        bench.run(0, |_, burst| all(burst, Verdict::Accept));
    }
    for module in &bench.modules {
        assert_eq!(module.account().total(), each, "{:?}", module.account());
    }
}

#[test]
fn more_than_any_memory_holds_is_refused() {
    let (lab, _dir) = lab(&Options { mtu: 16_001, ..Options::default() });
    let error = lab.gate.run(|| xdp_config(&Options::default()).segments()).expect_err("too long");
    assert!(matches!(&error, XdpError::MtuTooLarge { mtu: 16_001, max: 16_000, .. }), "{error}");
}
