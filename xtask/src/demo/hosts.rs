//! The two hosts beside the gate, and the programs that people would run on them.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_testkit::Lab;
use rustix::process::Signal;

use super::place::Place;
use crate::gate::{Counters, Gate};
use crate::program::{Interrupt, Running, run, run_well};

/// Bytes of the download.
const DOWNLOAD: usize = 20_000_000;
/// Packets of the capture that becomes load. trafgen's text takes some six bytes for one of the
/// packet, so a whole download would take minutes to read.
const CAPTURED: &str = "1500";
/// How long a forbidden request may hang before curl gives up, in seconds.
const PATIENCE: &str = "4";
/// How long any one program may take.
const LIMIT: Duration = Duration::from_secs(60);
/// curl's exit status when its time was over.
const CURL_TIMED_OUT: i32 = 28;

/// Client and server, with a web server running on the latter.
#[derive(Debug)]
pub(crate) struct Hosts<'a> {
    place: &'a Place,
    interrupt: &'a Interrupt,
    web: Running,
}

/// tcpdump at work.
#[derive(Debug)]
pub(crate) struct Capture {
    tcpdump: Running,
    file: PathBuf,
}

impl<'a> Hosts<'a> {
    /// Starts the web server and waits until it listens.
    pub(crate) fn new(place: &'a Place, interrupt: &'a Interrupt) -> Result<Self> {
        let content = place.file("www");
        fs::create_dir_all(&content)?;
        fs::write(content.join("permitted"), "You may pass.\n")?;
        fs::write(content.join("forbidden"), "You must not see this.\n")?;
        fs::write(content.join("download"), noise(DOWNLOAD))?;
        let server = &place.lab().server;
        let mut command = place.lasting(server, Path::new("python3"));
        command.args(["-m", "http.server", "80", "--bind", Lab::SERVER_ADDRESS, "--directory"]).arg(&content);
        let web = Running::start(&mut command, "the web server")?;
        interrupt.wait_for("the web server to listen", Duration::from_secs(20), || {
            match server.run(|| TcpStream::connect((Lab::SERVER_ADDRESS, 80))) {
                Ok(_) => Ok(Some(())),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(None),
                Err(error) => Err(error).context("cannot reach the web server"),
            }
        })?;
        Ok(Self { place, interrupt, web })
    }

    /// Begins to capture what passes at the client.
    pub(crate) fn capture(&self) -> Result<Capture> {
        // Otherwise the capture would show segments glued together, longer than any wire carries.
        self.client().set_feature(Lab::CLIENT_PORT, "gro", false)?;
        let file = self.place.file("traffic.pcap");
        let mut command = self.client().command("tcpdump");
        command.args(["-i", Lab::CLIENT_PORT, "-n", "-U", "--immediate-mode", "-Z", "root", "-c", CAPTURED]);
        let tcpdump = Running::start(command.arg("-w").arg(&file), "tcpdump")?;
        self.interrupt.wait_for("tcpdump to listen", Duration::from_secs(20), || {
            Ok(tcpdump.text()?.contains("listening on").then_some(()))
        })?;
        Ok(Capture { tcpdump, file })
    }

    /// Five pings; all must be answered.
    pub(crate) fn ping(&self) -> Result<String> {
        let mut command = self.client().command("ping");
        let arguments = ["-c", "5", "-i", "0.2", "-W", "5", Lab::SERVER_ADDRESS];
        let text = run_well(command.args(arguments), "ping", LIMIT, self.interrupt)?;
        let summary =
            text.lines().find(|line| line.contains("packet loss")).context("ping gave no summary")?;
        ensure!(summary.contains(" 0% packet loss"), "pings were lost: {summary}");
        Ok(summary.to_owned())
    }

    /// A request that no rule minds.
    pub(crate) fn permitted(&self) -> Result<String> {
        let url = url("permitted");
        let mut command = self.client().command("curl");
        command.args([
            "--silent",
            "--show-error",
            "--fail",
            "--connect-timeout",
            "10",
            "--max-time",
            "30",
            &url,
        ]);
        let text = run_well(&mut command, "curl", LIMIT, self.interrupt)?;
        ensure!(text == "You may pass.\n", "{url} gave {text:?}");
        Ok(format!("{url} answers: {}", text.trim()))
    }

