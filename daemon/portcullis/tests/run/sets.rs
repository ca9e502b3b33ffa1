//! Several inline sets, and several pairs in one: which packets belong together, and whose policy acts.

use crate::gate::{Gate, PATIENCE, PROGRAM, Place, assert_ports_are_free, eventually, lab, ping};
use portcullis_testkit::{Lab, NetNs, VethPair};
use std::net::UdpSocket;
use std::path::PathBuf;

/// A second wire through the lab's gate, with the addresses of the first at its ends.
struct Wire {
    client: NetNs,
    server: NetNs,
}

impl Wire {
    fn through(gate: &NetNs) -> Self {
        let (client, server) = (NetNs::new("client-b").unwrap(), NetNs::new("server-b").unwrap());
        let ends = [
            (&client, "far2", Lab::CLIENT_ADDRESS, "gate2"),
            (&server, "far3", Lab::SERVER_ADDRESS, "gate3"),
        ];
        for (host, port, address, gate_port) in ends {
            VethPair::between(host, port, gate, gate_port, 1, 1500).unwrap();
            host.set_feature(port, "tx", false).unwrap();
            host.set_feature(port, "gro", true).unwrap();
            host.add_address(port, &format!("{address}/24")).unwrap();
        }
        Self { client, server }
    }

    fn ping(&self, count: u32, wait: u32) -> bool {
        let (count, wait) = (count.to_string(), wait.to_string());
        let arguments = ["-q", "-c", &count, "-i", "0.05", "-W", &wait, Lab::SERVER_ADDRESS];
        self.client.output("ping", &arguments).is_ok()
    }
}

/// The lab's configuration with these inline sets.
fn configure(place: &Place, top: &str, sets: &str) -> PathBuf {
    let rules = "alert udp any any -> any 53 (msg:\"asked\"; content:\"question\"; sid:1;)\n";
    let config = place.configure(top, rules);
    let text = std::fs::read_to_string(&config).unwrap();
    let lines = text.lines().map(|line| if line.starts_with("inline-set") { sets } else { line });
    let text: Vec<&str> = lines.collect();
    place.write("gate.toml", &text.join("\n"))
}

/// A question and its answer, from the same port to the same port on whichever wire.
fn ask(client: &NetNs, server: &NetNs) {
    let bind = |space: &NetNs, address, port| {
        let socket = space.run(|| UdpSocket::bind((address, port))).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    let server = bind(server, Lab::SERVER_ADDRESS, 53);
    let client = bind(client, Lab::CLIENT_ADDRESS, 5300);
    client.send_to(b"question", (Lab::SERVER_ADDRESS, 53)).unwrap();
    let mut buffer = [0; 64];
    let (length, from) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"question");
    server.send_to(b"answer", from).unwrap();
    let length = client.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"answer");
}

fn end(gate: Gate<'_>, lab: &Lab) {
    gate.signal(rustix::process::Signal::TERM);
    let place = gate.place;
    let status = gate.wait();
    assert!(status.success(), "{status}: {}", place.said());
    assert_ports_are_free(lab);
}

#[test]
fn the_same_endpoints_in_two_sets_are_two_flows() {
    let (lab, place) = (lab(), Place::new());
    let other = Wire::through(&lab.gate);
    let sets = format!(
        "inline-set = [{{ name = \"{0}\", pairs = [[\"gate0\", \"gate1\"]] }}, \
         {{ name = \"{0}-b\", pairs = [[\"gate2\", \"gate3\"]] }}]",
        place.name
    );
    let gate = Gate::start_as(&lab, &place, &configure(&place, "", &sets));
    ask(&lab.client, &lab.server);
    ask(&other.client, &other.server);
    end(gate, &lab);
    let flows: Vec<_> = place.records("flow").into_iter().filter(|flow| flow["proto"] == "UDP").collect();
    assert_eq!(flows.len(), 2, "{flows:?}");
    let mut ports: Vec<String> =
        place.records("alert").iter().map(|alert| alert["in_iface"].as_str().unwrap().to_owned()).collect();
    ports.sort_unstable();
    assert_eq!(ports, ["gate0", "gate2"]);
    for flow in flows {
        assert_eq!((&flow["flow"]["pkts_toserver"], &flow["flow"]["pkts_toclient"]), (&1.into(), &1.into()));
    }
}

#[test]
fn a_flow_may_take_any_pair_of_its_set() {
    let (lab, place) = (lab(), Place::new());
    let other = Wire::through(&lab.gate);
    let pairs = "[[\"gate0\", \"gate1\"], [\"gate2\", \"gate3\"]]";
    let sets = format!("inline-set = [{{ name = \"{}\", pairs = {pairs} }}]", place.name);
    let gate = Gate::start_as(&lab, &place, &configure(&place, "", &sets));
    ask(&lab.client, &lab.server);
    ask(&other.client, &other.server);
    end(gate, &lab);
    let flows: Vec<_> = place.records("flow").into_iter().filter(|flow| flow["proto"] == "UDP").collect();
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert_eq!(flows[0]["flow"]["pkts_toserver"], 2, "{flows:?}");
    assert_eq!(flows[0]["flow"]["pkts_toclient"], 2, "{flows:?}");
}

#[test]
fn each_set_fails_as_it_says_and_has_its_own_switch() {
    let (lab, place) = (lab(), Place::new());
    let other = Wire::through(&lab.gate);
    let sets = format!(
        "inline-set = [{{ name = \"{0}\", pairs = [[\"gate0\", \"gate1\"]] }}, \
         {{ name = \"{0}-b\", pairs = [[\"gate2\", \"gate3\"]], fail = \"closed\" }}]",
        place.name
    );
    let config = configure(&place, "fail = \"open\"", &sets);
    let gate = Gate::start_as(&lab, &place, &config);
    assert!(ping(&lab, 2, 5) && other.ping(2, 5));
    gate.kill();
    assert!(ping(&lab, 2, 5), "the open set");
    assert!(!other.ping(2, 1), "the closed one");
    let turn = |verb: &str| {
        let mut command = lab.gate.command(PROGRAM);
        let set = format!("{}-b", place.name);
        let output = command.args(["ctl", "bypass", verb, "--set", &set]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    turn("on");
    eventually("the closed set is switched", || other.ping(1, 1));
    turn("off");
    assert!(!other.ping(2, 1));
    let gate = Gate::start_as(&lab, &place, &config);
    gate.wait_for("took over");
    assert!(ping(&lab, 2, 5) && other.ping(2, 5));
    end(gate, &lab);
}
