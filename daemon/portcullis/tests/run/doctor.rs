//! The doctor on real interfaces: faults that are there are found, and those that can be mended safely are.

use crate::gate::{PROGRAM, Place};
use portcullis_testkit::{Lab, NetNs};
use serde_json::Value;
use std::process::Output;

const PORTS: [&str; 2] = [Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT];

/// Runs the doctor in the gate's namespace; its exit status and its answer.
fn doctor(namespace: &NetNs, arguments: &[&str]) -> (i32, Value) {
    let output = ask(namespace, &[&["--json"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), answer)
}

fn ask(namespace: &NetNs, arguments: &[&str]) -> Output {
    namespace.command(PROGRAM).arg("doctor").args(arguments).output().unwrap()
}

/// The findings of a topic at an interface: level, text, command.
fn found(answer: &Value, topic: &str, interface: &str) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = answer["findings"].as_array().unwrap().iter();
    let wanted = all.filter(|finding| finding["topic"] == topic && finding["interface"] == interface);
    wanted.map(|it| (text(&it["level"]), text(&it["text"]), text(&it["mend"]["command"]))).collect()
}

/// Is there a finding of this level that says `text` and is mended by `command`?
#[track_caller]
fn assert_found(answer: &Value, at: (&str, &str), level: &str, text: &str, command: &str) {
    let findings = found(answer, at.0, at.1);
    let is_it = |it: &(String, String, String)| it.0 == level && it.1.contains(text) && it.2 == command;
    assert!(findings.iter().any(is_it), "{level} {at:?} {text:?} {command:?} is not in {findings:#?}");
}

fn lab() -> Lab {
    let lab = crate::gate::lab();
    for port in PORTS {
        lab.gate.set_feature(port, "gro", false).unwrap();
        lab.gate.set_feature(port, "rxvlan", false).unwrap();
    }
    lab
}

fn mtu(lab: &Lab, port: &str) -> u32 {
    lab.gate.run(|| portcullis_bpf::device::mtu(port)).unwrap()
}

#[test]
fn fit_ports_are_found_fit() {
    let lab = lab();
    let (code, answer) = doctor(&lab.gate, &PORTS);
    // The machine itself, and what a virtual port cannot do, may be worth a warning.
    assert!(code < 2, "{answer:#}");
    assert_eq!(answer["level"], if code == 0 { "ok" } else { "warning" });
    for port in PORTS {
        for topic in ["mtu", "offloads", "owners", "programs", "queues"] {
            let findings = found(&answer, topic, port);
            assert!(!findings.is_empty() && findings.iter().all(|it| it.0 == "ok"), "{topic}: {findings:?}");
        }
    }
    assert_eq!(answer["mended"].as_array().unwrap().len(), 0);
}

#[test]
fn faults_are_found_and_safe_mends_applied() {
    let lab = lab();
    let [first, second] = PORTS;
    lab.gate.output("ip", &["link", "set", "dev", first, "mtu", "1400"]).unwrap();
    lab.gate.set_feature(first, "gro", true).unwrap();
    lab.gate.set_feature(second, "gro", true).unwrap();
    lab.gate.add_address(second, "10.66.0.1/24").unwrap();

    let (code, answer) = doctor(&lab.gate, &PORTS);
    assert_eq!((code, answer["level"].as_str()), (2, Some("fault")));
    let mend = format!("ip link set dev {first} mtu 1500");
    assert_found(&answer, ("mtu", first), "fault", "but its peer", &mend);
    let ungro = PORTS.map(|port| format!("ethtool -K {port} gro off"));
    assert_found(&answer, ("offloads", first), "warning", "gro is on", &ungro[0]);
    assert_found(&answer, ("offloads", second), "warning", "gro is on", &ungro[1]);
    let unaddress = format!("ip address del 10.66.0.1/24 dev {second}");
    assert_found(&answer, ("owners", second), "warning", "has 10.66.0.1/24", &unaddress);
    assert_eq!(mtu(&lab, first), 1400, "and nothing was changed");

    let (code, answer) = doctor(&lab.gate, &[&["--fix"], PORTS.as_slice()].concat());
    assert!(code < 2, "{answer:#}");
    assert_eq!(mtu(&lab, first), 1500);
    let gro = |port| lab.gate.run(move || portcullis_bpf::device::gro(port)).unwrap();
    assert!(!gro(first), "{answer:#}");
    // This host may be managed by the address: neither it nor anything of its port is touched.
    assert!(gro(second), "{answer:#}");
    assert_found(&answer, ("owners", second), "warning", "has 10.66.0.1/24", &unaddress);
    let mended = answer["mended"].as_array().unwrap();
    let applied = |command: &str| mended.iter().any(|it| it["command"] == command && it["error"].is_null());
    assert!(applied(&mend) && applied(&ungro[0]) && !applied(&ungro[1]), "{mended:#?}");
}

#[test]
fn programs_of_others_and_our_own_are_told_apart() {
    let lab = lab();
    let [first, second] = PORTS;
    let place = Place::new();
    let source = place.write("foreign.c", FOREIGN);
    let object = place.path("foreign.o");
    let (source, object) = (source.to_str().unwrap(), object.to_str().unwrap());
    lab.gate.output("clang", &["-O2", "-g", "-target", "bpf", "-c", source, "-o", object]).unwrap();
    let attach = ["link", "set", "dev", first, "xdpgeneric", "obj", object, "sec", "xdp"];
    lab.gate.output("ip", &attach).unwrap();
    let (code, answer) = doctor(&lab.gate, &[&["--fix"], PORTS.as_slice()].concat());
    assert_eq!(code, 2);
    let off = format!("ip link set dev {first} xdpgeneric off");
    // It is somebody's: saying how to take it off is all that is right.
    assert_found(&answer, ("programs", first), "fault", "another XDP program is attached (foreign, id", &off);
    assert_found(&answer, ("programs", second), "ok", "no XDP program", "");
}

const FOREIGN: &str = "
__attribute__((section(\"xdp\"), used)) int foreign(void *context) { return 2; }
char _license[] __attribute__((section(\"license\"), used)) = \"GPL\";
";

#[test]
fn a_running_gate_is_no_fault() {
    let (lab, place) = (lab(), Place::new());
    let gate = crate::gate::Gate::start(&lab, &place, "", "");
    let config = place.path("gate.toml");
    let (code, answer) = doctor(&lab.gate, &["-c", config.to_str().unwrap()]);
    assert!(code < 2, "{answer:#}");
    for port in PORTS {
        assert_found(&answer, ("programs", port), "ok", "the gate's own program", "");
    }
    gate.end(&lab);
}

#[test]
fn what_is_missing_is_named() {
    let lab = lab();
    let (code, answer) = doctor(&lab.gate, &["nowhere0"]);
    assert_eq!(code, 2);
    assert_found(&answer, ("interface", "nowhere0"), "fault", "nowhere0", "ip link shows what there is");
    let output = ask(&lab.gate, &["-c", "/no/such/file.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/file.toml"));
    let output = ask(&lab.gate, &PORTS);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.lines().any(|line| line.starts_with("ok ") && line.contains(PORTS[0])), "{text}");
    assert!(text.trim_end().ends_with("0 faults"), "{text}");
}
