//! Which TCP connections had packets pass that nobody judged: because no worker lived, the panic switch was on, or a worker
//! had its hands full. The C side is `passed.h`.
//!
//! It is nothing but memory that is shared with the program: to ask takes no system call.

use crate::error::GateError;
use crate::layout::{PASSED_BUCKETS, PASSED_LINES};
use crate::mapping::Mapping;
use rustix::mm::ProtFlags;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a line.
const LINE: usize = 8;

/// One end of a connection: its address, IPv4 in its mapped form (RFC 4291 section 2.5.5.2), and its port.
pub type End = ([u8; 16], u16);

/// The record, as it stands. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Passed {
    mapping: Arc<Mapping>,
}

impl Passed {
    /// Maps it from the map behind `map` ([`Gate::passed_map`](crate::Gate::passed_map)). Takes no privileges.
    ///
    /// # Errors
    /// The kernel does not map it.
    pub fn map(map: BorrowedFd<'_>) -> Result<Self, GateError> {
        let mapping = Mapping::new(map, PASSED_LINES * LINE * 8, 0, ProtFlags::READ);
        let failed = |reason| GateError::Map { action: "map the record of what passed", reason };
        Ok(Self { mapping: Arc::new(mapping.map_err(|error| failed(error.to_string()))?) })
    }

    /// When a packet between these ends last passed that nobody judged, in nanoseconds of
    /// [`coarse_now`](crate::pulse::coarse_now), rounded down to a second; `None` where none is known of. At most one
    /// connection in 500 million is taken for another.
    #[must_use]
    pub fn last(&self, set: u8, one: End, other: End) -> Option<u64> {
        let words = self.mapping.words();
        let (bucket, tag) = place(words.first()?.load(Ordering::Relaxed), set, one, other);
        let line: &[AtomicU64] = words.get(bucket * LINE..)?.get(..LINE)?;
        let mut entries = line.iter().map(|word| word.load(Ordering::Relaxed));
        let found = entries.find(|word| word >> 32 == u64::from(tag) && *word != 0)?;
        Some((found & u64::from(u32::MAX)).saturating_mul(1_000_000_000))
    }
}

/// The line of a connection, and the upper half of its entry there.
pub(crate) fn place(seed: u64, set: u8, one: End, other: End) -> (usize, u32) {
    let hash = mix(end(one, seed).wrapping_add(end(other, seed)) ^ u64::from(set));
    let [a, b, c, d, low @ ..] = hash.to_be_bytes();
    let bucket = u32::from_be_bytes(low) as usize & (PASSED_BUCKETS - 1);
    (1 + bucket, u32::from_be_bytes([a, b, c, d]))
}

fn end((address, port): End, seed: u64) -> u64 {
    let address = u128::from_be_bytes(address);
    let halves = [address >> 64, address & u128::from(u64::MAX)];
    let [high, low] = halves.map(|half| u64::try_from(half).unwrap_or(0));
    mix(mix(mix(high ^ seed) ^ low) ^ u64::from(port))
}

/// `list_mix`.
const fn mix(key: u64) -> u64 {
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}
