//! Signals and commands while the gate runs.

use crate::gate::{Gate, Place, eventually, lab, ping};
use rustix::process::Signal;
use std::fs;

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
