//! A gate that a task has between its hosts: started from a configuration as an operator would, asked over its control
//! socket, ended by a signal. What must be left of it then is nothing.

mod counters;
pub(crate) mod ends;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail, ensure};
use portcullis_testkit::Lab;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Interrupt, Running, run_well};
pub(crate) use counters::Counters;

/// How long it may take to stand between its ports, to end, and to answer: with many rules and much memory, a while.
const LIMIT: Duration = Duration::from_secs(120);

/// What a gate that ended in peace does not say.
const COMPLAINTS: [&str; 5] =
    ["do not balance", "does not balance", "panicked", "is not listened to", "while it may not"];

/// What differs between gates that stand between a lab's ports.
#[derive(Clone, Debug)]
pub(crate) struct Config<'a> {
    /// Its inline set: the name of its pins and files, unlike any other's.
    pub(crate) set: String,
    /// `fail`
    pub(crate) fail: &'a str,
    /// Rules, in their language.
    pub(crate) rules: &'a str,
    /// The rest of the configuration: settings, then whole tables.
    pub(crate) more: &'a str,
}

/// Who answers.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    /// The program, which is also the one that asks.
    pub(crate) binary: PathBuf,
    pub(crate) socket: PathBuf,
    /// The name of pins and files, where the task gave it.
    pub(crate) set: Option<String>,
    pub(crate) interrupt: Interrupt,
}

/// A running gate; ended when dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Until it was ended.
    running: Option<Running>,
    process: u32,
    control: Control,
}

impl Control {
    /// Has `portcullis ctl` do something; what it says.
    fn ask(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command.arg("ctl").args(words).arg("--socket").arg(&self.socket);
        if let Some(set) = &self.set {
            command.args(["--set", set]);
        }
        run_well(&mut command, &format!("portcullis ctl {}", words.join(" ")), LIMIT, &self.interrupt)
    }
}

impl Gate {
    /// Starts it between the lab's ports; its files go into `folder`.
    pub(crate) fn between(
        lab: &Lab,
        binary: &Path,
        folder: &Path,
        config: Config<'_>,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let socket = folder.join("control.sock");
        let (one, other) = (Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT);
        let Config { set, fail, rules, more } = config;
        let text = format!(
            r#"fail = "{fail}"
default-log-dir = {folder:?}
inline-set = [{{ name = "{set}", pairs = [["{one}", "{other}"]] }}]
rules.files = ["gate.rules"]
control.socket = {socket:?}
{more}
"#
        );
        fs::write(folder.join("gate.rules"), rules).context("cannot write rules")?;
        let config = folder.join("gate.toml");
        fs::write(&config, text).context("cannot write the configuration")?;
        let mut command = lab.gate.command(&binary.to_string_lossy());
        command.arg("run").arg("-c").arg(config);
        let (binary, interrupt) = (binary.to_owned(), interrupt.clone());
        let control = Control { binary, socket, set: Some(set), interrupt };
        Self::start(&mut command, control, &folder.join("log"))
    }

    /// Starts it by `command` and waits until it answers; what it says goes into `log`.
    pub(crate) fn start(command: &mut Command, control: Control, log: &Path) -> Result<Self> {
        let running = Running::start_logged(command, "portcullis", log)?;
        let interrupt = control.interrupt.clone();
        let mut gate = Self { process: running.id(), running: Some(running), control };
        let answered = interrupt.wait_for("the gate to answer", LIMIT, || {
            gate.check()?;
            Ok(gate.ctl(&["version"]).ok())
        });
        answered.map(drop)?;
        Ok(gate)
    }

    /// Where it takes commands.
    pub(crate) fn socket(&self) -> &Path {
        &self.control.socket
    }

    /// Has `portcullis ctl` do something; what it says.
    pub(crate) fn ctl(&self, words: &[&str]) -> Result<String> {
        self.control.ask(words)
    }

    /// Its counters now.
    pub(crate) fn counters(&self) -> Result<Counters> {
        Counters::parse(&self.ctl(&["dump-counters"])?)
    }

    /// The processes that judge: one, or two while one follows another, or none while one is started.
    fn judges(&self) -> Vec<Pid> {
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

    /// Its processes: the warden and those that judge.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let judges = self.judges().into_iter().filter_map(|judge| judge.as_raw_pid().try_into().ok());
        [self.process].into_iter().chain(judges).collect()
    }

    /// An error when it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { bail!("the gate was ended") };
        if let Some(status) = running.ended()? {
            bail!("the gate has ended ({status}): {}", running.text()?.trim());
        }
        Ok(())
    }

    /// Says with `error` what the gate has to do with it: when it has ended.
    pub(crate) fn explain(&mut self, error: Error) -> Error {
        match self.check() {
            Err(end) => error.context(end),
            Ok(()) => error,
        }
    }

    /// Ends it; an error when it complains, or when anything is left.
    pub(crate) fn end(mut self, lab: &Lab) -> Result<()> {
        let running = self.running.take().context("it has ended already")?;
        let finished = running.stop(Signal::TERM, LIMIT)?;
        let text = finished.text.trim();
        ensure!(finished.status.success(), "the gate did not end well ({}): {text}", finished.status);
        if let Some(pins) = self.pins() {
            ensure!(!pins.exists(), "{} is left", pins.display());
        }
        ensure!(!self.control.socket.exists(), "the control socket is left");
        let links = lab.gate.output("ip", &["-d", "-j", "link"])?;
        let links: Vec<Value> = serde_json::from_str(&links).context("ip speaks no JSON")?;
        for link in links {
            ensure!(link.get("xdp").is_none(), "an XDP program is left: {link}");
            ensure!(link["promiscuity"] == 0, "an interface is left promiscuous: {link}");
        }
        let complaints = text.lines().filter(|line| COMPLAINTS.iter().any(|words| line.contains(words)));
        let complaints: Vec<&str> = complaints.collect();
        ensure!(complaints.is_empty(), "the gate complains:\n{}", complaints.join("\n"));
        Ok(())
    }

    /// Lets it run on.
    pub(crate) fn leave(mut self) {
        if let Some(running) = self.running.take() {
            running.leave();
        }
        // Its files are its own as long as it runs.
        self.control.set = None;
    }

    fn pins(&self) -> Option<PathBuf> {
        let set = self.control.set.as_ref()?;
        Some(Path::new("/sys/fs/bpf/portcullis").join(set))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let judges = self.judges();
            // A judge that is stopped could not end with its warden.
            for judge in &judges {
                let _ = kill_process(*judge, Signal::CONT);
            }
            let ended = running.ended();
            // With its end by a signal, should it not have had one yet, the gate puts everything back itself.
            drop(running);
            // And one that does not end would go on without it.
            if !matches!(ended, Ok(Some(_))) {
                for judge in judges.into_iter().filter(|judge| is_gate(*judge)) {
                    let _ = kill_process(judge, Signal::KILL);
                }
            }
        }
        let Some(set) = &self.control.set else { return };
        for kind in ["lock", "ports", "gate"] {
            // Only files that say who has the name; nobody has any more.
            let _ = fs::remove_file(format!("/run/portcullis/{set}.{kind}"));
        }
    }
}

/// Is this process a gate, and not somebody else's by now?
fn is_gate(process: Pid) -> bool {
    let name = fs::read_to_string(format!("/proc/{}/comm", process.as_raw_nonzero()));
    name.is_ok_and(|name| name.starts_with("portcullis"))
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
