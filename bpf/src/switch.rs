//! The panic switch: while it is on, frames go from port to port in the kernel, whatever the gate does.
//!
//! It lies in a pinned map of its own, so that a process that has nothing to do with a gate that hangs can turn it.

use crate::error::GateError;
use crate::layout::VERSION;
use crate::pulse::coarse_now;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use std::path::Path;
use std::time::Duration;

/// Between the names of the sets in the name of a gate that has several.
pub(crate) const SET_SEPARATOR: char = '+';

/// The panic switch of one inline set.
#[derive(Debug)]
pub struct PanicSwitch {
    map: MapHandle,
    set: u32,
}

impl PanicSwitch {
    /// The switch of the inline set called `name`, of a gate that is pinned under `root`
    /// ([`GateConfig::PIN_DIR`](crate::GateConfig::PIN_DIR)), whether its process lives or not.
    ///
    /// # Errors
    /// [`GateError::NoSuchGate`]: no gate with that set is pinned there, or not by this version.
    pub fn open(root: &Path, name: &str) -> Result<Self, GateError> {
        let (gate, set) = Self::gate_of(root, name).unwrap_or_else(|| (name.to_owned(), 0));
        let path = root.join(gate).join(format!("v{VERSION}")).join("panic_switch");
        let map = MapHandle::from_pinned_path(&path);
        let map = map.map_err(|error| GateError::NoSuchGate {
            name: name.to_owned(),
            root: root.to_owned(),
            reason: format!("{error:#}"),
        })?;
        Ok(Self { map, set })
    }

    /// The name of the gate that is pinned under `root` and has the inline set called `name`, and which of its sets
    /// that is.
    #[must_use]
    pub fn gate_of(root: &Path, name: &str) -> Option<(String, u32)> {
        Self::gates(root).into_iter().find_map(|gate| {
            let set = gate.split(SET_SEPARATOR).position(|set| set == name)?;
            Some((gate, u32::try_from(set).ok()?))
        })
    }

    /// The names of the inline sets of all gates that are pinned under `root` by this version.
    #[must_use]
    pub fn sets(root: &Path) -> Vec<String> {
        let gates = Self::gates(root);
        gates.iter().flat_map(|gate| gate.split(SET_SEPARATOR)).map(str::to_owned).collect()
    }

    /// The names of the gates that are pinned under `root` by this version. That of a gate with several inline sets is
    /// made of theirs.
    #[must_use]
    pub fn gates(root: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let pinned = entries.filter(|entry| entry.path().join(format!("v{VERSION}")).is_dir());
        let mut names: Vec<String> =
            pinned.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    pub(crate) const fn new(map: MapHandle, set: u32) -> Self {
        Self { map, set }
    }

    /// Turns it on, for `time` or until it is turned off.
    ///
    /// # Errors
    /// The kernel's.
    pub fn on(&self, time: Option<Duration>) -> Result<(), GateError> {
        let nanos = time.map_or(u64::MAX, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        self.put(coarse_now().saturating_add(nanos))
    }

    /// Turns it off.
    ///
    /// # Errors
    /// The kernel's.
    pub fn off(&self) -> Result<(), GateError> {
        self.put(0)
    }

    /// For how long it is still on; [`Duration::MAX`] until it is turned off, zero where it is off.
    ///
    /// # Errors
    /// The kernel's.
    pub fn left(&self) -> Result<Duration, GateError> {
        let value = self.map.lookup(&self.set.to_ne_bytes(), MapFlags::ANY);
        let value = value.map_err(|error| failed("read the panic switch", &error))?.unwrap_or_default();
        let until = value.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        if until == u64::MAX {
            return Ok(Duration::MAX);
        }
        Ok(Duration::from_nanos(until.saturating_sub(coarse_now())))
    }

    fn put(&self, until: u64) -> Result<(), GateError> {
        let put = self.map.update(&self.set.to_ne_bytes(), &until.to_ne_bytes(), MapFlags::ANY);
        put.map_err(|error| failed("turn the panic switch", &error))
    }
}

fn failed(action: &'static str, error: &libbpf_rs::Error) -> GateError {
    GateError::Map { action, reason: format!("{error:#}") }
}
