//! Signals and commands while the gate runs.

use crate::gate::{Gate, Place, eventually, lab, number, ping};
use portcullis::control::client::Client;
use portcullis::control::protocol::Outcome;
use portcullis_testkit::Lab;
use rustix::process::Signal;
use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// Looks into every packet: one without content would be asked about the first of a flow only.
const NO_PING: &str = "drop icmp any any -> any any (msg:\"no ping\"; content:\"|11 12 13 14|\"; sid:5;)\n";

#[test]
fn the_control_socket_answers_and_ends_it() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", NO_PING);
    assert!(!ping(&lab, 1, 1), "the rule is in force");
    assert!(gate.ask("version").as_str().unwrap().starts_with("Portcullis "));
    assert!(gate.ask("uptime").as_u64().is_some());
    assert_eq!(gate.ask("iface-list")["ifaces"], serde_json::json!(["gate0", "gate1"]));
    gate.ask("shutdown");
    let status = gate.wait();
    assert!(status.success(), "{status}: {}", place.said());
    crate::gate::assert_ports_are_free(&lab);
}

#[test]
fn an_interrupt_ends_it_as_well() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    gate.signal(Signal::INT);
    let status = gate.wait();
    assert!(status.success(), "{status}: {}", place.said());
}

#[test]
fn a_log_that_was_moved_away_is_opened_anew() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    eventually("statistics are logged", || !place.records("stats").is_empty());
    fs::rename(place.path("eve.json"), place.path("eve.json.1")).unwrap();
    gate.signal(Signal::HUP);
    eventually("the file is there again", || place.path("eve.json").exists());
    assert!(ping(&lab, 1, 5));
    eventually("and gets the next statistics", || !place.records("stats").is_empty());
    fs::rename(place.path("eve.json"), place.path("eve.json.2")).unwrap();
    gate.ask("reopen-log-files");
    eventually("by command, too", || place.path("eve.json").exists());
    gate.end(&lab);
    assert_eq!(place.records("flow").iter().filter(|flow| flow["proto"] == "ICMP").count(), 1);
}

#[test]
fn rules_are_reloaded_and_bad_ones_change_nothing() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    assert!(ping(&lab, 1, 5));
    place.write("test.rules", NO_PING);
    gate.signal(Signal::USR2);
    gate.wait_for("1 rules are in use");
    eventually("pings are dropped", || !ping(&lab, 1, 1));
    place.write("test.rules", "drop icmp any any -> any any (sid:x;)\n");
    gate.signal(Signal::USR2);
    gate.wait_for("the old rules stay");
    assert!(place.said().contains("test.rules:1:"), "{}", place.said());
    assert!(!ping(&lab, 1, 1), "the old rules are in force");
    place.write("test.rules", "");
    gate.ask("ruleset-reload-rules");
    assert!(ping(&lab, 1, 5));
    gate.end(&lab);
}

/// Port of the packets that a rule drops in every set of rules, and of those that no rule is about.
const BAD: u16 = 7001;
const GOOD: u16 = 7002;

/// The rules of the `turn`th reload: the drop of the traffic is always there, at another place and among
/// others; the last adds something that can be seen.
fn turned(turn: u32) -> String {
    let filler = |number: u32| {
        let sid = 1000 + turn * 100 + number;
        format!("alert udp any any -> any {GOOD} (content:\"never {number} {turn}\"; sid:{sid};)\n")
    };
    let drop = format!("drop udp any any -> any {BAD} (msg:\"bad\"; content:\"bad\"; sid:1;)\n");
    let limit = "alert udp any any -> any any (msg:\"all\"; content:\"a\"; noalert; hostbits:set,seen; \
                 threshold:type limit,track by_src,count 1,seconds 600; sid:2;)\n";
    let (before, after): (Vec<_>, Vec<_>) = (0..turn % 40).map(filler).partition(|rule| rule.len() % 2 == 0);
    [before.concat(), drop, limit.to_owned(), after.concat()].concat()
}

