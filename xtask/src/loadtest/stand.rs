//! A lab in which one subject stands between the hosts. Everything in it vanishes with it.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use portcullis_testkit::Lab;
use portcullis_trial::{Outcome, Place, Rate, Trial};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::gates::Setup;
use super::subject::{Kind, Subject};
use super::usage::Usage;
use crate::gate::Gate;
use crate::program::{Interrupt, Running, run_well};

/// How long a peer may take to forward, and to end.
const LIMIT: Duration = Duration::from_secs(30);

/// What is sent to see whether a subject forwards: this many frames, until all of them arrive.
const PROBE: u32 = 32;

/// What the nftables bridge does: a rule that is met by nothing, and a counter by protocol.
const RULES: &str = "table bridge loadtest {
    chain forward {
        type filter hook forward priority 0; policy accept;
        ip daddr 198.51.100.0/24 drop
        ip protocol { tcp, udp } counter accept
    }
}
";

/// The programs that measuring takes, and where it may run.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) portcullis: std::path::PathBuf,
    pub(crate) loadgen: std::path::PathBuf,
    pub(crate) inline: std::path::PathBuf,
    /// The CPU that sends.
    pub(crate) sender: u32,
    /// The CPU that forwards, as far as that is for us to say.
    pub(crate) worker: u32,
    pub(crate) interrupt: Interrupt,
}

/// A subject between hosts.
#[derive(Debug)]
pub(crate) struct Stand {
    tools: Tools,
    // Ends before its namespaces go.
    forwarder: Forwarder,
    lab: Lab,
    /// The last one that was used.
    seed: Cell<u64>,
    /// What it writes.
    _folder: TempDir,
}

#[derive(Debug)]
enum Forwarder {
    Gate(Box<Gate>),
    Program(Program),
    /// The kernel's own.
    Kernel,
}

/// A peer that is a program: it and all that it started are told to end.
#[derive(Debug)]
struct Program(Option<Running>);

impl Stand {
    /// Makes a lab and puts `subject` into it; it forwards when this returns.
    pub(crate) fn make(tools: &Tools, subject: &Subject, setup: &Setup) -> Result<Self> {
        let name = &subject.name;
        let lab = Lab::inline().context("cannot make the lab")?;
        let folder =
            tempfile::Builder::new().prefix("portcullis-load-").tempdir().context("no temporary folder")?;
        let forwarder = forwarder(tools, &subject.kind, setup, &lab, folder.path())
            .with_context(|| format!("{name} could not be run"))?;
        let mut stand = Self { tools: tools.clone(), forwarder, lab, seed: Cell::new(1), _folder: folder };
        if setup.passes {
            stand.wait_until_it_forwards().with_context(|| format!("{name} could not be run"))?;
        }
        Ok(stand)
    }

    /// Trials from client to server.
    pub(crate) fn trial(&self) -> Trial {
        let place =
            |host: &portcullis_testkit::NetNs, port| Place::within(&host.path().to_string_lossy(), port);
        let mut trial = Trial::between(
            place(&self.lab.client, Lab::CLIENT_PORT),
            place(&self.lab.server, Lab::SERVER_PORT),
        );
        (trial.sender_cpu, trial.receiver_cpu) = (Some(self.tools.sender), Some(self.tools.sender));
        trial
    }

    /// A seed that no trial here has had: with it come other flows.
    pub(crate) fn fresh_seed(&self) -> u64 {
        self.seed.set(self.seed.get() + 1);
        self.seed.get()
    }

    /// Makes a trial; what came of it adds up.
    pub(crate) fn run(&mut self, trial: &Trial) -> Result<Outcome> {
        let mut command = Command::new(&self.tools.loadgen);
        let limit = LIMIT + Duration::from_secs_f64(trial.seconds * 4.0);
        let text =
            run_well(command.args(trial.arguments()), "portcullis-loadgen", limit, &self.tools.interrupt)?;
        self.check()?;
        outcome(&text)
    }

    /// Begins a trial that goes on while other things happen.
    pub(crate) fn begin(&self, trial: &Trial) -> Result<Running> {
        let mut command = Command::new(&self.tools.loadgen);
        Running::start(command.args(trial.arguments()), "portcullis-loadgen")
    }

    /// The gate, where Portcullis stands here.
    pub(crate) fn gate(&self) -> Result<&Gate> {
        match &self.forwarder {
            Forwarder::Gate(gate) => Ok(gate),
            _ => anyhow::bail!("no gate stands here"),
        }
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The processes that forward; none where the kernel does.
    pub(crate) fn processes(&self) -> Vec<u32> {
        match &self.forwarder {
            Forwarder::Gate(gate) => gate.processes(),
            Forwarder::Program(Program(running)) => running.iter().map(Running::id).collect(),
            Forwarder::Kernel => Vec::new(),
        }
    }

    /// CPU time used until now.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::until_now(&self.processes())
    }

    /// Ends what forwards; an error when it ended before or left something.
    pub(crate) fn end(mut self) -> Result<()> {
        self.check()?;
        match self.forwarder {
            Forwarder::Gate(gate) => gate.end(&self.lab),
            Forwarder::Program(mut program) => program.end(),
            Forwarder::Kernel => Ok(()),
        }
    }

    fn check(&mut self) -> Result<()> {
        match &mut self.forwarder {
            Forwarder::Gate(gate) => gate.check(),
            Forwarder::Program(program) => program.check(),
            Forwarder::Kernel => Ok(()),
        }
    }

