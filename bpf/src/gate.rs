//! The gate in the kernel: loads, attaches, pins, adopts and removes the XDP program.

use crate::attach::{AttachedMode, PortLink, adoptable, attach_all, take_over};
use crate::cache::{CacheMap, VerdictCache};
use crate::config::{GateConfig, GatePort};
use crate::counters::GateCounters;
use crate::device;
use crate::error::GateError;
use crate::lists::ListMaps;
use crate::pins::{Lock, Pins};
use crate::program::{self, Loaded, Maps, Sizes};
use crate::pulse::{BlindWindow, Pulses};
use crate::setup::{fill, inspect, map, put_settings, refused, require_capabilities, seed, validate};
use crate::switch::PanicSwitch;
use crate::sys;
use libbpf_rs::{MapCore, MapFlags, MapHandle, RingBufferBuilder};
use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

/// The XDP program on all ports of a set.
///
/// Dropping it is a clean end: the program is taken off its ports and the pins are removed. Only when the process
/// dies without that do pins stay, so that the fail policy acts until a successor adopts them.
#[derive(Debug)]
pub struct Gate {
    ports: Vec<PortLink>,
    maps: Maps,
    /// Socket slots a port.
    queues: u32,
    pulses: Pulses,
    adopted: bool,
    forward: bool,
    pins: Option<Pins>,
    // Last, so that the lock is given back when everything else is gone.
    _lock: Lock,
}

impl Gate {
    /// Loads the program and attaches it to every port, or adopts what a dead predecessor of the same name left
    /// pinned: its links then get the new program without a gap. Until sockets are set, the fail policy acts on
    /// all traffic.
    ///
    /// # Errors
    /// Each way in which this can fail is a [`GateError`] of its own; nothing new is then left attached.
    pub fn load(config: &GateConfig) -> Result<Self, GateError> {
        validate(config)?;
        require_capabilities()?;
        let known: Vec<(&GatePort, u32)> =
            config.ports.iter().map(|port| inspect(port, config.frags)).collect::<Result<_, _>>()?;
        let lock = Lock::take(&config.lock_dir, &config.name)?;
        let pins = config.pin_dir.as_ref().map(|root| Pins::open(root, &config.name)).transpose()?;

        let queues = config.ports.iter().map(|port| port.queues).max().unwrap_or(1);
        let slots = u32::try_from(config.ports.len()).unwrap_or(u32::MAX).saturating_mul(queues);
        let (predecessor, links) = match &pins {
            Some(pins) => adoptable(pins, &known, slots, config.mode, config.frags)?,
            None => (None, Vec::new()),
        };
        let adopted = predecessor.is_some();
        let sizes = Sizes { slots, cache: CacheMap::lines(config.cache), lists: config.lists.lines() };
        let Loaded { program, mut maps, cache_is_new, lists_are_new } =
            program::load(sizes, predecessor, config.frags)?;
        fill(&maps, &known, config, queues)?;
        if !adopted {
            seed(&maps)?;
        }
        if let Some(pins) = pins.as_ref().filter(|_| adopted) {
            if cache_is_new {
                maps.pin_cache_anew(pins)?;
            }
            if lists_are_new {
                maps.pin_lists_anew(pins)?;
            }
        }
        let ports = if adopted {
            take_over(&known, links, program.as_fd())?
        } else {
            if let Some(pins) = &pins {
                maps.pin(pins)?;
            }
            attach_all(&known, config.mode, program.as_fd(), pins.as_ref())?
        };
        let pulses = Pulses::map(maps.pulses.as_fd(), slots, queues, config.liveness.beat_limit)?;
        let forward = config.forward;
        Ok(Self { ports, maps, queues, pulses, adopted, forward, pins, _lock: lock })
    }

    /// Puts a socket into the slot of a port's queue: from now on it gets that queue's frames. The socket's fill
    /// ring must not be empty.
    ///
    /// # Errors
    /// [`GateError::NoSuchSlot`], or the kernel refuses the socket.
    pub fn set_socket(&mut self, port: u8, queue: u32, socket: BorrowedFd<'_>) -> Result<(), GateError> {
        let slot = self.slot(port, queue)?;
        let value = socket.as_raw_fd().to_ne_bytes();
        map("set a socket", self.maps.sockets.update(&slot, &value, MapFlags::ANY))
    }

