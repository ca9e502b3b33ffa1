//! The daemon under demonstration, driven as an operator would: started from its configuration
//! file, asked over its control socket, ended by a signal.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::place::Place;
use crate::program::{Interrupt, Running, run_well};

/// How long the daemon may take to stand between the ports.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to finish its flows and end.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long an answer on the control socket may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Gate {
    running: Running,
    binary: PathBuf,
    socket: PathBuf,
    version: String,
    interrupt: Interrupt,
}

/// The daemon's counters at one moment, as `dump-counters` gives them.
#[derive(Clone, Debug)]
pub(crate) struct Counters(Value);

impl Gate {
    /// Starts `binary` in the gate's namespace and waits until its control socket answers.
    pub(crate) fn start(
        binary: &Path,
        config: &Path,
        place: &Place,
        logs: &Path,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let socket = place.file("control.sock");
        let mut command = place.lasting(&place.lab().gate, binary);
        command.arg("run").arg("-c").arg(config);
        for (key, path) in [
            ("default-log-dir", logs),
            ("outputs.eve-log.filename", &logs.join("eve.json")),
            ("control.socket", &socket),
        ] {
            command.arg("--set").arg(format!("{key}={}", path.display()));
        }
        let mut running = Running::start_logged(&mut command, "portcullis", &logs.join("portcullis.log"))?;
        let answer = interrupt.wait_for("portcullis to answer", START_LIMIT, || {
            if running.ended()?.is_some() {
                bail!("the gate does not stand");
            }
            Ok(ask(binary, &socket, "version", interrupt).ok())
        });
        let (binary, interrupt) = (binary.to_owned(), interrupt.clone());
        let mut gate = Self { running, binary, socket, version: String::new(), interrupt };
        gate.version = answer.map_err(|error| gate.explain(error))?.trim().to_owned();
        Ok(gate)
    }

    /// What it calls itself.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Where it takes commands.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its counters now.
    pub(crate) fn counters(&self) -> Result<Counters> {
        let text = ask(&self.binary, &self.socket, "dump-counters", &self.interrupt)?;
        Counters::parse(&text)
    }

    /// Says with `error` what the daemon has to do with it: when it has ended.
    pub(crate) fn explain(&mut self, error: Error) -> Error {
        let said = self.running.text().unwrap_or_default();
        let said = if said.trim().is_empty() { "nothing" } else { said.trim() };
        match self.running.ended() {
            Ok(Some(status)) => error.context(format!("portcullis has ended ({status}) and said: {said}")),
            _ => error,
        }
    }

    /// Tells it to end and waits until it has.
    pub(crate) fn stop(self) -> Result<()> {
        let finished = self.running.stop(Signal::TERM, STOP_LIMIT)?;
        ensure!(
            finished.status.success(),
            "portcullis did not end well ({}): {}",
            finished.status,
            finished.text.trim()
        );
        Ok(())
    }

    /// Lets it run on.
    pub(crate) fn leave(self) {
        self.running.leave();
    }
}

fn ask(binary: &Path, socket: &Path, command: &str, interrupt: &Interrupt) -> Result<String> {
    let name = format!("portcullis ctl {command}");
    run_well(
        Command::new(binary).arg("ctl").arg("--socket").arg(socket).arg(command),
        &name,
        ANSWER_LIMIT,
        interrupt,
    )
}

impl Counters {
    fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)
            .with_context(|| format!("dump-counters gave no JSON: {}", text.trim()))?;
        Ok(Self(value))
    }

    /// One counter by its dotted name, like `ips.blocked`.
    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        let found = name.split('.').try_fold(&self.0, |value, part| value.get(part));
        found.and_then(Value::as_u64).with_context(|| format!("the gate has no counter {name}"))
    }

    /// How much a counter has grown since `earlier`.
    pub(crate) fn since(&self, earlier: &Self, name: &str) -> Result<u64> {
        let (now, then) = (self.number(name)?, earlier.number(name)?);
        now.checked_sub(then).with_context(|| format!("{name} fell from {then} to {now}"))
    }

    /// Packets dropped because a rule said so, for themselves or for their flow, since `earlier`.
    pub(crate) fn dropped_by_rule_since(&self, earlier: &Self) -> Result<u64> {
        let packets = self.since(earlier, "ips.drop_reason.rules")?;
        Ok(packets + self.since(earlier, "ips.drop_reason.flow_drop")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(text: &str) -> Counters {
        Counters::parse(text).unwrap()
    }

    #[test]
    fn counters_are_found_by_dotted_name() {
        let counters = counters(r#"{"ips":{"blocked":7,"drop_reason":{"rules":3,"flow_drop":4}}}"#);
        assert_eq!(counters.number("ips.blocked").unwrap(), 7);
        assert_eq!(counters.number("ips.drop_reason.rules").unwrap(), 3);
        for missing in ["ips", "ips.accepted", "ips.blocked.more", ""] {
            let error = counters.number(missing).unwrap_err().to_string();
            assert_eq!(error, format!("the gate has no counter {missing}"));
        }
    }

    #[test]
    fn growth_is_told_from_a_fall() {
        let then = counters(r#"{"ips":{"drop_reason":{"rules":3,"flow_drop":4}}}"#);
        let now = counters(r#"{"ips":{"drop_reason":{"rules":5,"flow_drop":14}}}"#);
        assert_eq!(now.dropped_by_rule_since(&then).unwrap(), 12);
        assert!(then.dropped_by_rule_since(&now).is_err());
    }

    #[test]
    fn what_is_no_json_is_shown() {
        let error = Counters::parse("no such command\n").unwrap_err().to_string();
        assert!(error.ends_with("no such command"), "{error}");
    }
}
