//! A capture as load: netsniff-ng turns each direction of it into a trafgen configuration, and
//! trafgen sends it from the side it came from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_testkit::{Lab, VethPair};

use super::place::Place;
use crate::program::{Interrupt, Running, run_well};
use crate::say;

/// Packets sent from each side, at least; whole passes over the capture.
const PACKETS_A_SIDE: u64 = 15_000;
/// The time between two packets of a side: 5,000 a second, which is polite to a gate that shares
/// two cores with both senders and both receivers.
const GAP: &str = "200us";
/// How long conversion or sending may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What is to be replayed, and how many packets a pass over it has.
#[derive(Debug)]
pub(crate) struct Load {
    /// From the client to the server.
    pub(crate) client: u64,
    /// From the server to the client.
    pub(crate) server: u64,
    client_file: PathBuf,
    server_file: PathBuf,
}

/// Splits `capture` by sender and turns both parts into trafgen configurations.
pub(crate) fn convert(capture: &Path, place: &Place, interrupt: &Interrupt) -> Result<Load> {
    let one = |port: &str, name: &str| -> Result<(u64, PathBuf)> {
        let file = place.file(name);
        let mut command = Command::new("netsniff-ng");
        command.arg("--in").arg(capture).arg("--out").arg(&file).arg("--silent");
        command.args(["ether", "src", &VethPair::hardware_address(port)]);
        run_well(&mut command, "netsniff-ng", LIMIT, interrupt)?;
        let packets = packets_in(&fs::read_to_string(&file).context("netsniff-ng wrote nothing")?);
        ensure!(packets > 0, "the capture has no packet from {port}");
        Ok((packets, file))
    };
    let (client, client_file) = one(Lab::CLIENT_PORT, "client.cfg")?;
    let (server, server_file) = one(Lab::SERVER_PORT, "server.cfg")?;
    Ok(Load { client, server, client_file, server_file })
}

/// Sends the load from both sides at once; says how many packets went out.
pub(crate) fn run(load: &Load, place: &Place, interrupt: &Interrupt) -> Result<u64> {
    let lab = place.lab();
    let sides = [
        (&lab.client, Lab::CLIENT_PORT, &load.client_file, load.client),
        (&lab.server, Lab::SERVER_PORT, &load.server_file, load.server),
    ];
    let mut senders = Vec::new();
    for (host, port, file, packets) in sides {
        let number = PACKETS_A_SIDE.next_multiple_of(packets);
        say::detail(&format!("{number} packets at {port}, one each {GAP}"));
        let mut command = host.command("trafgen");
        command.args(["--dev", port, "--num", &number.to_string(), "--gap", GAP]);
        command.args(["--cpus", "1", "--no-sock-mem", "--conf"]).arg(file);
        senders.push((Running::start(&mut command, "trafgen")?, number));
    }
    let mut sent = 0;
    for (sender, number) in senders {
        let finished = sender.finish(LIMIT, interrupt)?;
        ensure!(finished.status.success(), "trafgen failed: {}", finished.text.trim());
        let outgoing = packets_outgoing(&finished.text).context("trafgen says not how much it sent")?;
        ensure!(outgoing == number, "trafgen sent {outgoing} packets, not {number}");
        sent += outgoing;
    }
    Ok(sent)
}

/// Packets in a trafgen configuration: each is a block in braces.
fn packets_in(configuration: &str) -> u64 {
    configuration.lines().filter(|line| line.trim_start().starts_with('{')).map(|_| 1).sum()
}

/// The number in trafgen's summary, `     30 packets outgoing`.
fn packets_outgoing(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.trim().strip_suffix(" packets outgoing")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_counted() {
        assert_eq!(packets_in(""), 0);
        assert_eq!(packets_in("{\n  0x33, 0x01\n}\n\n{\n  0x05\n}\n"), 2);
    }

    #[test]
    fn the_summary_is_found() {
        let text =
            "Running! Hang up with ^C!\n\n          30 packets outgoing\n        2500 bytes outgoing\n";
        assert_eq!(packets_outgoing(text), Some(30));
        assert_eq!(packets_outgoing("Running!\n"), None);
    }
}
