//! Lists and bypasses in the kernel, put in force by the gate.

use crate::gate::{Gate, PATIENCE, Place, eventually, lab, ping};
use portcullis::control::client::Client;
use portcullis::control::protocol::Outcome;
use portcullis_testkit::{Lab, RawSocket};
use portcullis_wire::builder::PacketBuilder;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// Both ends of the line through the gate, frame by frame.
struct Line {
    client: RawSocket,
    server: RawSocket,
    sent: u16,
}

impl Line {
    fn new(lab: &Lab) -> Self {
        let open = |namespace, port| RawSocket::open(namespace, port).unwrap();
        let (client, server) = (open(&lab.client, Lab::CLIENT_PORT), open(&lab.server, Lab::SERVER_PORT));
        Self { client, server, sent: 0 }
    }

    /// Sends a packet behind tags from the client; the server hears it or not.
    fn check(&mut self, source: &str, destination: &str, tags: &[u16], passes: bool) {
        let frame = self.frame(source, destination, tags);
        self.client.send(&frame).unwrap();
        if passes {
            let heard = self.server.receive_matching(PATIENCE, |heard| heard == frame).unwrap();
            assert!(heard.is_some(), "{source} to {destination} {tags:?} is lost");
            return;
        }
        // Nothing overtakes what goes the same way.
        let after = self.frame("9.9.9.9", "9.9.9.8", &[]);
        self.client.send(&after).unwrap();
        let heard = self.server.receive_matching(PATIENCE, |heard| heard == after || heard == frame).unwrap();
        assert!(heard == Some(after), "{source} to {destination} {tags:?} is let through");
    }

    fn send(&mut self, source: &str, destination: &str) {
        let frame = self.frame(source, destination, &[]);
        self.client.send(&frame).unwrap();
    }

    /// One like no other.
    fn frame(&mut self, source: &str, destination: &str, tags: &[u16]) -> Vec<u8> {
        self.sent += 1;
        let frame = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let frame = tags.iter().fold(frame, |frame, tag| frame.vlan(*tag));
        frame.ip(source.parse().unwrap(), destination.parse().unwrap()).udp(self.sent, 7).minimum(60).to_vec()
    }
}

fn request(place: &Place, command: &str, arguments: Value) -> (Outcome, String) {
    let reply = Client::connect(&place.socket()).unwrap().request(command, arguments).unwrap();
    (reply.outcome, reply.message.as_str().unwrap_or_default().to_owned())
}

/// What becomes of UDP between two ends.
fn explain(place: &Place, (one, port): (&str, u16), (other, other_port): (&str, u16)) -> Value {
    let ends =
        json!({ "proto": "udp", "src-ip": one, "src-port": port, "dest-ip": other, "dest-port": other_port });
    let reply = Client::connect(&place.socket()).unwrap().request("explain", ends).unwrap();
    assert_eq!(reply.outcome, Outcome::Ok);
    reply.message
}

