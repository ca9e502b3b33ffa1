//! A process that is killed leaves the fail policy in charge, and its successor takes over.

use crate::common::{Options, PATIENCE, lab};
use portcullis_testkit::{Lab, RawSocket};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The example `forward` in the gate's namespace.
struct Process {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(lab: &Lab, fail: &str, pins: &Path) -> (Self, String) {
        let mut program: PathBuf = std::env::current_exe().unwrap();
        program.pop();
        program.pop();
        program.push("examples/forward");
        assert!(program.exists(), "build it first: cargo build -p portcullis-capture-xdp --example forward");
        let mut command = lab.gate.command(program.to_str().unwrap());
        command.args([Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT, fail]).arg(pins);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        output.read_line(&mut said).unwrap();
        (Self { child, output }, said.trim().to_owned())
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it gracefully; what it says.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

fn passes(client: &RawSocket, server: &mut RawSocket, tag: u8, patience: Duration) -> bool {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.resize(200, tag);
    client.send(&frame).unwrap();
    server.receive_matching(patience, |received| received == frame).unwrap().is_some()
}

/// Kills the process, looks whether frames pass, and starts another one.
fn check(fail: &str, passes_when_dead: bool) {
    let (lab, dir) = lab(&Options::default());
    // SAFETY: this test's thread gets mounts and a working directory of its own, on which nothing else relies.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }.unwrap();
    let pins = dir.path().join("bpffs");
    std::fs::create_dir(&pins).unwrap();
    for arguments in [&["--make-rprivate", "/"][..], &["-t", "bpf", "bpf", pins.to_str().unwrap()]] {
        assert!(Command::new("mount").args(arguments).status().unwrap().success());
    }
    let client = RawSocket::open(&lab.client, Lab::CLIENT_PORT).unwrap();
    let mut server = RawSocket::open(&lab.server, Lab::SERVER_PORT).unwrap();

    let (process, said) = Process::start(&lab, fail, &pins);
    assert_eq!(said, "ready");
    assert!(passes(&client, &mut server, 1, PATIENCE));
    process.kill();
    if passes_when_dead {
        assert!(passes(&client, &mut server, 2, PATIENCE));
    } else {
        assert!(!passes(&client, &mut server, 3, Duration::from_millis(100)));
    }
    let (process, said) = Process::start(&lab, fail, &pins);
    assert_eq!(said, "ready, adopted");
    assert!(passes(&client, &mut server, 4, PATIENCE));
    let said = process.end();
    let counted = if passes_when_dead { "uninspected: 1, closed: 0" } else { "uninspected: 0, closed: 1" };
    assert!(said.contains(counted) && said.contains("unaccounted for: 0"), "{said}");
    assert!(!passes(&client, &mut server, 5, Duration::from_millis(100)), "nothing forwards any more");
    let shown = lab.gate.output("ip", &["link", "show", Lab::GATE_CLIENT_PORT]).unwrap();
    assert!(!shown.contains("xdp"), "{shown}");
    assert!(Command::new("umount").arg(&pins).status().unwrap().success());
}

#[test]
fn killed_an_open_gate_passes_everything_on() {
    check("open", true);
}

#[test]
fn killed_a_closed_gate_passes_nothing() {
    check("closed", false);
}
