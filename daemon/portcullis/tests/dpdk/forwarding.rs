//! What goes through, and what does not. A gate that ends well has found every buffer back in the pool.

use crate::gate::{Gate, PATIENCE, PROGRAM, Place, eventually, kill_and_wait, lab, lab_with, number, ping};
use crate::ports::{af_packet, af_xdp, for_two, over};
use portcullis_testkit::{Lab, LabOptions, RawSocket};
use rustix::process::Signal;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

const FORBIDDEN: &str = concat!(
    r#"drop tcp any any -> any 8080 (msg:"forbidden"; flow:established,to_server; "#,
    r#"content:"GET /forbidden"; startswith; sid:1; rev:1;)"#,
    "\n"
);

/// What arrives at the server of one connection from the client that sends `bytes`.
fn transfer(lab: &Lab, port: u16, bytes: &[u8], patience: Duration) -> Vec<u8> {
    let listener = lab.server.run(|| TcpListener::bind((Lab::SERVER_ADDRESS, port))).unwrap();
    let mut client = lab.client.run(|| TcpStream::connect((Lab::SERVER_ADDRESS, port))).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(patience)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || client.write_all(bytes).unwrap());
        let (mut received, mut chunk) = (Vec::new(), vec![0; 65_536]);
        while received.len() < bytes.len() {
            match server.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(got) => received.extend_from_slice(&chunk[..got]),
            }
        }
        received
    })
}

/// Bytes without a pattern that a lost or doubled segment would leave intact.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()[7]
    };
    (0..length).map(|_| next()).collect()
}

/// Bytes that iperf3 gets through within a second.
fn iperf(lab: &Lab) -> u64 {
    let arguments = |more: &[&'static str]| [&["--port", "5301"], more].concat();
    let mut server = lab.server.command("iperf3");
    let mut server = server.args(arguments(&["--server"])).stdout(Stdio::null()).spawn().unwrap();
    let mut received = 0;
    // The server takes its time to listen, and a client that it refuses calls that a success.
    eventually("iperf3 gets through", || {
        let mut client = lab.client.command("iperf3");
        client.args(["--client", Lab::SERVER_ADDRESS]).args(arguments(&["--time", "1", "--json"]));
        let output = client.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        received = report["end"]["sum_received"]["bytes"].as_u64().unwrap_or(0);
        received > 0
    });
    server.kill().unwrap();
    server.wait().unwrap();
    received
}

/// Ping, iperf3, a download and a forbidden request.
fn check(settings: &str, driver: &str) {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, settings, FORBIDDEN);
    gate.wait_for(&format!("{}: {driver}, 1 queues", Lab::GATE_CLIENT_PORT));
    gate.wait_for("the verdict cache is not available with these ports: ");
    assert!(ping(&lab, 5, 5));
    let bytes = noise(20_000_000);
    assert!(transfer(&lab, 9000, &bytes, PATIENCE) == bytes, "not as it was sent");
    assert!(iperf(&lab) > 1 << 20);
    let allowed = b"GET /allowed HTTP/1.0\r\n\r\n";
    assert_eq!(transfer(&lab, 8080, allowed, PATIENCE), allowed);
    let forbidden = b"GET /forbidden HTTP/1.0\r\n\r\n";
    assert_eq!(transfer(&lab, 8080, forbidden, Duration::from_secs(1)), b"");
    eventually("counters are published", || gate.counter("ips.blocked") > 0);
    let counters = gate.ask("dump-counters");
    let count = |name| number(&counters, name);
    assert_eq!(count("decoder.icmpv4"), 10);
    assert_eq!(count("decoder.invalid"), 0);
    assert!(count("decoder.tcp") > 10_000);
    assert_eq!(count("dpdk.verdict_cache_available"), 0);
    assert!(count(&format!("dpdk.{}.rx_good_packets", Lab::GATE_CLIENT_PORT)) > 5_000, "the driver's own");
    gate.end(&lab);
    let alerts = place.records("alert");
    assert!(!alerts.is_empty());
    assert!(alerts.iter().all(|alert| alert["alert"]["action"] == "blocked"), "{alerts:?}");
    assert!(alerts.iter().all(|alert| alert["in_iface"] == Lab::GATE_CLIENT_PORT), "{alerts:?}");
}

#[test]
fn over_packet_sockets() {
    check(&af_packet(), "net_af_packet");
}

