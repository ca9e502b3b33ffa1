//! Client, forwarder and server, and trials between them.

use portcullis_testkit::{Lab, LabOptions, NetNs, RawSocket, VethPair, require_root};
use portcullis_trial::{Forwarded, Outcome, Place, Trial};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

pub(crate) const LOADGEN: &str = env!("CARGO_BIN_EXE_portcullis-loadgen");

/// A lab whose interfaces take redirected frames (a veth does once it has a receive loop of its own).
pub(crate) fn lab(mtu: u32) -> Lab {
    require_root();
    let lab = Lab::with(LabOptions { mtu, ..LabOptions::default() }).expect("a lab");
    for (place, port) in [
        (&lab.gate, Lab::GATE_CLIENT_PORT),
        (&lab.gate, Lab::GATE_SERVER_PORT),
        (&lab.client, Lab::CLIENT_PORT),
    ] {
        place.set_feature(port, "gro", true).expect("a receive loop");
    }
    lab
}

/// Through the lab.
pub(crate) fn through(lab: &Lab) -> Trial {
    Trial::between(place(&lab.client, Lab::CLIENT_PORT), place(&lab.server, Lab::SERVER_PORT))
}

pub(crate) fn place(namespace: &NetNs, interface: &str) -> Place {
    Place::within(&namespace.path().to_string_lossy(), interface)
}

/// What comes of a trial.
pub(crate) fn outcome(trial: &Trial) -> Outcome {
    let output = Command::new(LOADGEN).args(trial.arguments()).output().expect("the load generator");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let outcome: Outcome = serde_json::from_slice(&output.stdout).expect("an outcome");
    assert_eq!(outcome.trial, *trial);
    assert_eq!(outcome.sent, outcome.received + outcome.lost);
    let latency = outcome.latency.as_ref();
    assert_eq!(latency.map_or(0, |latency| latency.histogram.count()), outcome.received);
    outcome
}

/// A forwarder that runs until its end is asked for.
pub(crate) struct Forwarder {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Forwarder {
    pub(crate) fn start(lab: &Lab, arguments: &[&str]) -> Self {
        let ports = ["forward", "--iface", Lab::GATE_CLIENT_PORT, "--to", Lab::GATE_SERVER_PORT];
        let mut child = lab
            .gate
            .command(LOADGEN)
            .args(ports)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a forwarder");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        assert_eq!(line, "state=ready\n");
        Self { child, output }
    }

    pub(crate) fn end(mut self) -> Forwarded {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a process");
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("text");
        assert!(self.child.wait().expect("an end").success());
        serde_json::from_str(&text).expect("what it did")
    }
}

/// A single wire, and somebody who hears what comes to its far end.
pub(crate) fn wire() -> (NetNs, NetNs, RawSocket) {
    require_root();
    let (left, right) =
        (NetNs::new("sender").expect("a namespace"), NetNs::new("receiver").expect("a namespace"));
    VethPair::between(&left, "l0", &right, "r0", 1, 1600).expect("a wire");
    right.set_feature("r0", "gro", true).expect("a receive loop");
    let socket = RawSocket::open(&right, "r0").expect("a socket");
    (left, right, socket)
}
