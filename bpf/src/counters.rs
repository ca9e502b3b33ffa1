//! Frames by outcome, as the program counted them.

use std::ops::AddAssign;

/// Frames by what became of them; each is counted once. Mirrors `struct counters` in `portcullis.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}

impl GateCounters {
    /// Bytes of the kernel's struct.
    pub(crate) const SIZE: usize = 48;

    /// One CPU's value; `None` where it has not the size that the program writes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let [socket, control, uninspected, closed, no_peer, foreign] = words else { return None };
        let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
        rest.is_empty().then(|| Self {
            socket: word(socket),
            control: word(control),
            uninspected: word(uninspected),
            closed: word(closed),
            no_peer: word(no_peer),
            foreign: word(foreign),
        })
    }
}

impl AddAssign for GateCounters {
    fn add_assign(&mut self, other: Self) {
        let Self { socket, control, uninspected, closed, no_peer, foreign } = other;
        self.socket += socket;
        self.control += control;
        self.uninspected += uninspected;
        self.closed += closed;
        self.no_peer += no_peer;
        self.foreign += foreign;
    }
}