    /// A request that a rule drops: it must hang until curl gives up.
    pub(crate) fn forbidden(&self) -> Result<String> {
        let url = url("forbidden");
        let mut command = self.client().command("curl");
        command.args(["--silent", "--show-error", "--max-time", PATIENCE, &url]);
        let finished = run(&mut command, "curl", LIMIT, self.interrupt)?;
        ensure!(
            finished.status.code() == Some(CURL_TIMED_OUT),
            "{url} should have hung, but curl ended with {}: {}",
            finished.status,
            finished.text.trim()
        );
        Ok(format!("{url} fails: {}", finished.text.trim()))
    }

    /// The download; every byte must be as it was.
    pub(crate) fn download(&self) -> Result<String> {
        let (url, file) = (url("download"), self.place.file("downloaded"));
        let mut command = self.client().command("curl");
        command
            .args([
                "--silent",
                "--show-error",
                "--fail",
                "--connect-timeout",
                "10",
                "--max-time",
                "50",
                "--output",
            ])
            .arg(&file);
        command.args(["--write-out", "%{size_download} bytes in %{time_total} s", &url]);
        let text = run_well(&mut command, "curl", LIMIT, self.interrupt)?;
        let (sent, received) = (fs::read(self.place.file("www/download"))?, fs::read(&file)?);
        ensure!(sent == received, "the download differs: {} bytes came of {}", received.len(), sent.len());
        Ok(format!("{text}, byte-identical"))
    }

    /// Takes the hosts' addresses away, so that they answer nothing of what is replayed at them and
    /// every packet on the wires is one of the load.
    pub(crate) fn fall_silent(&self) -> Result<()> {
        for (host, port, _) in self.ends() {
            host.output("ip", &["address", "flush", "dev", port])?;
        }
        self.client().set_feature(Lab::CLIENT_PORT, "gro", true)?;
        self.settle()
    }

    /// Gives the hosts their addresses back.
    pub(crate) fn speak_again(&self) -> Result<()> {
        for (host, port, address) in self.ends() {
            host.add_address(port, &format!("{address}/24"))?;
        }
        Ok(())
    }

    /// Packets that both hosts have received, in all.
    pub(crate) fn received(&self) -> Result<u64> {
        self.ends().iter().map(|(host, port, _)| Ok(host.counters(port)?.rx_packets)).sum()
    }

    /// Waits until the `sent` packets of the load have arrived at a host or were dropped by a rule
    /// since `before`, and a few seconds more for those that have not; says how many arrived.
    pub(crate) fn arrived(&self, baseline: u64, gate: &Gate, before: &Counters, sent: u64) -> Result<u64> {
        let tally = || -> Result<(u64, u64)> {
            let dropped = gate.counters()?.dropped_by_rule_since(before)?;
            Ok((self.received()? - baseline, dropped))
        };
        for _ in 0..20 {
            let (received, dropped) = tally()?;
            if received + dropped >= sent {
                break;
            }
            self.settle()?;
        }
        Ok(tally()?.0)
    }

    /// Lets the web server run on.
    pub(crate) fn leave(self) {
        self.web.leave();
    }

    fn settle(&self) -> Result<()> {
        self.interrupt.pause(Duration::from_millis(200))
    }

    fn client(&self) -> &portcullis_testkit::NetNs {
        &self.place.lab().client
    }

    fn ends(&self) -> [(&portcullis_testkit::NetNs, &'static str, &'static str); 2] {
        let lab = self.place.lab();
        [
            (&lab.client, Lab::CLIENT_PORT, Lab::CLIENT_ADDRESS),
            (&lab.server, Lab::SERVER_PORT, Lab::SERVER_ADDRESS),
        ]
    }
}

impl Capture {
    /// Ends the capture; gives the file.
    pub(crate) fn stop(self) -> Result<PathBuf> {
        let finished = self.tcpdump.stop(Signal::INT, Duration::from_secs(20))?;
        ensure!(finished.status.success(), "tcpdump failed: {}", finished.text.trim());
        Ok(self.file)
    }
}

fn url(page: &str) -> String {
    format!("http://{}/{page}", Lab::SERVER_ADDRESS)
}

/// Bytes without a pattern that a mistake could hide in (xorshift), the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(length.div_ceil(8)).flatten().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_length_asked_for_and_does_not_repeat() {
        assert_eq!(noise(0).len(), 0);
        assert_eq!(noise(1001).len(), 1001);
        let noise = noise(80_000);
        let words: std::collections::HashSet<&[u8]> = noise.chunks(8).collect();
        assert_eq!(words.len(), 10_000);
    }
}
