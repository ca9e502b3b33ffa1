//! What the loader and the program agree on; the C side is `portcullis.h`.

use crate::config::Fail;

/// The layout of the pinned maps. Raised whenever a map's shape or meaning changes: pins of another version are
/// removed, not adopted.
pub(crate) const VERSION: u32 = 1;

/// Most ports in a set (`MAX_PORTS`).
pub(crate) const MAX_PORTS: usize = 256;

/// Bytes of `struct settings`.
pub(crate) const SETTINGS_SIZE: usize = 8;

/// `struct settings` as bytes.
pub(crate) fn settings(fail: Fail, queues: u32) -> [u8; SETTINGS_SIZE] {
    let fail: u32 = match fail {
        Fail::Closed => 0,
        Fail::Open => 1,
    };
    let mut bytes = [0; SETTINGS_SIZE];
    let (first, second) = bytes.split_at_mut(4);
    first.copy_from_slice(&fail.to_ne_bytes());
    second.copy_from_slice(&queues.to_ne_bytes());
    bytes
}
