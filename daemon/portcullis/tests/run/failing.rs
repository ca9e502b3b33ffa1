//! What happens to traffic when the gate dies.

use crate::gate::{Gate, Place, command, eventually, lab, lab_with, lives, ping};
use portcullis_testkit::{Lab, LabOptions};
use rustix::process::Signal;

/// Kills a gate, looks what becomes of traffic, and has a successor take over.
fn check(fail: &str, passes_when_dead: bool) {
    let (lab, place) = (lab(), Place::new());
    lab.gate.add_address(Lab::GATE_CLIENT_PORT, "10.77.9.1/24").unwrap();
    let top = format!("fail = \"{fail}\"");
    let gate = Gate::start(&lab, &place, &top, "");
    assert!(ping(&lab, 2, 5));
    gate.kill();
    assert_eq!(ping(&lab, 3, 1), passes_when_dead, "fail = {fail}");
    let gate = Gate::start(&lab, &place, &top, "");
    gate.wait_for("took over");
    assert!(ping(&lab, 2, 5));
    if passes_when_dead {
        assert!(gate.counter("gate.passed_uninspected") >= 6, "the predecessor's counts go on");
    } else {
        assert!(gate.counter("gate.dropped_closed") >= 1);
    }
    gate.end(&lab);
    let addresses = lab.gate.output("ip", &["address", "show", Lab::GATE_CLIENT_PORT]).unwrap();
    assert!(addresses.contains("10.77.9.1/24"), "what the first gate took off is back: {addresses}");
}

#[test]
fn an_open_gate_that_is_killed_lets_everything_pass() {
    check("open", true);
}

#[test]
fn a_closed_gate_that_is_killed_lets_nothing_pass() {
    check("closed", false);
}

#[test]
fn a_gate_that_hangs_is_passed_by_until_it_goes_on() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "liveness = { limit-ms = 100 }", "");
    assert!(ping(&lab, 2, 5));
    gate.signal_judge(Signal::STOP);
    assert!(ping(&lab, 10, 5), "the fail policy is in force");
    gate.signal_judge(Signal::CONT);
    assert!(ping(&lab, 5, 5));
    assert!(gate.counter("gate.stale") >= 10);
    assert!(gate.counter("gate.blind_windows") >= 1);
    eventually("a blind window told", || !place.records("blind").is_empty());
    let window = &place.records("blind")[0];
    assert!(window["blind"]["pkts_passed"].as_u64().unwrap() >= 1, "{window}");
    gate.end(&lab);
}

#[test]
fn the_panic_switch_works_while_the_gate_hangs() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "fail = \"closed\"\nliveness = { limit-ms = 100 }", "");
    let turn = |words: &[&str]| {
        let mut command = lab.gate.command(crate::gate::PROGRAM);
        let output =
            command.args(["ctl", "bypass"]).args(words).args(["--set", &place.name]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(ping(&lab, 2, 5));
    assert!(turn(&["status"]).contains("are judged"));
    gate.signal_judge(Signal::STOP);
    assert!(!ping(&lab, 2, 1), "a closed gate that hangs");
    assert!(turn(&["on", "--for", "10m"]).contains("uninspected for another 600 s"));
    assert!(ping(&lab, 3, 5));
    gate.signal_judge(Signal::CONT);
    assert!(ping(&lab, 3, 5));
    assert!(turn(&["off"]).contains("are judged"));
    assert!(ping(&lab, 3, 5));
    assert!(gate.counter("gate.switched") >= 6);
    gate.end(&lab);
}

#[test]
fn a_gate_that_crashes_says_so_at_once_and_is_replaced() {
    for signal in [Signal::SEGV, Signal::ABORT] {
        let (lab, place) = (lab(), Place::new());
        // So long that only the crash itself can tell.
        let gate = Gate::start(&lab, &place, "liveness = { limit-ms = 60000 }", "");
        assert!(ping(&lab, 2, 5));
        let judge = gate.judge();
        gate.signal_judge(signal);
        assert!(ping(&lab, 3, 1));
        gate.wait_for(&format!("was killed by signal {}", signal.as_raw()));
        gate.wait_for_another(judge);
        assert!(ping(&lab, 3, 5));
        assert_eq!(gate.counter("gate.restarts"), 1);
        gate.end(&lab);
    }
}

#[test]
fn gates_that_are_killed_are_replaced_and_their_maps_stay() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    assert!(ping(&lab, 2, 5));
    for deaths in 1..=3 {
        let before = gate.counter("gate.to_worker");
        let judge = gate.judge();
        gate.signal_judge(Signal::KILL);
        eventually("it is gone", || !lives(judge));
        eventually("another judges", || place.said().matches("running:").count() == deaths + 1);
        assert!(ping(&lab, 2, 5));
        assert!(gate.counter("gate.to_worker") > before, "the kernel counts on");
    }
    assert_eq!(gate.counter("gate.restarts"), 3);
    assert_eq!(place.said().matches("was killed by signal 9").count(), 3, "{}", place.said());
    gate.end(&lab);
}

