//! Flows that are decided are answered in the kernel, and yet are what their records say.

use crate::gate::{Gate, PATIENCE, Place, eventually, lab, number, ping};
use crate::restarting::restart;
use portcullis::control::client::Client;
use portcullis::control::protocol::Outcome;
use portcullis_testkit::Lab;
use rustix::net::sockopt::set_socket_linger;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

const PORT: u16 = 7001;
/// Ethernet, IPv4 and UDP around eight bytes.
const FRAME: u64 = 14 + 20 + 8 + 8;

/// A rule about addresses alone, so about whole flows.
fn rule(action: &str) -> String {
    format!("{action} ip any any -> {} any (sid:5;)\n", Lab::SERVER_ADDRESS)
}

struct Ends {
    client: UdpSocket,
    server: UdpSocket,
    sent: u64,
}

impl Ends {
    fn new(lab: &Lab) -> Self {
        let server = lab.server.run(|| UdpSocket::bind((Lab::SERVER_ADDRESS, PORT))).unwrap();
        let client = lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 0))).unwrap();
        client.connect((Lab::SERVER_ADDRESS, PORT)).unwrap();
        server.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self { client, server, sent: 0 }
    }

    fn send(&mut self, count: u64) {
        for _ in 0..count {
            self.client.send(b"datagram").unwrap();
        }
        self.sent += count;
    }

    /// Sends until the kernel has answered some.
    fn send_until(&mut self, gate: &Gate<'_>, counter: &str) {
        eventually(counter, || {
            self.send(1);
            gate.counter(counter) > 0
        });
    }

    fn port(&self) -> u16 {
        self.client.local_addr().unwrap().port()
    }

    fn arrives(&self) -> bool {
        self.server.recv(&mut [0; 64]).is_ok()
    }
}

/// Asks over the control socket.
fn request(place: &Place, command: &str, arguments: Value) -> Value {
    let reply = Client::connect(&place.socket()).unwrap().request(command, arguments).unwrap();
    assert_eq!(reply.outcome, Outcome::Ok, "{command}: {}", reply.message);
    reply.message
}

/// The record of the UDP flow.
fn record(place: &Place) -> Value {
    let records = place.records("flow");
    let own: Vec<_> = records.iter().filter(|record| record["dest_port"] == PORT).collect();
    assert_eq!(own.len(), 1, "{records:?}");
    own[0]["flow"].clone()
}

/// What the kernel answered is in the flows, all of it.
fn check_sums(place: &Place) {
    let last = place.records("stats").pop().unwrap();
    let counted = |name| number(&last["stats"], name);
    let answered = counted("gate.cache_passed") + counted("gate.cache_dropped");
    assert_eq!(counted("flow_bypassed.pkts"), answered);
    assert_eq!(counted("verdict_cache.entries"), 0);
    let records = place.records("flow");
    let of = |record: &Value, side: &str| record["flow"]["bypassed"][side].as_u64().unwrap_or(0);
    let all = records.iter().map(|record| of(record, "pkts_toserver") + of(record, "pkts_toclient"));
    assert_eq!(all.sum::<u64>(), answered);
}

#[test]
fn a_condemned_flow_is_dropped_in_the_kernel_until_its_rule_is_gone() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    assert!(ping(&lab, 1, 5), "addresses are known");
    place.write("test.rules", &rule("drop"));
    gate.ask("ruleset-reload-rules");
    let mut ends = Ends::new(&lab);
    ends.send_until(&gate, "gate.cache_dropped");
    let (dropped, judged) = (gate.counter("gate.cache_dropped"), gate.counter("ips.blocked"));
    ends.send(100);
    eventually("all are dropped in the kernel", || gate.counter("gate.cache_dropped") >= dropped + 100);
    assert_eq!(gate.counter("ips.blocked"), judged, "none reached the worker");
    assert!(!ends.arrives());

    let asked = json!({
        "proto": "udp", "src-ip": Lab::CLIENT_ADDRESS, "src-port": ends.port(), "dest-ip": Lab::SERVER_ADDRESS,
        "dest-port": PORT,
    });
    let told = request(&place, "explain", asked);
    let flow = &told["flow"];
    assert_eq!((&flow["action"], &flow["reason"]), (&"drop".into(), &"rules".into()), "{told}");
    assert_eq!(
        (&flow["rule"]["sid"], &told["drops"]["last"]["rule"]["sid"]),
        (&5.into(), &5.into()),
        "{told}"
    );
    assert_eq!(told["kernel"][0]["action"], "drop", "{told}");
    assert!(told["kernel"][0]["pkts"].as_u64().unwrap() >= 100, "{told}");
    let drops = request(&place, "drops", json!({ "n": 1 }));
    assert_eq!((&drops["count"], &drops["drops"][0]["dest_port"]), (&1.into(), &PORT.into()), "{drops}");

    // The same flow, and another list of rules.
    place.write("test.rules", "");
    gate.ask("ruleset-reload-rules");
    eventually("it arrives", || {
        ends.send(1);
        ends.arrives()
    });
    gate.end(&lab);
    let flow = record(&place);
    assert_eq!(flow["pkts_toserver"], ends.sent, "{flow}");
    assert_eq!(flow["bytes_toserver"], ends.sent * FRAME, "{flow}");
    let answered = flow["bypassed"]["pkts_toserver"].as_u64().unwrap();
    assert!(answered >= 100, "{flow}");
    assert_eq!(flow["bypassed"]["bytes_toserver"], answered * FRAME);
    check_sums(&place);
}

