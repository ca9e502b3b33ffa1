//! Links that are lost, and ports that are changed under the running gate.

use crate::gate::{Gate, Place, eventually, lab, lab_with, ping};
use portcullis_testkit::{Lab, LabOptions, NetNs};
use rustix::process::Signal;

/// What `ip` shows of an interface between `<` and `>`.
fn flags(namespace: &NetNs, interface: &str) -> String {
    let shown = namespace.output("ip", &["link", "show", interface]).unwrap();
    shown.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

fn has(namespace: &NetNs, interface: &str, flag: &str) -> bool {
    flags(namespace, interface).split(',').any(|own| own == flag)
}

const MIRROR: &str = "links = { mirror = \"yes\", hold-down-ms = 200 }";

#[test]
fn a_lost_link_is_lost_on_the_other_side_and_comes_back() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, MIRROR, "");
    assert!(ping(&lab, 2, 5));
    let pairs = [
        (&lab.client, Lab::CLIENT_PORT, &lab.server, Lab::SERVER_PORT),
        (&lab.server, Lab::SERVER_PORT, &lab.client, Lab::CLIENT_PORT),
    ];
    for (near, near_port, far, far_port) in pairs {
        near.set_down(near_port).unwrap();
        eventually("the other side has lost its link", || has(far, far_port, "NO-CARRIER"));
        assert_eq!(gate.counter("links.held"), 1);
        near.set_up(near_port).unwrap();
        eventually("the other side has its link again", || has(far, far_port, "LOWER_UP"));
        eventually("traffic goes again", || ping(&lab, 1, 1));
        assert_eq!(gate.counter("links.held"), 0);
    }
    assert_eq!(gate.counter("links.lost"), 2);
    gate.wait_for("gate0 has lost its link: gate1 is taken down");
    gate.wait_for("gate1 has its link again: gate0 is brought up");
    gate.end(&lab);
}

#[test]
fn links_that_are_both_lost_come_back() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, MIRROR, "");
    assert!(ping(&lab, 2, 5));
    lab.client.set_down(Lab::CLIENT_PORT).unwrap();
    lab.server.set_down(Lab::SERVER_PORT).unwrap();
    eventually("one of them is told", || gate.counter("links.lost") >= 1);
    lab.server.set_up(Lab::SERVER_PORT).unwrap();
    lab.client.set_up(Lab::CLIENT_PORT).unwrap();
    eventually("traffic goes again", || ping(&lab, 1, 1));
    gate.end(&lab);
}

#[test]
fn a_port_that_is_held_down_at_the_end_is_up_again() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, MIRROR, "");
    assert!(ping(&lab, 2, 5));
    lab.client.set_down(Lab::CLIENT_PORT).unwrap();
    eventually("the peer is down", || !has(&lab.gate, Lab::GATE_SERVER_PORT, "UP"));
    gate.end(&lab);
    assert!(has(&lab.gate, Lab::GATE_SERVER_PORT, "UP"), "as it was before");
}

#[test]
fn without_mirroring_each_link_is_its_own() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    assert!(ping(&lab, 2, 5));
    lab.client.set_down(Lab::CLIENT_PORT).unwrap();
    eventually("the gate's port has lost its link", || has(&lab.gate, Lab::GATE_CLIENT_PORT, "NO-CARRIER"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(has(&lab.server, Lab::SERVER_PORT, "LOWER_UP"));
    lab.client.set_up(Lab::CLIENT_PORT).unwrap();
    eventually("traffic goes again", || ping(&lab, 1, 1));
    gate.end(&lab);
}

#[test]
fn a_port_that_goes_down_and_up_serves_again() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    assert!(ping(&lab, 2, 5));
    for port in [Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT] {
        lab.gate.set_down(port).unwrap();
        // It receives on one port and cannot send by the other.
        assert!(!ping(&lab, 2, 1));
        lab.gate.set_up(port).unwrap();
        eventually("traffic goes again", || ping(&lab, 1, 1));
    }
    gate.end(&lab);
}

