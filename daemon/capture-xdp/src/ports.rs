//! Makes an interface fit for inspection, and restores it.
//!
//! An inline port must show us every frame as it was on the wire and must have no life of its own: promiscuous, no
//! offload that takes tags off or glues segments together, no addresses. What was changed is plain data, so that a
//! process with privileges can do this for one without.

use crate::addresses::{self, Address};
use crate::error::PortError;
use crate::napi::{self, NapiDefer};
use crate::rss::RssRestore;
use portcullis_bpf::device::{self, Offload};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;

/// linux/if.h
const IFF_UP: i16 = 0x1;
const IFF_PROMISC: i16 = 0x100;

/// Makes one interface fit.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortSetup;

/// What an interface was like before; plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "the interface stays as it is unless `restore` is called"]
pub struct PortRestore {
    /// The interface.
    pub name: String,
    /// Was it up?
    pub up: bool,
    /// Was it promiscuous by its flag?
    pub promiscuous: bool,
    /// `rxvlan`, where it was switched.
    pub rx_vlan: Option<bool>,
    /// `txvlan`, where it was switched.
    pub tx_vlan: Option<bool>,
    /// `lro`, where it was switched.
    pub lro: Option<bool>,
    /// `gro`, where it was switched.
    pub gro: Option<bool>,
    /// The sysctl `disable_ipv6`, where it was switched.
    pub disable_ipv6: Option<String>,
    /// When its receive loop ran, where that was changed.
    pub napi: Option<NapiDefer>,
    /// How it spread packets over its queues, where that was changed.
    pub rss: Option<RssRestore>,
    /// Its addresses, taken off.
    pub addresses: Vec<Address>,
}

/// What ties an interface to the host that it is in: an inline port should have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostTies {
    /// Its addresses, but the IPv6 link-local ones that the kernel makes.
    pub addresses: Vec<Address>,
    /// Does a default route leave by it?
    pub default_route: bool,
}

impl HostTies {
    /// Those of the interface `name`.
    ///
    /// # Errors
    /// [`PortError`]: it is missing, or the kernel does not tell.
    pub fn of(name: &str) -> Result<Self, PortError> {
        let index = device::ifindex(name)?;
        let addresses = addresses::of(index).map_err(|source| setting(name, "read the addresses", source))?;
        let default_route =
            addresses::has_default_route(index).map_err(|source| setting(name, "read the routes", source))?;
        Ok(Self { addresses, default_route })
    }
}

impl PortSetup {
    /// Makes the interface `name` fit: up, promiscuous, VLAN stripping and insertion, LRO and GRO off, IPv6 off, addresses taken
    /// off. Where something cannot be done, what was done before is undone.
    ///
    /// Do this before the gate is loaded: some drivers reset the device over it. Routes that an operator added through
    /// the interface go with its addresses and do not come back.
    ///
    /// On a veth the other end decides about tags and checksums: `ethtool -K PEER txvlan off tx off` there.
    ///
    /// # Errors
    /// [`PortError`]; the interface is then as it was.
    pub fn apply(name: &str) -> Result<PortRestore, PortError> {
        let index = device::ifindex(name)?;
        if addresses::has_default_route(index).map_err(|source| setting(name, "read the routes", source))? {
            return Err(PortError::DefaultRoute { name: name.to_owned() });
        }
        let flags = device::flags(name).map_err(|source| setting(name, "read the flags", source))?;
        let mut restore = PortRestore {
            name: name.to_owned(),
            up: flags & IFF_UP != 0,
            promiscuous: flags & IFF_PROMISC != 0,
            rx_vlan: None,
            tx_vlan: None,
            napi: None,
            rss: None,
            lro: None,
            gro: None,
            disable_ipv6: None,
            addresses: Vec::new(),
        };
        match restore.change(index, flags) {
            Ok(()) => Ok(restore),
            Err(error) => {
                // The first error is the one to tell.
                let _ = restore.restore();
                Err(error)
            }
        }
    }
}

impl PortRestore {
    /// Has the receive loop of the interface wait for workers that run it ([`BusyPoll`](crate::BusyPoll)).
    ///
    /// # Errors
    /// It cannot be changed; then interrupts run it as before.
    pub fn defer(&mut self, settings: NapiDefer) -> Result<(), PortError> {
        let failed = |source| setting(&self.name, "change when the receive loop runs", source);
        let before = napi::napi_defer(&self.name).map_err(failed)?;
        napi::set_napi_defer(&self.name, settings).map_err(failed)?;
        self.napi = Some(before);
        Ok(())
    }

