//! What a replay or a run came to, as a table for people. Only builds the text; [`output`](crate::output)
//! prints it.

use comfy_table::{CellAlignment, Table, presets};
use portcullis_event::Counters;
use portcullis_flow::HookCost;
use std::path::PathBuf;
use std::time::Duration;

/// What a replay or a run came to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// All workers' counters, merged.
    pub counters: Counters,
    /// Packets that each worker judged.
    pub packets_by_worker: Vec<u64>,
    /// Hooks of plugins by name, with what they were used for and cost.
    pub hooks: Vec<(String, HookCost)>,
    /// Rules in use.
    pub rules: u64,
    /// Rules that could not be loaded.
    pub rules_refused: u64,
    /// Records written, and where; `None` where EVE is off.
    pub records: Option<(u64, PathBuf)>,
    /// From the first packet to the last record.
    pub elapsed: Duration,
    /// Most memory that the process held, in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

impl Summary {
    /// The table, ending in a newline.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for (name, value, remark) in self.rows() {
            table.add_row([name.to_owned(), value, remark]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let lines: Vec<String> = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        lines.concat()
    }

    fn rows(&self) -> Vec<(&'static str, String, String)> {
        let counters = &self.counters;
        let none = String::new;
        let mut rows = vec![
            ("packets", grouped(counters.decoder_pkts), self.by_worker()),
            ("bytes", grouped(counters.decoder_bytes), none()),
            ("invalid", grouped(counters.decoder_invalid), none()),
            ("accepted", grouped(counters.ips_accepted), none()),
            ("dropped", grouped(counters.ips_blocked + counters.ips_rejected), none()),
        ];
        rows.extend(self.lost());
        rows.extend([
            ("flows", grouped(counters.flow_total), none()),
            ("alerts", grouped(counters.detect_alert), none()),
            ("rules", grouped(self.rules), self.refused()),
        ]);
        rows.extend(self.hooks.iter().map(|(name, cost)| ("hook", grouped(cost.calls), hook(name, cost))));
        if let Some((count, path)) = &self.records {
            rows.push(("records", grouped(*count), format!("in {}", path.display())));
        }
        let seconds = self.elapsed.as_secs_f64();
        rows.push(("time", format!("{seconds:.3}"), "s".to_owned()));
        if let Some(rate) = rate(counters.decoder_pkts, self.elapsed) {
            rows.push(("rate", grouped(rate), "packets/s".to_owned()));
        }
        if let Some(bytes) = self.peak_memory {
            rows.push(("memory", grouped(bytes >> 20), "MiB at most".to_owned()));
        }
        rows
    }

    fn by_worker(&self) -> String {
        if self.packets_by_worker.len() < 2 {
            return String::new();
        }
        let shares: Vec<String> = self.packets_by_worker.iter().map(|&packets| grouped(packets)).collect();
        format!("by worker: {}", shares.join(" + "))
    }

    /// Packets that neither a rule nor a policy dropped, and that did not leave all the same.
    fn lost(&self) -> Option<(&'static str, String, String)> {
        let counters = &self.counters;
        let places = [
            (counters.capture_kernel_drops, "before the workers"),
            (counters.worker_steer_refused, "between workers"),
            (counters.capture_send_errors, "at sending"),
        ];
        let lost: u64 = places.iter().map(|(lost, _)| lost).sum();
        let places: Vec<String> = places
            .iter()
            .filter(|(lost, _)| *lost > 0)
            .map(|(lost, place)| format!("{} {place}", grouped(*lost)))
            .collect();
        (lost > 0).then(|| ("lost", grouped(lost), places.join(", ")))
    }

    fn refused(&self) -> String {
        if self.rules_refused == 0 {
            return String::new();
        }
        format!("{} could not be loaded", grouped(self.rules_refused))
    }
}

/// What there is to say of a hook besides its calls.
fn hook(name: &str, cost: &HookCost) -> String {
    let mut text = format!("calls of {name}");
    if let Some(nanos) = cost.nanos.checked_div(cost.timed) {
        text.push_str(&format!(", {nanos} ns each"));
    }
    if cost.panics > 0 {
        text.push_str(&format!(", failed on {} workers", cost.panics));
    }
    text
}

/// Packets a second; `None` where no time has passed.
fn rate(packets: u64, elapsed: Duration) -> Option<u64> {
    let micros = elapsed.as_micros();
    let rate = (u128::from(packets) * 1_000_000).checked_div(micros)?;
    u64::try_from(rate).ok()
}

/// The number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Most memory that this process held so far, in bytes (`VmHWM` of proc(5)).
#[must_use]
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let check = |number: u64, expected: &str| assert_eq!(grouped(number), expected);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(123_456, "123,456");
        check(u64::MAX, "18,446,744,073,709,551,615");
    }

    #[test]
    fn a_summary_in_full() {
        let counters = Counters {
            decoder_pkts: 700_000,
            decoder_bytes: 45_000_000,
            decoder_invalid: 3,
            ips_accepted: 699_990,
            ips_blocked: 7,
            ips_rejected: 3,
            flow_total: 100_000,
            detect_alert: 12,
            ..Counters::default()
        };
        let summary = Summary {
            counters,
            packets_by_worker: vec![400_000, 300_000],
            hooks: vec![
                ("a".to_owned(), HookCost { calls: 2048, timed: 2, nanos: 30, panics: 0 }),
                ("a/b".to_owned(), HookCost { calls: 1, panics: 1, ..HookCost::default() }),
            ],
            rules: 30,
            rules_refused: 1,
            records: Some((100_023, "out/eve.json".into())),
            elapsed: Duration::from_millis(500),
            peak_memory: Some(64 << 20),
        };
        let expected = "
 packets      700,000  by worker: 400,000 + 300,000
 bytes     45,000,000
 invalid            3
 accepted     699,990
 dropped           10
 flows        100,000
 alerts            12
 rules             30  1 could not be loaded
 hook           2,048  calls of a, 15 ns each
 hook               1  calls of a/b, failed on 1 workers
 records      100,023  in out/eve.json
 time           0.500  s
 rate       1,400,000  packets/s
 memory            64  MiB at most
";
        assert_eq!(format!("\n{}", summary.table()), expected);
        let losses = Counters { capture_kernel_drops: 1000, worker_steer_refused: 20, ..summary.counters };
        let lossy = Summary { counters: losses, ..summary.clone() }.table();
        assert!(
            lossy.contains(" lost           1,020  1,000 before the workers, 20 between workers\n"),
            "{lossy}"
        );
        let idle = Summary { elapsed: Duration::ZERO, records: None, peak_memory: None, ..summary };
        assert!(!idle.table().contains("rate") && !idle.table().contains("records"));
    }

    #[test]
    fn this_process_has_used_memory() {
        assert!(peak_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
