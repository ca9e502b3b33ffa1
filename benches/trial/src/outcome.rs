//! What came of a trial.

use crate::histogram::Histogram;
use crate::trial::Trial;
use crate::values::How;
use serde::{Deserialize, Serialize};

/// What came of a trial. Frames are told apart by the numbers that they carry, so every count is exact:
/// `sent == received + lost`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was asked.
    pub trial: Trial,
    /// Frames put on the wire, each with a number of its own.
    pub sent: u64,
    /// Their bytes, without check sequences.
    pub sent_bytes: u64,
    /// Different frames that arrived whole.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames that did not arrive, or not whole.
    pub lost: u64,
    /// Of these, those that the wire's other end had no room for when they were sent: where the sender's interface tells
    /// (veth does), else 0.
    pub refused: u64,
    /// Frames that arrived once more.
    pub duplicated: u64,
    /// Frames that arrived after one that was sent later (RFC 4737, 3.3); of duplicates only the first counts.
    pub reordered: u64,
    /// Of these, those that arrived after one of their own flow that was sent later.
    pub reordered_in_flow: u64,
    /// By how many numbers the latest of them lagged behind the highest one that had arrived.
    pub reordered_furthest: u64,
    /// Frames that arrived with a wrong checksum.
    pub corrupted: u64,
    /// Time from the first frame sent to the last.
    pub seconds: f64,
    /// Frames sent a second; a trial of a rate is only good if this is the rate.
    pub offered_pps: f64,
    /// Frames received a second, from the first one to the last.
    pub received_pps: f64,
    /// How long frames took; `None` if none arrived.
    pub latency: Option<Latency>,
    /// What came of the answers, where there were any.
    pub returned: Option<Returned>,
    /// Connections that were opened beforehand, with `tcp-established`.
    pub established: Option<u32>,
    /// CPU time of the sender. What the kernel did for receivers on the same CPU meanwhile is in it.
    pub sender_cpu_seconds: f64,
}

/// How long frames took, from the sender's last look at the clock to the receiver's XDP program, by the same clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are what they are called")]
pub struct Latency {
    pub min_ns: u64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub max_ns: u64,
    pub mean_ns: f64,
    pub histogram: Histogram,
}

/// What came of the answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    /// Answers that the receiver sent.
    pub sent: u64,
    /// Those that arrived at the sender.
    pub received: u64,
    /// Those that did not.
    pub lost: u64,
    /// From the sender and back again.
    pub round_trip: Option<Latency>,
}

/// What a forwarder did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forwarded {
    /// How it forwarded.
    pub how: How,
    /// Frames that it was given, from both sides.
    pub received: u64,
    /// Frames that it sent on.
    pub forwarded: u64,
    /// Frames that it had no room for.
    pub overflowed: u64,
    /// Frames that it lost on purpose.
    pub lost: u64,
    /// Frames that it sent twice on purpose.
    pub doubled: u64,
    /// Pairs of frames whose order it changed on purpose.
    pub swapped: u64,
    /// Frames that it changed on purpose.
    pub corrupted: u64,
    /// CPU time of its own threads; an XDP program has none.
    pub cpu_seconds: f64,
    /// Time from its beginning to its end.
    pub seconds: f64,
}

impl Latency {
    /// Of what was measured; `None` where nothing was.
    #[must_use]
    pub fn of(histogram: Histogram, min_ns: u64, max_ns: u64, sum_ns: u64) -> Option<Self> {
        let count = histogram.count();
        if count == 0 {
            return None;
        }
        let percentile = |share| histogram.percentile(share).clamp(min_ns, max_ns);
        #[expect(clippy::cast_precision_loss, reason = "a mean need not be exact")]
        let mean_ns = sum_ns as f64 / count as f64;
        Some(Self {
            min_ns,
            p50_ns: percentile(0.5),
            p90_ns: percentile(0.9),
            p99_ns: percentile(0.99),
            p999_ns: percentile(0.999),
            max_ns,
            mean_ns,
            histogram,
        })
    }
}
