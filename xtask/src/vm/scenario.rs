//! What happens in the guest: the gate starts, lets everything through unchanged, drops what a rule forbids, is killed
//! and replaced, is killed for good while frames go on passing, comes back, and ends. Over DPDK nothing passes while it
//! is gone.

mod flow_rules;
mod poll_mode;
mod queues;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::frames::{ANY, KERNEL, Kind, frame, marked};
use super::guest::{Guest, Nic, address};
use super::image::{CONFIGS, GATE, XDP_CONFIG};
use super::wire::{Tally, Wire};
use crate::say;

/// For what takes no time but the emulator's, which others may keep from its CPU.
const SHORT: Duration = Duration::from_secs(60);
/// How long the gate may take to stand: drivers reset their cards when queues are bound.
const START_LIMIT: Duration = Duration::from_secs(150);
/// How long links may take to come up.
const LINK_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// How long records may take to be written.
const RECORD_LIMIT: Duration = Duration::from_secs(60);
/// Nothing that was dropped may come within this.
const SILENCE: Duration = Duration::from_millis(500);
/// Datagrams that a rule is about.
const MARKED: u32 = 20;
/// The interfaces by port, as the configuration has them.
const PORTS: [&str; 2] = ["eth0", "eth1"];
/// `IFF_PROMISC` (linux/if.h).
const PROMISCUOUS: u32 = 0x100;
/// What the gate says and where.
const LOG: &str = "/tmp/gate.log";
const RECORDS: &str = "/var/log/portcullis/eve.json";
const SOCKET: &str = "/run/portcullis.sock";
/// Its exit status, once it has ended.
const STATUS: &str = "/tmp/gate.status";

/// One guest, its cables and what goes over them.
#[derive(Debug)]
pub(crate) struct Scenario {
    guest: Guest,
    wire: Wire,
    nic: Nic,
    frames: u32,
    /// Tells the frames of each step from those of others.
    series: u32,
}

impl Scenario {
    /// `frames` go through in each direction.
    pub(crate) const fn new(guest: Guest, wire: Wire, nic: Nic, frames: u32) -> Self {
        Self { guest, wire, nic, frames, series: 0 }
    }

    /// Everything in its order.
    pub(crate) fn play(mut self) -> Result<()> {
        let played = self.steps();
        if played.is_err() {
            let log = self.guest.ask(&format!("cat {LOG}"), SHORT).map(|answer| answer.text);
            say::detail(&format!("the gate said: {}", log.unwrap_or_default().trim()));
            say::detail(&format!("the guest's console ends with: {}", self.guest.console()));
        }
        played?;
        self.guest.end()
    }

    fn steps(&mut self) -> Result<()> {
        self.ports_are_as_they_should()?;
        if self.nic.is_polled() {
            self.flow_rules().context("over DPDK's tap driver")?;
            return self.poll_mode();
        }
        self.start()?;
        self.all_judged(self.frames).context("with the gate alive")?;
        self.many_queues().context("over several queues")?;
        self.rules_hold()?;
        self.replaced()?;
        self.killed()?;
        self.start().context("once more")?;
        self.all_judged(self.frames / 4).context("after a restart")?;
        self.rules_hold()?;
        self.stop()?;
        for port in PORTS {
            ensure!(!self.is_promiscuous(port)?, "{port} was left promiscuous");
        }
        say::detail("the gate left the ports as they were");
        Ok(())
    }

    /// The ports are the driver's, and not promiscuous: the gate must see to that.
    fn ports_are_as_they_should(&mut self) -> Result<()> {
        for (number, port) in PORTS.iter().enumerate() {
            let driver = self
                .guest
                .run(&format!("basename $(readlink /sys/class/net/{port}/device/driver)"), SHORT)?;
            ensure!(driver.trim() == self.nic.driver(), "{port} has the driver {}", driver.trim());
            let found = self.guest.run(&format!("cat /sys/class/net/{port}/address"), SHORT)?;
            ensure!(found.trim() == address(number), "{port} is the card {}", found.trim());
            ensure!(!self.is_promiscuous(port)?, "{port} is promiscuous before the gate stands");
        }
        Ok(())
    }

    fn is_promiscuous(&mut self, port: &str) -> Result<bool> {
        let flags = self.guest.run(&format!("cat /sys/class/net/{port}/flags"), SHORT)?;
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
        Ok(flags.with_context(|| format!("{port} tells no flags"))? & PROMISCUOUS != 0)
    }