#[test]
fn a_flow_that_is_ended_leaves_the_kernel() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    assert!(ping(&lab, 1, 5), "addresses are known");
    place.write("test.rules", &rule("drop"));
    gate.ask("ruleset-reload-rules");
    let mut ends = Ends::new(&lab);
    ends.send_until(&gate, "gate.cache_dropped");
    assert!(gate.counter("verdict_cache.entries") >= 1);
    request(&place, "flow-end", json!({ "all": true }));
    eventually("it is gone", || gate.counter("verdict_cache.entries") == 0);
    let records = || place.records("flow").into_iter().filter(|record| record["dest_port"] == PORT).count();
    eventually("it is told", || records() == 1);
    assert_eq!(record(&place)["pkts_toserver"], ends.sent);
    gate.end(&lab);
    check_sums(&place);
}

#[test]
fn a_flow_that_passes_goes_through_the_kernel() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", &rule("pass"));
    let mut ends = Ends::new(&lab);
    ends.send_until(&gate, "gate.cache_passed");
    let passed = gate.counter("gate.cache_passed");
    ends.send(50);
    eventually("all pass in the kernel", || gate.counter("gate.cache_passed") >= passed + 50);
    let arrived = (0..ends.sent).take_while(|_| ends.arrives()).count();
    assert_eq!(arrived as u64, ends.sent);

    // What begins and ends a connection is seen all the same.
    let listener = lab.server.run(|| TcpListener::bind((Lab::SERVER_ADDRESS, PORT))).unwrap();
    let mut client = lab.client.run(|| TcpStream::connect((Lab::SERVER_ADDRESS, PORT))).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = vec![0; 10_000];
    let (syns, resets) = (gate.counter("tcp.syn"), gate.counter("tcp.rst"));
    assert!(syns > 0);
    let before = gate.counter("gate.cache_passed");
    eventually("its data passes in the kernel", || {
        client.write_all(&bytes).unwrap();
        server.read_exact(&mut bytes).unwrap();
        gate.counter("gate.cache_passed") > before + 20
    });
    set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    eventually("the reset is seen", || gate.counter("tcp.rst") > resets);
    gate.end(&lab);
    let records = place.records("flow");
    let own: Vec<_> = records.iter().filter(|record| record["dest_port"] == PORT).collect();
    assert_eq!(own.len(), 2, "{records:?}");
    for record in own {
        let flow = &record["flow"];
        assert_eq!((&flow["state"], &flow["bypass"]), (&"bypassed".into(), &"capture".into()), "{record}");
        if record["proto"] == "UDP" {
            assert_eq!(flow["pkts_toserver"], ends.sent, "{record}");
        }
    }
    check_sums(&place);
}

#[test]
fn without_a_cache_everything_reaches_the_worker() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "verdict-cache.entries = 0", &rule("pass"));
    let mut ends = Ends::new(&lab);
    ends.send(50);
    let arrived = (0..ends.sent).take_while(|_| ends.arrives()).count();
    assert_eq!(arrived as u64, ends.sent);
    assert_eq!((gate.counter("gate.cache_passed"), gate.counter("verdict_cache.offered")), (0, 0));
    gate.end(&lab);
    let flow = record(&place);
    assert!(flow.get("bypassed").is_none() && flow["pkts_toserver"] == ends.sent, "{flow}");
}

#[test]
fn the_next_gate_has_the_cache_and_the_flow() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", &rule("pass"));
    let mut ends = Ends::new(&lab);
    ends.send_until(&gate, "gate.cache_passed");
    restart(&gate, &lab, "restart").unwrap();
    let passed = gate.counter("gate.cache_passed");
    eventually("it passes in the kernel again", || {
        ends.send(1);
        gate.counter("gate.cache_passed") > passed + 5
    });
    gate.end(&lab);
    let arrived = (0..ends.sent).take_while(|_| ends.arrives()).count();
    assert_eq!(arrived as u64, ends.sent);
    assert_eq!(
        record(&place)["pkts_toserver"],
        ends.sent,
        "what the kernel answered for either gate is in it"
    );
}
