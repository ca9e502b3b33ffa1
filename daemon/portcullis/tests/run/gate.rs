//! A running gate, driven as an operator would: by its configuration file, signals and control socket.

use portcullis::control::client::Client;
use portcullis::control::protocol::Outcome;
use portcullis_testkit::{Lab, LabOptions, require_root};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");

/// How long anything may take that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a configuration of its own, and a name for pins and lock that no other test has.
#[derive(Debug)]
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        Self { folder: tempfile::tempdir().unwrap(), name }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path(file);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("control.sock")
    }

    /// The gate's name where it has two inline sets: this place's, and another.
    pub(crate) fn gate_of_two_sets(&self) -> String {
        format!("{0}+{0}-b", self.name)
    }

    /// Writes the configuration: small tables, the lab's pair, `top` before all sections.
    pub(crate) fn configure(&self, top: &str, rules: &str) -> PathBuf {
        self.write("test.rules", rules);
        let (folder, name) = (self.folder.path().display(), &self.name);
        let (one, other) = (Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT);
        // A loaded machine may keep a worker from its CPU for a while: only where that is the test, it counts.
        let patient = if top.contains("liveness") { "" } else { "liveness.limit-ms = 5000" };
        let text = format!(
            r#"{top}
{patient}
default-log-dir = "{folder}"
inline-set = [{{ name = "{name}", pairs = [["{one}", "{other}"]] }}]
flow = {{ memcap = "16mb", prealloc = 1000 }}
rules.files = ["test.rules"]
stats.interval = 1
control.socket = "control.sock"
[capture.af-xdp]
ring-size = 1024
huge-pages = false
"#
        );
        self.write("gate.toml", &text.replace("\"control.sock\"", &format!("{:?}", self.socket())))
    }

    /// The records of a kind in the EVE file.
    pub(crate) fn records(&self, kind: &str) -> Vec<Value> {
        let text = self.read("eve.json");
        // A line that is being written is none yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let records = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["event_type"] == kind).collect()
    }

    /// What the gate says on its standard error.
    pub(crate) fn said(&self) -> String {
        self.read("stderr")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for gate in [self.name.clone(), self.gate_of_two_sets()] {
            for kind in ["lock", "ports", "gate"] {
                // Gates that were refused have made none.
                let _ = fs::remove_file(format!("/run/portcullis/{gate}.{kind}"));
            }
            // A gate that broke down left its pins, as it must.
            let _ = fs::remove_dir_all(Path::new("/sys/fs/bpf/portcullis").join(gate));
        }
    }
}

/// The program's command line in the gate's namespace. Where a test dies the warden dies with it, and the gate with that
/// unless it is the test that it does not.
pub(crate) fn command(lab: &Lab, config: &Path) -> Command {
    let mut command = lab.gate.command(PROGRAM);
    command.arg("run").arg("-c").arg(config);
    let text = fs::read_to_string(config).unwrap_or_default();
    if !text.contains("outlive-warden") {
        command.args(["--set", "liveness.outlive-warden=false"]);
    }
    command
}

/// A gate that stands: the warden that was started, and the process that judges. Killed if a test leaves it behind.
#[derive(Debug)]
pub(crate) struct Gate<'a> {
    child: Child,
    pub(crate) place: &'a Place,
}

impl<'a> Gate<'a> {
    /// Starts a gate and waits until it answers.
    pub(crate) fn start(lab: &Lab, place: &'a Place, top: &str, rules: &str) -> Self {
        let config = place.configure(top, rules);
        Self::start_as(lab, place, &config)
    }

