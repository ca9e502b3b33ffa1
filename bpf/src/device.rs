//! Facts and switches of a network interface, by ioctl, in the network namespace of the calling thread.

mod rss;

pub use rss::{HashedBy, HashedFlow, Rss, hashed_by, rss, set_hashed_by, set_rss_key, set_rss_table};

use crate::error::GateError;
use crate::sys;
use std::io;

/// Largest MTU whose frames, VLAN tags included, fit the one page that a driver gives an XDP program without
/// multi-buffer support. Measured on veth: 3498 attaches, 3520 does not.
pub const MAX_MTU: u32 = 3498;

/// linux/if.h
const IFF_UP: i16 = 0x1;

/// Largest MTU that is served with frames in several buffers.
pub const MAX_JUMBO_MTU: u32 = 16_000;

// linux/ethtool.h
const ETHTOOL_GLINK: u32 = 0x0a;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const ETHTOOL_GGRO: u32 = 0x2b;
const ETHTOOL_SGRO: u32 = 0x2c;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

/// An offload that the ethtool flags word switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// The device takes the VLAN tag off received frames (`rxvlan`).
    RxVlan,
    /// The device puts VLAN tags into frames that are sent (`txvlan`).
    TxVlan,
    /// The device glues received segments together (`lro`).
    Lro,
}

impl Offload {
    const fn bit(self) -> u32 {
        match self {
            Self::RxVlan => 1 << 8,
            Self::TxVlan => 1 << 7,
            Self::Lro => 1 << 15,
        }
    }
}

/// The interface's index.
///
/// # Errors
/// [`GateError::InterfaceMissing`].
pub fn ifindex(name: &str) -> Result<u32, GateError> {
    let missing = || GateError::InterfaceMissing { name: name.to_owned() };
    match sys::interface_number(name, libc::SIOCGIFINDEX as libc::Ioctl) {
        Ok(index) => u32::try_from(index).map_err(|_| missing()),
        Err(_) => Err(missing()),
    }
}

/// The interface's MTU in bytes, without link header.
///
/// # Errors
/// [`GateError::InterfaceMissing`], [`GateError::Device`].
pub fn mtu(name: &str) -> Result<u32, GateError> {
    let mtu = sys::interface_number(name, libc::SIOCGIFMTU as libc::Ioctl);
    let mtu = mtu.map_err(|error| device_error(name, "the MTU", error))?;
    Ok(u32::try_from(mtu).unwrap_or(0))
}

/// How many receive queues are in use: at least 1.
///
/// # Errors
/// [`GateError::InterfaceMissing`], [`GateError::Device`].
pub fn queues(name: &str) -> Result<u32, GateError> {
    // cmd, max rx/tx/other/combined, then the same in use.
    let mut words = [ETHTOOL_GCHANNELS, 0, 0, 0, 0, 0, 0, 0, 0];
    match sys::ethtool(name, &mut words) {
        Ok(()) => {
            let [_, _, _, _, _, rx, _, _, combined] = words;
            Ok((rx + combined).max(1))
        }
        // A driver without channels has one queue.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(1),
        Err(error) => Err(device_error(name, "the number of queues", error)),
    }
}

/// Does the interface have a carrier? Never while it is down.
///
/// # Errors
/// The kernel's; `Unsupported` where the driver cannot tell.
pub fn carrier(name: &str) -> io::Result<bool> {
    Ok(word(name, ETHTOOL_GLINK)? != 0)
}

/// Is the interface up, as an operator sees it?
///
/// # Errors
/// The kernel's.
pub fn is_up(name: &str) -> io::Result<bool> {
    Ok(flags(name)? & IFF_UP != 0)
}

/// Brings the interface up or takes it down.
///
/// # Errors
/// The kernel's.
pub fn set_up(name: &str, up: bool) -> io::Result<()> {
    let flags = flags(name)?;
    set_flags(name, if up { flags | IFF_UP } else { flags & !IFF_UP })
}

/// Is an offload on?
///
/// # Errors
/// The kernel's; `Unsupported` where the driver has no such word.
pub fn offload(name: &str, offload: Offload) -> io::Result<bool> {
    Ok(word(name, ETHTOOL_GFLAGS)? & offload.bit() != 0)
}

/// Switches an offload; whether it then is what was asked must be looked at.
///
/// # Errors
/// The kernel's.
pub fn set_offload(name: &str, offload: Offload, on: bool) -> io::Result<()> {
    let flags = word(name, ETHTOOL_GFLAGS)?;
    let flags = if on { flags | offload.bit() } else { flags & !offload.bit() };
    sys::ethtool(name, &mut [ETHTOOL_SFLAGS, flags])
}

/// Does the stack glue received segments together (GRO)?
///
/// # Errors
/// The kernel's.
pub fn gro(name: &str) -> io::Result<bool> {
    Ok(word(name, ETHTOOL_GGRO)? != 0)
}

/// Switches GRO.
///
/// # Errors
/// The kernel's.
pub fn set_gro(name: &str, on: bool) -> io::Result<()> {
    sys::ethtool(name, &mut [ETHTOOL_SGRO, u32::from(on)])
}

/// The interface's flags (`IFF_*`).
///
/// # Errors
/// The kernel's.
pub fn flags(name: &str) -> io::Result<i16> {
    sys::interface_flags(name)
}

/// Sets the interface's flags (`IFF_*`) all at once.
///
/// # Errors
/// The kernel's.
pub fn set_flags(name: &str, flags: i16) -> io::Result<()> {
    sys::set_interface_flags(name, flags)
}

fn word(name: &str, command: u32) -> io::Result<u32> {
    let mut words = [command, 0];
    sys::ethtool(name, &mut words)?;
    let [_, word] = words;
    Ok(word)
}

fn device_error(name: &str, what: &'static str, source: io::Error) -> GateError {
    match source.raw_os_error() {
        Some(libc::ENODEV) => GateError::InterfaceMissing { name: name.to_owned() },
        _ => GateError::Device { name: name.to_owned(), what, source },
    }
}
