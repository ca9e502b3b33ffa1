//! The demo: the gate between two hosts, real programs on both sides, and numbers that must be
//! right at the end.
//!
//! Everything is made anew and removed again, whatever happens: namespaces vanish with this process,
//! programs are ended when their handle is dropped, and Ctrl-C is just another error.

mod hosts;
mod place;
mod records;
mod replay;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::gate::{Control, Gate};
use crate::program::Interrupt;
use crate::{lab, privilege, say, workspace};
use hosts::Hosts;
use place::Place;
use records::Records;
use table::Table;

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Leave everything up afterwards, to play with.
    #[arg(long)]
    keep: bool,
    /// Build with all optimisations. The demo checks what the gate does, not how fast, and shares
    /// its build with the tests otherwise.
    #[arg(long)]
    release: bool,
    /// What must be built is built (set when the task starts itself again as root).
    #[arg(long, hide = true)]
    built: bool,
}

impl Options {
    fn arguments(&self) -> impl Iterator<Item = &'static str> {
        let switches = [("--keep", self.keep), ("--release", self.release)];
        let switches = switches.into_iter().filter_map(|(name, on)| on.then_some(name));
        ["demo", "--built"].into_iter().chain(switches)
    }
}

/// Shows everything; an error when anything is not as it should be.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.built {
        say::step("Building the gate");
        workspace::build("portcullis", "portcullis", options.release)?;
    }
    privilege::become_root(options.arguments())?;
    let interrupt = Interrupt::listen()?;
    demonstrate(options, &interrupt)?.check()?;
    if options.keep {
        say::step("Everything is left up");
        lab::describe();
    }
    Ok(())
}

fn demonstrate(options: &Options, interrupt: &Interrupt) -> Result<Table> {
    say::step("Making three hosts: client, gate and server, each in a network namespace");
    let place = Place::make(options.keep)?;
    let logs = workspace::target()?.join("demo");
    if logs.exists() {
        fs::remove_dir_all(&logs).with_context(|| format!("cannot empty {}", logs.display()))?;
    }
    fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;

    let config = workspace::root()?.join("configs/lab.toml");
    say::step(&format!("Starting the gate from {}", config.display()));
    let binary = workspace::binary_path("portcullis", options.release)?;
    let mut gate = start(&binary, &config, &place, &logs, interrupt)?;
    say::detail(&format!("running: {}", gate.ctl(&["version"])?.trim()));
    let hosts = Hosts::new(&place, interrupt).map_err(|error| gate.explain(error))?;
    let table = show(&gate, &hosts, &place, interrupt);
    let mut table = table.map_err(|error| gate.explain(error))?;

    let records = logs.join("eve.json");
    if options.keep {
        hosts.speak_again()?;
        say::step(&format!("Leaving the gate running; its control socket is {}", gate.socket().display()));
        gate.leave();
        hosts.leave();
        place.leave();
    } else {
        say::step("Stopping the gate, which finishes every flow first");
        gate.end(place.lab())?;
        table.compare(&Records::read(&records)?)?;
        say::step("Removing everything");
        drop(hosts);
        drop(place);
    }
    ensure!(records.exists(), "the gate wrote no EVE records to {}", records.display());
    privilege::give_back(&logs)?;
    table.print(&records);
    Ok(table)
}

/// Starts the gate in its namespace, from a configuration that is a user's, too: only where files go is said besides.
fn start(binary: &Path, config: &Path, place: &Place, logs: &Path, interrupt: &Interrupt) -> Result<Gate> {
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
    let control = Control { binary: binary.to_owned(), socket, set: None, interrupt: interrupt.clone() };
    Gate::start(&mut command, control, &logs.join("portcullis.log"))
}

/// Sends real traffic through the gate, then the same as load, and takes the numbers down.
fn show(gate: &Gate, hosts: &Hosts<'_>, place: &Place, interrupt: &Interrupt) -> Result<Table> {
    let capture = hosts.capture()?;
    say::step("Pinging through the gate");
    say::detail(&hosts.ping()?);
    say::step("Asking for a page that is permitted, and for one that a drop rule forbids");
    say::detail(&hosts.permitted()?);
    say::detail(&hosts.forbidden()?);
    say::step("Downloading 20 MB with curl");
    say::detail(&hosts.download()?);
    let capture = capture.stop()?;

    say::step("Turning the first packets of that traffic into load for trafgen");
    let load = replay::convert(&capture, place, interrupt)?;
    say::detail(&format!("{} packets from the client, {} from the server", load.client, load.server));
    hosts.fall_silent()?;
    let (before, baseline) = (gate.counters()?, hosts.received()?);
    say::step("Replaying it, each direction from its own side");
    let sent = replay::run(&load, place, interrupt)?;
    let received = hosts.arrived(baseline, gate, &before, sent)?;
    Table::new(sent, received, &before, &gate.counters()?)
}
