//! A lab that stays: three namespaces to play with by hand.

use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result, bail, ensure};
use clap::{Subcommand, ValueEnum};
use portcullis_testkit::{Lab, LabOptions, NetNs};
use rustix::process::{Pid, Signal, kill_process};

use crate::{privilege, say};

/// What the lab's namespaces begin with, so that `ip netns` shows whose they are.
const PREFIX: &str = "portcullis";
/// Where the programs of a lab that stays have their files.
pub(crate) const FOLDER: &str = "/run/portcullis-lab";

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Make the lab; it stays until `down`.
    Up {
        /// Receive and transmit queues of each interface.
        #[arg(long, default_value_t = 1)]
        queues: u32,
        /// MTU of each interface in bytes.
        #[arg(long, default_value_t = 1500)]
        mtu: u32,
    },
    /// End every program in the lab and remove it.
    Down,
    /// Run a program on one of the lab's hosts.
    Exec {
        /// Where.
        #[arg(value_enum)]
        host: Host,
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Host {
    /// Where connections begin.
    Client,
    /// Between the two.
    Gate,
    /// Where connections end.
    Server,
}

pub(crate) fn run(task: &Task) -> Result<ExitCode> {
    privilege::become_root(env::args_os().skip(1))?;
    match task {
        Task::Up { queues, mtu } => {
            create(LabOptions { queues: *queues, mtu: *mtu })?;
            describe();
        }
        Task::Down => {
            let found = remove()?;
            say::detail(if found { "the lab is gone" } else { "there was no lab" });
        }
        Task::Exec { host, command } => return execute(*host, command),
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the lab that stays.
pub(crate) fn create(options: LabOptions) -> Result<Lab> {
    ensure!(!exists(), "a lab is up already; `cargo xtask lab down` removes it");
    Lab::create_named(PREFIX, options).context("cannot make the lab")
}

/// Says how the lab is laid out and what can be done with it.
pub(crate) fn describe() {
    let (client, gate0) = (Lab::CLIENT_PORT, Lab::GATE_CLIENT_PORT);
    let (server, gate1) = (Lab::SERVER_PORT, Lab::GATE_SERVER_PORT);
    let (near, far) = (Lab::CLIENT_ADDRESS, Lab::SERVER_ADDRESS);
    say::detail(&format!("client ({client}, {near}) -- {gate0} gate {gate1} -- server ({server}, {far})"));
    say::detail("run programs in it with  cargo xtask lab exec client|gate|server PROGRAM…");
    say::detail("remove it with           cargo xtask lab down");
}

/// Ends what runs in the lab and removes it; false when there was none.
pub(crate) fn remove() -> Result<bool> {
    for host in Host::value_variants() {
        if let Ok(namespace) = NetNs::open_named(&name(*host)) {
            end_inmates(&namespace)?;
        }
    }
    match fs::remove_dir_all(FOLDER) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).context(format!("cannot remove {FOLDER}"));
        }
        _ => {}
    }
    Ok(Lab::remove_named(PREFIX)?)
}

fn exists() -> bool {
    Host::value_variants().iter().any(|host| NetNs::open_named(&name(*host)).is_ok())
}

fn name(host: Host) -> String {
    let host = match host {
        Host::Client => "client",
        Host::Gate => "gate",
        Host::Server => "server",
    };
    format!("{PREFIX}-{host}")
}

fn execute(host: Host, command: &[String]) -> Result<ExitCode> {
    let namespace =
        NetNs::open_named(&name(host)).context("there is no lab; `cargo xtask lab up` makes one")?;
    let [program, arguments @ ..] = command else { bail!("no program given") };
    let status = namespace.command(program).args(arguments).status();
    let status = status.with_context(|| format!("cannot start {program}"))?;
    // As a shell does it where a signal ended the program: there is no code to pass on.
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(128)))
}

/// Asks every program in `namespace` to end, and makes those that have not after ten seconds.
fn end_inmates(namespace: &NetNs) -> Result<()> {
    for (signal, patience) in
        [(Signal::TERM, Duration::from_secs(10)), (Signal::KILL, Duration::from_secs(2))]
    {
        for inmate in inmates(namespace)? {
            // One that is gone by now needs no signal.
            let _ = kill_process(inmate, signal);
        }
        let deadline = Instant::now() + patience;
        while !inmates(namespace)?.is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
    }
    let left = inmates(namespace)?;
    ensure!(left.is_empty(), "programs in {} do not end: {left:?}", namespace.label());
    Ok(())
}

/// The processes whose network is `namespace`. Only the few that are started in a lab.
fn inmates(namespace: &NetNs) -> Result<Vec<Pid>> {
    let wanted = fs::metadata(namespace.path()).context("cannot look at a namespace")?;
    let processes = fs::read_dir("/proc").context("cannot list /proc")?;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    Ok(pids.filter(|pid| is_in(*pid, &wanted)).filter_map(Pid::from_raw).collect())
}

fn is_in(pid: i32, namespace: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    // A process that ended meanwhile, or a zombie, has no namespace.
    fs::metadata(format!("/proc/{pid}/ns/net"))
        .is_ok_and(|found| (found.dev(), found.ino()) == (namespace.dev(), namespace.ino()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use portcullis_testkit::require_root;

    use super::*;

    #[test]
    fn programs_in_a_namespace_are_found_and_ended() {
        require_root();
        let namespace = NetNs::new("inmates").unwrap();
        assert_eq!(inmates(&namespace).unwrap(), []);
        let mut polite = namespace.command("sleep").arg("1000").spawn().unwrap();
        let mut outside = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(polite.id()).unwrap());
        assert_eq!(inmates(&namespace).unwrap().first().copied(), pid);
        let ender = thread::spawn(move || polite.wait().unwrap());
        end_inmates(&namespace).unwrap();
        assert!(!ender.join().unwrap().success());
        assert!(outside.try_wait().unwrap().is_none(), "what is outside runs on");
        outside.kill().unwrap();
        outside.wait().unwrap();
    }
}
