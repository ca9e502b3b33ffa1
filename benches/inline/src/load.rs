//! Load on the wire: a sender at one end and a sink at the other, in processes of their own.

use anyhow::{Context, Result, bail, ensure};
use portcullis_testkit::{Lab, NetNs};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

/// The first argument by which this program knows that it is the load generator.
pub(crate) const WORD: &str = "loadgen";

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Flows, taken in turn.
    pub(crate) flows: u32,
    /// Bytes of a frame, without its check sequence.
    pub(crate) size: usize,
    /// Frames a second; as many as go where not given.
    pub(crate) rate: Option<u32>,
    /// The CPU that sends.
    pub(crate) cpu: u32,
}

/// A running load generator of which one end may be over before the other.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// Begins to count and eat what arrives at the server.
pub(crate) fn receive(lab: &Lab) -> Result<Running> {
    receive_at(&lab.server, Lab::SERVER_PORT)
}

/// Begins to count and eat what arrives at a port.
pub(crate) fn receive_at(place: &NetNs, port: &str) -> Result<Running> {
    Running::start_and_wait(place, &["receive", "--iface", port])
}

/// Begins to pass everything on from the client's side to the server's, by a redirect and nothing else.
pub(crate) fn forward(lab: &Lab) -> Result<Running> {
    let ports = ["forward", "--iface", Lab::GATE_CLIENT_PORT, "--to", Lab::GATE_SERVER_PORT];
    Running::start_and_wait(&lab.gate, &ports)
}

/// Begins to send from the client, until told to stop.
pub(crate) fn send(lab: &Lab, load: &Load) -> Result<Running> {
    let Load { flows, size, rate, cpu } = load;
    let mut arguments = vec!["send", "--iface", Lab::CLIENT_PORT];
    let (flows, size, cpu, rate) =
        (flows.to_string(), size.to_string(), cpu.to_string(), rate.map(|rate| rate.to_string()));
    arguments.extend(["--flows", &flows, "--size", &size, "--cpu", &cpu]);
    if let Some(rate) = &rate {
        arguments.extend(["--pps", rate]);
    }
    Running::start(&lab.client, &arguments)
}

impl Running {
    fn start(place: &NetNs, arguments: &[&str]) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let program = program.to_str().context("the path of this program is no text")?;
        let mut command = place.command(program);
        command.arg(WORD).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the load generator")?;
        let output = child.stdout.take().context("the load generator has no output")?;
        Ok(Self { child, output: BufReader::new(output) })
    }

    fn start_and_wait(place: &NetNs, arguments: &[&str]) -> Result<Self> {
        let mut running = Self::start(place, arguments)?;
        let mut ready = String::new();
        running.output.read_line(&mut ready)?;
        ensure!(ready == "state=ready\n", "it did not begin: {arguments:?}");
        Ok(running)
    }

    /// Stops it and takes one of its results.
    pub(crate) fn stop(self, result: &str) -> Result<u64> {
        let text = self.end()?;
        let results: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let Some(value) = results.get(result) else { bail!("the load generator does not tell `{result}`") };
        value.parse().with_context(|| format!("`{result}` of the load generator"))
    }

    /// Stops it; what it said.
    pub(crate) fn end(mut self) -> Result<String> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the load generator failed: {status}");
        Ok(text)
    }
}
