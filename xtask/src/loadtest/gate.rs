//! Portcullis between the hosts, configured for one measurement, and what must be left of it at the end: nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use portcullis_testkit::Lab;
use rustix::process::{Pid, Signal};

use crate::program::{Interrupt, Running, run_well};
use crate::soak::gate::{Counters, children};

/// How long it may take to stand between the ports, to end, and to answer.
const LIMIT: Duration = Duration::from_secs(120);

/// What differs between gates.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// What happens to packets that nobody judges. Closed, so that whatever arrives was judged.
    pub(crate) fail: &'static str,
    /// Rules, in their language.
    pub(crate) rules: String,
    /// More of the configuration: whole tables.
    pub(crate) more: String,
    /// `flow.memcap`
    pub(crate) memcap_mib: u32,
    /// Does what is sent arrive at all?
    pub(crate) passes: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { fail: "closed", rules: String::new(), more: String::new(), memcap_mib: 1024, passes: true }
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
    name: String,
    interrupt: Interrupt,
}

impl Gate {
    /// Starts it between the lab's ports, its worker on the CPU `worker`; what it writes goes into `folder`.
    pub(crate) fn start(
        binary: &Path,
        lab: &Lab,
        folder: &Path,
        setup: &Setup,
        worker: usize,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let (socket, log) = (folder.join("control.sock"), folder.join("log"));
        let name = name();
        let (one, other) = (Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT);
        let Setup { fail, rules, more, memcap_mib, .. } = setup;
        let text = format!(
            r#"fail = "{fail}"
default-log-dir = {folder:?}
inline-set = [{{ name = "{name}", pairs = [["{one}", "{other}"]] }}]
capture = {{ cpus = [{worker}] }}
flow = {{ memcap = "{memcap_mib}mb" }}
stream = {{ memcap = "512mb" }}
rules.files = ["loadtest.rules"]
control.socket = {socket:?}
{more}
"#
        );
        fs::write(folder.join("loadtest.rules"), rules).context("cannot write rules")?;
        let config = folder.join("gate.toml");
        fs::write(&config, text).context("cannot write the configuration")?;
        let mut command = lab.gate.command(&binary.to_string_lossy());
        command.arg("run").arg("-c").arg(config);
        let mut running = Running::start_logged(&mut command, "portcullis", &log)?;
        let process = running.id();
        let said = || fs::read_to_string(&log).unwrap_or_default();
        interrupt.wait_for("the gate to answer", LIMIT, || {
            ensure!(running.ended()?.is_none(), "the gate has ended: {}", said());
            Ok(ask(binary, &socket, &name, &["version"], interrupt).ok())
        })?;
        let (binary, interrupt) = (binary.to_owned(), interrupt.clone());
        Ok(Self { running: Some(running), process, binary, socket, name, interrupt })
    }

    /// Its processes: the warden and those that judge.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let judges =
            children(self.process).into_iter().filter_map(|judge| judge.as_raw_pid().try_into().ok());
        [self.process].into_iter().chain(judges).collect()
    }

    /// The process that judges, where that is clear.
    pub(crate) fn judge(&self) -> Option<Pid> {
        match children(self.process)[..] {
            [judge] => Some(judge),
            _ => None,
        }
    }

    /// Has `portcullis ctl` do something; what it says.
    pub(crate) fn ctl(&self, words: &[&str]) -> Result<String> {
        ask(&self.binary, &self.socket, &self.name, words, &self.interrupt)
    }

    /// Its counters now.
    pub(crate) fn counters(&self) -> Result<Counters> {
        Counters::parse(&self.ctl(&["dump-counters"])?)
    }

    /// An error when it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { bail!("the gate was ended") };
        if let Some(status) = running.ended()? {
            bail!("the gate has ended ({status}): {}", running.text()?.trim());
        }
        Ok(())
    }

    /// Ends it and looks whether anything is left.
    pub(crate) fn end(mut self) -> Result<()> {
        let running = self.running.take().context("it has ended already")?;
        let finished = running.stop(Signal::TERM, LIMIT)?;
        let text = finished.text.trim();
        ensure!(finished.status.success(), "the gate did not end well ({}): {text}", finished.status);
        ensure!(!text.contains("do not balance"), "the gate's counts do not balance: {text}");
        ensure!(!self.pins().exists(), "{} is left", self.pins().display());
        ensure!(!self.socket.exists(), "the control socket is left");
        Ok(())
    }

    fn pins(&self) -> PathBuf {
        Path::new("/sys/fs/bpf/portcullis").join(&self.name)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // With its end by a signal, should it not have had one yet, the gate puts everything back itself.
        drop(self.running.take());
        for kind in ["lock", "ports", "gate"] {
            // Only files that say who has the name; nobody has any more.
            let _ = fs::remove_file(format!("/run/portcullis/{}.{kind}", self.name));
        }
    }
}

/// The inline set of every gate of this run: the name of its pins and files.
pub(crate) fn name() -> String {
    format!("loadtest-{}", std::process::id())
}

fn ask(binary: &Path, socket: &Path, set: &str, words: &[&str], interrupt: &Interrupt) -> Result<String> {
    let mut command = Command::new(binary);
    command.arg("ctl").args(words).arg("--socket").arg(socket).args(["--set", set]);
    run_well(&mut command, &format!("portcullis ctl {}", words.join(" ")), LIMIT, interrupt)
}
