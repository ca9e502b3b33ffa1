//! What the XDP program noted of TCP that passed unjudged, for workers that ask.

use portcullis_bpf::Passed;
use portcullis_bpf::pulse::coarse_now;
use portcullis_engine::{Passing, Witness};
use portcullis_wire::Timestamp;

/// The program notes seconds, and its clock is a coarse one.
const ROUNDING: u64 = 2_000_000_000;

/// The program's notes, with the inline sets that they are by.
#[derive(Clone, Debug)]
pub(crate) struct KernelNotes {
    pub(crate) passed: Passed,
    /// The inline set of each port.
    pub(crate) inline_sets: Vec<u8>,
}

impl Witness for KernelNotes {
    fn saw(&self, connection: &Passing, since: Timestamp, now: Timestamp) -> bool {
        let Passing { ingress, source, destination } = *connection;
        let set = self.inline_sets.get(usize::from(ingress.0)).copied().unwrap_or(0);
        let Some(last) = self.passed.last(set, source, destination) else { return false };
        // Only now, for a connection that the program knows, is a clock looked at.
        let ago = coarse_now().saturating_sub(last);
        now.as_nanos().saturating_sub(ago).saturating_add(ROUNDING) >= since.as_nanos()
    }
}