#[test]
fn reloads_under_load_lose_no_packet_and_no_verdict() {
    const RELOADS: u32 = 50;
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", &turned(0));
    let bind = |port| lab.server.run(|| UdpSocket::bind((Lab::SERVER_ADDRESS, port))).unwrap();
    let (bad, good) = (bind(BAD), bind(GOOD));
    let client = lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 0))).unwrap();
    for socket in [&bad, &good] {
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    }
    assert!(ping(&lab, 1, 5), "addresses are known before the load begins");
    let (done, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    let received = |socket: &UdpSocket| {
        let (mut numbers, mut buffer) = (Vec::new(), [0; 64]);
        loop {
            match socket.recv(&mut buffer) {
                Ok(length) => numbers.push(String::from_utf8(buffer[..length].to_vec()).unwrap()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if done.load(Ordering::Relaxed) {
                        return numbers;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    let arrived = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                client.send_to(format!("good {number}").as_bytes(), (Lab::SERVER_ADDRESS, GOOD)).unwrap();
                client.send_to(format!("bad {number}").as_bytes(), (Lab::SERVER_ADDRESS, BAD)).unwrap();
                // A pace that neither the ring nor the receiver loses anything at.
                thread::sleep(Duration::from_micros(500));
            }
        });
        let (bad, good) = (scope.spawn(|| received(&bad)), scope.spawn(|| received(&good)));
        for turn in 1..=RELOADS {
            place.write("test.rules", &turned(turn));
            let said = gate.ask("reload-rules");
            assert!(said.as_str().unwrap().ends_with("rules are in use"), "{said}");
        }
        eventually("some traffic for every reload", || sent.load(Ordering::Relaxed) > 2 * RELOADS);
        done.store(true, Ordering::Relaxed);
        [bad.join().unwrap(), good.join().unwrap()]
    });
    let sent = sent.into_inner();
    let [bad, good] = arrived;
    assert_eq!(bad, Vec::<String>::new(), "dropped by each set of rules");
    let expected: Vec<String> = (0..sent).map(|number| format!("good {number}")).collect();
    assert!(good == expected, "{} of {sent} arrived", good.len());
    let counters = gate.ask("dump-counters");
    assert_eq!(number(&counters, "ips.drop_reason.rules"), u64::from(sent));
    assert_eq!(number(&counters, "capture.kernel_drops"), 0);
    gate.end(&lab);
}

#[test]
fn counts_and_the_threshold_file_live_through_reloads() {
    let (lab, place) = (lab(), Place::new());
    let limit = "alert icmp any any -> any any (itype:8; threshold:type limit,track by_src,count 1,seconds 600; sid:1;)\n";
    let config = place.configure("threshold-file = \"threshold.config\"", limit);
    let pings = |count| assert!(ping(&lab, count, 5));
    let alerts = || place.records("alert").len();
    place.write("threshold.config", "");
    let gate = Gate::start_as(&lab, &place, &config);
    pings(3);
    eventually("the first is reported", || alerts() == 1);
    gate.ask("reload-rules");
    pings(3);
    eventually("the others are suppressed", || gate.counter("detect.alerts_suppressed") == 5);
    assert_eq!(alerts(), 1, "the count outlives the rules");

    place.write("threshold.config", "suppress gen_id 1\n");
    gate.signal(Signal::USR2);
    gate.wait_for("the old rules stay");
    assert!(place.said().contains("threshold.config:1:1"), "{}", place.said());
    place.write(
        "threshold.config",
        "threshold gen_id 1, sig_id 1, type threshold, track by_rule, count 2, seconds 600\n",
    );
    gate.ask("reload-rules");
    pings(4);
    eventually("every second is reported", || alerts() == 3);
    gate.end(&lab);
}