#[test]
fn over_af_xdp_sockets() {
    check(&af_xdp(), "net_af_xdp");
}

#[test]
fn several_workers_forward_together() {
    let (lab, place) = (lab_with(LabOptions { queues: 2, ..LabOptions::default() }), Place::new());
    let settings = for_two(&over("net_af_packet", ",qpairs=2"));
    let gate = Gate::start(&lab, &place, &settings, "");
    gate.wait_for("2 workers");
    let bytes = noise(1 << 20);
    for port in 9000..9004 {
        assert!(transfer(&lab, port, &bytes, PATIENCE) == bytes, "not as it was sent");
    }
    gate.end(&lab);
    assert_eq!(place.records("flow").iter().filter(|flow| flow["proto"] == "TCP").count(), 4);
}

#[test]
fn a_tap_reports_and_lets_pass() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, &format!("copy-mode = \"tap\"\n{}", af_packet()), FORBIDDEN);
    let forbidden = b"GET /forbidden HTTP/1.0\r\n\r\n";
    assert_eq!(transfer(&lab, 8080, forbidden, PATIENCE), forbidden);
    gate.end(&lab);
    assert!(!place.records("alert").is_empty());
}

#[test]
fn an_ids_only_listens() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, &format!("copy-mode = \"ids\"\n{}", af_packet()), "");
    assert!(!ping(&lab, 1, 1));
    eventually("the request for an address is seen", || gate.counter("decoder.arp") > 0);
    gate.end(&lab);
}

/// The kernel takes the outer tag off for packet sockets: it must be back on when the frame leaves.
#[test]
fn frames_leave_as_they_came() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, &af_packet(), "");
    let client = RawSocket::open(&lab.client, Lab::CLIENT_PORT).unwrap();
    let mut server = RawSocket::open(&lab.server, Lab::SERVER_PORT).unwrap();
    let addresses = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    let mut check = |header: &[u8], length: usize| {
        let mut frame = [&addresses[..], header].concat();
        frame.extend(noise(length.saturating_sub(frame.len())));
        client.send(&frame).unwrap();
        let arrived = server.receive_matching(PATIENCE, |other| other == frame).unwrap();
        assert!(arrived.is_some(), "{length} bytes with {header:02x?}");
    };
    for length in [60, 1514] {
        check(&[0x88, 0xb5], length);
    }
    for length in [64, 1500] {
        check(&[0x81, 0x00, 0x20, 0x07, 0x88, 0xb5], length);
        check(&[0x81, 0x00, 0x00, 0x05, 0x81, 0x00, 0xef, 0xff, 0x88, 0xb5], length);
    }
    gate.end(&lab);
}

/// Whoever kills all of it finds the wire dark: nothing acts in its place.
#[test]
fn without_a_process_the_ports_are_dark() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, &format!("fail = \"open\"\n{}", af_packet()), "");
    assert!(ping(&lab, 1, 5));
    gate.kill();
    assert!(!ping(&lab, 2, 1));
    let gate = Gate::start(&lab, &place, &af_packet(), "");
    assert!(ping(&lab, 1, 5));
    gate.end(&lab);
}

#[test]
fn the_doctor_says_that_ports_go_dark() {
    let (lab, place) = (lab(), Place::new());
    let config = place.configure(&format!("fail = \"open\"\n{}", af_packet()), "");
    let output = lab.gate.command(PROGRAM).args(["doctor", "-c"]).arg(&config).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("the ports go dark when the gate ends or dies"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}

#[test]
fn another_process_follows_where_one_dies_or_is_replaced() {
    let (lab, place) = (lab(), Place::new());
    let top = format!("liveness.outlive-warden = true\n{}", af_packet());
    let gate = Gate::start(&lab, &place, &top, "");
    let first = gate.judge();
    gate.signal_judge(Signal::KILL);
    gate.wait_for_another(first);
    assert!(ping(&lab, 1, 5));
    let second = gate.judge();
    gate.ask("restart");
    eventually("another process judges", || gate.judges().iter().all(|judge| *judge != second));
    assert!(ping(&lab, 1, 5));
    // Without its warden it goes on, until another end or start is made.
    let judge = gate.kill_warden();
    assert!(ping(&lab, 1, 5));
    kill_and_wait(judge);
    assert!(!ping(&lab, 1, 1));
}
