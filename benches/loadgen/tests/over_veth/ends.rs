//! Both ends alone, and what is refused.

use crate::rig::{LOADGEN, place, wire};
use portcullis_testkit::NetNs;
use portcullis_trial::{Place, Protocol, Rate, Size, Trial, Via};
use portcullis_wire::LinkType;
use portcullis_wire::decode::Decoder;
use portcullis_wire::decoded::BadChecksums;
use std::collections::HashMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn start(place: &NetNs, arguments: &[&str]) -> Child {
    place.command(LOADGEN).args(arguments).stdout(Stdio::piped()).spawn().expect("the load generator")
}

fn stop(child: Child) -> HashMap<String, String> {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("the load generator");
    let output = child.wait_with_output().expect("the load generator");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("the load generator");
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A sender that is told to stop in the middle of a run still knows what it sent.
#[test]
fn live_frames_until_told_to_stop_all_arrive() {
    let (left, right, _) = wire();
    let mut receiver = start(&right, &["receive", "--iface", "r0"]);
    let mut ready = [0; "state=ready\n".len()];
    receiver.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let sender = start(&left, &["send", "--iface", "l0", "--pps", "50000"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while right.counters("r0").unwrap().rx_packets < 1000 {
        assert!(Instant::now() < deadline, "not even 1000 frames came");
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = stop(sender);
    // Longer than frames are under way.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(sent["sent"], stop(receiver)["received"]);
}

/// The frames of a trial that a packet socket hears, without their times and what depends on them.
fn heard(change: impl FnOnce(Trial) -> Trial) -> Vec<Vec<u8>> {
    let (left, _right, mut socket) = wire();
    // Nobody is there to receive: all that matters is what is on the wire.
    let (other, _far, _) = wire();
    let trial = Trial {
        count: Some(60),
        rate: Rate::PerSecond(2000),
        flows: 9,
        ..Trial::between(place(&left, "l0"), place(&other, "l0"))
    };
    let trial = change(trial);
    let output = Command::new(LOADGEN).args(trial.arguments()).output().expect("the load generator");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let frames = (0..60).map(|_| {
        let mut frame = socket.receive(Duration::from_secs(30)).expect("a wire").expect("60 frames");
        let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, &frame);
        assert_eq!((decoded.invalid, decoded.bad_checksums), (None, BadChecksums::default()));
        let timed: &[std::ops::Range<usize>] = if trial.protocol == Protocol::Udp {
            &[40..42, 44..46, 50..58]
        } else {
            &[14 + 4..14 + 6, 14 + 10..14 + 12, 48..52, 58..60]
        };
        timed.iter().for_each(|range| frame[range.clone()].fill(0));
        frame
    });
    frames.collect()
}

/// Whoever makes them, the same trial has the same frames.
#[test]
fn all_senders_send_the_same_frames() {
    for (protocol, size, churn) in [(Protocol::Udp, Size::Imix, 0.4), (Protocol::Syn, Size::Bytes(60), 1.0)] {
        let frames = |via| heard(|trial| Trial { via, protocol, size, churn, sources: 5, seed: 7, ..trial });
        let live = frames(Via::Live);
        assert_eq!(live, frames(Via::Xdp));
        assert_eq!(live, frames(Via::Trafgen));
    }
}

#[test]
fn what_is_not_there_is_named() {
    let (left, _right, _) = wire();
    let there = place(&left, "l0");
    for (trial, wanted) in [
        (Trial::between(there.clone(), Place::here("nosuch0")), "there is no place -:nosuch0"),
        (Trial::between(Place::within("nosuch", "l0"), there.clone()), "there is no place nosuch:l0"),
        (
            Trial { size: Size::Bytes(2000), ..Trial::between(there.clone(), there.clone()) },
            "whose MTU is 1600",
        ),
        (Trial { churn: 2.0, ..Trial::between(there.clone(), there.clone()) }, "--churn"),
        (
            Trial {
                via: Via::Trafgen,
                capture: Some("/nowhere.pcap".into()),
                ..Trial::between(there.clone(), there.clone())
            },
            "/nowhere.pcap",
        ),
    ] {
        let output = Command::new(LOADGEN).args(trial.arguments()).output().unwrap();
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.starts_with("portcullis-loadgen: ") && error.contains(wanted), "{error}");
    }
}