    /// Starts the gate, waits until frames pass, and looks how it stands.
    fn start(&mut self) -> Result<()> {
        let started = Instant::now();
        let log = self.launch(XDP_CONFIG)?;
        for port in PORTS {
            // The gate has this from XDP_OPTIONS of each socket.
            let line = log.lines().find(|line| line.contains(&format!("{port}: XDP ")));
            let line = line.with_context(|| format!("the gate does not say how {port} is bound"))?;
            ensure!(
                line.ends_with("zero-copy") && line.contains("XDP native"),
                "not bound as it should: {line}"
            );
            ensure!(self.is_promiscuous(port)?, "the gate left {port} deaf for frames to others");
        }
        say::detail(&format!(
            "the gate stands after {:.1} s: XDP native, zero-copy",
            started.elapsed().as_secs_f32()
        ));
        self.opened("the gate")
    }

    /// Starts the gate with a configuration and waits until it says that it stands; what it has said.
    fn launch(&mut self, config: &str) -> Result<String> {
        let gate = format!("echo $$ >/tmp/gate.pid; exec {GATE} run -c {CONFIGS}/{config} >{LOG} 2>&1");
        let command =
            format!("rm -f {STATUS} {LOG}; (sh -c '{gate}'; echo $? >{STATUS}) </dev/null >/dev/null 2>&1 &");
        self.guest.run(&command, SHORT)?;
        self.until_it_stands(1)
    }

    /// Waits until the gate has said so many times that it stands; what it has said.
    fn until_it_stands(&mut self, times: usize) -> Result<String> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let log = self.guest.ask(&format!("cat {LOG}"), SHORT)?.text;
            ensure!(self.gate_status()?.is_none(), "the gate has ended");
            if log.matches("running: inline set").count() >= times {
                return Ok(log);
            }
            ensure!(Instant::now() < deadline, "no gate stands after {} seconds", START_LIMIT.as_secs());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn opened(&mut self, by: &str) -> Result<()> {
        let series = self.next_series();
        let took =
            self.wire.wait_until_open(LINK_LIMIT, |port, number| frame(series, port, number, KERNEL))?;
        say::detail(&format!("frames pass {by} after {:.1} s", took.as_secs_f32()));
        Ok(())
    }

    /// Every frame comes out at the other port, byte by byte as it went in.
    fn all_come_through(&mut self, count: u32, longest: usize) -> Result<()> {
        let series = self.next_series();
        let started = Instant::now();
        let Tally { sent, through } =
            self.wire.exchange(count, |port, number| frame(series, port, number, longest))?;
        ensure!(sent == through, "{} of {sent} frames were lost", sent - through);
        say::detail(&format!(
            "{through} of {sent} frames came through byte by byte ({:.1} s)",
            started.elapsed().as_secs_f32()
        ));
        Ok(())
    }

    /// The same, and a worker has judged each of them: none passed by way of the kernel alone.
    fn all_judged(&mut self, count: u32) -> Result<()> {
        let before = self.judged()?;
        self.all_come_through(count, ANY)?;
        let judged = self.judged()? - before;
        ensure!(judged == 2 * u64::from(count), "of {} frames {judged} were judged", 2 * count);
        Ok(())
    }

