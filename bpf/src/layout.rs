//! What the loader and the program agree on; the C side is `portcullis.h`.

use crate::config::{Fail, Liveness, Overload};

/// The layout of the pinned maps. Raised whenever a map's shape or meaning changes: pins of another version are
/// removed, not adopted.
pub(crate) const VERSION: u32 = 2;

/// Most ports in a set (`MAX_PORTS`).
pub(crate) const MAX_PORTS: usize = 256;

/// Bytes of `struct settings`.
pub(crate) const SETTINGS_SIZE: usize = 40;

/// Bytes of `struct pulse`: a cache line of the worker's, one of the program's.
pub(crate) const PULSE_SIZE: usize = 128;

/// `struct settings` as bytes.
pub(crate) fn settings(fail: Fail, queues: u32, liveness: &Liveness) -> [u8; SETTINGS_SIZE] {
    let Liveness { overload, room, beat_limit, full_limit, latch_after, latched_fail } = *liveness;
    let overload: u32 = match overload {
        Overload::Drop => 0,
        Overload::Bypass => 1,
    };
    let nanos = |limit: std::time::Duration| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    let mut bytes = [0; SETTINGS_SIZE];
    let mut rest = bytes.as_mut_slice();
    let mut put = |value: &[u8]| {
        if let Some((slot, tail)) = std::mem::take(&mut rest).split_at_mut_checked(value.len()) {
            slot.copy_from_slice(value);
            rest = tail;
        }
    };
    for word in [fail_policy(fail), queues, overload, room] {
        put(&word.to_ne_bytes());
    }
    for word in [nanos(beat_limit), nanos(full_limit)] {
        put(&word.to_ne_bytes());
    }
    for word in [latch_after, fail_policy(latched_fail)] {
        put(&word.to_ne_bytes());
    }
    bytes
}

const fn fail_policy(fail: Fail) -> u32 {
    match fail {
        Fail::Closed => 0,
        Fail::Open => 1,
    }
}
