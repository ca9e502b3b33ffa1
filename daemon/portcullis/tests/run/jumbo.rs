//! Frames longer than a page: through the gate as they were, judged whole.

use crate::forwarding::{noise, transfer};
use crate::gate::{Gate, PATIENCE, Place, lab_with, ping};
use portcullis_testkit::{Lab, LabOptions};
use std::net::UdpSocket;
use std::time::Duration;

const RULES: &str =
    "drop udp any any -> any 9001 (msg:\"far inside\"; content:\"forbidden\"; offset:5000; sid:1;)\n";

#[test]
fn long_frames_are_judged_whole_and_go_through() {
    let lab = lab_with(LabOptions { mtu: 9000, ..LabOptions::default() });
    let place = Place::new();
    let gate = Gate::start(&lab, &place, "", RULES);
    assert!(ping(&lab, 2, 5));
    let arguments = ["-q", "-c", "3", "-i", "0.05", "-W", "5", "-M", "do", "-s", "8900", Lab::SERVER_ADDRESS];
    lab.client.output("ping", &arguments).unwrap();
    let bytes = noise(4 << 20);
    assert!(transfer(&lab, 9000, &bytes, PATIENCE) == bytes, "not as it was sent");

    let server = lab.server.run(|| UdpSocket::bind((Lab::SERVER_ADDRESS, 9001))).unwrap();
    let client = lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 0))).unwrap();
    let mut received = vec![0; 65_536];
    let mut send = |payload: &[u8], patience: Duration| {
        client.send_to(payload, (Lab::SERVER_ADDRESS, 9001)).unwrap();
        server.set_read_timeout(Some(patience)).unwrap();
        server.recv(&mut received).ok().map(|length| received[..length].to_vec())
    };
    let mut payload = noise(8900);
    assert_eq!(send(&payload, PATIENCE), Some(payload.clone()));
    payload[6000..6009].copy_from_slice(b"forbidden");
    assert_eq!(send(&payload, Duration::from_secs(1)), None);
    gate.end(&lab);
    let alerts = place.records("alert");
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["alert"]["action"], "blocked");
}