    fn wait_until_it_forwards(&mut self) -> Result<()> {
        let probe = Trial {
            rate: Rate::PerSecond(1_000),
            count: Some(PROBE),
            seconds: 1.0,
            flows: 1,
            // Not among the flows that are measured.
            source: [10, 77, 0, 3].into(),
            ..self.trial()
        };
        let deadline = Instant::now() + LIMIT;
        loop {
            let outcome = self.run(&probe)?;
            if outcome.sent > 0 && outcome.lost == 0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "after {} seconds it still forwards only {} of {} frames",
                LIMIT.as_secs(),
                outcome.received,
                outcome.sent
            );
        }
    }
}

/// What a trial printed, with a look at whether its counts can be right.
pub(crate) fn outcome(text: &str) -> Result<Outcome> {
    let start =
        text.find('{').with_context(|| format!("portcullis-loadgen gave no JSON: {}", text.trim()))?;
    let mut values = serde_json::Deserializer::from_str(text.get(start..).unwrap_or_default()).into_iter();
    let outcome: Outcome = values
        .next()
        .context("portcullis-loadgen gave nothing")?
        .context("portcullis-loadgen gave no outcome")?;
    let Outcome { sent, received, lost, corrupted, .. } = outcome;
    ensure!(sent == received + lost, "{sent} were sent, but {received} were received and {lost} lost");
    ensure!(corrupted == 0, "{corrupted} frames arrived with a wrong checksum");
    Ok(outcome)
}

fn forwarder(tools: &Tools, kind: &Kind, setup: &Setup, lab: &Lab, folder: &Path) -> Result<Forwarder> {
    let (one, other) = (Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT);
    let gate = |arguments: &str| lab.gate.output("ip", &arguments.split(' ').collect::<Vec<_>>()).map(drop);
    // Live frames are redirected onto the wire: without an XDP program, only an end with GRO on takes them.
    let take_live_frames = || {
        lab.gate.set_feature(one, "gro", true)?;
        lab.gate.set_feature(other, "gro", true)
    };
    match kind {
        Kind::Portcullis => {
            let gate = setup.start(&tools.portcullis, lab, folder, tools.worker, &tools.interrupt)?;
            Ok(Forwarder::Gate(Box::new(gate)))
        }
        Kind::Bridge | Kind::Nftables => {
            take_live_frames()?;
            gate("link add name bridge0 type bridge mcast_snooping 0")?;
            for port in [one, other] {
                gate(&format!("link set {port} master bridge0"))?;
            }
            gate("link set bridge0 up")?;
            if *kind == Kind::Nftables {
                let file = folder.join("bridge.nft");
                std::fs::write(&file, RULES).context("cannot write rules")?;
                lab.gate.output("nft", &["-f", &file.to_string_lossy()])?;
            }
            Ok(Forwarder::Kernel)
        }
        kind => {
            if !matches!(kind, Kind::Forward(_)) {
                take_live_frames()?;
            }
            let mut command = command(tools, kind, lab);
            let running = Running::start_logged(&mut command, "a peer", &folder.join("peer.log"))?;
            Ok(Forwarder::Program(Program(Some(running))))
        }
    }
}

/// What peers that are programs are started with, as words.
pub(crate) fn words(tools: &Tools, kind: &Kind) -> Vec<String> {
    let (one, other) = (Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT);
    let text = match kind {
        Kind::Forward(how) => {
            let cpus = if *how == "xsk" { format!(" --cpus {}", tools.worker) } else { String::new() };
            format!("{} forward --how {how} --iface {one} --to {other}{cpus}", tools.loadgen.display())
        }
        Kind::Testpmd => format!(
            "dpdk-testpmd -l {},{} --no-shconf --no-huge -m 512 --no-pci --no-telemetry \
             --vdev=net_af_packet0,iface={one} --vdev=net_af_packet1,iface={other} \
             -- --forward-mode=io --auto-start --nb-cores=1 --total-num-mbufs=32768 --stats-period=60",
            tools.sender, tools.worker
        ),
        Kind::Command(command) => return ["sh", "-c", command].map(str::to_owned).to_vec(),
        Kind::Bridge => "ip link add name bridge0 type bridge mcast_snooping 0".to_owned(),
        Kind::Nftables => "the same with nft -f: a drop by address, a counter by protocol".to_owned(),
        Kind::Portcullis => "portcullis run".to_owned(),
    };
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn command(tools: &Tools, kind: &Kind, lab: &Lab) -> Command {
    let mut words = words(tools, kind).into_iter();
    let mut command = lab.gate.command(&words.next().unwrap_or_default());
    command.args(words).env("PORT_A", Lab::GATE_CLIENT_PORT).env("PORT_B", Lab::GATE_SERVER_PORT);
    command
}

impl Program {
    fn check(&mut self) -> Result<()> {
        let Some(running) = &mut self.0 else { return Ok(()) };
        if let Some(status) = running.ended()? {
            anyhow::bail!("it has ended ({status}): {}", running.text()?.trim());
        }
        Ok(())
    }

    /// However it ends is its own affair, as long as it does.
    fn end(&mut self) -> Result<()> {
        self.signal(Signal::TERM);
        match self.0.take() {
            Some(running) => running.stop(Signal::TERM, LIMIT).map(drop),
            None => Ok(()),
        }
    }

    /// It has a process group of its own.
    fn signal(&self, signal: Signal) {
        let id = self.0.as_ref().and_then(|running| i32::try_from(running.id()).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // Where it has ended already there is nobody to tell.
            let _ = kill_process_group(id, signal);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        // Waits, and kills what does not heed it.
        drop(self.0.take());
    }
}
