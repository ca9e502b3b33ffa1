//! The gate that is soaked: its warden, the process that judges, and what must be left of it at the end, nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_testkit::Lab;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Interrupt, Running};

/// How long it may take to stand between the ports, and to end.
const LIMIT: Duration = Duration::from_secs(60);

/// Rules that traffic is held against: one that never drops what is sent, and one that would.
const RULES: &str = "alert tcp any any -> any any (content:\"never sent\"; sid:1;)\n\
                     drop tcp any any -> any any (content:\"never sent either\"; sid:2;)\n";

/// What differs between gates.
#[derive(Clone, Debug)]
pub(crate) struct Measures {
    /// `liveness.limit-ms`
    pub(crate) limit_ms: u32,
    /// `capture.af-xdp.ring-size`
    pub(crate) ring_size: u32,
    /// `flow.prealloc`, with as much memory as that takes.
    pub(crate) flows: u32,
    /// Rules instead of the few that are always there, and how many there are.
    pub(crate) rules: Option<PathBuf>,
    pub(crate) rule_count: u32,
    /// Are drivers' receive loops left to workers?
    pub(crate) busy_poll: bool,
    /// `links.mirror`
    pub(crate) mirror: bool,
}

impl Measures {
    /// One that has its hands full soon, on machines that are busy with other things.
    pub(crate) const SMALL: Self = Self {
        limit_ms: 200,
        ring_size: 512,
        flows: 1000,
        rules: None,
        rule_count: 2,
        busy_poll: false,
        mirror: false,
    };

    /// One as it is by default.
    pub(crate) const LARGE: Self = Self { limit_ms: 50, ring_size: 4096, ..Self::SMALL };

    /// `flow.memcap`, in MiB: 256 bytes a flow, all in.
    fn flow_memory(&self) -> u32 {
        (self.flows / 4096).max(32)
    }
}

/// A running gate.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Until it was ended.
    running: Option<Running>,
    process: u32,
    binary: PathBuf,
    socket: PathBuf,
    /// Its inline set: the name of its pins.
    name: String,
    log: PathBuf,
}

impl Gate {
    /// Starts it between the lab's ports.
    pub(crate) fn start(
        binary: &Path,
        lab: &Lab,
        folder: &Path,
        measures: &Measures,
        fail: &str,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let (socket, log) = (folder.join("control.sock"), folder.join("log"));
        let name = format!("soak-{}", std::process::id());
        let Measures { limit_ms, ring_size, flows, busy_poll, mirror, .. } = measures;
        let memory = measures.flow_memory();
        let (one, other) = (Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT);
        let text = format!(
            r#"fail = "{fail}"
liveness = {{ limit-ms = {limit_ms}, outlive-warden = false }}
default-log-dir = {folder:?}
inline-set = [{{ name = "{name}", pairs = [["{one}", "{other}"]] }}]
flow = {{ memcap = "{memory}mb", prealloc = {flows} }}
rules.files = ["soak.rules"]
stats.interval = 1
links.mirror = {mirror}
control.socket = {socket:?}
[capture.af-xdp]
ring-size = {ring_size}
huge-pages = false
enable-busy-poll = {busy_poll}
"#
        );
        let rules = folder.join("soak.rules");
        match &measures.rules {
            Some(other) => drop(fs::copy(other, rules).context("cannot copy rules")?),
            None => fs::write(rules, RULES).context("cannot write rules")?,
        }
        let config = folder.join("gate.toml");
        fs::write(&config, text).context("cannot write the configuration")?;
        let mut command = lab.gate.command(&binary.to_string_lossy());
        command.arg("run").arg("-c").arg(config);
        let running = Running::start_logged(&mut command, "portcullis", &log)?;
        let process = running.id();
        let mut gate = Self { running: Some(running), process, binary: binary.to_owned(), socket, name, log };
        interrupt.wait_for("the gate to answer", LIMIT, || {
            ensure!(!gate.has_ended()?, "the gate has ended: {}", gate.said());
            Ok(gate.ctl(&["version"]).ok())
        })?;
        Ok(gate)
    }

