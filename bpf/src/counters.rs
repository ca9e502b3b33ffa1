//! Frames by outcome, as the program counted them.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Frames by what became of them; each is counted once, but for the last two. Mirrors `struct counters` in
/// `portcullis.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateCounters {
    /// Handed to a worker's socket.
    pub socket: u64,
    /// Link-local control frames that went to the peer port in the kernel.
    pub control: u64,
    /// Passed to the peer port uninspected, because no worker could take them (fail open).
    pub uninspected: u64,
    /// Dropped because no worker could take them (fail closed).
    pub closed: u64,
    /// Dropped because the port has no peer to send to.
    pub no_peer: u64,
    /// Left to the stack: they came in by an interface that is not of the set.
    pub foreign: u64,
    /// Passed to the peer port uninspected, because their worker had its hands full.
    pub overload_bypassed: u64,
    /// Dropped because their worker had its hands full.
    pub overload_dropped: u64,
    /// Passed to the peer port uninspected, because the panic switch is on.
    pub switched: u64,
    /// Passed to the peer port, because their flow's verdict is cached.
    pub cache_passed: u64,
    /// Dropped, because their flow's verdict is cached.
    pub cache_dropped: u64,
    /// Passed to the peer port uninspected, because a static bypass says so.
    pub list_bypassed: u64,
    /// Dropped because a blocklist says so.
    pub list_blocked: u64,
    /// Of those that no worker could take: there was no socket.
    pub no_socket: u64,
    /// Of those that no worker could take: its heartbeat was too old.
    pub stale: u64,
}

/// Fields of the kernel's struct, all of them words.
const WORDS: usize = 15;

impl GateCounters {
    /// Bytes of the kernel's struct.
    pub(crate) const SIZE: usize = WORDS * 8;

    /// One CPU's value; `None` where it has not the size that the program writes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: &[[u8; 8]; WORDS] = words.try_into().ok()?;
        let mut counters = Self::default();
        for (field, word) in counters.fields_mut().into_iter().zip(words) {
            *field = u64::from_ne_bytes(*word);
        }
        rest.is_empty().then_some(counters)
    }

    /// What came to be since `earlier`.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        let mut earlier = *earlier;
        for (field, before) in self.fields_mut().into_iter().zip(earlier.fields_mut()) {
            *field = field.saturating_sub(*before);
        }
        self
    }

    /// The fields in the kernel's order.
    const fn fields_mut(&mut self) -> [&mut u64; WORDS] {
        let Self { socket, control, uninspected, closed, no_peer, foreign, .. } = self;
        let Self { overload_bypassed, overload_dropped, switched, no_socket, stale, .. } = self;
        let Self { cache_passed, cache_dropped, .. } = self;
        let Self { list_bypassed, list_blocked, .. } = self;
        [
            socket,
            control,
            uninspected,
            closed,
            no_peer,
            foreign,
            overload_bypassed,
            overload_dropped,
            switched,
            cache_passed,
            cache_dropped,
            list_bypassed,
            list_blocked,
            no_socket,
            stale,
        ]
    }
}

impl AddAssign for GateCounters {
    fn add_assign(&mut self, mut other: Self) {
        for (field, add) in self.fields_mut().into_iter().zip(other.fields_mut()) {
            *field += *add;
        }
    }
}