#[test]
fn lists_hold_and_are_told_of() {
    let (lab, place) = (lab(), Place::new());
    place.write("allow.txt", "198.51.100.2\n");
    let feed = "# a feed\n198.51.100.0/24\r\n192.0.2.2\n2001:db8::2\nnonsense\n203.0.113.0/24\n";
    place.write("feed.txt", feed);
    place.write("watch.txt", "2001:db8:1::/48\n");
    let top = "allowlist.files = \"allow.txt\"\n\
        blocklist = [{ name = \"feed\", files = \"feed.txt\" }, \
        { name = \"watch\", files = \"watch.txt\", action = \"alert\", direction = \"dst\" }]";
    let gate = Gate::start(&lab, &place, top, "");
    assert!(place.said().contains("feed.txt:5: \"nonsense\" is no address"), "{}", place.said());
    let mut line = Line::new(&lab);
    line.check("10.0.0.1", "10.0.0.2", &[], true);
    line.check("10.0.0.1", "198.51.100.2", &[], true);
    line.check("198.51.100.3", "198.51.100.2", &[], true);
    line.check("198.51.100.3", "10.0.0.2", &[], false);
    line.check("10.0.0.1", "192.0.2.2", &[], false);
    line.check("10.0.0.1", "192.0.2.3", &[], true);
    line.check("2a00::1", "2001:db8::2", &[], false);
    line.check("2a00::1", "2001:db8::3", &[5], true);
    line.check("2a00::1", "2001:db8:1::2", &[], true);
    line.check("10.0.0.1", "203.0.113.2", &[5], false);
    line.check("203.0.113.3", "10.0.0.2", &[5, 6], false);
    let shown = gate.ask("list");
    let lists = shown["lists"].as_array().unwrap();
    let of = |key: &str| lists.iter().map(|list| list[key].clone()).collect::<Value>();
    assert_eq!(of("name"), json!(["allowlist", "feed", "watch"]));
    assert_eq!(of("action"), json!(["allow", "drop", "alert"]));
    assert_eq!(of("entries"), json!([1, 4, 1]));
    assert_eq!(of("packets"), json!([2, 5, 1]));
    assert_eq!(of("bad_lines"), json!([0, 1, 0]));
    eventually("drops are told of", || place.records("drop").len() == 5);
    eventually("and what is let through, too", || place.records("list").len() == 1);
    let drops = place.records("drop");
    assert!(drops.iter().all(|drop| drop["list"] == json!({ "name": "feed", "action": "drop" })));
    assert!(drops.iter().all(|drop| drop["drop"]["reason"] == "blocklist" && drop["in_iface"] == "gate0"));
    assert!(drops.iter().all(|drop| drop["drop"]["udplen"] == 8 && drop["dest_port"] == 7));
    let tagged = drops.iter().find(|drop| drop["dest_ip"] == "203.0.113.2").unwrap();
    assert_eq!((&tagged["vlan"], &tagged["src_ip"]), (&json!([5]), &json!("10.0.0.1")));
    assert_eq!(place.records("list")[0]["list"], json!({ "name": "watch", "action": "alert" }));
    assert_eq!(gate.counter("gate.list_dropped"), 5);
    // Asked for from the other end.
    let told = explain(&place, ("10.0.0.2", 7), ("198.51.100.3", 4));
    let named = |list: &Value| json!([list["name"], list["action"], list["addresses"]]);
    assert_eq!(named(&told["lists"][0]), json!(["feed", "drop", ["198.51.100.3"]]), "{told}");
    assert_eq!(told["lists"][0]["noted"], 1, "{told}");
    assert_eq!(told["bypass"], Value::Null);
    let told = explain(&place, ("198.51.100.2", 7), ("2.2.2.2", 7));
    assert_eq!(named(&told["lists"][0]), json!(["allowlist", "allow", ["198.51.100.2"]]), "{told}");
    assert_eq!(told["lists"][0]["noted"], 0);
    assert_eq!(named(&told["lists"][1]), json!(["feed", "drop", ["198.51.100.2"]]), "{told}");
    assert_eq!(explain(&place, ("10.0.0.1", 1), ("10.0.0.2", 7))["lists"], json!([]));
    gate.end(&lab);
}

#[test]
fn lists_and_bypasses_need_no_worker() {
    let (lab, place) = (lab(), Place::new());
    place.write("feed.txt", "192.0.2.2\n");
    let top = "fail = \"closed\"\nliveness.limit-ms = 100\n\
        bypass = [{ name = \"echo\", network = \"198.51.100.2\", proto = \"udp\", port = 7 }, \
        { network = \"198.18.0.0/15\", proto = 250 }]\nblocklist = [{ name = \"feed\", files = \"feed.txt\" }]";
    let gate = Gate::start(&lab, &place, top, "drop udp any any -> any 7 (msg:\"all\"; sid:1;)\n");
    let mut line = Line::new(&lab);
    line.check("10.0.0.1", "198.51.100.2", &[], true);
    line.check("10.0.0.1", "198.51.100.2", &[9], true);
    // A rule drops what no bypass is about.
    line.send("10.0.0.1", "198.51.100.3");
    line.send("10.0.0.1", "192.0.2.2");
    eventually("the blocklist holds", || hits(&gate, "lists", 0) == 1);
    eventually("so does the rule", || gate.counter("ips.blocked") == 1);
    assert_eq!((hits(&gate, "bypasses", 0), hits(&gate, "bypasses", 1)), (2, 0));
    assert_eq!(gate.ask("list")["bypasses"][1]["name"], "bypass-2");
    let bypass = |other| explain(&place, ("10.0.0.1", 1), (other, 7))["bypass"].clone();
    assert_eq!((bypass("198.51.100.2"), bypass("198.51.100.3")), (json!("echo"), Value::Null));
    gate.signal_judge(Signal::STOP);
    thread::sleep(Duration::from_millis(300));
    line.check("10.0.0.1", "198.51.100.2", &[], true);
    line.send("10.0.0.1", "192.0.2.2");
    line.check("10.0.0.1", "198.51.100.2", &[9], true);
    gate.signal_judge(Signal::CONT);
    eventually("it was dropped, too", || hits(&gate, "lists", 0) == 2);
    assert_eq!((gate.counter("gate.list_bypassed"), gate.counter("gate.list_dropped")), (4, 2));
    gate.end(&lab);
}

