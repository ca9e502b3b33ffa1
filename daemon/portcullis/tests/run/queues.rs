//! Four queues whose choice is not symmetric: flows stay whole and in order, and are the same as with one worker.

use crate::forwarding::{noise, transfer};
use crate::gate::{Gate, PATIENCE, Place, lab_with};
use portcullis_testkit::{Lab, LabOptions};
use serde_json::Value;
use std::net::UdpSocket;

fn four_queues() -> Lab {
    // Each end sends by the queue that its own hash of the flow says: most flows come back by another.
    lab_with(LabOptions { queues: 4, ..LabOptions::default() })
}

/// Eight questions and answers on each of 24 flows.
fn converse(lab: &Lab) {
    let server = lab.server.run(|| UdpSocket::bind((Lab::SERVER_ADDRESS, 7000))).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    for port in 20_000..20_024 {
        let client = lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, port))).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        for turn in 0..8_u8 {
            let mut buffer = [0; 64];
            client.send_to(&[turn; 40], (Lab::SERVER_ADDRESS, 7000)).unwrap();
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from.port()), (&[turn; 40][..], port));
            server.send_to(&[turn; 30], from).unwrap();
            assert_eq!(client.recv(&mut buffer).unwrap(), 30);
        }
    }
}

/// What is told of every UDP flow and alert, in order.
fn told(place: &Place) -> Vec<String> {
    let flows = place.records("flow").into_iter().filter(|flow| flow["proto"] == "UDP");
    let flow = |flow: Value| {
        let counts = &flow["flow"];
        let [to, back] = ["pkts_toserver", "pkts_toclient"].map(|key| counts[key].clone());
        format!("flow {} {} {to} {back} {}", flow["src_port"], flow["dest_port"], counts["state"])
    };
    let alert = |alert: Value| format!("alert {} {}", alert["src_port"], alert["alert"]["signature_id"]);
    let mut told: Vec<String> =
        flows.map(flow).chain(place.records("alert").into_iter().map(alert)).collect();
    told.sort_unstable();
    told
}

#[test]
fn flows_are_the_same_with_one_worker_and_with_four() {
    let rules = "alert udp any any -> any 7000 (msg:\"third\"; content:\"|02 02 02|\"; sid:7;)\n";
    let run = |workers: &str| {
        let (lab, place) = (four_queues(), Place::new());
        let config = place.configure("", rules);
        let text = std::fs::read_to_string(&config).unwrap();
        let text =
            text.replace("[capture.af-xdp]", &format!("[capture]\nworkers = {workers}\n[capture.af-xdp]"));
        place.write("gate.toml", &text);
        let gate = Gate::start_as(&lab, &place, &config);
        gate.wait_for(&format!("{workers} workers"));
        converse(&lab);
        gate.end(&lab);
        told(&place)
    };
    let one = run("1");
    assert_eq!(one.len(), 48, "{one:?}");
    assert_eq!(one, run("4"));
}

#[test]
fn packets_of_a_flow_stay_in_order_over_four_queues() {
    let (lab, place) = (four_queues(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    gate.wait_for("4 workers");
    let server = lab.server.run(|| UdpSocket::bind((Lab::SERVER_ADDRESS, 7000))).unwrap();
    server.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    let client = lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 20_000))).unwrap();
    let (mut next, mut received) = (0_u32, 0);
    // So few at a time that none need be lost for want of room.
    for _ in 0..100 {
        for _ in 0..32 {
            client.send_to(&next.to_be_bytes(), (Lab::SERVER_ADDRESS, 7000)).unwrap();
            next += 1;
        }
        while received < next {
            let mut buffer = [0; 4];
            let Ok(4) = server.recv(&mut buffer) else { panic!("{received} of {next} came") };
            assert_eq!(u32::from_be_bytes(buffer), received, "out of order, or lost");
            received += 1;
        }
    }
    let bytes = noise(1 << 20);
    for port in 9000..9008 {
        assert!(transfer(&lab, port, &bytes, PATIENCE) == bytes, "not as it was sent");
    }
    assert!(gate.counter("worker.imbalance") >= 100);
    gate.end(&lab);
    // One address pair is one worker's: three of four queues are steered.
    let stats = place.records("stats").pop().unwrap();
    assert!(stats["stats"]["worker"]["steered_in"].as_u64().unwrap() > 0);
    let flows = place.records("flow").into_iter().filter(|flow| flow["proto"] == "TCP").count();
    assert_eq!(flows, 8, "no flow is split");
}
