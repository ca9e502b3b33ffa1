//! What goes through, and what is left when it cannot.

use crate::common::{Bench, Options, PATIENCE, all, gate_config, lab, poll, until, xdp_config};
use portcullis_bpf::{Fail, Gate, GateCounters, XdpMode};
use portcullis_capture::{Burst, DropReason, PacketModule, Poll, PortId, Verdict};
use portcullis_capture_xdp::{BindMode, BusyPoll, CopyMode, InlineSet, XdpError};
use portcullis_testkit::{Lab, RawSocket, VethPair};
use std::time::Duration;

const REFUSED: Verdict = Verdict::Drop(DropReason::Rules);

/// A frame of `length` bytes, told from others by `tag`, with `vlans` tags.
fn frame(length: usize, tag: u8, vlans: &[u16]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    for (index, vlan) in vlans.iter().enumerate() {
        let outer: u16 = if index + 1 < vlans.len() { 0x88a8 } else { 0x8100 };
        frame.extend(outer.to_be_bytes());
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend([0x88, 0xb5]);
    let mut filler = tag;
    while frame.len() < length {
        filler = filler.wrapping_mul(5).wrapping_add(1);
        frame.push(filler);
    }
    frame
}

fn receive(socket: &mut RawSocket, wanted: &[u8]) {
    let received = socket.receive_matching(PATIENCE, |frame| frame == wanted).unwrap();
    assert!(received.is_some(), "{} bytes did not come as they were sent: {wanted:02x?}", wanted.len());
}

#[test]
fn frames_go_both_ways_as_they_were() {
    for mode in [XdpMode::Native, XdpMode::Generic] {
        for mtu in [1500, 3498] {
            let mut bench = Bench::new(&Options { mode, mtu, ..Options::default() });
            let longest = mtu as usize + 14;
            let mut frames: Vec<Vec<u8>> = [14, 15, 59, 60, 64, 65, 1023, 1025, 1513, longest]
                .map(|length| frame(length, 7, &[]))
                .into();
            frames.push(frame(64, 8, &[0x2001]));
            frames.push(frame(longest, 9, &[0xefff]));
            frames.push(frame(longest, 10, &[0x2001, 0x0fff]));
            for frame in &frames {
                bench.client.send(frame).unwrap();
                bench.run(1, |_, burst| all(burst, Verdict::Accept));
                receive(&mut bench.server, frame);
                bench.server.send(frame).unwrap();
                bench.run(1, |_, burst| all(burst, Verdict::Accept));
                receive(&mut bench.client, frame);
            }
            let stats = bench.modules[0].stats();
            assert_eq!(stats.received, 2 * frames.len() as u64, "{stats:?}");
            assert_eq!(
                (stats.accepted, stats.send_errors, stats.errors),
                (stats.received, 0, 0),
                "{stats:?}"
            );
            bench.assert_nothing_lost();
        }
    }
}

#[test]
fn a_worker_that_runs_the_receive_loop_gets_its_packets() {
    let busy_poll = Some(BusyPoll { time_us: 20, budget: 64 });
    let mut bench = Bench::new(&Options { busy_poll, ..Options::default() });
    assert!(bench.set.busy_poll());
    for tag in 0..50 {
        let frame = frame(200, tag, &[]);
        bench.client.send(&frame).unwrap();
        bench.run(1, |_, burst| all(burst, Verdict::Accept));
        receive(&mut bench.server, &frame);
    }
    bench.assert_nothing_lost();
}

#[test]
fn a_tap_drops_nothing_and_an_ids_sends_nothing() {
    for (copy_mode, passes) in [(CopyMode::Tap, true), (CopyMode::Ids, false)] {
        let mut bench = Bench::new(&Options { copy_mode, ..Options::default() });
        assert!(bench.modules[0].properties().pass_through);
        let (refused, unjudged) = (frame(100, 1, &[]), frame(100, 2, &[]));
        bench.client.send(&refused).unwrap();
        bench.run(1, |_, burst| all(burst, REFUSED));
        bench.client.send(&unjudged).unwrap();
        bench.run(1, |_, _| {});
        if passes {
            receive(&mut bench.server, &refused);
            receive(&mut bench.server, &unjudged);
        } else {
            assert_eq!(bench.lab.server.counters(Lab::SERVER_PORT).unwrap().rx_packets, 0);
        }
        assert_eq!(bench.modules[0].stats().dropped, 2, "by verdict");
        bench.assert_nothing_lost();
    }
}

#[test]
fn no_frame_is_lost_under_load() {
    let mut bench = Bench::new(&Options { ring_size: 64, ..Options::default() });
    let mut sent = 0;
    for round in 0_usize..300 {
        // More than a ring holds now and then, so that some are lost in the kernel.
        for index in 0..(round % 7) * 20 {
            let tag = u8::try_from((round + index) % 256).unwrap();
            bench.client.send(&frame(60 + index, tag, &[])).unwrap();
            bench.server.send(&frame(60 + index, tag, &[])).unwrap();
            sent += 2;
        }
        bench.run(0, |_, burst| {
            for index in 0..burst.len() {
                let tag = burst.packets()[index].bytes()[20];
                if tag % 3 > 0 {
                    burst.judge(index, if tag % 3 == 1 { Verdict::Accept } else { REFUSED });
                }
            }
        });
        bench.assert_nothing_lost();
    }
    let counted = bench.gate.counters().unwrap();
    assert_eq!(counted.socket, sent, "{counted:?}");
    let (stats, lost) = last_stats(&mut bench);
    assert_eq!(stats.received, stats.accepted + stats.dropped, "{stats:?}");
    assert!(stats.accepted > 1000 && stats.dropped > 1000, "{stats:?}");
    assert_eq!(stats.received + lost, sent, "{stats:?}");
}

/// The counts with the kernel's fresh.
fn last_stats(bench: &mut Bench) -> (portcullis_capture::CaptureStats, u64) {
    std::thread::sleep(Duration::from_millis(110));
    bench.run(0, |_, _| {});
    let stats = bench.modules[0].stats();
    (stats, stats.kernel_drops)
}

#[test]
fn what_the_kernel_loses_is_counted_once() {
    let mut bench = Bench::new(&Options { ring_size: 64, ..Options::default() });
    for index in 0..500 {
        bench.client.send(&frame(60 + index, 1, &[])).unwrap();
    }
    bench.run(1, |_, burst| all(burst, REFUSED));
    let (stats, lost) = last_stats(&mut bench);
    assert_eq!(stats.received + lost, 500, "{stats:?}");
    assert!(lost >= 400, "{stats:?}");
    bench.assert_nothing_lost();
}

#[test]
fn a_peer_that_is_down_costs_its_packets_only() {
    let mut bench = Bench::new(&Options { ring_size: 64, ..Options::default() });
    bench.lab.gate.set_down(Lab::GATE_SERVER_PORT).unwrap();
    for round in 0..10 {
        for _ in 0..32 {
            bench.client.send(&frame(60, round, &[])).unwrap();
        }
        bench.run(1, |_, burst| all(burst, Verdict::Accept));
        bench.assert_nothing_lost();
    }
    let stats = bench.modules[0].stats();
    assert_eq!(stats.accepted, 320, "{stats:?}");
    assert!(stats.send_errors >= 320 - 64, "{stats:?}");
    bench.lab.gate.set_up(Lab::GATE_SERVER_PORT).unwrap();
    let last = frame(77, 99, &[]);
    until("the peer takes packets again", || {
        bench.client.send(&last).unwrap();
        bench.run(1, |_, burst| all(burst, Verdict::Accept));
        bench.server.receive_matching(Duration::from_millis(10), |frame| frame == last).unwrap()
    });
    bench.assert_nothing_lost();
}

#[test]
fn a_port_that_vanishes_is_an_error() {
    let mut bench = Bench::new(&Options::default());
    bench.lab.gate.output("ip", &["link", "del", Lab::GATE_SERVER_PORT]).unwrap();
    let module = &mut bench.modules[0];
    let failed = until("the port's loss is noticed", || {
        // The kernel tells it once, to whichever asks first.
        match module.wait(module.now().after(Duration::from_millis(100))) {
            Ok(_) => module.poll(&mut |_| {}).err(),
            Err(error) => Some(error),
        }
    });
    assert!(matches!(&failed, XdpError::PortLost { name, .. } if name == Lab::GATE_SERVER_PORT), "{failed}");
}

#[test]
fn without_a_module_the_fail_policy_acts() {
    for (fail, mode) in [
        (Fail::Open, XdpMode::Native),
        (Fail::Open, XdpMode::Generic),
        (Fail::Closed, XdpMode::Native),
        (Fail::Closed, XdpMode::Generic),
    ] {
        let mut bench = Bench::new(&Options { fail, mode, ..Options::default() });
        drop(std::mem::take(&mut bench.modules));
        let (unseen, control) = (frame(100, 1, &[0x0005]), {
            let mut lldp = frame(100, 2, &[]);
            lldp.splice(..6, [0x01, 0x80, 0xc2, 0, 0, 0x0e]);
            lldp
        });
        let refused = |counters: GateCounters| counters.uninspected + counters.closed;
        // The sockets are gone a moment after their descriptors: another test's child may have copies until it
        // starts its program. A frame for them is lost.
        until("the fail policy acts", || {
            bench.client.send(&unseen).unwrap();
            std::thread::sleep(Duration::from_millis(1));
            (refused(bench.gate.counters().unwrap()) > 0).then_some(())
        });
        let before = bench.gate.counters().unwrap();
        bench.client.send(&control).unwrap();
        let after = until("the control frame is counted", || {
            std::thread::sleep(Duration::from_millis(1));
            Some(bench.gate.counters().unwrap()).filter(|counters| *counters != before)
        });
        if fail == Fail::Open {
            receive(&mut bench.server, &unseen);
            receive(&mut bench.server, &control);
            assert_eq!((after.control, after.closed), (before.control + 1, 0), "{after:?}");
        } else {
            assert_eq!((after.control, after.closed), (0, before.closed + 1), "{after:?}");
            assert_eq!(bench.lab.server.counters(Lab::SERVER_PORT).unwrap().rx_packets, 0);
        }
    }
}

#[test]
fn a_queue_can_be_opened_again_at_once() {
    let options = Options::default();
    let mut bench = Bench::new(&options);
    for _ in 0..3 {
        drop(std::mem::take(&mut bench.modules));
        let config = crate::common::xdp_config(&options);
        let gate = &mut bench.gate;
        let opened = bench.lab.gate.run(|| portcullis_capture_xdp::InlineSet::open(&config, gate));
        (bench.set, bench.modules) = opened.unwrap();
        let sent = frame(80, 3, &[]);
        bench.client.send(&sent).unwrap();
        bench.run(1, |_, burst| all(burst, Verdict::Accept));
        receive(&mut bench.server, &sent);
    }
}

#[test]
fn quiescing_loses_nothing() {
    let options = Options { fail: Fail::Open, ..Options::default() };
    let mut bench = Bench::new(&options);
    let sender = RawSocket::open(&bench.lab.client, Lab::CLIENT_PORT).unwrap();
    let sent: u64 = std::thread::scope(|scope| {
        let sending = scope.spawn(move || {
            for index in 0..4000_u64 {
                sender.send(&frame(60, 5, &[])).unwrap();
                if index % 8 == 0 {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
            4000
        });
        bench.run(1000, |_, burst| all(burst, Verdict::Accept));
        bench.set.quiesce(&mut bench.gate).unwrap();
        let module = &mut bench.modules[0];
        until("the end", || {
            let poll = module.poll(&mut |burst| all(burst, Verdict::Accept)).unwrap();
            module.wait(module.now().after(PATIENCE)).unwrap();
            (poll == Poll::End).then_some(())
        });
        assert_eq!(module.poll(&mut |_| {}).unwrap(), Poll::End, "and stays there");
        sending.join().unwrap()
    });
    let (stats, counters) = (bench.modules[0].stats(), bench.gate.counters().unwrap());
    assert!(counters.uninspected > 0 && stats.accepted >= 1000, "{stats:?} {counters:?}");
    assert_eq!(stats.received + counters.uninspected, sent, "{stats:?} {counters:?}");
    let arrived = || bench.lab.server.counters(Lab::SERVER_PORT).unwrap().rx_packets;
    for _ in 0..1000 {
        if arrived() == sent {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(arrived(), sent, "{stats:?} {counters:?}");
    bench.assert_nothing_lost();
}

#[test]
fn each_pair_is_a_wire_of_its_own() {
    let options = Options::default();
    let (lab, dir) = lab(&options);
    VethPair::between(&lab.client, "client1", &lab.gate, "gate2", 1, 1500).unwrap();
    VethPair::between(&lab.server, "server1", &lab.gate, "gate3", 1, 1500).unwrap();
    let mut config = xdp_config(&options);
    config.pairs.push(("gate2".to_owned(), "gate3".to_owned()));
    config.huge_pages = true;
    config.bind_mode = BindMode::Copy;
    let (mut gate, _set, mut modules) = lab.gate.run(|| {
        let mut gate = Gate::load(&gate_config(&config, &dir, &options)).unwrap();
        let (set, modules) = InlineSet::open(&config, &mut gate).unwrap();
        (gate, set, modules)
    });
    assert_eq!(modules.len(), 1);
    let module = &mut modules[0];
    let wires = [
        [(&lab.client, Lab::CLIENT_PORT), (&lab.server, Lab::SERVER_PORT)],
        [(&lab.client, "client1"), (&lab.server, "server1")],
    ];
    let mut port = 0;
    for [first, second] in wires {
        let open = |(namespace, name)| RawSocket::open(namespace, name).unwrap();
        let mut ends = [open(first), open(second)];
        for from in [0, 1] {
            let sent = frame(90, port, &[]);
            ends[from].send(&sent).unwrap();
            let came = until("the packet", || {
                let mut came = Vec::new();
                let mut judge = |burst: &mut Burst<'_>| {
                    came.extend(burst.packets().iter().map(|packet| packet.meta.ingress));
                    all(burst, Verdict::Accept);
                };
                if poll(module, &mut judge) == 0 {
                    module.wait(module.now().after(PATIENCE)).unwrap();
                }
                Some(came).filter(|came| !came.is_empty())
            });
            assert_eq!(came, [PortId(port)]);
            receive(&mut ends[1 - from], &sent);
            port += 1;
        }
    }
    gate.clear_socket(3, 0).unwrap();
    assert_eq!(gate.port_counters(3).unwrap().socket, 1);
}
