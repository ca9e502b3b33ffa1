//! What goes through the gate, and what does not.

use crate::gate::{Gate, PATIENCE, Place, eventually, lab, lab_with, number, ping};
use portcullis_testkit::{Lab, LabOptions, RawSocket};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const FORBIDDEN: &str = concat!(
    r#"drop tcp any any -> any 8080 (msg:"forbidden"; flow:established,to_server; "#,
    r#"content:"GET /forbidden"; startswith; sid:1; rev:1;)"#,
    "\n"
);

/// What arrives at the server of one connection from the client that sends `bytes`.
pub(crate) fn transfer(lab: &Lab, port: u16, bytes: &[u8], patience: Duration) -> Vec<u8> {
    let listener = lab.server.run(|| TcpListener::bind((Lab::SERVER_ADDRESS, port))).unwrap();
    let mut client = lab.client.run(|| TcpStream::connect((Lab::SERVER_ADDRESS, port))).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(patience)).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            client.write_all(bytes).unwrap();
        });
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
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()[7]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn traffic_goes_through_whole_and_everything_balances() {
    let (lab, place) = (lab(), Place::new());
    lab.gate.add_address(Lab::GATE_CLIENT_PORT, "10.77.9.1/24").unwrap();
    let gate = Gate::start(&lab, &place, "", "");
    assert!(ping(&lab, 5, 5));
    let bytes = noise(4 << 20);
    assert!(transfer(&lab, 9000, &bytes, PATIENCE) == bytes, "not as it was sent");
    eventually("counters are published", || gate.counter("decoder.tcp") > 1000);
    let counters = gate.ask("dump-counters");
    let count = |name| number(&counters, name);
    assert!(count("gate.to_worker") >= count("decoder.pkts"));
    assert_eq!(count("decoder.icmpv4"), 10);
    assert_eq!(count("ips.blocked"), 0);
    gate.end(&lab);

    let stats = place.records("stats").pop().unwrap();
    let count = |name: &str| number(&stats["stats"], name);
    let ended: u64 = ["new", "established", "closed", "local_bypassed", "capture_bypassed"]
        .iter()
        .map(|state| count(&format!("flow.end.state.{state}")))
        .sum();
    assert_eq!(count("flow.total"), ended);
    assert_eq!(count("flow.active"), 0);
    assert_eq!(u64::try_from(place.records("flow").len()).unwrap(), ended);
    assert_eq!(count("ips.accepted"), count("decoder.pkts"));
    assert!(place.read("stdout").contains("packets"), "the summary");
    let addresses = lab.gate.output("ip", &["address", "show", Lab::GATE_CLIENT_PORT]).unwrap();
    assert!(addresses.contains("10.77.9.1/24"), "{addresses}");
}

#[test]
fn several_workers_forward_together() {
    let (lab, place) = (lab_with(LabOptions { queues: 2, ..LabOptions::default() }), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    gate.wait_for("2 workers");
    let bytes = noise(1 << 20);
    for port in 9000..9004 {
        assert!(transfer(&lab, port, &bytes, PATIENCE) == bytes, "not as it was sent");
    }
    gate.end(&lab);
    assert_eq!(place.records("flow").iter().filter(|flow| flow["proto"] == "TCP").count(), 4);
}

#[test]
fn a_drop_rule_stops_what_it_names_and_nothing_else() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", FORBIDDEN);
    let allowed = b"GET /allowed HTTP/1.0\r\n\r\n";
    assert_eq!(transfer(&lab, 8080, allowed, PATIENCE), allowed);
    let forbidden = b"GET /forbidden HTTP/1.0\r\n\r\n";
    assert_eq!(transfer(&lab, 8080, forbidden, Duration::from_secs(1)), b"");
    assert!(ping(&lab, 1, 5));
    gate.end(&lab);
    let alerts = place.records("alert");
    assert!(!alerts.is_empty());
    assert!(alerts.iter().all(|alert| alert["alert"]["action"] == "blocked"), "{alerts:?}");
    assert!(alerts.iter().all(|alert| alert["in_iface"] == Lab::GATE_CLIENT_PORT), "{alerts:?}");
    assert!(!place.records("drop").is_empty());
}

#[test]
fn a_tap_reports_and_lets_pass() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "copy-mode = \"tap\"", FORBIDDEN);
    let forbidden = b"GET /forbidden HTTP/1.0\r\n\r\n";
    assert_eq!(transfer(&lab, 8080, forbidden, PATIENCE), forbidden);
    gate.end(&lab);
    assert!(!place.records("alert").is_empty());
}

#[test]
fn an_ids_only_listens() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "copy-mode = \"ids\"", "");
    assert!(!ping(&lab, 1, 1));
    eventually("the request for an address is seen", || gate.counter("decoder.arp") > 0);
    gate.end(&lab);
}

#[test]
fn frames_leave_as_they_came() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    let client = RawSocket::open(&lab.client, Lab::CLIENT_PORT).unwrap();
    let mut server = RawSocket::open(&lab.server, Lab::SERVER_PORT).unwrap();
    let addresses = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    let check = |server: &mut RawSocket, header: &[u8], length: usize| {
        let mut frame = [&addresses[..], header].concat();
        frame.extend(noise(length.saturating_sub(frame.len())));
        client.send(&frame).unwrap();
        let arrived = server.receive_matching(PATIENCE, |other| other == frame).unwrap();
        assert!(arrived.is_some(), "{length} bytes with {header:02x?}");
    };
    // Without tags, with one, with two; the shortest that a packet socket sends, and the longest.
    for length in [14, 15, 60, 1514] {
        check(&mut server, &[0x88, 0xb5], length);
    }
    for length in [64, 1514] {
        check(&mut server, &[0x81, 0x00, 0x20, 0x07, 0x88, 0xb5], length);
        check(&mut server, &[0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0xef, 0xff, 0x88, 0xb5], length);
    }
    // An IPv4 header that is cut: invalid, forwarded by default.
    check(&mut server, &[0x08, 0x00, 0x45], 15);
    eventually("it is counted", || gate.counter("decoder.invalid") >= 1);
    gate.end(&lab);
}

#[test]
fn invalid_frames_are_dropped_where_that_is_wanted() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "decoder.invalid-policy = \"drop\"", "");
    let client = RawSocket::open(&lab.client, Lab::CLIENT_PORT).unwrap();
    let mut server = RawSocket::open(&lab.server, Lab::SERVER_PORT).unwrap();
    let cut = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45];
    let good = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, 0x45];
    client.send(&cut).unwrap();
    client.send(&good).unwrap();
    let first = server.receive_matching(PATIENCE, |frame| frame == cut || frame == good).unwrap();
    assert_eq!(first.as_deref(), Some(&good[..]));
    assert_eq!(gate.counter("ips.drop_reason.decode_error"), 1);
    gate.end(&lab);
}