    /// Has the interface spread packets so that the directions of a flow meet at one queue, as far as its driver lets that be
    /// changed; what it refused.
    pub fn spread_alike(&mut self) -> Vec<String> {
        let (before, refused) = RssRestore::apply(&self.name);
        self.rss = Some(before).filter(|before| !before.is_empty());
        refused
    }

    /// Makes the interface what it was. Goes on after an error, and tells the first.
    ///
    /// # Errors
    /// Something could not be restored.
    pub fn restore(self) -> Result<(), PortError> {
        let Self { name, up, promiscuous, rx_vlan, tx_vlan, lro, gro, disable_ipv6, napi, rss, addresses } =
            self;
        let mut first = Ok(());
        let mut done = |action, result: io::Result<()>| {
            if let Err(source) = result
                && first.is_ok()
            {
                first = Err(setting(&name, action, source));
            }
        };
        if let Some(on) = rx_vlan {
            done("restore rxvlan", device::set_offload(&name, Offload::RxVlan, on));
        }
        if let Some(on) = tx_vlan {
            done("restore txvlan", device::set_offload(&name, Offload::TxVlan, on));
        }
        if let Some(settings) = napi {
            done("restore when its receive loop runs", napi::set_napi_defer(&name, settings));
        }
        if let Some(before) = rss {
            done("restore how packets are spread over queues", before.restore(&name));
        }
        if let Some(on) = lro {
            done("restore lro", device::set_offload(&name, Offload::Lro, on));
        }
        if let Some(on) = gro {
            done("restore gro", device::set_gro(&name, on));
        }
        if let Some(value) = disable_ipv6 {
            done("restore disable_ipv6", fs::write(ipv6_switch(&name), value));
        }
        let flags = device::flags(&name).and_then(|flags| {
            let flags = if promiscuous { flags | IFF_PROMISC } else { flags & !IFF_PROMISC };
            let flags = if up { flags | IFF_UP } else { flags & !IFF_UP };
            device::set_flags(&name, flags)
        });
        done("restore the flags", flags);
        for address in &addresses {
            done("restore an address", addresses::add(address));
        }
        first
    }

    fn change(&mut self, index: u32, flags: i16) -> Result<(), PortError> {
        let name = self.name.clone();
        for address in addresses::of(index).map_err(|source| setting(&name, "read the addresses", source))? {
            addresses::remove(&address).map_err(|source| setting(&name, "take off an address", source))?;
            self.addresses.push(address);
        }
        self.switch_ipv6_off().map_err(|source| setting(&name, "switch off IPv6", source))?;
        self.rx_vlan = offload_off(&name, Offload::RxVlan, "rxvlan", "VLAN tags are taken off frames")?;
        self.tx_vlan = offload_off(&name, Offload::TxVlan, "txvlan", "VLAN tags may come twice")?;
        self.lro = offload_off(&name, Offload::Lro, "lro", "segments are glued together and checksums lost")?;
        match device::gro(&name) {
            Ok(true) => {
                device::set_gro(&name, false).map_err(|source| setting(&name, "switch off gro", source))?;
                self.gro = Some(true);
            }
            Ok(false) => {}
            Err(error) if is_unknown(&error) => {}
            Err(source) => return Err(setting(&name, "read gro", source)),
        }
        let flags = flags | IFF_UP | IFF_PROMISC;
        device::set_flags(&name, flags).map_err(|source| setting(&name, "make promiscuous", source))
    }

    fn switch_ipv6_off(&mut self) -> io::Result<()> {
        let path = ipv6_switch(&self.name);
        match fs::read_to_string(&path) {
            Ok(value) if value.trim() == "1" => Ok(()),
            Ok(value) => {
                fs::write(&path, "1")?;
                self.disable_ipv6 = Some(value.trim().to_owned());
                Ok(())
            }
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Switches an offload off; what it was before, where it was switched.
fn offload_off(
    name: &str,
    offload: Offload,
    called: &'static str,
    damage: &'static str,
) -> Result<Option<bool>, PortError> {
    let stuck = || PortError::OffloadStuck { name: name.to_owned(), offload: called, damage };
    match device::offload(name, offload) {
        Ok(false) => Ok(None),
        Ok(true) => {
            device::set_offload(name, offload, false).map_err(|_| stuck())?;
            match device::offload(name, offload) {
                Ok(false) => Ok(Some(true)),
                _ => Err(stuck()),
            }
        }
        Err(error) if is_unknown(&error) => Ok(None),
        Err(source) => Err(setting(name, "read the offloads", source)),
    }
}

/// A driver without this switch does not do what it switches.
fn is_unknown(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EOPNOTSUPP)
}

fn ipv6_switch(name: &str) -> String {
    format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
}

fn setting(name: &str, action: &'static str, source: io::Error) -> PortError {
    PortError::Setting { name: name.to_owned(), action, source }
}