#[test]
fn a_reload_that_cannot_be_done_changes_nothing() {
    let (lab, place) = (lab(), Place::new());
    place.write("feed.txt", "192.0.2.2\n");
    let gate = Gate::start(&lab, &place, "blocklist = [{ name = \"feed\", files = \"feed.txt\" }]", "");
    let mut line = Line::new(&lab);
    let mut blocked = |is: &str, is_not: &str| {
        line.check("10.0.0.1", is, &[], false);
        line.check("10.0.0.1", is_not, &[], true);
    };
    let reload = |arguments: Value| request(&place, "list-reload", arguments);
    blocked("192.0.2.2", "198.51.100.2");
    let many: String = (0..200).map(|n| format!("9.9.9.{n}\n")).collect();
    place.write("feed.txt", &format!("198.51.100.2\n{}", many.replace("9.9.9", "9.9.7")));
    let (outcome, said) = reload(json!({ "name": "feed" }));
    assert!(outcome == Outcome::Refused && said.contains("201 entries would come and 1 go"), "{said}");
    blocked("192.0.2.2", "198.51.100.2");
    let (outcome, said) = reload(json!({ "name": "feed", "force": true }));
    assert!(outcome == Outcome::Ok && said.contains("feed: 201 entries, 201 new, 1 gone"), "{said}");
    blocked("198.51.100.2", "192.0.2.2");
    place.write("feed.txt", "<html>\n");
    gate.signal(Signal::USR2);
    eventually("the fault is told", || {
        let shown = gate.ask("list");
        shown["last_failure"].as_str().is_some_and(|why| why.contains("feed.txt:1: \"<html>\""))
    });
    assert!(place.said().matches("the old lists stay").count() == 2, "{}", place.said());
    blocked("198.51.100.2", "192.0.2.2");
    gate.end(&lab);
}

fn hits(gate: &Gate<'_>, kind: &str, number: usize) -> u64 {
    gate.ask("list")[kind][number]["packets"].as_u64().unwrap()
}

/// Ports of the packets that are always dropped, and never.
const BAD: u16 = 7001;
const GOOD: u16 = 7002;

#[test]
fn reloads_under_load_lose_no_packet_and_no_block() {
    const RELOADS: u32 = 30;
    let (lab, place) = (lab(), Place::new());
    // The one that counts, among others that come and go around it.
    let turned = |turn: u32| {
        let others = (0..2000).map(|n| format!("9.{}.{}.{}\n", turn % 7, n / 250, n % 250));
        let net = if turn.is_multiple_of(2) { "192.0.2.0/24\n" } else { "192.0.2.2\n" };
        format!("{}{net}", others.collect::<String>())
    };
    place.write("feed.txt", &turned(0));
    let gate = Gate::start(&lab, &place, "blocklist = [{ name = \"feed\", files = \"feed.txt\" }]", "");
    assert!(ping(&lab, 1, 5), "addresses are known before the load begins");
    for (namespace, port, end) in [(&lab.client, Lab::CLIENT_PORT, 1), (&lab.server, Lab::SERVER_PORT, 2)] {
        namespace.output("ip", &["addr", "add", &format!("192.0.2.{end}/24"), "dev", port]).unwrap();
    }
    let bind = |address: &str, port: u16| lab.server.run(|| UdpSocket::bind((address, port))).unwrap();
    let (bad, good) = (bind("192.0.2.2", BAD), bind(Lab::SERVER_ADDRESS, GOOD));
    let client = lab.client.run(|| UdpSocket::bind(("0.0.0.0", 0))).unwrap();
    for socket in [&bad, &good] {
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    }
    // The neighbour has to be known, or nothing would be sent that could be blocked.
    let link = lab.server.output("ip", &["-j", "link", "show", "dev", Lab::SERVER_PORT]).unwrap();
    let link: Value = serde_json::from_str(&link).unwrap();
    let mac = link[0]["address"].as_str().unwrap();
    let neighbour = ["neigh", "replace", "192.0.2.2", "lladdr", mac, "dev", Lab::CLIENT_PORT];
    lab.client.output("ip", &neighbour).unwrap();
    let (done, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    let received = |socket: &UdpSocket| {
        let (mut count, mut buffer) = (0, [0; 64]);
        loop {
            match socket.recv(&mut buffer) {
                Ok(_) => count += 1,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if done.load(Ordering::Relaxed) {
                        return count;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    let [bad, good] = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                sent.fetch_add(1, Ordering::Relaxed);
                client.send_to(b"good", (Lab::SERVER_ADDRESS, GOOD)).unwrap();
                client.send_to(b"bad", ("192.0.2.2", BAD)).unwrap();
                // A pace that neither the ring nor the receiver loses anything at.
                thread::sleep(Duration::from_micros(500));
            }
        });
        let (bad, good) = (scope.spawn(|| received(&bad)), scope.spawn(|| received(&good)));
        for turn in 1..=RELOADS {
            place.write("feed.txt", &turned(turn));
            let (outcome, said) = request(&place, "list-reload", json!({ "force": true }));
            assert!(outcome == Outcome::Ok && said.contains("feed: 2001 entries"), "{said}");
        }
        eventually("some traffic for every reload", || sent.load(Ordering::Relaxed) > 2 * RELOADS);
        done.store(true, Ordering::Relaxed);
        [bad.join().unwrap(), good.join().unwrap()]
    });
    let sent = sent.into_inner();
    assert_eq!((bad, good), (0, sent), "of {sent}");
    assert!(gate.counter("gate.list_dropped") >= u64::from(sent));
    gate.end(&lab);
}