    fn has_ended(&mut self) -> Result<bool> {
        match &mut self.running {
            Some(running) => Ok(running.ended()?.is_some()),
            None => Ok(true),
        }
    }

    /// What it says.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The processes that judge: one, or two while one follows another, or none while one is started.
    pub(crate) fn judges(&self) -> Vec<Pid> {
        children(self.process)
    }

    /// The process that judges, where that is clear.
    pub(crate) fn judge(&self) -> Option<Pid> {
        match self.judges()[..] {
            [judge] => Some(judge),
            _ => None,
        }
    }

    /// Sends the process that judges a signal; false where there is none at the moment.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        self.judge().is_some_and(|judge| kill_process(judge, signal).is_ok())
    }

    /// Has `portcullis ctl` do something; what it says.
    pub(crate) fn ctl(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command.arg("ctl").args(words).arg("--socket").arg(&self.socket).args(["--set", &self.name]);
        let output = command.output().context("cannot start portcullis ctl")?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(output.status.success(), "{}", text.trim());
        Ok(text)
    }

    /// Its counters now.
    pub(crate) fn counters(&self) -> Result<Counters> {
        Counters::parse(&self.ctl(&["dump-counters"])?)
    }

    /// Ends it and looks whether anything is left; gives its complaints.
    pub(crate) fn end(mut self, lab: &Lab) -> Result<Vec<String>> {
        let running = self.running.take().context("it has ended already")?;
        let finished = running.stop(Signal::TERM, LIMIT)?;
        let text = &finished.text;
        ensure!(
            finished.status.success(),
            "the gate did not end well ({}): {}",
            finished.status,
            text.trim()
        );
        let pins = Path::new("/sys/fs/bpf/portcullis").join(&self.name);
        ensure!(!pins.exists(), "{} is left", pins.display());
        ensure!(!self.socket.exists(), "the control socket is left");
        let links = lab.gate.output("ip", &["-d", "-j", "link"])?;
        let links: Vec<Value> = serde_json::from_str(&links).context("ip speaks no JSON")?;
        for link in links {
            ensure!(link.get("xdp").is_none(), "an XDP program is left: {link}");
            ensure!(link["promiscuity"] == 0, "an interface is left promiscuous: {link}");
        }
        for kind in ["lock", "ports", "gate"] {
            // Only files that say who has the name; nobody has any more.
            let _ = fs::remove_file(format!("/run/portcullis/{}.{kind}", self.name));
        }
        let bad =
            ["do not balance", "does not balance", "panicked", "is not listened to", "while it may not"];
        let complaints = text.lines().filter(|line| bad.iter().any(|word| line.contains(word)));
        Ok(complaints.map(str::to_owned).collect())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let judges = self.judges();
        // A gate that is stopped could not end with its warden.
        for judge in &judges {
            let _ = kill_process(*judge, Signal::CONT);
        }
        let ended = running.ended();
        drop(running);
        // And one that does not end would go on without it.
        if !matches!(ended, Ok(Some(_))) {
            for judge in judges.into_iter().filter(|judge| is_gate(*judge)) {
                let _ = kill_process(judge, Signal::KILL);
            }
        }
    }
}

/// Is this process a gate, and not somebody else's by now?
fn is_gate(process: Pid) -> bool {
    let name = fs::read_to_string(format!("/proc/{}/comm", process.as_raw_nonzero()));
    name.is_ok_and(|name| name.starts_with("portcullis"))
}

/// Counters at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Counters(Value);

impl Counters {
    /// From what `dump-counters` says.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map(Self).context("counters are no JSON")
    }

    /// One by its dotted name.
    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        let found = name.split('.').fold(&self.0, |value, part| &value[part]);
        found.as_u64().with_context(|| format!("no counter {name}"))
    }
}

/// The processes that this one has started and that live.
pub(crate) fn children(parent: u32) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |id: &i32| {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // After the name, in brackets: state and parent.
        let words = text.rsplit_once(") ").map(|(_, rest)| rest.split(' ')).into_iter().flatten();
        let [state, of] = words.take(2).collect::<Vec<_>>()[..] else { return false };
        state != "Z" && of == parent.to_string()
    };
    ids.filter(is_child).filter_map(Pid::from_raw).collect()
}
