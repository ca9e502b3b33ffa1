//! A BFD session from host to host through the gate, by the daemons that routers run (FRRouting's): whether it held is
//! theirs to say.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_testkit::{Lab, NetNs};
use serde_json::Value;

use crate::program::{Interrupt, Running, run_well};

/// Where Debian has the daemons.
const DAEMONS: &str = "/usr/lib/frr";

/// Packets are sent this often; so many that are missing are the end of the session.
const INTERVAL_MS: u32 = 50;
const MULTIPLIER: u32 = 3;

/// How long anything may take before the session stands.
const PATIENCE: Duration = Duration::from_secs(30);

/// What each host has counted of its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flaps {
    /// How often it came up and went down, over both hosts.
    pub(crate) up: u64,
    pub(crate) down: u64,
    /// Packets received.
    pub(crate) received: u64,
}

/// One host's daemons.
#[derive(Debug)]
struct Speaker {
    folder: PathBuf,
    /// Dropped in this order.
    _bfd: Running,
    _zebra: Running,
}

/// A session between the hosts of a lab.
#[derive(Debug)]
pub(crate) struct Session {
    speakers: [Speaker; 2],
}

impl Session {
    /// Starts the daemons and waits until both say that the session is up.
    pub(crate) fn start(lab: &Lab, folder: &Path, interrupt: &Interrupt) -> Result<Self> {
        // They give up root, and have to get there.
        fs::set_permissions(folder, Permissions::from_mode(0o755)).context("cannot open the folder")?;
        let speak = |host: &NetNs, name: &str, own: &str, peer: &str| {
            Speaker::start(host, &folder.join(name), [own, peer], interrupt)
        };
        let (client, server) = (Lab::CLIENT_ADDRESS, Lab::SERVER_ADDRESS);
        let session = Self {
            speakers: [
                speak(&lab.client, "bfd-client", client, server)?,
                speak(&lab.server, "bfd-server", server, client)?,
            ],
        };
        interrupt.wait_for("the BFD session to stand", PATIENCE, || {
            let up = session.speakers.iter().all(|speaker| speaker.is_up().unwrap_or(false));
            Ok(up.then_some(()))
        })?;
        Ok(session)
    }

    /// What both have counted so far.
    pub(crate) fn flaps(&self) -> Result<Flaps> {
        let mut total = Flaps::default();
        for speaker in &self.speakers {
            let peer = speaker.ask("show bfd peers counters json")?;
            let number = |name: &str| peer[name].as_u64().with_context(|| format!("no {name}"));
            total.up += number("session-up")?;
            total.down += number("session-down")?;
            total.received += number("control-packet-input")?;
        }
        Ok(total)
    }
}

impl Speaker {
    fn start(host: &NetNs, folder: &Path, [own, peer]: [&str; 2], interrupt: &Interrupt) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let text = format!(
            "bfd\n peer {peer} local-address {own}\n  receive-interval {INTERVAL_MS}\n  \
             transmit-interval {INTERVAL_MS}\n  detect-multiplier {MULTIPLIER}\n  no shutdown\n"
        );
        fs::write(folder.join("bfdd.conf"), text).context("cannot write bfdd.conf")?;
        fs::write(folder.join("zebra.conf"), "").context("cannot write zebra.conf")?;
        let mut own = Command::new("chown");
        own.arg("-R").arg("frr:frr").arg(folder);
        run_well(&mut own, "chown", PATIENCE, interrupt)?;
        let zebra = Self::daemon(host, folder, "zebra", &[])?;
        let socket = folder.join("zserv.api");
        interrupt.wait_for("zebra", PATIENCE, || Ok(socket.exists().then_some(())))?;
        let control = folder.join("bfdd.sock");
        let bfd = Self::daemon(host, folder, "bfdd", &["--bfdctl", &control.to_string_lossy()])?;
        Ok(Self { folder: folder.to_owned(), _bfd: bfd, _zebra: zebra })
    }

    fn daemon(host: &NetNs, folder: &Path, name: &str, more: &[&str]) -> Result<Running> {
        let mut command = host.command(&format!("{DAEMONS}/{name}"));
        let place = |file: String| folder.join(file);
        command.arg("-f").arg(place(format!("{name}.conf"))).arg("-i").arg(place(format!("{name}.pid")));
        command.arg("-z").arg(place("zserv.api".to_owned())).arg("--vty_socket").arg(folder);
        command.args(["-P", "0", "--log", "stdout"]).args(more);
        Running::start(&mut command, name)
    }

    fn is_up(&self) -> Result<bool> {
        Ok(self.ask("show bfd peers json")?["status"] == "up")
    }

    /// What it says about its one peer.
    fn ask(&self, question: &str) -> Result<Value> {
        let mut command = Command::new("vtysh");
        command.arg("--vty_socket").arg(&self.folder).args(["-c", question]);
        let output = command.output().context("cannot start vtysh")?;
        ensure!(output.status.success(), "vtysh: {}", String::from_utf8_lossy(&output.stderr).trim());
        let peers: Value = serde_json::from_slice(&output.stdout).context("vtysh speaks no JSON")?;
        Ok(peers[0].clone())
    }
}
