//! Namespaces, wires and frames on the real kernel. Needs root.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use portcullis_testkit::{Lab, LabOptions, NetNs, RawSocket, VethPair, require_root};

/// How long to wait for what the kernel does in its own time before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        sleep(Duration::from_millis(20));
    }
}

fn has_interface(namespace: &NetNs, name: &str) -> bool {
    namespace.interfaces().expect("the namespace is readable").iter().any(|interface| interface == name)
}

#[test]
fn a_new_namespace_is_empty_and_quiet() {
    require_root();
    let namespace = NetNs::new("empty").unwrap();
    assert_eq!(namespace.interfaces().unwrap(), ["lo"]);
    let ipv6 = namespace.run(|| fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6").unwrap());
    assert_eq!(ipv6.trim(), "1");
    namespace.output("ping", &["-c1", "-W5", "127.0.0.1"]).unwrap();
}

#[test]
fn mounts_survive_entering_a_namespace() {
    require_root();
    let namespace = NetNs::new("mounts").unwrap();
    let outside = fs::read_to_string("/proc/self/mounts").unwrap();
    assert_eq!(namespace.output("cat", &["/proc/self/mounts"]).unwrap(), outside);
}

#[test]
fn a_namespace_vanishes_when_dropped() {
    require_root();
    let outside = NetNs::new("outside").unwrap();
    let inside = NetNs::new("inside").unwrap();
    VethPair::between(&inside, "held", &outside, "canary", 1, 1500).unwrap();
    assert!(has_interface(&outside, "canary"));
    drop(inside);
    eventually("the wire went away with its other end", || !has_interface(&outside, "canary"));
}

/// The far end of a wire out of the dead process's lab tells when the kernel has taken the lab
/// down; the program inside must be gone too.
#[test]
fn a_lab_vanishes_when_its_process_is_killed() {
    require_root();
    let outside = NetNs::new("outside").unwrap();
    let mut holder = Command::new(env!("CARGO_BIN_EXE_hold-lab"))
        .arg(outside.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut inmate = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut inmate).unwrap();
    let inmate: u32 = inmate.trim().parse().expect("hold-lab says the id of what it started");
    let inmate = format!("/proc/{inmate}");
    assert!(has_interface(&outside, "canary"));
    assert!(Path::new(&inmate).exists());

    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("the program inside is gone", || !is_running(&inmate));
    eventually("the wire went away with the lab", || !has_interface(&outside, "canary"));
}

/// Whether the process still runs: one that nobody has waited for yet does not.
fn is_running(process: &str) -> bool {
    fs::read_to_string(format!("{process}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z')))
}

#[test]
fn frames_cross_a_wire_byte_identical() {
    require_root();
    let (left, right) = (NetNs::new("left").unwrap(), NetNs::new("right").unwrap());
    VethPair::between(&left, "l0", &right, "r0", 1, 1500).unwrap();
    let sender = RawSocket::open(&left, "l0").unwrap();
    let mut receiver = RawSocket::open(&right, "r0").unwrap();
    let header = [0x02, 0, 0, 0, 0, 9, 0x02, 0, 0, 0, 0, 8];
    let tails: [&[u8]; 5] = [
        // Nothing behind the header; one byte; an 802.1Q tag; two tags; a full frame.
        &[0x88, 0xb5],
        &[0x88, 0xb5, 0xff],
        &[0x81, 0x00, 0x60, 0x07, 0x88, 0xb5, 1, 2, 3],
        &[0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x00, 0x06, 0x88, 0xb5, 4, 5, 6],
        &[0x88; 1502],
    ];
    for tail in tails {
        let frame = [&header, tail].concat();
        sender.send(&frame).unwrap();
        let received = receiver.receive_matching(PATIENCE, |frame| frame.starts_with(&header)).unwrap();
        assert_eq!(received.as_deref(), Some(frame.as_slice()));
    }
    assert_eq!(receiver.receive(Duration::ZERO).unwrap(), None, "each frame arrives once");
}

#[test]
fn a_socket_does_not_hear_itself() {
    require_root();
    let (left, right) = (NetNs::new("left").unwrap(), NetNs::new("right").unwrap());
    VethPair::between(&left, "l0", &right, "r0", 1, 1500).unwrap();
    let mut sender = RawSocket::open(&left, "l0").unwrap();
    let mut receiver = RawSocket::open(&right, "r0").unwrap();
    let frame = [0x88; 60];
    sender.send(&frame).unwrap();
    assert!(receiver.receive_matching(PATIENCE, |received| received == frame).unwrap().is_some());
    assert_eq!(sender.receive(Duration::ZERO).unwrap(), None);
}

#[test]
fn a_raw_socket_on_a_missing_interface_names_it() {
    require_root();
    let namespace = NetNs::new("bare").unwrap();
    let error = RawSocket::open(&namespace, "nosuch0").unwrap_err();
    assert!(error.to_string().starts_with("no interface nosuch0 in bare-"), "{error}");
}

/// The lab is three hosts in a row, and nothing joins the gate's ports.
#[test]
fn the_inline_lab_is_wired_and_open_in_the_middle() {
    require_root();
    let lab = Lab::with(LabOptions { queues: 2, mtu: 3000 }).unwrap();
    assert_eq!(lab.client.interfaces().unwrap(), ["lo", Lab::CLIENT_PORT]);
    assert_eq!(lab.gate.interfaces().unwrap(), ["lo", Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT]);
    assert_eq!(lab.server.interfaces().unwrap(), ["lo", Lab::SERVER_PORT]);
    let details = lab.gate.output("ip", &["-details", "link", "show", "dev", Lab::GATE_CLIENT_PORT]).unwrap();
    for wanted in ["mtu 3000", "numtxqueues 2", "numrxqueues 2", "state UP"] {
        assert!(details.contains(wanted), "{wanted} in {details}");
    }
    let before = lab.server.counters(Lab::SERVER_PORT).unwrap();
    let ping = lab.client.output("ping", &["-c1", "-W1", Lab::SERVER_ADDRESS]);
    assert!(ping.is_err(), "nothing forwards yet");
    assert_eq!(lab.server.counters(Lab::SERVER_PORT).unwrap(), before);

    // A bridge in the gate joins them; then the same ping passes.
    lab.gate.output("ip", &["link", "add", "join", "up", "type", "bridge", "forward_delay", "0"]).unwrap();
    for port in [Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT] {
        lab.gate.output("ip", &["link", "set", port, "master", "join"]).unwrap();
    }
    lab.client.output("ping", &["-c1", "-W20", Lab::SERVER_ADDRESS]).unwrap();
}

/// A lab with names is there for other processes, is made once, and goes when told to.
#[test]
fn a_named_lab_stays_until_it_is_removed() {
    require_root();
    let prefix = format!("testkit-{}", std::process::id());
    assert!(Lab::open_named(&prefix).is_err());
    drop(Lab::create_named(&prefix, LabOptions::default()).unwrap());
    let client = format!("{prefix}-client");
    let shown = Command::new("ip").args(["-n", &client, "link", "show", Lab::CLIENT_PORT]).output().unwrap();
    let taken = Lab::create_named(&prefix, LabOptions::default());
    let opened = Lab::open_named(&prefix).and_then(|lab| lab.gate.interfaces());
    let removed = Lab::remove_named(&prefix);
    assert!(shown.status.success(), "ip finds it by name");
    assert!(taken.is_err(), "the names are taken");
    assert_eq!(opened.unwrap(), ["lo", Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT], "and left alone");
    assert!(removed.unwrap());
    assert!(Lab::open_named(&prefix).is_err());
    assert!(!Lab::remove_named(&prefix).unwrap(), "nothing is left to remove");
}

#[test]
fn a_failing_program_says_what_it_was() {
    require_root();
    let namespace = NetNs::new("wrong").unwrap();
    let error = namespace.set_up("nosuch0").unwrap_err().to_string();
    assert!(error.contains("ip link set nosuch0 up") && error.contains("in wrong-"), "{error}");
    let error = namespace.output("no-such-program", &[]).unwrap_err().to_string();
    assert!(error.starts_with("cannot start `no-such-program`"), "{error}");
}
