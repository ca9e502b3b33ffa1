//! The panic switch: while it is on, frames go from port to port in the kernel, whatever the gate does.
//!
//! It lies in a pinned map of its own, so that a process that has nothing to do with a gate that hangs can turn it.

use crate::error::GateError;
use crate::layout::VERSION;
use crate::pulse::coarse_now;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use std::path::Path;
use std::time::Duration;

/// The panic switch of one gate.
#[derive(Debug)]
pub struct PanicSwitch {
    map: MapHandle,
}

impl PanicSwitch {
    /// The switch of the gate called `name` that is pinned under `root` ([`GateConfig::PIN_DIR`](crate::GateConfig::PIN_DIR)), whether its
    /// process lives or not.
    ///
    /// # Errors
    /// [`GateError::NoSuchGate`]: no gate of that name is pinned there, or not by this version.
    pub fn open(root: &Path, name: &str) -> Result<Self, GateError> {
        let path = root.join(name).join(format!("v{VERSION}")).join("panic_switch");
        let map = MapHandle::from_pinned_path(&path);
        let map = map.map_err(|error| GateError::NoSuchGate {
            name: name.to_owned(),
            root: root.to_owned(),
            reason: format!("{error:#}"),
        })?;
        Ok(Self { map })
    }

    /// The names of the gates that are pinned under `root` by this version.
    #[must_use]
    pub fn gates(root: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let pinned = entries.filter(|entry| entry.path().join(format!("v{VERSION}")).is_dir());
        let mut names: Vec<String> =
            pinned.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    pub(crate) const fn new(map: MapHandle) -> Self {
        Self { map }
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
        let value = self.map.lookup(&[0; 4], MapFlags::ANY);
        let value = value.map_err(|error| failed("read the panic switch", &error))?.unwrap_or_default();
        let until = value.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        if until == u64::MAX {
            return Ok(Duration::MAX);
        }
        Ok(Duration::from_nanos(until.saturating_sub(coarse_now())))
    }

    fn put(&self, until: u64) -> Result<(), GateError> {
        let put = self.map.update(&[0; 4], &until.to_ne_bytes(), MapFlags::ANY);
        put.map_err(|error| failed("turn the panic switch", &error))
    }
}

fn failed(action: &'static str, error: &libbpf_rs::Error) -> GateError {
    GateError::Map { action, reason: format!("{error:#}") }
}
