//! Loads the program and its maps into the kernel, with maps of a predecessor where there are any.

use crate::error::GateError;
use crate::layout;
use crate::messages;
use crate::pins::Pins;
use crate::skeleton::{OpenPortcullisSkel, PortcullisSkelBuilder};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapHandle, MapType, ProgramType};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// The maps of a loaded program.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) port_of: MapHandle,
    pub(crate) sockets: MapHandle,
    pub(crate) pulses: MapHandle,
    pub(crate) peers: MapHandle,
    pub(crate) settings: MapHandle,
    pub(crate) tunnels: MapHandle,
    pub(crate) verdicts: MapHandle,
    pub(crate) panic_switch: MapHandle,
    pub(crate) passed: MapHandle,
    pub(crate) windows: MapHandle,
    pub(crate) lists: MapHandle,
    pub(crate) list_hits: MapHandle,
    pub(crate) list_samples: MapHandle,
    pub(crate) counters: MapHandle,
}

impl Maps {
    /// The maps by the names they are pinned under.
    fn named(&mut self) -> [(&'static str, &mut MapHandle); 14] {
        let Self {
            port_of, sockets, pulses, peers, settings, tunnels, panic_switch, passed, windows, ..
        } = self;
        let Self { verdicts, lists, list_hits, list_samples, counters, .. } = self;
        [
            ("port_of", port_of),
            ("sockets", sockets),
            ("pulses", pulses),
            ("peers", peers),
            ("settings", settings),
            ("tunnels", tunnels),
            ("verdicts", verdicts),
            ("panic_switch", panic_switch),
            ("passed", passed),
            ("windows", windows),
            ("lists", lists),
            ("list_hits", list_hits),
            ("list_samples", list_samples),
            ("counters", counters),
        ]
    }

    /// Opens a predecessor's maps; `None` unless all are there and have room for `slots` slots.
    pub(crate) fn pinned(pins: &Pins, slots: u32) -> Option<Self> {
        let open = |name: &str| MapHandle::from_pinned_path(pins.path(name)).ok();
        let maps = Self {
            port_of: open("port_of")?,
            sockets: open("sockets")?,
            pulses: open("pulses")?,
            peers: open("peers")?,
            settings: open("settings")?,
            tunnels: open("tunnels")?,
            verdicts: open("verdicts")?,
            panic_switch: open("panic_switch")?,
            passed: open("passed")?,
            windows: open("windows")?,
            lists: open("lists")?,
            list_hits: open("list_hits")?,
            list_samples: open("list_samples")?,
            counters: open("counters")?,
        };
        (maps.sockets.max_entries() == slots && maps.pulses.max_entries() == slots).then_some(maps)
    }

    /// Pins a verdict cache in the place of one of another size.
    pub(crate) fn pin_cache_anew(&mut self, pins: &Pins) -> Result<(), GateError> {
        let path = pins.path("verdicts");
        let failed = |source| GateError::Pin { path: path.clone(), source };
        std::fs::remove_file(&path).map_err(failed)?;
        self.verdicts.pin(&path).map_err(|error| failed(std::io::Error::other(error)))
    }

    /// Pins tables of lists in the place of smaller ones.
    pub(crate) fn pin_lists_anew(&mut self, pins: &Pins) -> Result<(), GateError> {
        let path = pins.path("lists");
        let failed = |source| GateError::Pin { path: path.clone(), source };
        std::fs::remove_file(&path).map_err(failed)?;
        self.lists.pin(&path).map_err(|error| failed(std::io::Error::other(error)))
    }

    /// Pins all of them.
    pub(crate) fn pin(&mut self, pins: &Pins) -> Result<(), GateError> {
        for (name, map) in self.named() {
            let path = pins.path(name);
            let failed = |error| GateError::Pin { path: path.clone(), source: std::io::Error::other(error) };
            map.pin(&path).map_err(failed)?;
        }
        Ok(())
    }
}

/// The program in the kernel, attached to nothing yet.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) program: OwnedFd,
    pub(crate) maps: Maps,
    /// A predecessor's verdict cache has another size: this one is empty, and not pinned yet.
    pub(crate) cache_is_new: bool,
    /// A predecessor's tables of lists were too small: these are empty, and not pinned yet.
    pub(crate) lists_are_new: bool,
}

/// How much the maps have room for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Sockets.
    pub(crate) slots: u32,
    /// Lines of the verdict cache, at least 1.
    pub(crate) cache: u32,
    /// Lines of lists, at least 1.
    pub(crate) lists: u32,
}

/// The name of the program in the kernel, with and without support for frames of several buffers.
pub(crate) const fn name(frags: bool) -> &'static str {
    if frags { "gate_frags" } else { "gate" }
}

