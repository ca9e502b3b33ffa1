//! How much is measured: everything that `--quick` and `--full` change.

use std::time::Duration;

use portcullis_trial::Size;

use super::search::Search;

/// The measures of a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Rounds, in which each subject has its turn.
    pub(crate) rounds: usize,
    /// Rounds of what measures Portcullis by itself, which is brief.
    pub(crate) short_rounds: usize,
    /// Of the searches for throughput.
    pub(crate) search: Search,
    /// How long one trial of a search sends.
    pub(crate) search_seconds: f64,
    /// How long a trial at a fixed load sends.
    pub(crate) seconds: f64,
    /// Sizes of frames.
    pub(crate) sizes: Vec<Size>,
    /// Numbers of flows.
    pub(crate) flows: Vec<u32>,
    /// Numbers of rules.
    pub(crate) rules: Vec<u32>,
    /// Fixed loads, in packets a second, at which latencies are measured.
    pub(crate) loads: Vec<u32>,
    /// The load at which CPU time is measured.
    pub(crate) cost_load: u32,
    /// How often it is measured in one turn.
    pub(crate) costs: usize,
    /// Frames of the longest burst that is tried.
    pub(crate) longest_burst: u32,
    /// Addresses on the blocklist.
    pub(crate) listed: u32,
    /// How long the load goes on around a reload, a restart, a kill.
    pub(crate) around_end: Duration,
    /// Packets and flows of the capture that is replayed.
    pub(crate) replayed: (u32, u32),
    /// Milliseconds of a round of the measurement of the worker beside the module alone.
    pub(crate) inline_round_ms: u32,
}

impl Plan {
    /// What is measured where nothing else is said: under half an hour on two CPUs.
    pub(crate) fn whole() -> Self {
        Self {
            rounds: 3,
            short_rounds: 10,
            search: Search { least: 1_000.0, most: 10_000_000.0, resolution: 0.05, tries: 3 },
            search_seconds: 0.3,
            seconds: 1.0,
            sizes: sizes(&[64, 512, 1518]),
            flows: vec![1, 1_000, 100_000, 1_000_000],
            rules: vec![0, 100, 1_000, 10_000],
            loads: vec![20_000, 50_000, 100_000, 200_000],
            cost_load: 100_000,
            costs: 3,
            longest_burst: 65_536,
            listed: 1_000_000,
            around_end: Duration::from_secs(2),
            replayed: (700_000, 100_000),
            inline_round_ms: 400,
        }
    }

    /// All sizes of RFC 2544, and more rounds; takes hours.
    pub(crate) fn full() -> Self {
        let whole = Self::whole();
        Self {
            rounds: 10,
            search: Search { resolution: 0.01, ..whole.search },
            search_seconds: 2.0,
            seconds: 5.0,
            sizes: sizes(&[64, 128, 256, 512, 1024, 1280, 1518]),
            ..whole
        }
    }

    /// Everything once, and briefly: to see that all of it works.
    pub(crate) fn quick() -> Self {
        let whole = Self::whole();
        Self {
            rounds: 1,
            short_rounds: 1,
            search: Search { resolution: 0.25, tries: 2, ..whole.search },
            search_seconds: 0.1,
            seconds: 0.2,
            sizes: sizes(&[64]).into_iter().take(1).collect(),
            costs: 1,
            flows: vec![1, 100_000],
            rules: vec![0, 1_000],
            loads: vec![20_000],
            cost_load: 20_000,
            longest_burst: 4_096,
            listed: 1_000_000,
            around_end: Duration::from_millis(500),
            replayed: (70_000, 10_000),
            inline_round_ms: 100,
        }
    }
}

/// These sizes, counted with the check sequence as RFC 2544 does, and the mixed one.
fn sizes(bytes: &[u16]) -> Vec<Size> {
    bytes.iter().map(|bytes| Size::Bytes(bytes - CHECK_SEQUENCE)).chain([Size::Imix]).collect()
}

/// Bytes at the end of a frame that no program sees.
const CHECK_SEQUENCE: u16 = 4;

/// A size as tables have it, and as a number where it is one.
pub(crate) fn size_case(size: Size) -> (String, Option<f64>) {
    match size {
        Size::Bytes(bytes) => ((bytes + CHECK_SEQUENCE).to_string(), Some(f64::from(bytes + CHECK_SEQUENCE))),
        Size::Imix => ("IMIX".to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_hold_what_was_promised() {
        let cases = |plan: &Plan| plan.sizes.iter().map(|size| size_case(*size).0).collect::<Vec<_>>();
        assert_eq!(cases(&Plan::whole()), ["64", "512", "1518", "IMIX"]);
        assert_eq!(cases(&Plan::full()), ["64", "128", "256", "512", "1024", "1280", "1518", "IMIX"]);
        assert_eq!(Plan::whole().flows, [1, 1_000, 100_000, 1_000_000]);
        assert_eq!(Plan::whole().rules, [0, 100, 1_000, 10_000]);
        assert_eq!(Plan::whole().short_rounds, 10);
    }
}