    pub(crate) fn start_as(lab: &Lab, place: &'a Place, config: &Path) -> Self {
        let log = |name| Stdio::from(fs::File::create(place.path(name)).unwrap());
        let mut command = command(lab, config);
        let child = command.stdout(log("stdout")).stderr(log("stderr")).spawn().unwrap();
        let mut gate = Self { child, place };
        let deadline = Instant::now() + PATIENCE;
        while Client::connect(&place.socket()).is_err() {
            let ended = gate.child.try_wait().unwrap();
            assert!(ended.is_none(), "the gate ended at once ({ended:?}): {}", place.said());
            assert!(Instant::now() < deadline, "the gate does not answer: {}", place.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        gate
    }

    /// Asks over the control socket.
    pub(crate) fn ask(&self, command: &str) -> Value {
        let reply = Client::connect(&self.place.socket()).unwrap().command(command).unwrap();
        assert_eq!(reply.outcome, Outcome::Ok, "{command}: {}", reply.message);
        reply.message
    }

    /// A counter by its dotted name.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let counters = self.ask("dump-counters");
        number(&counters, name)
    }

    /// To the warden, as an operator sends it.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The process that judges.
    pub(crate) fn judge(&self) -> Pid {
        let judges = self.judges();
        assert_eq!(judges.len(), 1, "{judges:?}: {}", self.place.said());
        judges[0]
    }

    /// The processes that the warden has started and that live.
    pub(crate) fn judges(&self) -> Vec<Pid> {
        children(self.child.id())
    }

    /// To the process that judges. A busy machine may take a while to stop all threads of one: that is waited for.
    pub(crate) fn signal_judge(&self, signal: Signal) {
        let judge = self.judge();
        kill_process(judge, signal).unwrap();
        if signal == Signal::STOP {
            eventually("all threads of the judge stop", || is_stopped(judge));
        }
    }

    /// Waits until another process judges than this one.
    pub(crate) fn wait_for_another(&self, judge: Pid) {
        eventually("another process judges", || {
            let judges = self.judges();
            // The gate that was started last has said that it stands.
            let said = self.place.said();
            let stands = said.rfind("running:") > said.rfind("another is started");
            judges.len() == 1 && judges[0] != judge && stands
        });
    }

    /// Waits until the gate has said this.
    pub(crate) fn wait_for(&self, said: &str) {
        eventually(&format!("{said:?} said"), || self.place.said().contains(said));
    }

    /// Kills all of it, as nothing but a crash of the machine or of its operator does.
    pub(crate) fn kill(mut self) {
        self.kill_all();
    }

    /// Kills the warden alone; what is left goes on judging. Gives its process.
    pub(crate) fn kill_warden(mut self) -> Pid {
        let judge = self.judge();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        judge
    }

    fn kill_all(&mut self) {
        // The warden first, or it would start another.
        let judges = children(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        judges.into_iter().for_each(kill_and_wait);
    }

    /// Waits for its end by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the gate does not end: {}", self.place.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it by SIGTERM and looks whether it ended well: with success, everything as before.
    pub(crate) fn end(self, lab: &Lab) {
        self.signal(Signal::TERM);
        let place = self.place;
        let status = self.wait();
        assert!(status.success(), "{status}: {}", place.said());
        assert_ports_are_free(lab);
        assert!(!place.socket().exists(), "the control socket is left");
        assert!(!Path::new("/sys/fs/bpf/portcullis").join(&place.name).exists(), "pins are left");
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        // Most have ended before.
        self.kill_all();
    }
}

/// The processes that this one has started and that live.
fn children(parent: u32) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut children: Vec<i32> = ids.filter(|id| state(*id) == Some((parent, true))).collect();
    children.sort_unstable();
    children.into_iter().filter_map(Pid::from_raw).collect()
}

/// A process's parent, and whether it lives; `None` where there is none.
fn state(process: i32) -> Option<(u32, bool)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?;
    Some((words.next()?.parse().ok()?, !matches!(state, "Z" | "X")))
}

/// Kills a process that is not ours to wait for, and waits until it is gone.
pub(crate) fn kill_and_wait(process: Pid) {
    let _ = kill_process(process, Signal::KILL);
    eventually("a killed process is gone", || !lives(process));
}

/// Is this process there, and not only its remains? Its first thread may be gone before the others.
pub(crate) fn lives(process: Pid) -> bool {
    let process = process.as_raw_nonzero().get();
    let threads = fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count);
    threads > 1 || state(process).is_some_and(|(_, lives)| lives)
}

/// No XDP program and not promiscuous.
pub(crate) fn assert_ports_are_free(lab: &Lab) {
    let text = lab.gate.output("ip", &["-d", "-j", "link"]).unwrap();
    let links: Value = serde_json::from_str(&text).unwrap();
    for link in links.as_array().unwrap() {
        assert!(link.get("xdp").is_none(), "a program is left: {link}");
        assert_eq!(link["promiscuity"], 0, "{link}");
    }
}

pub(crate) fn number(counters: &Value, name: &str) -> u64 {
    let found = name.split('.').fold(counters, |value, part| &value[part]);
    found.as_u64().unwrap_or_else(|| panic!("no counter {name} in {counters}"))
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Do all threads of a process stand still (proc_pid_stat(5)), or are they gone?
fn is_stopped(process: Pid) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    let mut stats = threads.flatten().flat_map(|thread| std::fs::read_to_string(thread.path().join("stat")));
    // The name, in brackets, may hold anything.
    stats.all(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" T")))
}

pub(crate) fn lab() -> Lab {
    lab_with(LabOptions::default())
}

pub(crate) fn lab_with(options: LabOptions) -> Lab {
    require_root();
    Lab::with(options).unwrap()
}

/// Does the server answer the client?
pub(crate) fn ping(lab: &Lab, count: u32, wait: u32) -> bool {
    let (count, wait) = (count.to_string(), wait.to_string());
    let arguments = ["-q", "-c", &count, "-i", "0.05", "-W", &wait, Lab::SERVER_ADDRESS];
    lab.client.output("ping", &arguments).is_ok()
}