    /// What a drop rule forbids does not come out, what an alert rule notes does, and both are in the records.
    fn rules_hold(&mut self) -> Result<()> {
        let before = self.alerts()?;
        let series = self.next_series();
        for number in 0..MARKED {
            for port in 0..2 {
                self.wire.push(port, &marked(Kind::Forbidden, series, port, number))?;
            }
        }
        let came = self.wire.drain(SILENCE)?;
        ensure!(came == [0, 0], "{came:?} forbidden datagrams came through");
        let noted = self.wire.exchange(MARKED, |port, number| marked(Kind::Noted, series, port, number))?;
        ensure!(noted.sent == noted.through, "{} noted datagrams were lost", noted.sent - noted.through);
        let expected = before.plus(2 * MARKED as usize);
        let deadline = Instant::now() + RECORD_LIMIT;
        loop {
            let alerts = self.alerts()?;
            if alerts == expected {
                break;
            }
            ensure!(Instant::now() < deadline, "the records are {alerts:?}, but should be {expected:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
        say::detail(&format!("{} forbidden datagrams were dropped, as many noted: all in EVE", 2 * MARKED));
        Ok(())
    }

    fn alerts(&mut self) -> Result<Alerts> {
        let lines = self.guest.ask(&format!("grep '\"event_type\":\"alert\"' {RECORDS}"), SHORT)?.text;
        Alerts::count(&lines)
    }

    /// A gate that dies is replaced by its warden.
    fn replaced(&mut self) -> Result<()> {
        let started = Instant::now();
        let its_child = r#"grep -l "^PPid:.$(cat /tmp/gate.pid)$" /proc/[0-9]*/status | cut -d/ -f3"#;
        self.guest.run(&format!("kill -9 $({its_child})"), SHORT)?;
        self.until_it_stands(2).context("the gate was killed and not replaced")?;
        say::detail(&format!(
            "the gate was killed and replaced within {:.1} s",
            started.elapsed().as_secs_f32()
        ));
        self.opened("the new gate")?;
        self.all_judged(self.frames / 4).context("with a new gate")
    }

    /// Where its warden is killed, too, the wire is left to the kernel.
    fn killed(&mut self) -> Result<()> {
        // All of it: its warden would start another one.
        self.guest.run("killall -9 portcullis", SHORT)?;
        say::detail("gate and warden were killed; fail is open");
        self.opened("without it")?;
        self.all_come_through(self.frames / 4, KERNEL).context("with the gate killed")
    }

    /// An end by command: what had to balance did.
    fn stop(&mut self) -> Result<()> {
        self.guest.run(&format!("{GATE} ctl --socket {SOCKET} shutdown"), SHORT)?;
        let deadline = Instant::now() + STOP_LIMIT;
        let status = loop {
            if let Some(status) = self.gate_status()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "the gate does not end");
            std::thread::sleep(Duration::from_millis(200));
        };
        // It fails where what must balance does not.
        ensure!(status == "0", "the gate did not end well (status {status})");
        say::detail("the gate ended in balance");
        Ok(())
    }

    /// How the gate has ended, if it has.
    fn gate_status(&mut self) -> Result<Option<String>> {
        let answer = self.guest.ask(&format!("cat {STATUS} 2>/dev/null"), SHORT)?;
        Ok((answer.status == 0).then(|| answer.text.trim().to_owned()))
    }

    /// Packets that the gate's workers have judged.
    fn judged(&mut self) -> Result<u64> {
        let counters = self.counters()?;
        counters["decoder"]["pkts"].as_u64().context("the gate has no counter decoder.pkts")
    }

    fn next_series(&mut self) -> u32 {
        self.series += 1;
        self.series
    }
}

/// Alerts of the two rules in `configs/rules/vm.rules`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Alerts {
    dropped: usize,
    noted: usize,
    /// Those of either whose datagram had a VLAN tag.
    tagged: usize,
}

impl Alerts {
    fn count(lines: &str) -> Result<Self> {
        let mut alerts = Self::default();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let record: Value = serde_json::from_str(line).with_context(|| format!("no record: {line}"))?;
            let alert = &record["alert"];
            match (alert["signature_id"].as_u64(), alert["action"].as_str()) {
                (Some(9_100_001), Some("blocked")) => alerts.dropped += 1,
                (Some(9_100_002), Some("allowed")) => alerts.noted += 1,
                _ => anyhow::bail!("an alert that should not be: {line}"),
            }
            alerts.tagged += usize::from(record["vlan"] == serde_json::json!([100]));
        }
        Ok(alerts)
    }

    /// So many more of each; every second datagram is tagged.
    const fn plus(self, count: usize) -> Self {
        Self { dropped: self.dropped + count, noted: self.noted + count, tagged: self.tagged + count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_counted_by_rule_and_tag() {
        let lines = r#"{"vlan":[100],"alert":{"signature_id":9100001,"action":"blocked"}}
{"alert":{"signature_id":9100002,"action":"allowed"}}
"#;
        let counted = Alerts::count(lines).unwrap();
        assert_eq!(counted, Alerts { dropped: 1, noted: 1, tagged: 1 });
        assert_eq!(counted.plus(2), Alerts { dropped: 3, noted: 3, tagged: 3 });
        assert!(Alerts::count(r#"{"alert":{"signature_id":9100001,"action":"allowed"}}"#).is_err());
        assert_eq!(Alerts::count("").unwrap(), Alerts::default());
    }
}
