//! What the kernel counted at the ports' interfaces since the gate came to stand there.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel tells what interfaces counted.
const FOLDER: &str = "/sys/class/net";

/// The counters of the ports' interfaces.
#[derive(Debug)]
pub(crate) struct IfaceStats {
    folder: PathBuf,
    /// By name, what they were at first; `None` where the kernel knows none, as of DPDK's.
    first: Vec<(String, Option<Counts>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    packets: u64,
    dropped: u64,
}

impl IfaceStats {
    /// Of these interfaces, from now on.
    pub(crate) fn new(interfaces: &[String]) -> Self {
        Self::within(Path::new(FOLDER), interfaces)
    }

    fn within(folder: &Path, interfaces: &[String]) -> Self {
        let first = interfaces.iter().map(|name| (name.clone(), counts(folder, name)));
        Self { folder: folder.to_owned(), first: first.collect() }
    }

    /// Packets received, and those of them that the interface or the kernel lost, in the shape of `iface-stat`.
    ///
    /// # Errors
    /// It is none of the interfaces, or the kernel tells nothing about it.
    pub(crate) fn of(&self, name: &str) -> Result<Value, String> {
        let (_, first) = self
            .first
            .iter()
            .find(|(known, _)| known == name)
            .ok_or_else(|| format!("{name} is none of the ports; iface-list shows them"))?;
        let (Some(first), Some(now)) = (first, counts(&self.folder, name)) else {
            return Err(format!("the kernel has no counters of {name}"));
        };
        let packets = now.packets.saturating_sub(first.packets);
        Ok(json!({ "pkts": packets, "drop": now.dropped.saturating_sub(first.dropped) }))
    }
}

fn counts(folder: &Path, name: &str) -> Option<Counts> {
    let folder = folder.join(name).join("statistics");
    let number = |counter: &str| fs::read_to_string(folder.join(counter)).ok()?.trim().parse::<u64>().ok();
    Some(Counts {
        packets: number("rx_packets")?,
        dropped: number("rx_dropped")?.saturating_add(number("rx_missed_errors")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_since_the_start_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let statistics = folder.path().join("a/statistics");
        fs::create_dir_all(&statistics).unwrap();
        let set = |values: [(&str, u64); 3]| {
            values.map(|(name, value)| fs::write(statistics.join(name), format!("{value}\n")).unwrap())
        };
        set([("rx_packets", 100), ("rx_dropped", 7), ("rx_missed_errors", 1)]);
        let stats = IfaceStats::within(folder.path(), &["a".to_owned(), "b".to_owned()]);
        set([("rx_packets", 130), ("rx_dropped", 9), ("rx_missed_errors", 2)]);
        assert_eq!(stats.of("a"), Ok(json!({ "pkts": 30, "drop": 3 })));
        assert!(stats.of("b").unwrap_err().contains("no counters"));
        assert!(stats.of("c").unwrap_err().contains("iface-list"));
    }
}