#[test]
fn a_gate_whose_warden_died_goes_on_judging_until_a_successor_comes() {
    let (lab, place) = (lab(), Place::new());
    let top = "fail = \"closed\"\nliveness = { limit-ms = 5000, outlive-warden = true }";
    let gate = Gate::start(&lab, &place, top, "");
    assert!(ping(&lab, 2, 5));
    let judge = gate.kill_warden();
    eventually("it notices", || place.said().contains("the warden is gone"));
    assert!(ping(&lab, 3, 5), "it judges on");
    let gate = Gate::start(&lab, &place, "fail = \"closed\"", "");
    // Until then the one before answers.
    gate.wait_for("running:");
    assert!(!lives(judge), "the one without a warden has left");
    assert!(place.said().contains("it leaves now"), "{}", place.said());
    assert!(ping(&lab, 2, 5));
    gate.end(&lab);
}

#[test]
fn a_gate_that_is_not_to_outlive_its_warden_dies_with_it() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    assert!(ping(&lab, 2, 5));
    gate.signal_judge(Signal::STOP);
    let judge = gate.kill_warden();
    eventually("it is gone, though it hung", || !lives(judge));
    assert!(ping(&lab, 2, 5), "the fail policy is in force");
    Gate::start(&lab, &place, "", "").end(&lab);
}

#[test]
fn a_gate_that_hangs_for_good_is_killed_and_replaced() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "liveness = { limit-ms = 1000, replace-after = 4 }", "");
    assert!(ping(&lab, 2, 5));
    let judge = gate.judge();
    gate.signal_judge(Signal::STOP);
    eventually("the fail policy is in force", || ping(&lab, 1, 1));
    gate.wait_for("hangs: a worker has not looked at its queues for");
    gate.wait_for_another(judge);
    assert!(ping(&lab, 2, 5));
    assert_eq!((gate.counter("gate.hangs"), gate.counter("gate.restarts")), (1, 1));
    eventually("the time that nobody saw is told", || !place.records("blind").is_empty());
    gate.end(&lab);
}

#[test]
fn a_signal_to_the_whole_group_is_told_once() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    assert!(ping(&lab, 2, 5));
    // As a service manager does: to every process of the service.
    gate.signal_judge(Signal::TERM);
    gate.end(&lab);
    assert!(place.read("stdout").contains("packets"), "the summary: {}", place.said());
}

#[test]
fn a_port_that_vanishes_ends_the_gate_with_a_failure() {
    let (lab, place) = (lab_with(LabOptions { queues: 2, ..LabOptions::default() }), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    lab.server.output("ip", &["link", "delete", Lab::SERVER_PORT]).unwrap();
    let status = gate.wait();
    assert_eq!(status.code(), Some(3), "{}", place.said());
    let said = place.said();
    assert!(said.contains("interface gate1 has failed") && said.contains("fail policy"), "{said}");
}

#[test]
fn a_successor_that_cannot_start_does_not_cut_traffic() {
    let (lab, place) = (lab(), Place::new());
    Gate::start(&lab, &place, "", "").kill();
    let mut successor = command(&lab, &place.path("gate.toml"));
    let output = successor.args(["--set", "capture.af-xdp.require=zero-copy"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("that a predecessor left stays"), "{said}");
    assert!(ping(&lab, 2, 5), "the fail policy is in force");
    Gate::start(&lab, &place, "", "").end(&lab);
}

fn detach(lab: &Lab, place: &Place) {
    let mut command = lab.gate.command(crate::gate::PROGRAM);
    let output = command.args(["ctl", "detach", "--set", &place.name]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}: {}", place.said());
    crate::gate::assert_ports_are_free(lab);
    assert!(!std::path::Path::new("/sys/fs/bpf/portcullis").join(&place.name).exists(), "pins are left");
    let addresses = lab.gate.output("ip", &["address", "show", Lab::GATE_CLIENT_PORT]).unwrap();
    assert!(addresses.contains("10.77.9.1/24"), "{addresses}");
    assert!(!ping(lab, 1, 1), "nothing is forwarded");
}

#[test]
fn ports_are_given_back_by_a_gate_that_lives_hangs_or_is_dead() {
    let (lab, place) = (lab(), Place::new());
    lab.gate.add_address(Lab::GATE_CLIENT_PORT, "10.77.9.1/24").unwrap();
    let gate = Gate::start(&lab, &place, "", "");
    detach(&lab, &place);
    assert!(gate.wait().success(), "{}", place.said());

    Gate::start(&lab, &place, "", "").kill();
    assert!(ping(&lab, 1, 5), "the fail policy is in force");
    detach(&lab, &place);

    let gate = Gate::start(&lab, &place, "", "");
    gate.signal_judge(Signal::STOP);
    detach(&lab, &place);
    assert!(!gate.wait().success());
}