#[test]
fn a_rule_is_changed_at_once_and_for_good() {
    let (lab, place) = (lab(), Place::new());
    let config = place.configure("", NO_PING);
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("rules.files", "rules.state-file = \"rules.state\"\nrules.files"))
        .unwrap();
    let gate = Gate::start_as(&lab, &place, &config);
    let ctl = |line: &str| {
        let mut command = lab.gate.command(crate::gate::PROGRAM);
        command.arg("ctl").args(line.split(' ')).arg("--socket").arg(place.socket());
        command.output().unwrap().status.success()
    };
    assert!(!ping(&lab, 1, 1), "the rule is in force");
    assert!(ctl("rule alert-only 5"));
    assert!(ping(&lab, 1, 5), "it drops no more");
    eventually("it alerts", || {
        place.records("alert").iter().any(|alert| alert["alert"]["action"] == "allowed")
    });
    assert!(ctl("rule would-drop 5"));
    assert!(ping(&lab, 1, 5), "nor does it now");
    eventually("it tells what it would do", || {
        place.records("alert").iter().any(|alert| alert["alert"]["would"] == "drop")
    });
    gate.ask("reload-rules");
    assert!(ping(&lab, 1, 5), "not after a reload either");
    assert!(ctl("rule enable 5"));
    assert!(!ping(&lab, 1, 1), "it is as it was");
    assert!(ctl("rule disable 1:5"));
    assert!(!ctl("rule disable 6"), "there is no such rule");
    gate.end(&lab);

    let gate = Gate::start_as(&lab, &place, &config);
    assert!(ping(&lab, 1, 5), "not after a restart either");
    gate.end(&lab);
}

/// Records of flows that have this port at one end.
fn flows(place: &Place, port: u16) -> Vec<serde_json::Value> {
    let mut flows = place.records("flow");
    flows.retain(|flow| flow["dest_port"] == port);
    flows
}

#[test]
fn flows_end_by_command_and_settings_change_without_a_restart() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    let client = lab.client.run(|| std::net::UdpSocket::bind((Lab::CLIENT_ADDRESS, 0))).unwrap();
    let own = client.local_addr().unwrap().port();
    let send = |port: u16| client.send_to(b"one", (Lab::SERVER_ADDRESS, port)).unwrap();
    let ask = |arguments: serde_json::Value| {
        let reply = Client::connect(&place.socket()).unwrap().request("flow-end", arguments).unwrap();
        assert_eq!(reply.outcome, Outcome::Ok, "{}", reply.message);
    };
    for port in [4001, 4002, 4003] {
        send(port);
    }
    eventually("all have begun", || gate.counter("flow.udp") >= 3);
    ask(serde_json::json!({"proto": "udp", "src-ip": Lab::CLIENT_ADDRESS, "src-port": own,
        "dest-ip": Lab::SERVER_ADDRESS, "dest-port": 4002}));
    eventually("one has ended", || !flows(&place, 4002).is_empty());
    assert_eq!(flows(&place, 4002)[0]["flow"]["reason"], "forced");
    assert!(flows(&place, 4001).is_empty() && flows(&place, 4003).is_empty());
    ask(serde_json::json!({"ip": "10.77.0.0/16"}));
    eventually("all have", || !flows(&place, 4001).is_empty() && !flows(&place, 4003).is_empty());

    send(4004);
    let config = place.configure("flow-timeouts.udp.new = 1", "");
    gate.ask("reload-config");
    eventually("the new timeout holds", || !flows(&place, 4004).is_empty());
    assert_eq!(flows(&place, 4004)[0]["flow"]["reason"], "timeout");
    fs::write(&config, "flow.memcap = \"a lot\"").unwrap();
    let refused = Client::connect(&place.socket()).unwrap().command("reload-config").unwrap();
    assert_eq!(refused.outcome, Outcome::Refused);
    assert!(refused.message.as_str().unwrap().contains("everything stays as it was"), "{}", refused.message);
    gate.end(&lab);
}