#[test]
fn queues_that_are_added_are_told_of() {
    let (lab, place) = (lab_with(LabOptions { queues: 2, ..LabOptions::default() }), Place::new());
    let ends = [(&lab.client, Lab::CLIENT_PORT), (&lab.server, Lab::SERVER_PORT)];
    for (namespace, port) in ends {
        namespace.output("ethtool", &["-L", port, "tx", "1"]).unwrap();
    }
    for port in [Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT] {
        lab.gate.output("ethtool", &["-L", port, "rx", "1"]).unwrap();
    }
    let gate = Gate::start(&lab, &place, "", "");
    assert!(ping(&lab, 2, 5));
    lab.gate.output("ethtool", &["-L", Lab::GATE_CLIENT_PORT, "rx", "2"]).unwrap();
    eventually("the gate has noticed", || gate.counter("links.misfits") == 1);
    gate.wait_for("gate0 has 2 receive queues now, but 1 are served");
    assert!(ping(&lab, 2, 5), "the queue that is served goes on");
    lab.gate.output("ethtool", &["-L", Lab::GATE_CLIENT_PORT, "rx", "1"]).unwrap();
    eventually("all is well again", || gate.counter("links.misfits") == 0);
    gate.end(&lab);
}

#[test]
fn queues_with_sockets_cannot_be_taken_away() {
    let (lab, place) = (lab_with(LabOptions { queues: 2, ..LabOptions::default() }), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    gate.wait_for("2 workers");
    let fewer = lab.gate.output("ethtool", &["-L", Lab::GATE_CLIENT_PORT, "rx", "1"]);
    assert!(fewer.is_err(), "the kernel keeps them");
    assert!(ping(&lab, 2, 5));
    gate.end(&lab);
}

#[test]
fn an_mtu_that_packet_memory_has_no_room_for_is_told_of() {
    let (lab, place) = (lab(), Place::new());
    let config = place.configure("", "");
    let text = std::fs::read_to_string(&config).unwrap();
    // In the driver the kernel refuses such an MTU by itself.
    place.write("gate.toml", &text.replace("[capture.af-xdp]", "[capture.af-xdp]\nxdp-mode = \"generic\""));
    let gate = Gate::start_as(&lab, &place, &config);
    assert!(ping(&lab, 2, 5));
    lab.gate.output("ip", &["link", "set", Lab::GATE_CLIENT_PORT, "mtu", "9000"]).unwrap();
    eventually("the gate has noticed", || gate.counter("links.misfits") == 1);
    gate.wait_for("gate0 has MTU 9000 now");
    assert!(ping(&lab, 2, 5));
    gate.end(&lab);
}

#[test]
fn ports_are_down_while_nobody_judges() {
    let (lab, place) = (lab(), Place::new());
    let top = "fail = \"link-down\"\nliveness = { limit-ms = 200 }\nlinks = { hold-down-ms = 200 }";
    let gate = Gate::start(&lab, &place, top, "");
    let ends = [(&lab.client, Lab::CLIENT_PORT), (&lab.server, Lab::SERVER_PORT)];
    let all = |flag: &str| ends.iter().all(|(namespace, port)| has(namespace, port, flag));
    assert!(ping(&lab, 2, 5));
    gate.signal_judge(Signal::STOP);
    eventually("both ends have lost their links", || all("NO-CARRIER"));
    gate.signal_judge(Signal::CONT);
    eventually("both have them again", || all("LOWER_UP"));
    eventually("traffic goes again", || ping(&lab, 1, 1));
    let judge = gate.judge();
    gate.signal_judge(Signal::KILL);
    gate.wait_for_another(judge);
    eventually("both have them again", || all("LOWER_UP"));
    eventually("traffic goes again", || ping(&lab, 1, 1));
    let lost = gate.counter("links.lost");
    assert!(lost >= 1);
    gate.wait_for("no live worker: gate0 and gate1 are taken down");
    // One that hands over is no dead one.
    let judge = gate.judge();
    gate.ask("restart");
    gate.wait_for_another(judge);
    assert_eq!(gate.counter("links.lost"), lost);
    assert!(ping(&lab, 2, 5));
    gate.signal_judge(Signal::STOP);
    eventually("both ends have lost their links", || all("NO-CARRIER"));
    gate.signal_judge(Signal::CONT);
    gate.end(&lab);
    for port in [Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT] {
        assert!(has(&lab.gate, port, "UP"), "as before");
    }
}
