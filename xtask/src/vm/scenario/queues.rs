//! Several queues a port, each with a socket of its own: flows stay whole and in order, whichever queues they come by.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{GATE, LOG, PORTS, SHORT, SOCKET, Scenario};
use crate::say;
use crate::vm::frames::{FLOWS, flow_frame, flow_number};

/// More of its share than this, in hundredths, must no worker have: 200 is all, of two.
const LOPSIDED: u64 = 180;

impl Scenario {
    /// Frames of many flows, both ways at once. Each comes out as it went in, after those of its flow that went before it;
    /// the gate knows as many flows as there are; and no worker had all of them.
    pub(super) fn many_queues(&mut self) -> Result<()> {
        let queues = self.nic.queues();
        if queues == 1 {
            return Ok(());
        }
        let log = self.guest.run(&format!("cat {LOG}"), SHORT)?;
        for port in PORTS {
            let line = format!("{port}: XDP native, {queues} queues, zero-copy");
            ensure!(log.contains(&line), "{port} has not {queues} queues bound without copying");
        }
        let before = self.counters()?;
        let series = self.next_series();
        let count = self.frames;
        let mut last: [HashMap<u32, u32>; 2] = Default::default();
        let mut overtaken = 0;
        let tally = self.wire.exchange_watched(
            count,
            |port, number| flow_frame(series, port, number),
            |port, frame| {
                let Some(number) = flow_number(frame) else { return };
                let before = last[port].insert(number % FLOWS, number);
                overtaken += u32::from(before.is_some_and(|before| before > number));
            },
        )?;
        ensure!(
            tally.sent == tally.through,
            "{} of {} frames were lost",
            tally.sent - tally.through,
            tally.sent
        );
        ensure!(overtaken == 0, "{overtaken} frames were overtaken by others of their flow");
        let after = self.counters()?;
        let more = |path: &str| -> Result<u64> {
            let of = |counters: &Value| counters.pointer(path).and_then(Value::as_u64);
            let (before, after) =
                (of(&before).unwrap_or(0), of(&after).with_context(|| format!("no {path}"))?);
            Ok(after - before)
        };
        let (judged, flows, passed_on) =
            (more("/decoder/pkts")?, more("/flow/total")?, more("/worker/steered_in")?);
        ensure!(judged == 2 * u64::from(count), "of {} frames {judged} were judged", 2 * count);
        ensure!(flows == u64::from(FLOWS), "{FLOWS} flows went through, but {flows} were counted");
        let share = after.pointer("/worker/imbalance").and_then(Value::as_u64).context("no imbalance")?;
        ensure!(share < LOPSIDED, "a worker had {share} hundredths of its share");
        let owner = if log.contains("whose queue the NICs choose") {
            "the NICs' key and table say whose a flow is"
        } else {
            "the driver hides how it spreads packets"
        };
        say::detail(&format!(
            "{FLOWS} flows over {queues} queues a port: {} frames byte by byte and in order, none split; {owner}, {} of \
             100 frames were passed on to another worker",
            tally.through,
            100 * passed_on / judged.max(1)
        ));
        Ok(())
    }

    pub(super) fn counters(&mut self) -> Result<Value> {
        let text = self.guest.run(&format!("{GATE} ctl --socket {SOCKET} dump-counters"), SHORT)?;
        serde_json::from_str(&text).context("dump-counters gave no JSON")
    }
}
