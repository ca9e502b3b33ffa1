//! The gate over DPDK's tap driver, which takes rules: what is of a condemned flow does not reach a worker any more.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{GATE, PORTS, RECORD_LIMIT, RECORDS, SHORT, SILENCE, SOCKET, Scenario};
use crate::say;
use crate::vm::frames::{Kind, condemned, marked};
use crate::vm::image::TAP_CONFIG;

/// Datagrams that the driver shall drop.
const DROPPED: u32 = 40;

impl Scenario {
    /// Everything in its order, with cards that the kernel drives.
    pub(super) fn flow_rules(&mut self) -> Result<()> {
        // What the guest itself would say at the driver's interfaces is nobody's datagram.
        for which in ["all", "default"] {
            self.guest.run(&format!("echo 1 >/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), SHORT)?;
        }
        let log = self.launch(TAP_CONFIG)?;
        for expected in PORTS
            .map(|port| format!("{port}: net_tap, "))
            .iter()
            .map(String::as_str)
            .chain(["the ports drop"])
        {
            ensure!(log.contains(expected), "the gate does not say `{expected}`: {log}");
        }
        self.opened("the gate over net_tap")?;
        let series = self.next_series();
        self.until_held(&condemned(series, 0))?;
        let judged = self.judged()?;
        for number in 1..=DROPPED {
            self.wire.push(0, &condemned(series, number))?;
        }
        let came = self.wire.drain(SILENCE)?;
        ensure!(came == [0, 0], "{came:?} datagrams of a condemned flow came through");
        let more = self.judged()? - judged;
        ensure!(more == 0, "{more} datagrams of a condemned flow came to a worker");
        // Another flow is not meant.
        let noted = self.wire.exchange(1, |port, number| marked(Kind::Noted, series, port, number))?;
        ensure!(noted.sent == noted.through, "a datagram of another flow was lost");
        ensure!(self.judged()? > judged, "and no worker saw it");
        say::detail(&format!(
            "{DROPPED} datagrams of a condemned flow were dropped by the driver (rte_flow)"
        ));
        self.stop()?;
        // Those that come after count what they themselves bring about.
        self.guest.run(&format!("rm {RECORDS}"), SHORT).map(drop)
    }

    /// Sends a datagram until there is a verdict on its flow.
    fn until_held(&mut self, datagram: &[u8]) -> Result<()> {
        let deadline = Instant::now() + RECORD_LIMIT;
        loop {
            self.wire.push(0, datagram)?;
            let text = self.guest.run(&format!("{GATE} ctl --socket {SOCKET} dump-counters"), SHORT)?;
            let counters: Value = serde_json::from_str(&text).context("dump-counters gave no JSON")?;
            let cache = &counters["verdict_cache"];
            if cache["entries"].as_u64() == Some(1) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "there is no verdict on a condemned flow: {cache}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
