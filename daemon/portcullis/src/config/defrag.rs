//! `[defrag]`.

use super::host_os::Networks;
use super::policy::{ExceptionPolicy, Master};
use super::section::Section;
use super::tree::{Entry, Value};
use super::value::Size;
use portcullis_wire::Network;
use std::time::Duration;

/// `[defrag]`: fragments put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefragConfig {
    /// Most bytes for fragments, of all workers together.
    pub memcap: u64,
    /// What happens to a fragment that there is no memory for. Acts on packets.
    pub memcap_policy: ExceptionPolicy,
    /// Most datagrams that are put together at a time.
    pub trackers: u32,
    /// Most fragments that are kept at a time.
    pub max_frags: u32,
    /// Is the memory touched at start?
    pub prealloc: bool,
    /// How long a datagram may stay incomplete.
    pub timeout: Duration,
    /// `host-config`: other timeouts by destination.
    pub timeouts: Vec<(Network, Duration)>,
}

/// A worker's share must hold a datagram of 64 KiB; with one worker this does.
const LEAST_MEMCAP: u64 = 512 << 10;

impl DefragConfig {
    pub(crate) fn read(section: &mut Section<'_>, master: Master) -> Self {
        let memcap = section.or("memcap", Size(32 << 20)).0;
        if memcap < LEAST_MEMCAP {
            let reason = format!("{memcap} bytes are too few, the least is {LEAST_MEMCAP}");
            section.bad_value("memcap", &reason, &section.place("memcap"));
        }
        Self {
            memcap,
            memcap_policy: master.packet_scope(section, "memcap-policy"),
            trackers: section.within("trackers", 65_535, 1..=u32::MAX),
            max_frags: section.within("max-frags", 65_535, 1..=u32::MAX),
            prealloc: section.or("prealloc", true),
            timeout: section.or("timeout", Duration::from_secs(60)),
            timeouts: section.section("host-config", timeouts),
        }
    }
}

/// The tables of `host-config`, by names that mean nothing.
fn timeouts(section: &mut Section<'_>) -> Vec<(Network, Duration)> {
    let mut all = Vec::new();
    for (name, entry) in section.free_entries() {
        let Entry { node, .. } = entry;
        let Value::Table(table) = &node.value else {
            let reason = format!("expected a table, found {}", node.value.describe());
            section.bad_value(name, &reason, &node.place);
            continue;
        };
        let mut inner = section.inner(name, table);
        let addresses = inner.or("address", Networks::default());
        if let Some(timeout) = inner.optional::<Duration>("timeout") {
            all.extend(addresses.0.into_iter().map(|network| (network, timeout)));
        }
        inner.finish();
    }
    all
}
