//! An interface in a namespace, and how a thread gets there.

use anyhow::{Context, Result, anyhow};
use portcullis_testkit::NetNs;
use portcullis_trial::Place;
use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// The present thread's namespace.
const HERE: &str = "/proc/thread-self/ns/net";

/// A place that there is.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) namespace: NetNs,
    file: File,
    pub(crate) interface: String,
    pub(crate) index: u32,
}

impl Opened {
    pub(crate) fn open(place: &Place) -> Result<Self> {
        let namespace = match place.namespace.as_deref() {
            None => NetNs::open(Path::new(HERE), "-"),
            Some(path) if path.contains('/') => NetNs::open(Path::new(path), path),
            Some(name) => NetNs::open_named(name),
        };
        let namespace = namespace.with_context(|| format!("there is no place {place}"))?;
        let file =
            File::open(namespace.path()).with_context(|| format!("cannot open the namespace of {place}"))?;
        let interface = place.interface.clone();
        let index = inside(&file, || interface_index(&interface))
            .with_context(|| format!("there is no place {place}"))?;
        Ok(Self { namespace, file, interface, index })
    }

    /// Does something on this thread in the namespace.
    pub(crate) fn inside<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        inside(&self.file, body)
    }
}

fn inside<T>(namespace: &File, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let home = File::open(HERE).context("cannot open this namespace")?;
    let enter = |place: &File| {
        move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network))
            .context("cannot enter a namespace (it needs root)")
    };
    enter(namespace)?;
    let result = body();
    enter(&home)?;
    result
}

/// The number of an interface of this namespace.
pub(crate) fn interface_index(name: &str) -> Result<u32> {
    let control = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    netdevice::name_to_index(control, name).map_err(|error| anyhow!("no interface {name} here: {error}"))
}