    /// Takes the socket out of a slot: from now on the fail policy acts on that queue. No error where there is
    /// none.
    ///
    /// # Errors
    /// [`GateError::NoSuchSlot`], or the kernel's.
    pub fn clear_socket(&mut self, port: u8, queue: u32) -> Result<(), GateError> {
        let slot = self.slot(port, queue)?;
        match self.maps.sockets.delete(&slot) {
            Err(error) if error.kind() == libbpf_rs::ErrorKind::NotFound => Ok(()),
            other => map("clear a socket", other),
        }
    }

    /// Takes the interface of a port down and up again, so that its driver sets its queues up anew. The program stays
    /// attached.
    ///
    /// # Errors
    /// There is no such port, or the kernel refuses.
    pub fn restart_port(&self, port: u8) -> Result<(), GateError> {
        let known = self.ports.get(usize::from(port)).ok_or(GateError::NoSuchSlot { port, queue: 0 })?;
        let name = known.name.as_str();
        let restart = || {
            let flags = device::flags(name)?;
            device::set_flags(name, flags & !IFF_UP)?;
            device::set_flags(name, flags | IFF_UP)
        };
        restart().map_err(|source| GateError::Restart { name: name.to_owned(), source })
    }

    /// Changes what happens without a live worker, and when, while traffic passes: sets, policies and liveness of `config`
    /// count, which must be about as many ports.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_policies(&mut self, config: &GateConfig) -> Result<(), GateError> {
        put_settings(&self.maps, &config.by_port(), self.queues)
    }

    /// The map that [`Pulses::map`] maps, for a process that shall tell of its workers without owning the gate.
    #[must_use]
    pub fn pulses_map(&self) -> BorrowedFd<'_> {
        self.maps.pulses.as_fd()
    }

    /// The map that [`Passed::map`](crate::Passed::map) maps.
    #[must_use]
    pub fn passed_map(&self) -> BorrowedFd<'_> {
        self.maps.passed.as_fd()
    }

    /// Are all interfaces there that the program was attached to?
    #[must_use]
    pub fn has_all_ports(&self) -> bool {
        let ifindex = |port: &PortLink| sys::link_ifindex(port.link.as_fd()).ok();
        self.ports.iter().all(|port| ifindex(port).is_some_and(|index| index != 0))
    }

    /// The heartbeats of the workers behind the slots.
    #[must_use]
    pub fn pulses(&self) -> Pulses {
        self.pulses.clone()
    }

    /// The panic switch of inline set `set`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn panic_switch(&self, set: u32) -> Result<PanicSwitch, GateError> {
        let map = MapHandle::from_map_id(self.maps.panic_switch.info().map_or(0, |info| info.info.id));
        let map = map.map_err(|error| refused("open the panic switch", &error))?;
        Ok(PanicSwitch::new(map, set))
    }

    /// The map of the [`VerdictCache`].
    #[must_use]
    pub fn cache_map(&self) -> BorrowedFd<'_> {
        self.maps.verdicts.as_fd()
    }

    /// How many lines it has.
    #[must_use]
    pub fn cache_lines(&self) -> u32 {
        self.maps.verdicts.max_entries()
    }

    /// The verdict cache, to be used here or in another process.
    ///
    /// # Errors
    /// It cannot be mapped.
    pub fn cache(&self) -> Result<VerdictCache, GateError> {
        let share = || {
            let lines = self.cache_map().try_clone_to_owned()?;
            VerdictCache::open(&CacheMap { lines, line_count: self.cache_lines() })
        };
        share().map_err(|error| refused("share the verdict cache", &error.into()))
    }

    /// The maps of [`lists`](Self::lists), in the order of the fields of [`ListMaps`].
    #[must_use]
    pub fn list_maps(&self) -> [BorrowedFd<'_>; 3] {
        let Maps { lists, list_hits, list_samples, .. } = &self.maps;
        [lists.as_fd(), list_hits.as_fd(), list_samples.as_fd()]
    }

    /// How many lines the first two of them have.
    #[must_use]
    pub fn list_sizes(&self) -> [u32; 2] {
        [self.maps.lists.max_entries(), self.maps.list_hits.max_entries()]
    }

    /// What is needed to put lists in force, here or in another process.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn lists(&self) -> Result<ListMaps, GateError> {
        let own = |map: BorrowedFd<'_>| {
            let owned = map.try_clone_to_owned();
            owned.map_err(|error| refused("share the lists", &error.into()))
        };
        let [lines, hits, samples] = self.list_maps();
        let [line_count, hit_count] = self.list_sizes();
        Ok(ListMaps { lines: own(lines)?, hits: own(hits)?, samples: own(samples)?, line_count, hit_count })
    }

    /// The blind windows that have ended since the last call, a predecessor's included.
    ///
    /// # Errors
    /// The kernel's.
    pub fn windows(&self) -> Result<Vec<BlindWindow>, GateError> {
        let found = RefCell::new(Vec::new());
        let mut ring = RingBufferBuilder::new();
        let take = |bytes: &[u8]| {
            found.borrow_mut().extend(BlindWindow::from_bytes(bytes));
            0
        };
        ring.add(&self.maps.windows, take).map_err(|error| refused(READ_WINDOWS, &error))?;
        let ring = ring.build().map_err(|error| refused(READ_WINDOWS, &error))?;
        ring.consume().map_err(|error| refused(READ_WINDOWS, &error))?;
        drop(ring);
        Ok(found.into_inner())
    }

    /// Frames by outcome over all ports and CPUs. Where a predecessor was adopted, its counts are in it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn counters(&self) -> Result<GateCounters, GateError> {
        let mut total = GateCounters::default();
        for port in 0..self.ports.len() {
            total += self.port_counters(u8::try_from(port).unwrap_or(u8::MAX))?;
        }
        Ok(total)
    }

    /// The same for one port.
    ///
    /// # Errors
    /// The kernel's.
    pub fn port_counters(&self, port: u8) -> Result<GateCounters, GateError> {
        let action = "read the counters";
        let values = self.maps.counters.lookup_percpu(&u32::from(port).to_ne_bytes(), MapFlags::ANY);
        let values = values.map_err(|error| refused(action, &error))?;
        let mut total = GateCounters::default();
        for value in values.unwrap_or_default() {
            let value = value.get(..GateCounters::SIZE).and_then(GateCounters::from_bytes);
            let wrong = || GateError::Map { action, reason: "the map has another layout".to_owned() };
            total += value.ok_or_else(wrong)?;
        }
        Ok(total)
    }

    /// How the program is really attached to each port.
    pub fn modes(&self) -> impl Iterator<Item = (&str, AttachedMode)> {
        self.ports.iter().map(|port| (port.name.as_str(), port.mode))
    }

    /// The interfaces by port, with the queues of each.
    pub fn ports(&self) -> impl Iterator<Item = (&str, u32)> {
        self.ports.iter().map(|port| (port.name.as_str(), port.queues))
    }

    /// Were links and maps of a dead predecessor adopted?
    #[must_use]
    pub const fn adopted(&self) -> bool {
        self.adopted
    }

    /// Does the kernel side send to peers at all?
    #[must_use]
    pub const fn forwards(&self) -> bool {
        self.forward
    }

    /// The process whose gate is called `name`; `None` where none lives.
    #[must_use]
    pub fn holder(lock_dir: &Path, name: &str) -> Option<u32> {
        Lock::holder(lock_dir, name)
    }

    /// Takes off and unpins what a dead process left of the gate called `name`.
    ///
    /// # Errors
    /// Another process has that gate, or a pin cannot be removed.
    pub fn remove_left(pin_dir: &Path, lock_dir: &Path, name: &str) -> Result<(), GateError> {
        let _lock = Lock::take(lock_dir, name)?;
        Pins::open(pin_dir, name)?.remove()
    }

    /// Takes the program off every port and removes the pins; what dropping does, with the error.
    ///
    /// # Errors
    /// A pin could not be removed.
    pub fn detach(mut self) -> Result<(), GateError> {
        self.take_down()
    }

    /// Ends without taking the program off: what is pinned stays and the fail policy acts until a successor
    /// adopts it. Without a pin directory this is [`detach`](Self::detach).
    pub fn leave_pinned(mut self) {
        if self.pins.take().is_some() {
            // Closes the descriptors; the pins hold the links.
            self.ports.clear();
        }
    }

    fn take_down(&mut self) -> Result<(), GateError> {
        for PortLink { link, .. } in self.ports.drain(..) {
            // Explicitly: a pin, or a child between fork and exec, may hold the link longer than this descriptor.
            // An interface that is gone has nothing to take off.
            let _ = sys::link_detach(link.as_fd());
        }
        self.pins.take().map_or(Ok(()), |pins| pins.remove())
    }

    fn slot(&self, port: u8, queue: u32) -> Result<[u8; 4], GateError> {
        if usize::from(port) >= self.ports.len() || queue >= self.queues {
            return Err(GateError::NoSuchSlot { port, queue });
        }
        Ok((u32::from(port) * self.queues + queue).to_ne_bytes())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // Nobody is left to tell; `detach` is for those who want to know.
        let _ = self.take_down();
    }
}

/// linux/if.h
const IFF_UP: i16 = 0x1;

const READ_WINDOWS: &str = "read the blind windows";
