//! What the ports were like before, in a file beside the gate's lock: a process that dies cannot
//! restore them, so its successor does at its own end.

use portcullis_bpf::device;
use portcullis_capture_xdp::{NapiDefer, PortRestore, PortSetup, RssRestore};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The ports of one gate and what to do to restore them. The file is locked while this lives.
#[derive(Debug)]
pub(crate) struct PortMemory {
    path: PathBuf,
    file: File,
    kept: Kept,
    /// What a dead predecessor of the same gate kept.
    inherited: Vec<KeptPort>,
}

/// The file's contents.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// The network namespace that the ports are in: elsewhere the same names are other ports.
    namespace: String,
    ports: Vec<KeptPort>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptPort {
    /// An interface that was made anew has another.
    index: u32,
    restore: PortRestore,
}

impl PortMemory {
    /// Opens the memory of the gate called `gate`.
    ///
    /// # Errors
    /// Another process has it, or the file cannot be used.
    pub(crate) fn open(folder: &Path, gate: &str) -> Result<Self, String> {
        let path = folder.join(format!("{gate}.ports"));
        let fail =
            |error: io::Error| format!("cannot keep what ports were like in {}: {error}", path.display());
        std::fs::create_dir_all(folder).map_err(fail)?;
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(fail)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(format!("another Portcullis runs as \"{gate}\" (it holds {})", path.display()));
            }
            Err(error) => return Err(fail(error.into())),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(fail)?;
        let namespace = namespace();
        // What cannot be read was not written by this version: nothing can be made of it.
        let found: Kept = toml::from_str(&text).unwrap_or_default();
        let inherited = if found.namespace == namespace { found.ports } else { Vec::new() };
        Ok(Self { path, file, kept: Kept { namespace, ports: Vec::new() }, inherited })
    }

    /// Makes a port fit for inspection and keeps what it was like. With `napi` its receive loop waits for workers, where
    /// that can be had; with `alike` both directions of a flow come by the same queue, where the driver can do that.
    pub(crate) fn set_up(&mut self, name: &str, napi: Option<NapiDefer>, alike: bool) -> Result<(), String> {
        let mut restore = PortSetup::apply(name).map_err(|error| error.to_string())?;
        if let Some(settings) = napi
            && let Err(error) = restore.defer(settings)
        {
            tracing::warn!("{error}: interrupts go on to run it");
        }
        if alike {
            let refused = restore.spread_alike();
            if let Some(before) = &restore.rss {
                tracing::info!(
                    "{name} spreads packets by addresses, alike in both directions ({})",
                    before.changed()
                );
            }
            for reason in refused {
                // Workers pass on what comes by another's queue.
                tracing::info!("{name} leaves some of how it spreads packets as it was: {reason}");
            }
        }
        let index = device::ifindex(name).map_err(|error| error.to_string())?;
        let known = self.inherited.iter().find(|port| port.index == index && port.restore.name == name);
        let restore = match known {
            Some(known) => combined(known.restore.clone(), restore),
            None => restore,
        };
        self.kept.ports.push(KeptPort { index, restore });
        self.save().map_err(|error| format!("cannot write {}: {error}", self.path.display()))
    }

    /// Makes the ports what they were that a dead process of the same gate changed, as far as they are still there.
    pub(crate) fn restore_left(mut self) -> Result<(), String> {
        let is_there = |port: &KeptPort| device::ifindex(&port.restore.name).ok() == Some(port.index);
        self.kept.ports = std::mem::take(&mut self.inherited).into_iter().filter(is_there).collect();
        self.restore()
    }

    /// Makes every port what it was and forgets it. Goes on after an error, and tells the first.
    pub(crate) fn restore(mut self) -> Result<(), String> {
        let mut result = Ok(());
        for port in std::mem::take(&mut self.kept.ports).into_iter().rev() {
            let restored = port.restore.restore().map_err(|error| error.to_string());
            result = result.and(restored);
        }
        let saved = self.save().map_err(|error| format!("cannot write {}: {error}", self.path.display()));
        result.and(saved)
    }

    fn save(&mut self) -> io::Result<()> {
        let text = toml::to_string(&self.kept).map_err(io::Error::other)?;
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes())
    }
}

/// What to restore where a predecessor changed a port first, and then we did.
fn combined(first: PortRestore, then: PortRestore) -> PortRestore {
    let mut addresses = first.addresses;
    addresses.extend(then.addresses);
    PortRestore {
        name: first.name,
        up: first.up,
        promiscuous: first.promiscuous,
        rx_vlan: first.rx_vlan.or(then.rx_vlan),
        tx_vlan: first.tx_vlan.or(then.tx_vlan),
        napi: first.napi.or(then.napi),
        rss: RssRestore::before(first.rss, then.rss),
        lro: first.lro.or(then.lro),
        gro: first.gro.or(then.gro),
        disable_ipv6: first.disable_ipv6.or(then.disable_ipv6),
        addresses,
    }
}

/// Names the network namespace; empty where the system does not tell.
fn namespace() -> String {
    let link = std::fs::read_link("/proc/thread-self/ns/net").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, promiscuous: bool, gro: Option<bool>) -> PortRestore {
        PortRestore {
            name: name.to_owned(),
            up: true,
            promiscuous,
            rx_vlan: None,
            tx_vlan: None,
            napi: None,
            rss: None,
            lro: None,
            gro,
            disable_ipv6: None,
            addresses: Vec::new(),
        }
    }

    #[test]
    fn what_was_first_is_what_is_restored() {
        let both = combined(port("a", false, Some(true)), port("a", true, None));
        assert_eq!(both, port("a", false, Some(true)));
    }

    #[test]
    fn a_successor_finds_what_a_dead_process_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = PortMemory::open(folder.path(), "test").unwrap();
        memory.kept.ports.push(KeptPort { index: 7, restore: port("a", false, Some(true)) });
        memory.save().unwrap();
        let busy = PortMemory::open(folder.path(), "test").unwrap_err();
        assert!(busy.contains("another Portcullis runs as \"test\""), "{busy}");
        drop(memory);
        let memory = PortMemory::open(folder.path(), "test").unwrap();
        assert_eq!(memory.inherited.len(), 1);
        assert_eq!(memory.inherited[0].restore, port("a", false, Some(true)));
        drop(memory);
        std::fs::write(folder.path().join("test.ports"), "namespace = \"other\"\nports = []").unwrap();
        assert!(PortMemory::open(folder.path(), "test").unwrap().inherited.is_empty());
        std::fs::write(folder.path().join("test.ports"), "not ours").unwrap();
        assert!(PortMemory::open(folder.path(), "test").unwrap().inherited.is_empty());
    }
}
