//! The numbers of the demo, and what must be true of them.

use std::path::Path;

use anyhow::{Result, ensure};

use super::records::Records;
use crate::gate::Counters;
use crate::say;

/// What came of the load and of everything before it.
#[derive(Debug)]
pub(crate) struct Table {
    offered: u64,
    received: u64,
    dropped: u64,
    /// By workers; the rest of what was dropped, the kernel did.
    blocked: u64,
    cached: u64,
    flows: u64,
    alerts: u64,
    faults: Vec<String>,
}

impl Table {
    /// Takes the numbers down: `offered` and `received` packets of the load, the gate's counters
    /// before and after it.
    pub(crate) fn new(offered: u64, received: u64, before: &Counters, after: &Counters) -> Result<Self> {
        // What the verdict cache in the kernel drops is of flows that a rule dropped.
        let cached = after.since(before, "gate.cache_dropped")?;
        Ok(Self {
            offered,
            received,
            dropped: after.dropped_by_rule_since(before)? + cached,
            blocked: after.since(before, "ips.blocked")?,
            cached,
            flows: after.number("flow.total")?,
            alerts: after.number("detect.alert")?,
            faults: Vec::new(),
        })
    }

    /// Compares what the gate counted with what it wrote: nothing may be missing or told twice.
    pub(crate) fn compare(&mut self, records: &Records) -> Result<()> {
        let total = records.last_counter("flow.total")?;
        self.demand(records.of_type("flow") == total, || {
            format!("{} flows were counted and {} recorded", total, records.of_type("flow"))
        });
        let alerts = records.last_counter("detect.alert")?;
        self.demand(records.of_type("alert") == alerts, || {
            format!("{} alerts were counted and {} recorded", alerts, records.of_type("alert"))
        });
        self.demand(records.of_type("drop") > 0, || "no drop was recorded".to_owned());
        (self.flows, self.alerts) = (total, alerts);
        Ok(())
    }

    /// Shows the table, with where the `records` are.
    pub(crate) fn print(&self, records: &Path) {
        say::line("");
        let lost = self.offered.saturating_sub(self.received + self.dropped);
        for (name, number) in [
            ("packets offered", self.offered),
            ("received at the far side", self.received),
            ("dropped by rule", self.dropped),
            ("  of them in the kernel", self.cached),
            ("lost", lost),
            ("flows", self.flows),
            ("alerts", self.alerts),
        ] {
            say::line(&format!("    {name:<26}{number:>10}"));
        }
        say::line(&format!("    {:<26}{}", "EVE records", records.display()));
    }

    /// An error that names every number that is off.
    pub(crate) fn check(mut self) -> Result<()> {
        let Self { offered, received, dropped, blocked, cached, flows, alerts, .. } = self;
        let blocked = blocked + cached;
        self.demand(received + dropped == offered, || {
            format!("{offered} packets were offered, {received} received and {dropped} dropped by rule")
        });
        self.demand(blocked == dropped, || {
            format!("{blocked} packets were dropped, but only {dropped} of them by rule")
        });
        self.demand(dropped > 0, || "no packet of the load was dropped by rule".to_owned());
        self.demand(received > 0, || "nothing was received".to_owned());
        self.demand(flows > 0, || "no flow was counted".to_owned());
        self.demand(alerts > 0, || "no alert was raised".to_owned());
        ensure!(self.faults.is_empty(), "the numbers are off: {}", self.faults.join("; "));
        Ok(())
    }

    fn demand(&mut self, is_so: bool, otherwise: impl FnOnce() -> String) {
        if !is_so {
            self.faults.push(otherwise());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Table = Table {
        offered: 100,
        received: 90,
        dropped: 10,
        blocked: 6,
        cached: 4,
        flows: 3,
        alerts: 2,
        faults: Vec::new(),
    };

    fn check(table: Table, expected: Option<&str>) {
        let found = table.check().err().map(|error| error.to_string());
        let expected = expected.map(|fault| format!("the numbers are off: {fault}"));
        assert_eq!(found, expected);
    }

    #[test]
    fn each_number_that_is_off_is_named() {
        check(GOOD, None);
        let lost = "100 packets were offered, 89 received and 10 dropped by rule";
        check(Table { received: 89, ..GOOD }, Some(lost));
        let double = "100 packets were offered, 91 received and 10 dropped by rule";
        check(Table { received: 91, ..GOOD }, Some(double));
        check(Table { blocked: 7, ..GOOD }, Some("11 packets were dropped, but only 10 of them by rule"));
        check(Table { flows: 0, ..GOOD }, Some("no flow was counted"));
        check(Table { alerts: 0, ..GOOD }, Some("no alert was raised"));
        let idle = "no packet of the load was dropped by rule";
        check(Table { dropped: 0, blocked: 0, cached: 0, received: 100, ..GOOD }, Some(idle));
        check(Table { flows: 0, alerts: 0, ..GOOD }, Some("no flow was counted; no alert was raised"));
    }
}
