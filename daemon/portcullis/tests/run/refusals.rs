//! What the gate refuses to start with: a clear message, the right exit status, nothing left behind.

use crate::gate::{Gate, PROGRAM, Place, assert_ports_are_free, command, lab, lab_with, ping};
use portcullis_bpf::Pulses;
use portcullis_capture_xdp::{InlineSet, SocketSlots, XdpConfig, XdpError};
use portcullis_testkit::{Lab, LabOptions};
use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Expects that the command ends with this status and text, and leaves nothing.
fn refused(lab: &Lab, place: &Place, mut command: Command, status: i32, expected: &str) {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(expected), "expected {expected:?} in:\n{said}");
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert_ports_are_free(lab);
    assert!(!place.socket().exists());
    assert!(!Path::new("/sys/fs/bpf/portcullis").join(&place.name).exists(), "pins are left");
}

/// The same for a configuration with this override.
fn refused_with(lab: &Lab, set: &str, status: i32, expected: &str) {
    let place = Place::new();
    let mut command = command(lab, &place.configure("", ""));
    command.arg("--set").arg(set);
    refused(lab, &place, command, status, expected);
}

#[test]
fn settings_that_do_not_fit_the_machine() {
    let lab = lab();
    let check = |set: &str, status, expected: &str| refused_with(&lab, set, status, expected);
    check("capture.workers=0", 1, "without workers nothing would be judged");
    check("capture.workers=2", 3, "2 workers, but gate0 has only 1 receive queues");
    check("capture.cpus=[4095]", 1, "may not use CPU 4095");
    check("inline-set=[]", 1, "no inline set is configured");
    check("flow.memcap=1kb", 1, "flow.memcap");
    check("capture.af-xdp.bind-mode=zero-copy", 3, "no zero-copy");
    check("capture.af-xdp.require=zero-copy", 3, "require asks for zero-copy");
    let both = "capture.af-xdp.xdp-mode=generic";
    let place = Place::new();
    let mut command = command(&lab, &place.configure("", ""));
    command.args(["--set", both, "--set", "capture.af-xdp.require=native"]);
    refused(&lab, &place, command, 3, "generic mode only");
}

#[test]
fn rules_that_cannot_be_loaded() {
    let (lab, place) = (lab(), Place::new());
    let config = place.configure("", "alert icmp any any -> any any (sid:1;)\n\ndrop tcp any (sid:2;)\n");
    let mut strict = command(&lab, &config);
    strict.arg("--init-errors-fatal");
    refused(&lab, &place, strict, 1, "test.rules:3:");
    fs::remove_file(place.path("test.rules")).unwrap();
    refused(&lab, &place, command(&lab, &config), 1, "cannot read the rule file");
}

#[test]
fn interfaces_that_are_missing_or_do_not_fit_together() {
    let lab = lab();
    let pair = |one: &str, other: &str| format!("inline-set=[{{ pairs = [[\"{one}\", \"{other}\"]] }}]");
    refused_with(&lab, &pair("gate0", "gate7"), 3, "interface gate7 does not exist");
    lab.gate.output("ip", &["link", "set", "gate1", "mtu", "1400"]).unwrap();
    refused_with(&lab, "stats.interval=2", 3, "gate0 has MTU 1500 and its peer gate1 1400");
}

#[test]
fn longer_frames_than_any_buffers_hold() {
    let lab = lab_with(LabOptions { mtu: 16_001, ..LabOptions::default() });
    refused_with(&lab, "stats.interval=2", 3, "has MTU 16001, but");
}

#[test]
fn a_user_without_privileges() {
    let (lab, place) = (lab(), Place::new());
    let config = place.configure("", "");
    fs::set_permissions(place.path("."), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = lab.gate.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", PROGRAM, "run", "-c"]).arg(config);
    refused(&lab, &place, command, 3, "this needs CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON");
}

#[test]
fn a_second_gate_on_the_same_ports() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    let second = |place: &Place, name: &str, expected: &str| {
        let mut command = command(&lab, &place.path("gate.toml"));
        let pairs = r#"pairs = [["gate0", "gate1"]]"#;
        command.arg("--set").arg(format!("inline-set=[{{ name = \"{name}\", {pairs} }}]"));
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "expected {expected:?} in:\n{said}");
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(ping(&lab, 1, 5), "the first gate goes on");
    };
    second(&place, &place.name, "another daemon answers on the control socket");
    let other = Place::new();
    other.configure("", "");
    second(&other, &place.name, "another Portcullis runs as");
    second(&other, &other.name, "interface gate0 already has an XDP program");
    gate.end(&lab);
}

/// Slots that lead nowhere: sockets are bound, and no program is there.
struct Nowhere(Vec<(String, u32)>);

impl SocketSlots for Nowhere {
    fn ports(&self) -> Vec<(String, u32)> {
        self.0.clone()
    }

    fn forwards(&self) -> bool {
        true
    }

    fn pulses(&self) -> Option<Pulses> {
        None
    }

    fn set_socket(&mut self, _: u8, _: u32, _: BorrowedFd<'_>) -> Result<(), XdpError> {
        Ok(())
    }

    fn clear_socket(&mut self, _: u8, _: u32) -> Result<(), XdpError> {
        Ok(())
    }

    fn restart_port(&mut self, _: u8) -> Result<(), XdpError> {
        Ok(())
    }
}

#[test]
fn a_queue_that_somebody_else_has() {
    let (lab, place) = (lab(), Place::new());
    let ports = [Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT].map(str::to_owned);
    let [one, other] = ports.clone();
    let config = XdpConfig { pairs: vec![(one, other)], ring_size: 64, ..XdpConfig::default() };
    let mut slots = Nowhere(ports.map(|name| (name, 1)).into());
    let held = lab.gate.run(|| InlineSet::open(&config, &mut slots)).unwrap();
    let start = command(&lab, &place.configure("", ""));
    refused(&lab, &place, start, 3, "queue 0 of gate0 is busy");
    drop(held);
}
