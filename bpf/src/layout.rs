//! What the loader and the program agree on; the C side is `portcullis.h`.

use crate::config::{Fail, Liveness, Overload, TunnelPorts};

/// The layout of the pinned maps. Raised whenever a map's shape or meaning changes: pins of another version are
/// removed, not adopted.
pub(crate) const VERSION: u32 = 6;

/// Most ports in a set (`MAX_PORTS`).
pub(crate) const MAX_PORTS: usize = 256;

/// Places of the map `port_of` (`PORT_PLACES`).
pub(crate) const PORT_PLACES: usize = 1024;

/// Bytes of `struct settings`.
pub(crate) const SETTINGS_SIZE: usize = 48;

/// Bytes of `struct pulse`: a cache line of the worker's, one of the program's.
pub(crate) const PULSE_SIZE: usize = 128;

/// Buckets of the record of what passed (`PASSED_BUCKETS`), and lines with the first, which holds a seed.
pub(crate) const PASSED_BUCKETS: usize = 16_384;
pub(crate) const PASSED_LINES: usize = 1 + PASSED_BUCKETS;

/// Rules of bypasses (`BYPASS_RULES`).
pub(crate) const BYPASS_RULES: usize = 64;

/// Counters of lists and bypasses on a CPU (`LIST_COUNTERS`).
pub(crate) const LIST_COUNTERS: usize = portcullis_lists::ListId::MAX + BYPASS_RULES;

/// Bytes of the ring of samples (`LIST_SAMPLES`).
pub(crate) const LIST_SAMPLES: usize = 262_144;

/// Bytes of a frame in a sample (`LIST_SAMPLE_BYTES`).
pub(crate) const LIST_SAMPLE_BYTES: usize = 128;

/// Words of `struct list_sample`.
pub(crate) const LIST_SAMPLE_WORDS: usize = 4 + LIST_SAMPLE_BYTES / 8;

// Lines of a generation of lists, from its first; `lists.h` says what stands there.
pub(crate) const LIST_BYPASS: usize = 1;
pub(crate) const LIST_AROUND4: usize = LIST_BYPASS + 2 * BYPASS_RULES;
pub(crate) const LIST_KINDS4: usize = LIST_AROUND4 + 262_144;
pub(crate) const LIST_LENGTHS4: usize = LIST_KINDS4 + 8;
pub(crate) const LIST_SHORT6: usize = LIST_LENGTHS4 + 1_024;
pub(crate) const LIST_LONG6: usize = LIST_SHORT6 + 4_096;
pub(crate) const LIST_BUCKETS: usize = LIST_LONG6 + 16_384;

/// `struct settings` as bytes, for a port of inline set `set`.
pub(crate) fn settings(fail: Fail, queues: u32, liveness: &Liveness, set: u32) -> [u8; SETTINGS_SIZE] {
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
    for word in [latch_after, fail_policy(latched_fail), set, 0] {
        put(&word.to_ne_bytes());
    }
    bytes
}

/// The map `port_of`: each port, by its interface, at the first free place from where that leads to.
pub(crate) fn port_places(ifindices: &[u32]) -> Vec<[u8; 8]> {
    let mut places = vec![[0; 8]; PORT_PLACES];
    for (port, ifindex) in (0_u32..).zip(ifindices) {
        let first = *ifindex as usize % PORT_PLACES;
        let mut around = (first..PORT_PLACES).chain(0..first);
        if let Some(at) = around.find(|at| places.get(*at) == Some(&[0; 8]))
            && let Some(place) = places.get_mut(at)
        {
            place[..4].copy_from_slice(&ifindex.to_ne_bytes());
            place[4..].copy_from_slice(&port.to_ne_bytes());
        }
    }
    places
}

/// `TUNNEL_PORTS`.
pub(crate) const TUNNEL_PORTS: usize = 12;

/// `struct tunnels` as bytes.
pub(crate) fn tunnels(ports: &TunnelPorts) -> [u8; 40] {
    let mut bytes = [0; 40];
    let (filter, listed): (u64, &[u16]) = match ports {
        TunnelPorts::Any => (u64::MAX, &[]),
        TunnelPorts::These(ports) => {
            let listed = ports.get(..TUNNEL_PORTS).unwrap_or(ports);
            (listed.iter().fold(0, |filter, port| filter | 1 << ((port ^ port >> 6) & 63)), listed)
        }
    };
    bytes[..8].copy_from_slice(&filter.to_ne_bytes());
    bytes[8..12].copy_from_slice(&u32::from(*ports == TunnelPorts::Any).to_ne_bytes());
    let count = u32::try_from(listed.len()).unwrap_or(0);
    bytes[12..16].copy_from_slice(&count.to_ne_bytes());
    for (slot, port) in bytes[16..].as_chunks_mut::<2>().0.iter_mut().zip(listed) {
        *slot = port.to_ne_bytes();
    }
    bytes
}

const fn fail_policy(fail: Fail) -> u32 {
    match fail {
        Fail::Closed => 0,
        Fail::Open => 1,
    }
}