/// Loads the program, over a predecessor's maps where given; `frags`: the one for frames of several buffers.
pub(crate) fn load(sizes: Sizes, predecessor: Option<Maps>, frags: bool) -> Result<Loaded, GateError> {
    let Sizes { slots, cache, lists } = sizes;
    messages::capture();
    let mut storage = MaybeUninit::uninit();
    let mut open = PortcullisSkelBuilder::default().open(&mut storage).map_err(|error| refused(&error))?;
    // A DEVMAP cannot serve an `xdp` and an `xdp.frags` program: the kernel answers EINVAL.
    open.progs.gate_frags.set_autoload(frags);
    open.progs.gate.set_autoload(!frags);
    match &predecessor {
        Some(maps) => reuse(&mut open, maps).map_err(|error| refused(&error))?,
        None => {
            open.maps.sockets.set_max_entries(slots).map_err(|error| refused(&error))?;
            open.maps.pulses.set_max_entries(slots).map_err(|error| refused(&error))?;
            let cpus = libbpf_rs::num_possible_cpus().map_err(|error| refused(&error))?;
            let hits = u32::try_from(cpus * layout::LIST_COUNTERS).unwrap_or(u32::MAX);
            open.maps.list_hits.set_max_entries(hits).map_err(|error| refused(&error))?;
        }
    }
    let refuse = |error: libbpf_rs::Error| refused(&error);
    let cache_is_new = match predecessor.as_ref().filter(|maps| maps.verdicts.max_entries() == cache) {
        Some(maps) => open.maps.verdicts.reuse_fd(maps.verdicts.as_fd()).map(|()| false).map_err(refuse)?,
        None => open.maps.verdicts.set_max_entries(cache).map(|()| true).map_err(refuse)?,
    };
    let lists_are_new = match predecessor.as_ref().filter(|maps| maps.lists.max_entries() >= lists) {
        Some(maps) => open.maps.lists.reuse_fd(maps.lists.as_fd()).map(|()| false).map_err(refuse)?,
        None => open.maps.lists.set_max_entries(lists).map(|()| true).map_err(refuse)?,
    };
    let skeleton = open.load().map_err(|error| refused(&error))?;
    let handle = |map| MapHandle::try_from(map).map_err(|error| refused(&error));
    let maps = match predecessor {
        Some(mut maps) => {
            if cache_is_new {
                maps.verdicts = handle(&skeleton.maps.verdicts)?;
            }
            if lists_are_new {
                maps.lists = handle(&skeleton.maps.lists)?;
            }
            maps
        }
        None => Maps {
            port_of: handle(&skeleton.maps.port_of)?,
            sockets: handle(&skeleton.maps.sockets)?,
            pulses: handle(&skeleton.maps.pulses)?,
            peers: handle(&skeleton.maps.peers)?,
            settings: handle(&skeleton.maps.settings)?,
            tunnels: handle(&skeleton.maps.tunnels)?,
            verdicts: handle(&skeleton.maps.verdicts)?,
            panic_switch: handle(&skeleton.maps.panic_switch)?,
            passed: handle(&skeleton.maps.passed)?,
            windows: handle(&skeleton.maps.windows)?,
            lists: handle(&skeleton.maps.lists)?,
            list_hits: handle(&skeleton.maps.list_hits)?,
            list_samples: handle(&skeleton.maps.list_samples)?,
            counters: handle(&skeleton.maps.counters)?,
        },
    };
    let program = if frags { skeleton.progs.gate_frags.as_fd() } else { skeleton.progs.gate.as_fd() };
    let program = program.try_clone_to_owned();
    let program = program.map_err(|error| refused(&libbpf_rs::Error::from(error)))?;
    Ok(Loaded { program, maps, cache_is_new, lists_are_new })
}

fn reuse(open: &mut OpenPortcullisSkel<'_>, maps: &Maps) -> libbpf_rs::Result<()> {
    open.maps.port_of.reuse_fd(maps.port_of.as_fd())?;
    open.maps.sockets.reuse_fd(maps.sockets.as_fd())?;
    open.maps.pulses.reuse_fd(maps.pulses.as_fd())?;
    open.maps.peers.reuse_fd(maps.peers.as_fd())?;
    open.maps.settings.reuse_fd(maps.settings.as_fd())?;
    open.maps.tunnels.reuse_fd(maps.tunnels.as_fd())?;
    open.maps.panic_switch.reuse_fd(maps.panic_switch.as_fd())?;
    open.maps.passed.reuse_fd(maps.passed.as_fd())?;
    open.maps.windows.reuse_fd(maps.windows.as_fd())?;
    open.maps.list_hits.reuse_fd(maps.list_hits.as_fd())?;
    open.maps.list_samples.reuse_fd(maps.list_samples.as_fd())?;
    open.maps.counters.reuse_fd(maps.counters.as_fd())
}

/// Finds out why the kernel refused: what it does not know is asked for one by one.
fn refused(error: &libbpf_rs::Error) -> GateError {
    let messages = messages::taken();
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let needed = [
        ("XDP programs", ProgramType::Xdp.is_supported()),
        ("AF_XDP sockets (CONFIG_XDP_SOCKETS)", MapType::Xskmap.is_supported()),
        ("XDP redirection to devices (DEVMAP)", MapType::Devmap.is_supported()),
    ];
    for (feature, supported) in needed {
        if matches!(supported, Ok(false)) {
            return GateError::KernelTooOld { feature, release };
        }
    }
    if messages.iter().any(|line| line.contains("ulimit -l") || line.contains("RLIMIT_MEMLOCK")) {
        return GateError::NoMemory;
    }
    GateError::Refused { reason: format!("{error:#}"), messages }
}
