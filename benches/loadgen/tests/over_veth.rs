//! Sender and receiver against each other over a wire. Needs root.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use portcullis_testkit::{NetNs, RawSocket, VethPair, require_root};

const LOADGEN: &str = env!("CARGO_BIN_EXE_loadgen");

fn wire() -> (NetNs, NetNs) {
    let (left, right) =
        (NetNs::new("sender").expect("a namespace"), NetNs::new("receiver").expect("a namespace"));
    VethPair::between(&left, "l0", &right, "r0", 1, 1500).expect("a wire");
    (left, right)
}

fn results(text: &str) -> HashMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Every frame that the sender says it sent is one that the receiver says it received.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn check_transfer(mode: &str, more: &[&str]) {
    require_root();
    let (left, right) = wire();
    let mut receiver = right
        .command(LOADGEN)
        .args(["receive", "--iface", "r0", "--count", "5000", "--seconds", "60"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(receiver.stdout.take().unwrap());
    let mut ready = String::new();
    output.read_line(&mut ready).unwrap();
    assert_eq!(ready, "state=ready\n");
    let arguments = ["send", "--iface", "l0", "--mode", mode, "--count", "5000", "--size", "64"];
    let sent = results(&left.output(LOADGEN, &[&arguments, more].concat()).unwrap());
    let received: String = output.lines().map(|line| line.unwrap() + "\n").collect();
    let received = results(&received);
    assert!(receiver.wait().unwrap().success());
    assert_eq!(sent["sent"], "5000");
    assert_eq!(received["received"], "5000");
    assert_eq!(sent["bytes"], "320000");
    assert_eq!(received["bytes"], "320000");
}

#[test]
fn live_frames_all_arrive() {
    check_transfer("live-frames", &["--flows", "300"]);
}

#[test]
fn live_frames_at_a_rate_all_arrive() {
    check_transfer("live-frames", &["--pps", "20000"]);
}

/// A sender that is told to stop in the middle of a run still knows what it sent.
#[test]
fn live_frames_until_told_to_stop_all_arrive() {
    require_root();
    let (left, right) = wire();
    let start = |place: &NetNs, arguments: &[&str]| {
        place.command(LOADGEN).args(arguments).stdout(Stdio::piped()).spawn().unwrap()
    };
    let stop = |child: std::process::Child| {
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        results(&String::from_utf8(output.stdout).unwrap())
    };
    let mut receiver = start(&right, &["receive", "--iface", "r0"]);
    let mut ready = [0; "state=ready\n".len()];
    receiver.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let sender = start(&left, &["send", "--iface", "l0", "--pps", "50000", "--seconds", "60"]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while right.counters("r0").unwrap().rx_packets < 1000 {
        assert!(Instant::now() < deadline, "not even 1000 frames came");
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = stop(sender);
    // Longer than frames are under way.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(sent["sent"], stop(receiver)["received"]);
}

#[test]
fn socket_frames_all_arrive() {
    check_transfer("packet", &["--pps", "20000"]);
}

/// Both senders number their flows the same way, take them in turn and compute the same checksums.
#[test]
fn frames_are_the_same_in_both_modes() {
    require_root();
    let heard_from = |mode: &str, more: &[&str]| -> HashSet<Vec<u8>> {
        let (left, right) = wire();
        right.set_feature("r0", "gro", true).unwrap();
        let mut socket = RawSocket::open(&right, "r0").unwrap();
        let arguments = ["send", "--iface", "l0", "--mode", mode, "--count", "90", "--flows", "30"];
        left.output(LOADGEN, &[&arguments, more].concat()).unwrap();
        let heard = (0..90).map(|_| socket.receive(Duration::from_secs(30)).unwrap().expect("90 frames"));
        heard.collect()
    };
    for more in [&[][..], &["--checksum"]] {
        let live = heard_from("live-frames", more);
        assert_eq!(live.len(), 30);
        assert_eq!(live, heard_from("packet", more));
    }
}

#[test]
fn a_missing_interface_is_named() {
    let output = Command::new(LOADGEN).args(["send", "--iface", "nosuch0", "--count", "1"]).output().unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("loadgen: no interface nosuch0 here"), "{error}");
}
